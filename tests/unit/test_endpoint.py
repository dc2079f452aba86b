"""A route: who may call it, what it does once, and the response to every error."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from consents.aws.errors import CallError
from consents.capture import attested, bulk_consents
from consents.domain.errors import (
    Internal,
    NotFound,
    RateLimited,
    RequestError,
    Unauthenticated,
    Unavailable,
)
from consents.domain.organization import Bucket, Caller, Plan, Scope
from consents.domain.outcome import Outcome, Rejected, Stored
from consents.domain.record import Receipt
from consents.domain.token_bucket import Level
from consents.http import json_api
from consents.http.consent_log import NO_LOG, ConsentLog
from consents.http.endpoint import GatewayResponse, endpoint
from consents.http.idempotency import REPLAYED, Replay
from consents.http.request import Request, Stores
from consents.http.response import Response

from tests.factories import (
    CHECKBOX,
    NOT_OWNED,
    READ_CONTEXT,
    caller,
    credential,
    gateway_event,
    lambda_context,
    organization,
    with_field,
)

SECRET = "bearer:am_live_x_y"
FULL = Level(600, 600, 0)


class DictDirectory:
    """The callers by their secret."""

    def __init__(self, found: Caller) -> None:
        self.callers = {SECRET: found, "basic:AC:token": found}

    def authenticate(self, secret: str, _now: object) -> Caller:
        if secret not in self.callers:
            raise Unauthenticated
        return self.callers[secret]


class KeptIn(NamedTuple):
    """A claim of a name."""

    kept: dict[tuple[str, str], Response]
    name: tuple[str, str]

    def keep(self, response: Response) -> Response:
        self.kept[self.name] = response
        return response


class DictIdempotency:
    """The first response of each claim, and its body."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Response] = {}

    @contextmanager
    def claim(self, scope: str, key: str, *_: object) -> Iterator[Any]:
        name = scope, key
        if name in self.kept:
            raise Replay(Response(self.kept[name].status, self.kept[name].body, dict(REPLAYED)))
        yield KeptIn(self.kept, name)


class DictBuckets:
    """The records that are left, per organization."""

    def __init__(self, left: int = 600) -> None:
        self.left = left
        self.level_error: Exception | None = None

    def spend(self, _org_id: str, records: int, per_minute: int, _receipt: Receipt) -> Level:
        if records > self.left:
            raise RateLimited(7, Level(per_minute, self.left, 7))
        self.left -= records
        return Level(per_minute, self.left, 1)

    def level(self, _org_id: str, per_minute: int, _now: object) -> Level:
        if self.level_error:
            raise self.level_error
        return Level(per_minute, self.left, 0)


class Route:
    """A deployed route, and all that it works with."""

    def __init__(
        self,
        handle: Callable[[Request], Response],
        *,
        api: Any = json_api,
        found: Caller | None = None,
        left: int = 600,
        consent_log: ConsentLog = NO_LOG,
        **options: Any,
    ) -> None:
        self.idempotency = DictIdempotency()
        self.buckets = DictBuckets(left)
        self.seen: list[RequestError] = []
        stores = Stores(
            cast(Any, DictDirectory(found or caller())),
            cast(Any, self.idempotency),
            cast(Any, self.buckets),
        )
        stores = replace(stores, consent_log=consent_log)
        self.secret = api.secret
        self._api = api
        known: dict[str, Any] = {"scope": Scope.WRITE, "max_bytes": 100, "headers": {"X": "y"}}
        self.handler = endpoint(self, stores=stores, **known | options)(handle)

    def render_error(self, error: RequestError, request_id: str) -> Response:
        self.seen.append(error)
        response: Response = self._api.render_error(error, request_id)
        return response

    def call(self, event: dict[str, Any] | None = None, *, seconds: float = 25) -> GatewayResponse:
        return self.handler(event or gateway_event(), lambda_context(seconds))


def done(_request: Request) -> Response:
    return Response(200, b"{}")


def fails_with(error: Exception) -> Callable[[Request], Response]:
    def handle(_request: Request) -> Response:
        raise error

    return handle


def code(response: GatewayResponse) -> str:
    return str(json.loads(response["body"])["error"]["code"])


# ---------------------------------------------------------------- Who may call


def test_a_known_caller_gets_the_response_with_all_headers() -> None:
    response = Route(done).call()

    assert response["statusCode"] == 200
    assert response["body"] == "{}"
    assert response["isBase64Encoded"] is False
    assert response["headers"] == {
        "Content-Type": "application/json",
        "X-Request-Id": response["headers"]["X-Request-Id"],
        "X": "y",
        "RateLimit-Policy": '"records";q=600;w=60',
        "RateLimit": '"records";r=600;t=0',
    }


