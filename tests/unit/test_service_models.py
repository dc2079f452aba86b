"""The loader of service models finds what the loader of botocore finds."""

import re
from pathlib import Path

import pytest
from botocore.loaders import Loader
from botocore.session import get_session
from consents.aws.service_models import ServiceModels
from consents.aws.session import SERVICES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1", "paginators-1"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_described_as_botocore_describes_it(service: str, kind: str) -> None:
    described = ServiceModels(SERVICES).load_service_model(service, kind)

    assert described == Loader().load_service_model(service, kind)


def test_every_service_with_a_client_is_known() -> None:
    sources = "".join(
        path.read_text() for path in (ROOT / "layers/consents/consents").rglob("*.py")
    )

    assert sorted(set(re.findall(r'client\("([\w-]+)"', sources))) == SERVICES


def test_a_client_is_made_from_the_models_of_the_loader() -> None:
    asked: list[str] = []

    class Watched(ServiceModels):
        def list_available_services(self, type_name: str) -> list[str]:
            asked.append(type_name)
            return super().list_available_services(type_name)

    session = get_session()
    session.register_component("data_loader", Watched(SERVICES))
    session.create_client("dynamodb", region_name="us-east-1")

    assert "service-2" in asked
