"""The URL of links: the configured one, or that of the request by API Gateway's own account."""

import pytest
from consents.http.public_url import origin, public_url

from tests.factories import gateway_event


def event(resource: str, path: str, **parameters: str) -> dict[str, object]:
    context = {"domainName": "a1.execute-api.eu-west-1.amazonaws.com", "path": path}
    return gateway_event(
        f"GET {resource}",
        path=parameters or None,
        headers={"Host": "evil.example.com", "X-Forwarded-Host": "evil.example.com"},
        requestContext=context | {"apiId": "a1", "stage": "live"},
    )


@pytest.mark.parametrize(
    "sent",
    [
        event("/v1/consent/hosted", "/live/v1/consent/hosted"),
        event("/f/{token}", "/live/f/abc", token="abc"),
    ],
)
def test_the_url_of_the_stage_is_the_default(sent: dict[str, object]) -> None:
    assert public_url("", sent) == "https://a1.execute-api.eu-west-1.amazonaws.com/live"


def test_a_custom_domain_without_a_base_path_has_no_stage() -> None:
    sent = event("/f/{token}", "/f/abc", token="abc")
    assert public_url("", sent) == "https://a1.execute-api.eu-west-1.amazonaws.com"


def test_a_configured_url_counts() -> None:
    sent = event("/f/{token}", "/live/f/abc", token="abc")

    assert public_url("https://text.example.com", sent) == "https://text.example.com"
    assert public_url("http://[::1]:1/{api_id}/{stage}", sent) == "http://[::1]:1/a1/live"


def test_an_origin_has_no_path() -> None:
    assert origin("https://Text.example.com:8443/live") == "https://text.example.com:8443"