@pytest.mark.parametrize("sent", ["", "Bearer other", "Basic am_live_x_y", "am_live_x_y"])
def test_an_unknown_caller_is_rejected_before_the_work(sent: str) -> None:
    route = Route(fails_with(AssertionError("the work began")))
    response = route.call(gateway_event(headers={"Authorization": sent}))

    assert (response["statusCode"], code(response)) == (401, "UNAUTHORIZED")
    assert "RateLimit-Policy" not in response["headers"]


NOT_ALLOWED = {
    "scope": (Caller(credential(scopes=frozenset()), organization()), "FORBIDDEN"),
    "plan": (caller(plan=Plan.STARTER), "PLAN_REQUIRED"),
    "unknown plan": (caller(plan="vip"), "PLAN_REQUIRED"),
    "scope before plan": (
        Caller(credential(scopes=frozenset()), organization(plan=Plan.STARTER)),
        "FORBIDDEN",
    ),
}


@pytest.mark.parametrize(("found", "expected"), NOT_ALLOWED.values(), ids=NOT_ALLOWED)
def test_a_caller_without_scope_or_plan_is_rejected(found: Caller, expected: str) -> None:
    response = Route(done, found=found).call()

    assert (response["statusCode"], code(response)) == (403, expected)
    assert "RateLimit-Policy" in response["headers"]


def test_a_route_that_asks_for_no_plan_serves_a_lapsed_one() -> None:
    route = Route(done, found=caller(plan=Plan.STARTER), needs_capture=False)

    assert route.call()["statusCode"] == 200


def test_the_headers_name_the_bucket_of_the_route() -> None:
    headers = Route(done, bucket=Bucket.CONTACTS).call()["headers"]

    assert headers["RateLimit-Policy"] == '"contacts";q=6000;w=60'
    assert headers["RateLimit"] == '"contacts";r=600;t=0'


# ---------------------------------------------------------------- Consent-Log


def published() -> ConsentLog:
    """Return what has read a checkpoint."""
    log = ConsentLog(lambda _seconds: b"note")
    thread = log.refresh()
    assert thread is not None
    thread.join(10)
    return log


@pytest.mark.parametrize(
    ("handle", "status"),
    [
        (done, 200),
        (fails_with(NotFound()), 404),
        (fails_with(Unavailable()), 503),
        (fails_with(ZeroDivisionError()), 500),
        (fails_with(Replay(Response(201, b"{}"))), 201),
    ],
)
def test_every_response_to_a_known_caller_has_the_checkpoint(
    handle: Callable[[Request], Response], status: int
) -> None:
    response = Route(handle, consent_log=published()).call()

    assert response["statusCode"] == status
    assert response["headers"]["Consent-Log"] == b64encode(b"note").decode()


def test_a_caller_without_a_scope_gets_the_checkpoint_too() -> None:
    found = Caller(credential(scopes=frozenset()), organization())

    assert "Consent-Log" in Route(done, found=found, consent_log=published()).call()["headers"]


def test_an_unknown_caller_gets_no_checkpoint() -> None:
    event = gateway_event(headers={"Authorization": "Bearer other"})

    assert "Consent-Log" not in Route(done, consent_log=published()).call(event)["headers"]


# ---------------------------------------------------------------- Binary bodies


def test_a_binary_body_is_encoded_for_api_gateway() -> None:
    response = Route(lambda _request: Response(200, b"\xff", is_binary=True)).call()

    assert (response["body"], response["isBase64Encoded"]) == ("/w==", True)


# ---------------------------------------------------------------- Dry runs


def dry_run() -> dict[str, Any]:
    return gateway_event(queryStringParameters={"dry_run": "true"})


def spend_one(request: Request) -> Response:
    request.spend(1)
    return Response(200, b"{}", outcomes=[Stored.ACCEPTED])


def test_a_dry_run_spends_contacts_and_says_so() -> None:
    headers = Route(spend_one, takes_dry_run=True).call(dry_run())["headers"]

    assert headers["Dry-Run"] == "true"
    assert headers["RateLimit-Policy"] == '"contacts";q=6000;w=60'


def test_a_route_without_dry_runs_ignores_the_parameter() -> None:
    headers = Route(spend_one).call(dry_run())["headers"]

    assert "Dry-Run" not in headers
    assert headers["RateLimit-Policy"] == '"records";q=600;w=60'


