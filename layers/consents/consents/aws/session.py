"""Clients as the environment configures them: credentials, region, endpoint, proxy.

The environment comes first, as for botocore. What it does not say, and what only botocore knows
(profiles, FIPS, dual stack, other partitions), comes from a botocore session, which is loaded then.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from consents.aws.client import Boto3Client, Client, LeanClient, Service
from consents.aws.connections import Connections
from consents.aws.sigv4 import Credentials
from consents.aws.small_object import SmallObject

if TYPE_CHECKING:
    from botocore.session import Session

SERVICES = ["dynamodb", "kms", "pinpoint-sms-voice-v2", "s3", "secretsmanager", "sqs"]
"""Every service that a function has a client of."""

_ONLY_BOTOCORE_KNOWS = (
    "AWS_PROFILE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
)
_PARTITION_AWS = ("us-east-", "us-west-", "eu-", "ap-", "ca-", "sa-", "me-", "af-", "il-", "mx-")


@cache
def session() -> "Session":
    """Return the botocore session of this process, with the fast loader of service models."""
    from botocore.session import get_session

    from consents.aws.service_models import ServiceModels

    made: Session = get_session()
    made.register_component("data_loader", ServiceModels(SERVICES))
    return made


def boto_client(name: str, **config: Any) -> Any:
    """Return a botocore client of a service; boto3 would load more for the same."""
    from botocore.config import Config

    return session().create_client(name, config=Config(**config))


def client(service: Service, fallback: Callable[[], Any], *, is_lean: bool = True) -> Client:
    """Return a client of a service: a lean one unless it is turned off or needs a proxy."""
    boto3 = Boto3Client(fallback)
    region = _region()
    url = urlsplit(_endpoint_url(service.name, region, fallback))
    if not is_lean or url.path.strip("/") or _has_proxy(url.scheme, url.hostname or ""):
        return boto3
    return LeanClient(service, region, _connections(url), url.netloc, credentials, boto3)


def small_object(bucket: str, key: str) -> SmallObject | None:
    """Return an object of S3 that is read without botocore; None where only botocore could."""
    region = _region()
    url = urlsplit(_endpoint_url("s3", region, lambda: boto_client("s3")))
    if url.path.strip("/") or _has_proxy(url.scheme, url.hostname or ""):
        return None
    path = f"/{key}"
    if url.netloc.startswith("s3."):
        url = url._replace(netloc=f"{bucket}.{url.netloc}")
    else:  # a configured endpoint, which need not have a name for each bucket
        path = f"/{bucket}{path}"
    return SmallObject(_connections(url), url.netloc, path, region, credentials)


def _connections(url: SplitResult) -> Connections:
    is_tls = url.scheme == "https"
    return Connections(
        url.hostname or "",
        url.port or (443 if is_tls else 80),
        is_tls=is_tls,
        ca_bundle=os.environ.get("AWS_CA_BUNDLE", ""),
    )


def credentials() -> Credentials:
    """Return the credentials that are valid now: they may change between two calls."""
    environment = os.environ
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        return Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    found = session().get_credentials()
    if found is None:
        raise LookupError("no AWS credentials")
    frozen = found.get_frozen_credentials()
    return Credentials(str(frozen.access_key), str(frozen.secret_key), frozen.token or "")


def _region() -> str:
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return named or str(session().get_config_variable("region"))


def _endpoint_url(service: str, region: str, fallback: Callable[[], Any]) -> str:
    ignored = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    variables = () if ignored else (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL")
    for name in variables:
        if url := os.environ.get(name):
            return url
    special = any(os.environ.get(name) for name in _ONLY_BOTOCORE_KNOWS)
    if special or not region.startswith(_PARTITION_AWS):
        return str(fallback().meta.endpoint_url)
    return f"https://{service}.{region}.amazonaws.com"


def _has_proxy(scheme: str, host: str) -> bool:
    """Return whether requests go through a proxy, which only boto3 can use."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return False
    from urllib import request  # loaded only here: it takes 10 ms

    return scheme in request.getproxies() and not request.proxy_bypass(host)
