"""The botocore session of a function: only the service models it needs, loaded fast.

Botocore scans the folders of all 400 services for each client it creates, and parses JSON with the
standard library. Both together are half the cost of a client.
"""

import gzip
import os
from pathlib import Path
from typing import Any

import orjson
from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session, get_session

SERVICES = ["dynamodb", "s3", "secretsmanager", "sqs"]
"""Every service that a function has a client of."""


class _Files(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        if os.path.isfile(f"{file_path}.json"):
            return orjson.loads(Path(f"{file_path}.json").read_bytes())
        if os.path.isfile(f"{file_path}.json.gz"):
            return orjson.loads(gzip.decompress(Path(f"{file_path}.json.gz").read_bytes()))
        return None


class ServiceModels(Loader):
    """Botocore's `data_loader`, limited to `SERVICES`."""

    def __init__(self) -> None:
        super().__init__(file_loader=_Files())

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return the services that there are clients of."""
        return SERVICES


def new_session() -> Session:
    """Return a botocore session with the fast loader; boto3 would load more for the same."""
    session = get_session()
    session.register_component("data_loader", ServiceModels())
    return session
