"""What AWS's services look like to botocore's clients: its own descriptions, loaded fast.

Botocore scans the folders of all 400 services for each client that it creates, and parses JSON with
the standard library. Both together are half the cost of a client.
"""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from botocore.loaders import JSONFileLoader, Loader


class _Files(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        if os.path.isfile(f"{file_path}.json"):
            return orjson.loads(Path(f"{file_path}.json").read_bytes())
        if os.path.isfile(f"{file_path}.json.gz"):
            return orjson.loads(gzip.decompress(Path(f"{file_path}.json.gz").read_bytes()))
        return None


class ServiceModels(Loader):
    """Botocore's `data_loader`, limited to some services."""

    def __init__(self, services: Sequence[str]) -> None:
        super().__init__(file_loader=_Files())
        self._services = list(services)

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return the services that there are clients of."""
        return self._services
