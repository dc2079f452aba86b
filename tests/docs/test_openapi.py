"""docs/reference/openapi.yaml describes what the template deploys and what the code returns."""

import json
import tomllib
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, cast, get_args

import pytest
from consents.capture import attested, bulk_consents
from consents.decisions import api as decisions
from consents.decisions import revoke_api
from consents.decisions.decide import Reason
from consents.domain import errors, fields
from consents.domain.organization import Bucket, Caller, Credential, Organization
from consents.domain.outcome import Stored
from consents.domain.record import Receipt, Status, timestamp
from consents.domain.token_bucket import WINDOW_SECONDS, Level
from consents.forms import api as forms
from consents.forms.disclosures import missing_disclosures
from consents.forms.form import MessageType, State
from consents.forms.orders import make_form
from consents.forms.tokens import Token
from consents.http import json_api
from consents.http.idempotency import KEPT_FOR, REPLAYED, Claim
from consents.http.request import MAX_IDEMPOTENCY_KEY_LENGTH, Request, Stores
from consents.http.response import Response
from consents.imports import api as imports
from consents.imports.api import Link
from consents.imports.drop import Drop, parse_key
from consents.imports.import_state import Counts, Import, PendingUpload
from consents.imports.limits import MAX_OPEN_UPLOADS
from consents.opt_in import api as opt_in
from consents.opt_in import twilio_webhook
from consents.opt_in.ask import Opened
from consents.opt_in.challenge import MessageState
from consents.opt_in.challenge import State as ChallengeState
from consents.proof import api as log_api
from consents.proof import proof_api
from consents.proof.notes import Checkpoint, Note, Signature
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import TypeAdapter

from tests import yaml_documents
from tests.docs import decision_examples as asked
from tests.factories import (
    CHECKBOX,
    FORM_ID,
    FORM_SECRET,
    ITEM,
    MESSAGE_ID,
    NOW,
    ORG_ID,
    OWNED,
    READ_CONTEXT,
    SENDER,
    all_stored,
    attested_reason,
    bound_form,
    bulk_tokens,
    challenge,
    form,
    form_body,
    lambda_context,
    sender_profile,
    text_of,
    verbal_json,
    with_field,
)

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs" / "reference" / "openapi.yaml"
DOCUMENT, TEMPLATE = yaml_documents.openapi(), yaml_documents.template()
REQUEST_ID = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
GATEWAY_REQUEST_ID = "5c7b0f3e-2d7b-4f0c-8f43-6e6f0d2d9a10"
CONSENT_ID = asked.BOBS
ALLOWANCE = 600
"""Records per minute of the organization in the document's examples."""


def whole(node: Any) -> Any:
    """Return a part of the document with what it refers to in its place."""
    if isinstance(node, list):
        return [whole(part) for part in node]
    if not isinstance(node, dict):
        return node
    own = {name: whole(part) for name, part in node.items() if name != "$ref"}
    return whole(_target(node["$ref"])) | own if "$ref" in node else own


def _target(reference: str) -> Any:
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


API = whole(DOCUMENT)
SCHEMAS = API["components"]["schemas"]
OPERATIONS = {
    operation["operationId"]: operation
    for path in API["paths"].values()
    for operation in path.values()
}


def capture_consents(body: bytes) -> Response:
    records = attested.parse_batch(body, "application/json", ALLOWANCE)
    return attested.render_batch(all_stored(attested.read(each, READ_CONTEXT) for each in records))


def capture_consent(body: bytes) -> Response:
    record = attested.read_single(json_api.parse_object(body, None), READ_CONTEXT)
    # In the document's examples the contact who opts out had opted in before.
    before = record.status is Status.OPT_OUT
    return attested.render_single(CONSENT_ID, record, already_opted_in=before)


def create_bulk_consents(body: bytes) -> Response:
    items = bulk_consents.parse_batch(body, ALLOWANCE)
    return bulk_consents.render_batch(items, all_stored(bulk_consents.read_batch(items, NOW)))


def create_form(body: bytes) -> Response:
    order = forms.parse_order(json_api.parse_object(body, None), {OWNED: SENDER})
    made, _ = make_form(order, ORG_ID, sender_profile(), lambda _: "hash", NOW)
    token = Token(FORM_ID, FORM_SECRET if order.contact else "")
    return forms.render_created(replace(made, form_id=FORM_ID), token, "https://text.example.com")


def opened(**changes: Any) -> Response:
    asked_for = Opened(challenge(), MESSAGE_ID, is_reused=False, is_sent=False)
    return opt_in.render_opened(replace(asked_for, **changes))


def open_challenge(body: bytes) -> Response:
    sent, url = json_api.parse_object(body, None), "https://text.example.com"
    opt_in.parse_question(sent, {OWNED: SENDER}, can_send=True, public_url=url)
    return opened(is_sent=True)


IMPORT_ID = "4a9370aa76fb7906ac22ae2ac9d75b1a"
LATER = NOW + timedelta(hours=1)
BUCKET = "consent-ledger-drops-123456789012-us-east-1"
UPLOADED = cast(
    Drop,
    parse_key(
        BUCKET,
        "drops/org_1/attested/uploads/01JTBQH2FZ8K1RXC0WJ4Z9P3VM.csv",
        "3HL4kqtJvjVBH40Nrjfkd",
    ),
)


def story(answer: Response) -> Response:
    """Return a response with the import id of the document's example, which is a hash."""
    return replace(
        answer, body=answer.body.replace(UPLOADED.import_id.encode(), IMPORT_ID.encode())
    )


def url(key: str) -> str:
    return f"https://{BUCKET}.s3.us-east-1.amazonaws.com/{key}?X-Amz-Signature=example"


