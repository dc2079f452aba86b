"""The JSON API: bearer keys, a JSON object as body, and its error format.

Every route but the Bulk Consents API speaks it.
"""

import re
from collections.abc import Mapping
from typing import Any

from consents.domain import errors
from consents.http import json_text
from consents.http.response import Response

ERRORS: Mapping[type[errors.RequestError], tuple[int, str, str]] = {
    errors.Unauthenticated: (401, "UNAUTHORIZED", "authentication failed"),
    errors.MissingScope: (403, "FORBIDDEN", "missing required scope"),
    errors.PlanRequired: (
        403,
        "PLAN_REQUIRED",
        "Tier 3 consent capture requires Growth or higher; use double-opt-in "
        "(POST /v1/consent/double-opt-in) or the hosted form (POST /v1/consent/hosted) on Starter",
    ),
    errors.NotFound: (404, "NOT_FOUND", "not found"),
    errors.BodyTooLarge: (413, "PAYLOAD_TOO_LARGE", "the body must be at most {limit} bytes"),
    errors.BrokenGzip: (400, "INVALID_INPUT", "the body {reason}"),
    errors.UnsupportedMediaType: (
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "the content type must be application/json",
    ),
    errors.MalformedBody: (400, "INVALID_INPUT", "the body must be a JSON object"),
    errors.Invalid: (422, "VALIDATION_FAILED", "validation failed"),
    errors.InvalidIdempotencyKey: (422, "VALIDATION_FAILED", "validation failed"),
    errors.InvalidDryRun: (422, "VALIDATION_FAILED", "validation failed"),
    errors.KeyReused: (
        422,
        "IDEMPOTENCY_KEY_REUSED",
        "the idempotency key was used before with another body",
    ),
    errors.InProgress: (
        409,
        "IDEMPOTENCY_IN_PROGRESS",
        "the first call with this idempotency key is still running",
    ),
    errors.RateLimited: (429, "RATE_LIMITED", "rate limited"),
    errors.TooManyUploads: (
        429,
        "RATE_LIMITED",
        "{limit} announced uploads are open: upload their files, or wait until a link expires",
    ),
    errors.OptedOut: (
        409,
        "OPTED_OUT",
        "the contact has opted out; only the contact can sign up again",
    ),
    errors.LogBehind: (409, "LOG_BEHIND", "the published log is smaller: try again in a minute"),
    errors.Unavailable: (503, "UNAVAILABLE", "temporarily unavailable: repeat the same request"),
    errors.Internal: (500, "INTERNAL", "internal error"),
}
"""Status, code and message of each request error."""

_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.!#$&^_-]+\+)?json\s*(?:;|$)", re.IGNORECASE)


def secret(authorization: str) -> str:
    """Return the secret of a bearer key, in the form that the directory hashes."""
    scheme, _, key = authorization.partition(" ")
    return f"bearer:{key}" if scheme.lower() == "bearer" else ""


def parse_object(body: bytes, content_type: str | None) -> dict[str, Any]:
    """Return a JSON object, not validated.

    Raises:
        UnsupportedMediaType: there is a content type and it is not JSON.
        MalformedBody: not JSON, or not an object.
    """
    if content_type and not _JSON_TYPE.match(content_type.strip()):
        raise errors.UnsupportedMediaType
    value = json_text.parse(body)
    if not isinstance(value, dict):
        raise errors.MalformedBody
    return value


def render_error(error: errors.RequestError, request_id: str) -> Response:
    """Return the response to a request that is rejected as a whole."""
    status, code, message = ERRORS[type(error)]
    rendered: dict[str, Any] = {
        "code": code,
        "message": message.format_map(vars(error)),
        "request_id": request_id,
    }
    if isinstance(error, errors.Invalid):
        rendered["details"] = error.details
    body = json_text.indented({"success": False, "error": rendered})
    return Response(status, body, code=code)
