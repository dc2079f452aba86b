"""Which client the environment asks for: endpoint, region, credentials, proxy."""

from typing import Any

import pytest
from consents.aws import session
from consents.aws.client import DYNAMODB, Boto3Client, LeanClient
from consents.aws.sigv4 import Credentials

OWN = ("AWS_", "DYNAMODB_TRANSPORT")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment as Lambda sets it, and nothing else of AWS."""
    import os

    for name in list(os.environ):
        if name.startswith(OWN) or name.upper() in PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return monkeypatch


class Endpoint:
    """What botocore's client says of its endpoint."""

    class meta:  # noqa: N801 - botocore's name
        endpoint_url = "https://dynamodb-fips.eu-west-1.amazonaws.com"


def made(**options: Any) -> Any:
    return session.client(DYNAMODB, Endpoint, **options)


def host_of(client: Any) -> str:
    assert isinstance(client, LeanClient)
    return client._host


def test_the_endpoint_is_that_of_the_region() -> None:
    assert host_of(made()) == "dynamodb.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"])
def test_an_endpoint_may_be_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "http://127.0.0.1:4566")

    client = made()
    assert host_of(client) == "127.0.0.1:4566"
    assert client._connections._port == 4566
    assert not client._connections._is_tls


def test_the_endpoint_of_the_service_comes_first(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:2")

    assert host_of(made()) == "127.0.0.1:2"


def test_named_endpoints_may_be_ignored(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    environment.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")

    assert host_of(made()) == "dynamodb.eu-west-1.amazonaws.com"


ONLY_BOTOCORE_KNOWS = {
    "profile": ("AWS_PROFILE", "mine"),
    "FIPS": ("AWS_USE_FIPS_ENDPOINT", "true"),
    "dual stack": ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
    "another partition": ("AWS_REGION", "cn-north-1"),
}


@pytest.mark.parametrize(("name", "value"), ONLY_BOTOCORE_KNOWS.values(), ids=ONLY_BOTOCORE_KNOWS)
def test_botocore_says_the_endpoint_that_only_it_knows(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)

    assert host_of(made()) == "dynamodb-fips.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_boto3_goes_through_a_proxy(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "http://127.0.0.1:3128")

    assert isinstance(made(), Boto3Client)


def test_a_host_may_be_reached_without_the_proxy(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    environment.setenv("NO_PROXY", ".amazonaws.com")

    assert isinstance(made(), LeanClient)


def test_an_endpoint_with_a_path_needs_boto3(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/dynamodb")

    assert isinstance(made(), Boto3Client)


def test_the_lean_client_can_be_turned_off() -> None:
    assert isinstance(made(is_lean=False), Boto3Client)


def test_credentials_are_read_from_the_environment_each_time(
    environment: pytest.MonkeyPatch,
) -> None:
    assert session.credentials() == Credentials("id", "secret", "")
    environment.setenv("AWS_SESSION_TOKEN", "token")
    environment.setenv("AWS_ACCESS_KEY_ID", "rotated")

    assert session.credentials() == Credentials("rotated", "secret", "token")


def test_botocore_finds_credentials_that_the_environment_lacks(
    environment: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = filed\naws_secret_access_key = secret\n")
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    session.session.cache_clear()

    assert session.credentials() == Credentials("filed", "secret", "")
    session.session.cache_clear()


# ---------------------------------------------------------------- Small objects


def where(bucket: str = "log") -> tuple[str, str]:
    found = session.small_object(bucket, "checkpoint")
    assert found is not None
    return found._host, found._path


def test_an_object_is_read_from_the_host_of_its_bucket() -> None:
    assert where() == ("log.s3.eu-west-1.amazonaws.com", "/checkpoint")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_a_named_endpoint_has_the_bucket_in_the_path(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv(name, "http://127.0.0.1:4566")

    assert where() == ("127.0.0.1:4566", "/log/checkpoint")


def test_an_object_behind_a_proxy_is_left_to_botocore(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")

    assert session.small_object("log", "checkpoint") is None