def create_import(body: bytes) -> Response:
    announced = imports.parse_announcement(body, None)
    headers = {
        "Content-Length": str(announced.size),
        "Content-Type": "text/csv",
        "If-None-Match": "*",
        "x-amz-checksum-sha256": b64encode(bytes.fromhex(announced.sha256 or "")).decode(),
    }
    link = Link(url(UPLOADED.key), headers, LATER)
    return story(imports.render_pending(PendingUpload(UPLOADED, NOW, LATER), link))


def get_import(**state: Any) -> Response:
    found = Import(UPLOADED, NOW, **state)
    reports = {
        name: Link(url(f"reports/org_1/{UPLOADED.import_id}/{file}"), {}, LATER)
        for name, file in (("summary", "summary.json"), ("rejected", "rejected.jsonl"))
    }
    return story(imports.render_import(found, NOW, reports if found.is_reported else None, ()))


def list_imports() -> Response:
    waiting = PendingUpload(UPLOADED, NOW, LATER)
    return story(imports.render_list([waiting], NOW, f"{timestamp(NOW)} {IMPORT_ID}", ()))


def no_body(_body: bytes) -> Response:
    raise AssertionError("the route has no body")


@dataclass(frozen=True)
class Route:
    """How a route responds to a body, and the examples that belong to no example request."""

    wire: ModuleType
    answer: Callable[[bytes], Response]
    max_bytes: int
    keyed: bool = True
    """Whether the route takes an idempotency key, and spends from the bucket."""
    limited: bool = True
    """Whether a function responds with 429, not only API Gateway."""
    never: frozenset[type[errors.RequestError]] = frozenset()
    """The errors of its API that this route never returns."""
    bodies: tuple[tuple[str, bytes], ...] = ()
    answers: tuple[tuple[str, Response], ...] = ()

    def answered(self, body: bytes) -> Response:
        try:
            return self.answer(body)
        except errors.RequestError as refused:
            return self.refusal(refused)

    def refusal(self, refused: errors.RequestError) -> Response:
        answer: Response = self.wire.render_error(refused, REQUEST_ID)
        return answer


WITHOUT_KEY: frozenset[type[errors.RequestError]] = frozenset(
    {errors.KeyReused, errors.InProgress, errors.InvalidIdempotencyKey, errors.RateLimited}
)
WITHOUT_DRY_RUN: frozenset[type[errors.RequestError]] = frozenset({errors.InvalidDryRun})
WITHOUT_UPLOADS: frozenset[type[errors.RequestError]] = frozenset(
    {errors.TooManyUploads, errors.OptedOut, errors.LogBehind}
)
"""Of most routes: they open no upload and no challenge, and need no part of the log."""
WITHOUT_BODY: frozenset[type[errors.RequestError]] = frozenset(
    {errors.BodyTooLarge, errors.BrokenGzip, errors.MalformedBody, errors.UnsupportedMediaType}
)
COMPLETED = {
    "parts": 1,
    "parts_done": 1,
    "counts": Counts(1, 0, {"VALIDATION_FAILED": 2}),
    "outcome": "completed",
    "finished_at": NOW + timedelta(seconds=2),
    "is_reported": True,
}
FAILED = {
    "outcome": "failed",
    "reason": "the header must be UTF-8",
    "finished_at": NOW + timedelta(seconds=2),
    "is_reported": True,
}
PAUSED = {
    "parts_done": 400,
    "counts": Counts(400_000),
    "paused_until": datetime(2026, 5, 2, tzinfo=UTC),
}


def refused_page() -> errors.RequestError:
    with pytest.raises(errors.Invalid) as refused:
        imports.parse_page("0", "x")
    return refused.value


UNKEYED: frozenset[type[errors.RequestError]] = frozenset(
    {errors.KeyReused, errors.InProgress, errors.InvalidIdempotencyKey}
)
ASKED: frozenset[type[errors.RequestError]] = WITHOUT_UPLOADS | {errors.PlanRequired}
"""The decision routes ask for no plan."""

