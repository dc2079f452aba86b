"""What AWS's services look like to their clients: botocore's own descriptions, found and read fast.

Botocore looks into the folders of all 400 services for each client that it makes, and reads JSON
with the standard library: together half of what a client costs.
"""

import gzip
import os
from pathlib import Path
from typing import Any

import orjson
from botocore.loaders import JSONFileLoader, Loader

SERVICES = ["dynamodb", "s3", "secretsmanager", "sqs"]
"""All that any function has a client of."""


class _Files(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        if os.path.isfile(f"{file_path}.json"):
            return orjson.loads(Path(f"{file_path}.json").read_bytes())
        if os.path.isfile(f"{file_path}.json.gz"):
            return orjson.loads(gzip.decompress(Path(f"{file_path}.json.gz").read_bytes()))
        return None


class ServiceModels(Loader):
    """Botocore's `data_loader`, for the services that are used here."""

    def __init__(self) -> None:
        super().__init__(file_loader=_Files())

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return the services that there are clients of."""
        return SERVICES