def test_a_preflight_needs_no_caller() -> None:
    event = gateway_event("OPTIONS /v1/Consents/Bulk", headers={"Authorization": ""})
    response = Route(done, api=bulk_consents).call(event)

    assert (response["statusCode"], response["body"]) == (204, "")
    assert "Content-Type" not in response["headers"]
    assert response["headers"]["X"] == "y"


# ---------------------------------------------------------------- Idempotency


def import_event(import_id: str) -> dict[str, Any]:
    return gateway_event(
        "POST /v1/imports/{import_id}/cancel",
        path={"import_id": import_id},
        headers={"Idempotency-Key": "k"},
    )


def echo(request: Request) -> Response:
    """Return which import a request names."""
    with request.claim() as claim:
        return claim.keep(Response(200, request.path("import_id").encode()))


def test_other_path_parameters_with_one_key_share_no_response() -> None:
    route = Route(echo)
    responses = [route.call(import_event(import_id)) for import_id in ("a", "b")]

    assert [response["body"] for response in responses] == ["a", "b"]
    assert all("Idempotent-Replayed" not in response["headers"] for response in responses)


def test_one_request_with_one_key_has_its_first_response() -> None:
    route = Route(echo)
    route.call(import_event("a"))
    response = route.call(import_event("a"))

    assert (response["body"], response["headers"]["Idempotent-Replayed"]) == ("a", "true")


# ---------------------------------------------------------------- Errors


@pytest.mark.parametrize("api", [json_api, bulk_consents], ids=["json", "bulk consents"])
def test_a_request_error_is_rendered_by_the_api(api: Any) -> None:
    headers = {"Authorization": "Basic QUM6dG9rZW4="} if api is bulk_consents else {}
    response = Route(fails_with(NotFound()), api=api).call(gateway_event(headers=headers))
    request_id = response["headers"]["X-Request-Id"]

    assert response["statusCode"] == 404
    assert response["body"] == api.render_error(NotFound(), request_id).body.decode()


def failure(error_code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": error_code}, "ResponseMetadata": cast(Any, {"HTTPStatusCode": status})},
        "PutItem",
    )


TRANSIENT = {
    "throttled": failure("ThrottlingException"),
    "5xx": failure("Strange", 500),
    "no response": ConnectTimeoutError(endpoint_url="https://example.com"),
}
BUGS = {
    "denied": failure("AccessDeniedException"),
    "a bug": RuntimeError("secret +15554443333"),
    "a key": KeyError("secret"),
}


@pytest.mark.parametrize("error", TRANSIENT.values(), ids=TRANSIENT)
def test_a_transient_error_of_storage_is_unavailable(error: Exception) -> None:
    route = Route(fails_with(error))
    response = route.call()

    assert (response["statusCode"], code(response)) == (503, "UNAVAILABLE")
    assert response["headers"]["Retry-After"] == "1"
    assert [type(one) for one in route.seen] == [Unavailable]


@pytest.mark.parametrize("error", BUGS.values(), ids=BUGS)
def test_any_other_error_is_internal_and_shows_nothing(error: Exception) -> None:
    route = Route(fails_with(error))
    response = route.call()

    assert (response["statusCode"], code(response)) == (500, "INTERNAL")
    assert "secret" not in str(response)
    assert "Retry-After" not in response["headers"]
    assert [type(one) for one in route.seen] == [Internal]


def test_a_rate_limited_request_has_retry_after_and_the_level() -> None:
    def spend(request: Request) -> Response:
        request.spend(3)
        return Response(200, b"")

    response = Route(spend, left=2).call()

    assert (response["statusCode"], response["headers"]["Retry-After"]) == (429, "7")
    assert response["headers"]["RateLimit"] == '"records";r=2;t=7'


def test_an_unreadable_level_loses_no_response() -> None:
    route = Route(done)
    route.buckets.level_error = CallError("ThrottlingException", is_transient=True)
    response = route.call()

    assert response["statusCode"] == 200
    assert "RateLimit-Policy" in response["headers"]
    assert "RateLimit" not in response["headers"]


def test_a_level_is_not_read_without_time() -> None:
    response = Route(done).call(seconds=5)

    assert response["statusCode"] == 200
    assert "RateLimit" not in response["headers"]


# ---------------------------------------------------------------- What a request counts