HALF_STORED = (Stored.ACCEPTED, Stored.UNAVAILABLE)
TWO = [ITEM, ITEM | {"correlation_id": "5d1c0e9b8a7f46e3925b1d0c4f3e2a10"}]
ROUTES = {
    "captureConsents": Route(
        json_api,
        capture_consents,
        attested.MAX_BATCH_BYTES,
        never=WITHOUT_UPLOADS | {errors.NotFound},
        bodies=(
            ("malformed_body", b"[]"),
            ("missing", b"{}"),
            ("not_an_array", b'{"records": {}}'),
            ("empty", b'{"records": []}'),
            ("too_many", json.dumps({"records": [CHECKBOX] * 1001}).encode()),
            ("over_the_allowance", json.dumps({"records": [CHECKBOX] * 601}).encode()),
        ),
        answers=(("not_stored", attested.render_batch(HALF_STORED)),),
    ),
    "captureConsent": Route(
        json_api,
        capture_consent,
        attested.MAX_SINGLE_BYTES,
        never=WITHOUT_UPLOADS,
        bodies=(("malformed_body", b"[]"),),
    ),
    "createBulkConsents": Route(
        bulk_consents,
        create_bulk_consents,
        bulk_consents.MAX_BATCH_BYTES,
        never=WITHOUT_UPLOADS | {errors.NotFound},
        bodies=(
            ("no_items", b""),
            ("too_many", form_body([ITEM] * 1001)),
            ("over_the_allowance", form_body([ITEM] * 601)),
            ("too_many_parameters", b"&" * bulk_consents.MAX_PARAMETERS),
            ("not_json", b"Items=%7Bnot+json"),
        ),
        answers=(("not_stored", bulk_consents.render_batch(TWO, HALF_STORED)),),
    ),
    "createImport": Route(
        json_api,
        create_import,
        imports.MAX_BYTES,
        keyed=False,
        never=WITHOUT_KEY | WITHOUT_DRY_RUN | {errors.NotFound, errors.OptedOut, errors.LogBehind},
        bodies=(
            ("malformed_body", b"[]"),
            ("invalid_fields", b'{"wire": "bulk-consents", "format": "xlsx"}'),
        ),
    ),
    "getImport": Route(
        json_api,
        no_body,
        0,
        keyed=False,
        limited=False,
        never=WITHOUT_KEY | WITHOUT_BODY | WITHOUT_UPLOADS | WITHOUT_DRY_RUN | {errors.Invalid},
        answers=(
            ("completed", get_import(**COMPLETED)),
            ("failed", get_import(**FAILED)),
            ("queued", get_import(is_queued=True)),
            ("paused", get_import(**PAUSED)),
            ("unknown_import", json_api.render_error(errors.NotFound(), REQUEST_ID)),
        ),
    ),
    "listImports": Route(
        json_api,
        no_body,
        0,
        keyed=False,
        limited=False,
        never=WITHOUT_KEY | WITHOUT_BODY | WITHOUT_UPLOADS | WITHOUT_DRY_RUN | {errors.NotFound},
        answers=(
            ("first_page", list_imports()),
            ("invalid_query", json_api.render_error(refused_page(), REQUEST_ID)),
        ),
    ),
    "checkConsents": Route(
        json_api,
        asked.check_consents,
        decisions.MAX_BYTES,
        keyed=False,
        never=ASKED | UNKEYED | WITHOUT_DRY_RUN,
        bodies=(
            ("malformed_body", b"[]"),
            (
                "invalid_fields",
                json.dumps(
                    {
                        "contact_numbers": [],
                        "phone_number_id": OWNED,
                        "sender_id": "+15550001111",
                        "at": "now",
                    }
                ).encode(),
            ),
            (
                "over_the_allowance",
                json.dumps({"sender_id": "123456", "contact_numbers": [asked.BOB] * 601}).encode(),
            ),
        ),
    ),
    "verifyDecision": Route(
        json_api,
        asked.verify_decision,
        decisions.MAX_BYTES,
        keyed=False,
        never=ASKED | UNKEYED | WITHOUT_DRY_RUN,
        bodies=(
            ("malformed_body", b"[]"),
            ("invalid_fields", b'{"asked_at": "now", "sender_id": "x", "result": []}'),
        ),
        answers=(("unknown_phone_number", asked.unknown_id()),),
    ),
    "searchConsents": Route(
        json_api,
        asked.search_consents,
        decisions.MAX_BYTES,
        keyed=False,
        never=ASKED | UNKEYED | WITHOUT_DRY_RUN,
        bodies=(
            ("malformed_body", b"[]"),
            ("invalid_fields", b'{"contact_number": "+19", "limit": 0}'),
        ),
        answers=(("unknown_phone_number", asked.unknown_id()),),
    ),
    "makeProof": Route(
        json_api,
        asked.make_proof,
        proof_api.MAX_BYTES,
        keyed=False,
        never=(ASKED | UNKEYED | WITHOUT_DRY_RUN | {errors.NotFound}) - {errors.LogBehind},
        bodies=(
            ("malformed_body", b"[]"),
            ("invalid_fields", b'{"contact_number": "+19", "kept": ["1"]}'),
        ),
    ),
    "getConsent": Route(
        json_api,
        no_body,
        0,
        keyed=False,
        never=ASKED | UNKEYED | WITHOUT_DRY_RUN | WITHOUT_BODY,
        answers=(
            ("opted_in", asked.get_bobs_consent()),
            ("unknown_id", asked.unknown_id()),
            ("unknown_parameter", asked.refused_query()),
        ),
    ),
    "listConsentHistory": Route(
        json_api,
        no_body,
        0,
        keyed=False,
        never=ASKED | UNKEYED | WITHOUT_DRY_RUN | WITHOUT_BODY,
        answers=(
            ("opted_in", asked.list_history(asked.BOB)),
            ("first_page", asked.list_history(asked.EVE, 1)),
            ("unknown_id", asked.unknown_id()),
            ("invalid_page", asked.refused_page()),
        ),
    ),
    "revokeConsent": Route(
        json_api,
        no_body,
        0,
        never=ASKED | WITHOUT_DRY_RUN | WITHOUT_BODY,
        answers=(
            ("opted_out", asked.revoke_bobs_consent()),
            ("unknown_id", asked.unknown_id()),
            ("unknown_parameter", asked.refused_query()),
        ),
    ),
    "revokeConsents": Route(
        json_api,
        asked.revoke_consents,
        decisions.MAX_BYTES,
        never=ASKED,
        bodies=(
            ("malformed_body", b"[]"),
            (
                "invalid_fields",
                json.dumps(
                    {
                        "contact_numbers": [asked.BOB],
                        "all_senders": False,
                        "evidence": {"method": "fax", "text": ""},
                    }
                ).encode(),
            ),
            (
                "over_the_allowance",
                json.dumps(
                    {
                        "contact_numbers": [asked.BOB] * 601,
                        "all_senders": True,
                        "evidence": {"method": "reply"},
                    }
                ).encode(),
            ),
        ),
        answers=(("not_stored", asked.half_revoked()),),
    ),
}
NO_FORM = json_api.render_error(errors.NotFound(), REQUEST_ID)
ROUTES |= {
    "createForm": Route(
        json_api,
        create_form,
        forms.MAX_BYTES,
        never=ASKED | WITHOUT_DRY_RUN,
        bodies=(
            ("malformed_body", b"[]"),
            (
                "invalid_fields",
                json.dumps(
                    {
                        "phone_number_id": OWNED,
                        "agreement_text": "",
                        "locale": "fr",
                        "expires_in": 1,
                    }
                ).encode(),
            ),
        ),
    ),
    "openChallenge": Route(
        json_api,
        open_challenge,
        opt_in.MAX_BYTES,
        never=(ASKED - {errors.OptedOut}) | WITHOUT_DRY_RUN,
        bodies=(
            ("malformed_body", b"[]"),
            (
                "invalid_fields",
                json.dumps(
                    {
                        "phone_number_id": OWNED,
                        "contact_number": "+19",
                        "agreement_text": "I agree.",
                        "confirmation_text": "Text us back",
                        "expires_in": 1,
                        "resend": "yes",
                    }
                ).encode(),
            ),
        ),
        answers=(
            ("reused", opened(is_reused=True)),
            ("already_opted_in", opt_in.render_opened(Opened(None, None, False, False))),
        ),
    ),
    "showChallenge": Route(
        json_api,
        no_body,
        0,
        keyed=False,
        limited=False,
        never=ASKED | WITHOUT_KEY | WITHOUT_BODY | WITHOUT_DRY_RUN | {errors.Invalid},
        answers=(
            ("pending", opt_in.render_challenge(challenge(), [text_of(challenge())], NOW)),
            (
                "confirmed",
                opt_in.render_challenge(challenge(decided="confirmed", decided_at=NOW), [], NOW),
            ),
            ("unknown_challenge", NO_FORM),
        ),
    ),
    "showForm": Route(
        json_api,
        no_body,
        0,
        keyed=False,
        limited=False,
        never=ASKED | WITHOUT_KEY | WITHOUT_BODY | WITHOUT_DRY_RUN | {errors.Invalid},
        answers=(
            ("open", forms.render_form(form(submissions=7), NOW)),
            ("used", forms.render_form(bound_form(submissions=1), NOW)),
            ("unknown_form", NO_FORM),
        ),
    ),
    "closeForm": Route(
        json_api,
        no_body,
        0,
        keyed=False,
        limited=False,
        never=ASKED | WITHOUT_KEY | WITHOUT_BODY | WITHOUT_DRY_RUN | {errors.Invalid},
        answers=(("unknown_form", NO_FORM),),
    ),
}

