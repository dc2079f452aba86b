"""The running stack responds to generated requests as docs/reference/openapi.yaml describes."""

from copy import deepcopy
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import yaml_documents
from tests.e2e.local_stack import LocalStack

DOCUMENT = schemathesis.openapi.from_dict(deepcopy(yaml_documents.openapi()))
# test_attested_clients.py has the other methods, which the document cannot describe.
DOCUMENT.config.phases.coverage.unexpected_methods = set()

AS_DESCRIBED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""Without the check that invalid input is an error: a rejected record is part of a 200 or 201."""


REJECTED = {
    "GET /v1/log/keys": 200,
    "OPTIONS /v1/Consents/Bulk": 204,
    "POST /inbound/twilio": 403,
}
"""The status without credentials, where it is not 401."""


@DOCUMENT.parametrize()
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_request_gets_a_response_as_described(
    case: schemathesis.Case[Any], stack: LocalStack
) -> None:
    known = stack.organization
    on_bulk_consents = case.operation.path.startswith("/v1/Consents")
    credentials: dict[str, Any] = (
        {"auth": (known["account_sid"], known["auth_token"])}
        if on_bulk_consents
        else {"headers": {"Authorization": f"Bearer {known['api_key']}"}}
    )
    case.call_and_validate(base_url=stack.api_url, checks=AS_DESCRIBED, timeout=60, **credentials)


@DOCUMENT.parametrize()
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_request_without_credentials_is_rejected(
    case: schemathesis.Case[Any], stack: LocalStack
) -> None:
    case.headers.pop("Authorization", None)
    response = case.call(base_url=stack.api_url, timeout=60)

    assert response.status_code == REJECTED.get(case.operation.label, 401)
    case.validate_response(response, checks=AS_DESCRIBED)