@dataclass
class Metrics:
    """The metrics that a request writes."""

    capsys: pytest.CaptureFixture[str]

    def read(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the metrics that were written since the last read, and the rejected by code."""
        printed = self.capsys.readouterr().out.splitlines()
        lines = [json.loads(line) for line in printed if '"_aws"' in line]
        (metrics,) = (line for line in lines if "code" not in line)
        values = {name: value[0] for name, value in metrics.items() if isinstance(value, list)}
        return values, {
            line["code"]: line["RecordsRejected"][0] for line in lines if "code" in line
        }

    def records(self) -> tuple[float, ...]:
        """Return the records that were accepted, rejected and unavailable."""
        values, _ = self.read()
        return tuple(values[f"Records{name}"] for name in ("Accepted", "Rejected", "Unavailable"))


@pytest.fixture
def metrics(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """The metrics, under the namespace that the template sets."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "ConsentLedger")
    return Metrics(capsys)


OUTCOMES: list[Outcome] = [
    Stored.ACCEPTED,
    Rejected("VALIDATION_FAILED", ()),
    Rejected("NOT_FOUND", ()),
    Stored.UNAVAILABLE,
    Stored.ACCEPTED,
]


def test_a_batch_counts_the_outcome_of_each_record(metrics: Metrics) -> None:
    Route(lambda _: attested.render_batch(OUTCOMES)).call()
    values, rejected = metrics.read()

    assert (values["RecordsAccepted"], values["RecordsRejected"]) == (2, 2)
    assert values["RecordsUnavailable"] == 1
    assert rejected == {"VALIDATION_FAILED": 1, "NOT_FOUND": 1}


BAD_RECORDS = {
    "VALIDATION_FAILED": with_field(CHECKBOX, "opted_in", 7),
    "NOT_FOUND": with_field(CHECKBOX, "phone_number_id", NOT_OWNED),
}


@pytest.mark.parametrize(("rejected", "sent"), BAD_RECORDS.items(), ids=BAD_RECORDS)
def test_a_rejected_single_record_counts_its_outcome(
    rejected: str, sent: Any, metrics: Metrics
) -> None:
    def capture_one(request: Request) -> Response:
        request.spend(1)
        attested.read_single(sent, READ_CONTEXT)
        raise AssertionError("the record is valid")

    response = Route(capture_one).call()
    values, by_code = metrics.read()

    assert code(response) == rejected
    assert (values["RecordsRejected"], by_code) == (1, {rejected: 1})


LOST = {
    "the ledger": Unavailable(),
    "a timeout": TRANSIENT["no response"],
    "throttled": TRANSIENT["throttled"],
}


@pytest.mark.parametrize("error", LOST.values(), ids=LOST)
def test_an_unavailable_request_counts_the_records_it_spent(
    error: Exception, metrics: Metrics
) -> None:
    def spend_and_fail(request: Request) -> Response:
        request.spend(3)
        raise error

    response = Route(spend_and_fail).call()

    assert code(response) == "UNAVAILABLE"
    assert metrics.records() == (0, 0, 3)


def test_a_dry_run_counts_no_records(metrics: Metrics) -> None:
    Route(spend_one, takes_dry_run=True).call(dry_run())

    assert metrics.records() == (0, 0, 0)


def test_an_unavailable_question_counts_no_records(metrics: Metrics) -> None:
    def spend_and_fail(request: Request) -> Response:
        request.spend(3)
        raise Unavailable

    Route(spend_and_fail, bucket=Bucket.CONTACTS).call()

    assert metrics.records() == (0, 0, 0)


def test_an_error_before_spending_counts_no_records(metrics: Metrics) -> None:
    Route(fails_with(Unavailable())).call()
    values, _ = metrics.read()

    assert values["RequestsUnavailable"] == 1
    assert {values[name] for name in values if name.startswith("Records")} == {0}


def test_a_rate_limited_request_counts_no_records(metrics: Metrics) -> None:
    def spend(request: Request) -> Response:
        request.spend(3)
        return Response(200, b"")

    Route(spend, left=2).call()
    values, _ = metrics.read()

    assert values["RequestsThrottled"] == 1
    assert {values[name] for name in values if name.startswith("Records")} == {0}


def test_a_bug_after_spending_counts_no_records(metrics: Metrics) -> None:
    def spend_and_fail(request: Request) -> Response:
        request.spend(3)
        raise KeyError("bug")

    Route(spend_and_fail).call()

    assert metrics.records() == (0, 0, 0)


def test_a_replay_is_counted_and_its_records_are_not(metrics: Metrics) -> None:
    def capture(request: Request) -> Response:
        with request.claim() as claim:
            return claim.keep(attested.render_batch(OUTCOMES))

    route = Route(capture)
    event = gateway_event(headers={"Idempotency-Key": "k"})
    route.call(event)
    metrics.read()
    route.call(event)
    values, _ = metrics.read()

    assert values["RequestsReplayed"] == 1
    assert {values[name] for name in values if name.startswith("Records")} == {0}