CHECKPOINT = Note(
    Checkpoint("log.example.com/consents", 300, bytes(32)).text(),
    (Signature("log.example.com/consents", bytes(4), bytes(64)),),
)


class ExampleLog:
    """The log of the document's examples."""

    def read(self, _name: str) -> bytes:
        return bytes(CHECKPOINT)

    def link(self, _name: str) -> str:
        raise AssertionError("no example is redirected")

    def anchored_sizes(self) -> list[int]:
        return [300, 7]


def refused_size() -> errors.RequestError:
    with pytest.raises(errors.Invalid) as refused:
        log_api.checkpoint(ExampleLog(), "x")
    return refused.value


def log_route(
    *answers: tuple[str, Response], never: frozenset[type[errors.RequestError]] = frozenset()
) -> Route:
    unknown = ("unknown_object", json_api.render_error(errors.NotFound(), REQUEST_ID))
    always = ASKED | WITHOUT_KEY | WITHOUT_BODY | WITHOUT_DRY_RUN
    return Route(
        json_api,
        no_body,
        0,
        keyed=False,
        limited=False,
        never=(always | never) - ({errors.LogBehind} if not never else set()),
        answers=(*answers, *(() if errors.NotFound in never else (unknown,))),
    )


ROUTES |= {
    "getLogCheckpoint": log_route(
        ("published", log_api.checkpoint(ExampleLog(), "300")),
        ("invalid_size", json_api.render_error(refused_size(), REQUEST_ID)),
    ),
    "getLogTile": log_route(never=frozenset({errors.Invalid})),
    "getLogIndexRun": log_route(never=frozenset({errors.Invalid})),
    "getLogAnchor": log_route(never=frozenset({errors.Invalid})),
    "listLogAnchors": log_route(
        ("two_anchors", log_api.anchors(ExampleLog())),
        never=frozenset({errors.Invalid, errors.NotFound}),
    ),
}
KEYED = [name for name, route in ROUTES.items() if route.keyed]
ON_ATTESTED = [name for name, route in ROUTES.items() if route.wire is json_api]
WITH_BODY = [name for name in ROUTES if "requestBody" in OPERATIONS[name]]


def refusals_of_any_body(route: Route) -> dict[str, errors.RequestError]:
    refused = {
        "unauthenticated": errors.Unauthenticated(),
        "missing_scope": errors.MissingScope(),
        "plan_required": errors.PlanRequired(),
        "too_large": errors.BodyTooLarge(route.max_bytes),
        "broken_gzip": errors.BrokenGzip("must be gzip, and whole: its end is missing"),
        "unsupported_media_type": errors.UnsupportedMediaType(),
        "invalid_idempotency_key": errors.InvalidIdempotencyKey(),
        "invalid_dry_run": errors.InvalidDryRun(),
        "key_reused": errors.KeyReused(),
        "in_progress": errors.InProgress(),
        "rate_limited": errors.RateLimited(4, Level(ALLOWANCE, 560, 4)),
        "opted_out": errors.OptedOut(),
        "log_behind": errors.LogBehind(),
        "too_many_uploads": errors.TooManyUploads(MAX_OPEN_UPLOADS, 60),
        "unavailable": errors.Unavailable(),
        "internal": errors.Internal(),
    }
    possible = route.wire.ERRORS.keys() - route.never
    return {name: each for name, each in refused.items() if type(each) in possible}


