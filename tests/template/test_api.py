"""The API: its paths, its media types, and the errors that API Gateway returns itself."""

import json

from tests.template.expansion import SOURCE, Template

RESPONSES = SOURCE["Resources"]["Api"]["Properties"]["GatewayResponses"]


def test_every_path_of_the_api_accepts_every_method(template: Template) -> None:
    """For any other method API Gateway reads `Authorization` as a broken AWS signature."""
    paths = template["Resources"]["Api"]["Properties"]["Body"]["paths"]
    parents = {"/".join(path.split("/")[:depth]) or "/" for path in paths for depth in range(6)}
    every = {"delete", "get", "head", "options", "patch", "post", "put"}

    assert paths["/{proxy+}"].keys() == every
    for path in parents - {"/{proxy+}"}:
        assert "x-amazon-apigateway-any-method" in paths.get(path, {}), path


def test_api_gateway_passes_compressed_bodies_and_tiles_unchanged() -> None:
    """CloudFormation expects the slash of a media type escaped, as in a JSON pointer.

    Not every type: a body in base64 is longer, and an event has at most 6 MiB.
    """
    types = SOURCE["Resources"]["Api"]["Properties"]["BinaryMediaTypes"]

    assert types == [
        {"Fn::If": ["OnLocalEngine", f"application/{name}", f"application~1{name}"]}
        for name in ("gzip", "octet-stream")
    ]


def test_gateway_errors_have_the_format_of_the_attested_api() -> None:
    for response in RESPONSES.values():
        body = json.loads(response["ResponseTemplates"]["application/json"])
        assert body["success"] is False
        assert body["error"].keys() == {"code", "message", "request_id"}
        assert response["ResponseParameters"]["Headers"]["X-Request-Id"] == "context.requestId"


def test_retryable_gateway_errors_say_when_to_retry() -> None:
    for name in ("DEFAULT_5XX", "THROTTLED"):
        assert RESPONSES[name]["ResponseParameters"]["Headers"]["Retry-After"] == "'1'"