def request_content(operation: str) -> tuple[str, Any]:
    (content,) = OPERATIONS[operation]["requestBody"]["content"].items()
    media_type, described = content
    return media_type, described


def request_examples(operation: str) -> dict[str, Any]:
    if operation not in WITH_BODY:
        return {}
    examples = request_content(operation)[1]["examples"]
    return {name: example["value"] for name, example in examples.items()}


def encoded(operation: str, value: Any) -> bytes:
    form = request_content(operation)[0] == "application/x-www-form-urlencoded"
    return form_body(value["Items"]) if form else json.dumps(value).encode()


def answers(operation: str) -> dict[tuple[str, str], Any]:
    """Return the responses of the code to the document's examples, by status and name."""
    route = ROUTES[operation]
    bodies = {
        name: encoded(operation, value) for name, value in request_examples(operation).items()
    }
    found = {name: route.answered(body) for name, body in (bodies | dict(route.bodies)).items()}
    found |= {name: route.refusal(each) for name, each in refusals_of_any_body(route).items()}
    found |= dict(route.answers)
    return {(str(each.status), name): content_of(each) for name, each in found.items()}


def content_of(answer: Response) -> Any:
    """Return the body: text, or JSON parsed."""
    is_text = answer.headers.get("Content-Type", "").startswith("text/")
    return answer.body.decode() if is_text else json.loads(answer.body)


def documented(operation: str) -> dict[tuple[str, str], Any]:
    """Return the document's examples of responses, by status and name."""
    return {
        (status, name): example["value"]
        for status, response in OPERATIONS[operation]["responses"].items()
        for described in response.get("content", {}).values()
        for name, example in described.get("examples", {}).items()
    }


def valid(schema: Any, value: Any) -> bool:
    return bool(OAS31Validator(schema, format_checker=oas31_format_checker).is_valid(value))


def flat(text: str) -> str:
    return " ".join(text.split())


# --- the document and the stack ---


def test_the_document_is_valid_openapi() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_the_document_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert API["info"]["version"] == project["version"]


def test_the_document_has_the_routes_that_the_template_deploys() -> None:
    events = [
        event["Properties"]
        for name, resource in TEMPLATE["Resources"].items()
        if "Type" in resource  # not a loop of the template
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "Api" and name != "NotFoundFunction"
        if not event["Properties"]["Path"].startswith(("/f", "/c"))  # pages, for people
    ]
    deployed = {(event["Path"].replace("+}", "}"), event["Method"]) for event in events}
    described = {(path, method) for path, item in API["paths"].items() for method in item}

    assert described == deployed


def test_the_server_is_the_stage_that_the_template_deploys() -> None:
    (server,) = API["servers"]
    assert server["url"].endswith("/" + TEMPLATE["Parameters"]["StageName"]["Default"])


def test_every_component_is_used() -> None:
    text = PATH.read_text()
    names = [
        f"#/components/{kind}/{name}"
        for kind, components in DOCUMENT["components"].items()
        for name in components
        if kind != "securitySchemes"
    ]
    assert [name for name in names if f'"{name}"' not in text] == []


@pytest.mark.parametrize(
    ("operation", "value"),
    [*((name, "am_live_x") for name in ON_ATTESTED), ("createBulkConsents", "QUM6eA==")],
)
def test_an_api_reads_the_credentials_that_the_document_names(operation: str, value: str) -> None:
    ((name,),) = OPERATIONS[operation]["security"]
    scheme = API["components"]["securitySchemes"][name]

    assert scheme["type"] == "http"
    assert ROUTES[operation].wire.secret(f"{scheme['scheme']} {value}")


PUBLIC = ["preflightBulkConsents", "getLogKeys"]


def test_only_the_preflight_and_the_keys_of_the_log_need_no_credentials() -> None:
    assert [name for name, operation in OPERATIONS.items() if not operation["security"]] == PUBLIC


# --- responses ---


@pytest.mark.parametrize("operation", ROUTES)
def test_the_examples_of_responses_are_what_the_code_returns(operation: str) -> None:
    examples = documented(operation)
    assert {key: examples[key] for key in examples if key[1] != "gateway"} == answers(operation)


@pytest.mark.parametrize("operation", ROUTES)
def test_a_route_lists_the_errors_that_it_can_return_and_no_others(operation: str) -> None:
    route = ROUTES[operation]
    possible = {
        (str(status), code)
        for refused, (status, code, _) in route.wire.ERRORS.items()
        if refused not in route.never
    }
    listed = {
        (status, value["error"]["code"] if "error" in value else value["code"])
        for (status, name), value in documented(operation).items()
        if status >= "400" and name != "gateway"
    }
    statuses = {status for status in OPERATIONS[operation]["responses"] if status >= "400"}

    by_gateway = {status for status, name in documented(operation) if name == "gateway"}

    assert listed == possible
    assert statuses == {status for status, _ in possible} | by_gateway


@pytest.mark.parametrize("operation", ROUTES)
def test_the_examples_of_gateway_responses_are_those_of_the_template(operation: str) -> None:
    gateway = {
        str(response["StatusCode"]): json.loads(
            response["ResponseTemplates"]["application/json"].replace(
                "$context.requestId", GATEWAY_REQUEST_ID
            )
        )
        for response in TEMPLATE["Resources"]["Api"]["Properties"]["GatewayResponses"].values()
        if "StatusCode" in response
    }
    examples = documented(operation)

    for status in ("413", "429", "503") if operation in WITH_BODY else ("429", "503"):
        assert examples[status, "gateway"] == gateway[status]


@pytest.mark.parametrize("operation", ROUTES)
def test_every_example_of_a_response_is_valid_by_its_schema(operation: str) -> None:
    responses = OPERATIONS[operation]["responses"]
    for (status, name), value in documented(operation).items():
        (content,) = responses[status]["content"].values()
        assert valid(content["schema"], value), (status, name)


def test_the_error_codes_are_those_of_the_apis() -> None:
    on_attested = SCHEMAS["AttestedError"]["properties"]["error"]["properties"]["code"]["enum"]
    on_bulk_consents = SCHEMAS["BulkConsentsError"]["properties"]["code"]["enum"]

    assert set(on_attested) == {code for _, code, _ in json_api.ERRORS.values()}
    assert set(on_bulk_consents) == {code for _, code, _ in bulk_consents.ERRORS.values()}


def test_every_code_of_a_rejected_record_has_an_example() -> None:
    examples = documented("captureConsents")
    codes = {
        each["code"]
        for (status, _), value in examples.items()
        if status == "200"
        for each in value["rejected"]
    }
    assert codes == set(SCHEMAS["RejectedConsent"]["properties"]["code"]["enum"])


# --- headers ---


def header_names(operation: str) -> dict[str, set[str]]:
    responses = OPERATIONS[operation]["responses"].items()
    return {status: set(response["headers"]) for status, response in responses}


def statuses_with(header: str, operation: str) -> set[str]:
    names = header_names(operation)
    return {status for status in names if header in names[status]}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_response_has_a_request_id(operation: str) -> None:
    assert all("X-Request-Id" in names for names in header_names(operation).values())


@pytest.mark.parametrize("operation", ROUTES)
def test_retry_after_is_listed_where_an_error_has_it(operation: str) -> None:
    route = ROUTES[operation]
    carried = {
        str(route.refusal(refused).status)
        for refused in refusals_of_any_body(route).values()
        if refused.retry_after is not None
    }
    assert statuses_with("Retry-After", operation) == carried | {"429", "503"}


@pytest.mark.parametrize("operation", ROUTES)
@pytest.mark.parametrize("name", ["RateLimit-Policy", "RateLimit", "Consent-Log"])
def test_rate_limit_and_checkpoint_are_listed_for_every_authenticated_caller(
    name: str, operation: str
) -> None:
    by_the_gateway_alone = set() if ROUTES[operation].limited else {"429"}
    answered = set(header_names(operation)) - {"401"} - by_the_gateway_alone
    assert statuses_with(name, operation) == answered


def test_the_rate_limit_names_one_of_the_buckets() -> None:
    patterns = {
        name: API["components"]["headers"][name]["schema"]["pattern"]
        for name in ("RateLimitPolicy", "RateLimit")
    }
    buckets = f'"(?:{"|".join(Bucket)})"'
    assert patterns["RateLimitPolicy"] == f"^{buckets};q=[1-9][0-9]*;w={WINDOW_SECONDS}$"
    assert patterns["RateLimit"] == f"^{buckets};r=[0-9]+;t=[0-9]+$"


@pytest.mark.parametrize("operation", ROUTES)
def test_a_replay_is_listed_for_the_responses_that_are_kept(operation: str) -> None:
    (header,) = REPLAYED
    keyed = ROUTES[operation].keyed
    kept = {status for status in header_names(operation) if status < "300" and keyed}
    assert statuses_with(header, operation) == kept


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_example_of_a_header_is_valid_by_its_schema(operation: str) -> None:
    for response in OPERATIONS[operation]["responses"].values():
        for name, header in response["headers"].items():
            for example in header["schema"].get("examples", []):
                assert valid(header["schema"], example), name


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_cors_headers_are_listed_for_every_response_of_the_bulk_consents_api_only(
    operation: str,
) -> None:
    is_bulk_consents = operation.endswith("BulkConsents")
    expected = set(bulk_consents.cors_headers("*")) if is_bulk_consents else set()
    for names in header_names(operation).values():
        assert {name for name in names if name.startswith("Access-Control")} == expected


@pytest.mark.parametrize("origin", ["*", "https://app.example.com"])
def test_the_cors_headers_are_valid_by_their_schemas(origin: str) -> None:
    described = OPERATIONS["preflightBulkConsents"]["responses"]["204"]["headers"]
    for name, sent in bulk_consents.cors_headers(origin).items():
        value = json.loads(sent) if described[name]["schema"]["type"] == "boolean" else sent
        assert valid(described[name]["schema"], value), name


# --- requests ---


@pytest.mark.parametrize("operation", WITH_BODY)
def test_the_examples_of_requests_have_the_shape_of_their_schema(operation: str) -> None:
    validator = OAS31Validator(request_content(operation)[1]["schema"])
    for name, value in request_examples(operation).items():
        assert list(validator.iter_errors(value)) == [], name


@pytest.mark.parametrize(
    ("operation", "example", "schema", "accepted"),
    [
        ("captureConsents", "mixed", "Consent", [True, False]),
        ("captureConsent", "checkbox", "Consent", [True]),
        ("captureConsent", "opt_out", "Consent", [True]),
        ("createBulkConsents", "two_items", "Item", [True, False]),
    ],
)
def test_the_schema_with_its_formats_accepts_the_records_that_the_code_accepts(
    operation: str, example: str, schema: str, accepted: list[bool]
) -> None:
    value = request_examples(operation)[example]
    records = value.get("records") or value.get("Items") or [value]
    by_the_wire = [
        not bulk_tokens(record) if schema == "Item" else attested_reason(record) is None
        for record in records
    ]
    assert [valid(SCHEMAS[schema], record) for record in records] == by_the_wire == accepted


@pytest.mark.parametrize("operation", WITH_BODY)
def test_the_limit_of_a_body_is_documented(operation: str) -> None:
    kibibytes = ROUTES[operation].max_bytes // 2**10
    limit = f"{kibibytes} KiB" if kibibytes < 2**10 else f"{kibibytes // 2**10} MiB"
    body = OPERATIONS[operation]["requestBody"]
    too_large = OPERATIONS[operation]["responses"]["413"]

    assert body["description"].startswith(f"At most {limit}.")
    assert limit in too_large["description"]


def test_a_batch_has_the_limits_of_its_api() -> None:
    for schema, array, most in (
        ("ConsentBatch", "records", attested.MAX_RECORDS),
        ("ItemBatch", "Items", bulk_consents.MAX_ITEMS),
    ):
        described = SCHEMAS[schema]["properties"][array]
        assert (described["minItems"], described["maxItems"]) == (1, most)


# --- decisions ---


def test_the_reasons_methods_and_messages_are_those_of_the_code() -> None:
    evidence = SCHEMAS["RevokeRequest"]["properties"]["evidence"]["properties"]

    assert SCHEMAS["Reason"]["enum"] == list(Reason)
    assert evidence["method"]["enum"] == list(revoke_api.Method)
    assert evidence["text"]["maxLength"] == revoke_api.MAX_TEXT
    for path, message in revoke_api.MESSAGES.items():
        described = evidence[path.removeprefix("evidence.")]["description"]
        assert f"`{message}`" in flat(described)
    rule = TypeAdapter(fields.SenderId).json_schema()
    assert {keyword: SCHEMAS["AnySender"].get(keyword) for keyword in rule} == rule


def test_every_route_that_takes_a_dry_run_says_so() -> None:
    described = {
        name
        for name, operation in OPERATIONS.items()
        if any(one["name"] == "dry_run" for one in operation.get("parameters", []))
    }
    taken = {name for name, route in ROUTES.items() if errors.InvalidDryRun not in route.never}

    assert described == taken
    for name in taken:
        assert all(
            "Dry-Run" in names
            for status, names in header_names(name).items()
            if status in {"200", "201"}
        )


# --- hosted forms ---


@pytest.mark.parametrize("field", forms.MESSAGES)
def test_a_field_of_a_form_has_its_message(field: str) -> None:
    described = SCHEMAS["FormOrder"]["properties"][field]["description"]
    assert f"`{forms.MESSAGES[field]}`" in flat(described)


def test_the_states_and_disclosures_of_a_form_are_those_of_the_code() -> None:
    bare = form(
        profile=sender_profile(program="", frequency="", terms_url="", privacy_url=""),
        agreement_text="-",
        message_type=MessageType.MARKETING,
    )
    listed = SCHEMAS["CreatedForm"]["properties"]["missing_disclosures"]["items"]["enum"]

    assert listed == missing_disclosures(bare)
    assert SCHEMAS["Form"]["properties"]["state"]["enum"] == list(State)


# --- double opt-in ---


@pytest.mark.parametrize("field", opt_in.MESSAGES)
def test_a_field_of_a_challenge_has_its_message(field: str) -> None:
    described = SCHEMAS["ChallengeOrder"]["properties"][field]["description"]
    assert f"`{opt_in.MESSAGES[field]}`" in flat(described)


def test_the_states_of_a_challenge_and_its_texts_are_those_of_the_code() -> None:
    described = SCHEMAS["Challenge"]["properties"]

    assert described["state"]["enum"] == list(ChallengeState)
    texts = described["messages"]["items"]["properties"]
    assert texts["state"]["enum"] == list(MessageState)


# --- Twilio's webhook ---

WEBHOOK = OPERATIONS["receiveTwilio"]


def test_the_webhook_has_the_path_that_is_signed_and_the_responses_of_the_code() -> None:
    kinds = (errors.Unauthenticated, errors.MalformedBody, errors.Unavailable)
    returned = [twilio_webhook.render_error(kind(), REQUEST_ID) for kind in kinds]
    (taken,) = WEBHOOK["responses"]["200"]["content"]["text/xml"]["examples"].values()

    assert API["paths"][twilio_webhook.PATH]["post"] == WEBHOOK
    assert taken["value"].encode() == twilio_webhook.TAKEN.body
    by_gateway = {"413", "429"}
    assert WEBHOOK["responses"].keys() - by_gateway == {"200", *(str(r.status) for r in returned)}


def test_the_text_of_the_webhook_is_read_as_described() -> None:
    described = SCHEMAS["TextFromTwilio"]
    (content,) = WEBHOOK["requestBody"]["content"].values()
    value = content["examples"]["stop"]["value"]

    assert valid(described, value)
    assert twilio_webhook.reply([*value.items()], NOW).text == value["Body"]
    for name in described["required"]:
        with pytest.raises(errors.MalformedBody):
            twilio_webhook.reply([pair for pair in value.items() if pair[0] != name], NOW)


# --- idempotency keys ---

KEY = API["components"]["parameters"]["IdempotencyKey"]
LONGEST = "k" * MAX_IDEMPOTENCY_KEY_LENGTH


class KeysAsRead:
    """Runs every claim, and keeps its key."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def claim(self, _scope: str, key: str, *_: object) -> AbstractContextManager[Claim]:
        self.read.append(key)
        return nullcontext(Claim())


def key_as_read(sent: str) -> str:
    keys = KeysAsRead()
    request = Request(
        {"httpMethod": "POST", "resource": "/", "headers": {KEY["name"]: sent}, "body": ""},
        lambda_context(),
        Caller(
            Credential("org_1", "key", frozenset(), "-", None, None),
            Organization("org_1", "Clinic", "payg", ALLOWANCE, "-"),
        ),
        Receipt(NOW, REQUEST_ID),
        max_bytes=0,
        stores=Stores(cast(Any, None), cast(Any, keys), cast(Any, None)),
    )
    with request.claim():
        return keys.read[0]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_route_that_stores_takes_an_idempotency_key(operation: str) -> None:
    assert (KEY in OPERATIONS[operation].get("parameters", [])) == (operation in KEYED)


def test_the_examples_of_an_idempotency_key_are_one_key() -> None:
    examples = [example["value"] for example in KEY["examples"].values()]

    assert all(valid(KEY["schema"], sent) for sent in examples)
    assert {key_as_read(sent) for sent in examples} == {examples[0]}


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("k", "k"),
        (LONGEST, LONGEST),
        (f'"{LONGEST}"', LONGEST),
        ("a key; with=some, more", "a key; with=some, more"),
        (r'"a \"key\" \\"', 'a "key" \\'),
    ],
)
def test_an_idempotency_key_that_matches_the_schema_is_accepted(sent: str, key: str) -> None:
    assert valid(KEY["schema"], sent)
    assert key_as_read(sent) == key


@pytest.mark.parametrize("sent", ["", " ", '""', LONGEST + "k", f'"{LONGEST}k"'])
def test_an_idempotency_key_that_breaks_the_schema_is_rejected(sent: str) -> None:
    assert not valid(KEY["schema"], sent)
    with pytest.raises(errors.InvalidIdempotencyKey):
        key_as_read(sent)


def test_the_limits_of_an_idempotency_key_are_documented() -> None:
    described = flat(KEY["description"])
    assert f"1 to {MAX_IDEMPOTENCY_KEY_LENGTH} characters" in described
    assert f"for {KEPT_FOR // timedelta(hours=1)} hours" in described


# --- fields ---

RULES: dict[str, Any] = {
    "PhoneNumberId": fields.Uuid,
    "ContactNumber": fields.ContactNumber,
    "OptedIn": fields.OptedIn,
    "IpAddress": fields.IpAddress,
    "UserAgent": fields.UserAgent,
    "AgreementText": fields.AgreementText,
    "FormUrl": fields.FormUrl,
    "ConsentMethod": fields.ConsentMethod,
    "CorrelationId": fields.CorrelationId,
    "SenderId": fields.SenderId,
    "ContactId": fields.ContactNumber,
    "Status": fields.Status,
    "Source": fields.Source,
}
OF_A_CONSENT = {
    **SCHEMAS["Consent"]["properties"],
    **{
        f"evidence.{name}": schema
        for name, schema in SCHEMAS["CheckboxEvidence"]["properties"].items()
    },
}
OF_AN_ITEM = SCHEMAS["Item"]["properties"]


@pytest.mark.parametrize("name", RULES)
def test_a_field_has_the_type_pattern_lengths_and_values_of_its_rule(name: str) -> None:
    rule = TypeAdapter(RULES[name]).json_schema()
    assert {keyword: SCHEMAS[name].get(keyword) for keyword in rule} == rule


def test_a_checkbox_and_the_other_methods_are_all_the_methods() -> None:
    of_checkbox, of_others = (
        SCHEMAS[name]["properties"]["consent_method"]
        for name in ("CheckboxEvidence", "OffBrowserEvidence")
    )
    methods = get_args(fields.ConsentMethod)
    assert (of_checkbox["const"], *of_others["enum"]) == methods


@pytest.mark.parametrize("path", attested.MESSAGES)
def test_a_field_of_a_record_has_its_message(path: str) -> None:
    assert f"`{attested.MESSAGES[path]}`" in flat(OF_A_CONSENT[path]["description"])


def test_the_fields_of_an_item_have_their_tokens_in_the_order_of_a_result() -> None:
    assert list(OF_AN_ITEM) == list(bulk_consents.TOKENS)
    for name, token in bulk_consents.TOKENS.items():
        assert f"`{token}`" in flat(OF_AN_ITEM[name]["description"])
    listed = SCHEMAS["ItemResult"]["properties"]["error_messages"]["items"]["enum"]
    assert listed == [*bulk_consents.TOKENS.values(), "INTERNAL_SERVER_ERROR"]


@pytest.mark.parametrize(
    ("schema", "evidence"),
    [("CheckboxEvidence", {}), ("OffBrowserEvidence", {"consent_method": "verbal"})],
)
def test_a_field_that_the_code_requires_is_required(schema: str, evidence: dict[str, str]) -> None:
    paths = [name for name in SCHEMAS["Consent"]["required"] if name != "evidence"]
    paths += [f"evidence.{name}" for name in SCHEMAS[schema]["required"] if name not in evidence]

    reason = attested_reason({"evidence": evidence})
    assert reason == "; ".join(f"{path}: is required" for path in paths)


def test_a_field_that_an_item_must_have_is_required() -> None:
    required = SCHEMAS["Item"]["required"]
    assert bulk_tokens({}) == [bulk_consents.TOKENS[name] for name in required]


def test_the_code_accepts_every_example_of_a_field() -> None:
    for path in attested.MESSAGES:
        for example in OF_A_CONSENT[path]["examples"]:
            assert attested_reason(with_field(CHECKBOX, path, example)) is None, path
    for name, schema in OF_AN_ITEM.items():
        for example in schema["examples"]:
            assert bulk_tokens(with_field(ITEM, name, example)) == [], name


@pytest.mark.parametrize("field", ["ip_address", "user_agent", "form_url"])
def test_evidence_of_a_browser_may_be_null_where_there_is_none(field: str) -> None:
    path = f"evidence.{field}"
    for record in (verbal_json(), CHECKBOX):
        null = with_field(record, path, None)
        assert valid(SCHEMAS["Consent"], null) == (attested_reason(null) is None), path
