"""A request: its headers, parameters, time, idempotency key, and the records that it spends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import pytest
from consents.aws.dynamodb import MAX_CALL_SECONDS
from consents.domain.errors import InvalidIdempotencyKey, RateLimited
from consents.domain.record import Receipt
from consents.domain.token_bucket import Level
from consents.http.idempotency import Claim
from consents.http.request import RESPONSE_SECONDS, Request, Stores, gateway_request_id, header
from consents.http.response import Response

from tests.factories import ORG_ID, RECEIPT, caller, gateway_event, lambda_context

DONE = Response(200, b"done")
LEVEL = Level(600, 598, 1)


class Claimed(NamedTuple):
    scope: str
    key: str
    body: bytes


class Claims:
    """Lets every claim be made, and keeps what was claimed."""

    def __init__(self) -> None:
        self.made: list[Claimed] = []

    @contextmanager
    def claim(self, scope: str, key: str, body: bytes, *_times: object) -> Iterator[Claim]:
        self.made.append(Claimed(scope, key, body))
        yield Claim()


class Buckets:
    """Keeps what is spent; raises an error if it was given one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.spent: list[tuple[str, int, int, Receipt]] = []
        self._error = error

    def spend(self, org_id: str, records: int, per_minute: int, receipt: Receipt) -> Level:
        self.spent.append((org_id, records, per_minute, receipt))
        if self._error:
            raise self._error
        return LEVEL


def request(
    event: dict[str, Any] | None = None,
    *,
    claims: Claims | None = None,
    buckets: Buckets | None = None,
    seconds: float = 25,
    org_id: str = ORG_ID,
) -> Request:
    return Request(
        event or gateway_event(),
        lambda_context(seconds),
        caller(org_id=org_id),
        RECEIPT,
        max_bytes=100,
        stores=Stores(cast(Any, None), cast(Any, claims), cast(Any, buckets)),
    )


# ---------------------------------------------------------------- Headers and parameters


@pytest.mark.parametrize("sent", ["x-name", "X-Name", "X-NAME"])
def test_a_header_is_found_in_any_case(sent: str) -> None:
    assert header(gateway_event(headers={sent: "value"}), "x-name") == "value"


@pytest.mark.parametrize("headers", [None, {}])
def test_a_request_may_have_no_headers(headers: Any) -> None:
    assert header(gateway_event() | {"headers": headers}, "x-name") is None


def test_a_path_parameter_is_read_by_name() -> None:
    event = gateway_event("GET /v1/imports/{import_id}", path={"import_id": "a"})

    assert request(event).path("import_id") == "a"


@pytest.mark.parametrize(("sent", "limit"), [(None, None), ({}, None), ({"limit": "7"}, "7")])
def test_a_query_parameter_may_be_absent(sent: Any, limit: str | None) -> None:
    assert request(gateway_event(queryStringParameters=sent)).query("limit") == limit


def test_only_a_gateway_request_id_that_is_a_uuid_is_kept() -> None:
    sent = gateway_event()["requestContext"]["requestId"]

    assert gateway_request_id(gateway_event()) == sent
    for other in ("", "mine", sent.upper(), sent + "\n", None):
        assert gateway_request_id(gateway_event(requestContext={"requestId": other})) is None
    assert gateway_request_id({}) is None


# ---------------------------------------------------------------- Time


def test_a_response_has_time_of_the_invocation() -> None:
    assert request(seconds=10).time_left() == 10 - RESPONSE_SECONDS


def test_keeping_a_response_has_time_as_well() -> None:
    keyed = gateway_event(headers={"Idempotency-Key": "k"})

    assert request(keyed, seconds=10).time_left() == 10 - RESPONSE_SECONDS - MAX_CALL_SECONDS


# ---------------------------------------------------------------- Idempotency keys


def claim(event: dict[str, Any], org_id: str = ORG_ID) -> Claimed:
    """Return what a request with an idempotency key claims."""
    claims = Claims()
    with request(event, claims=claims, org_id=org_id).claim() as held:
        assert held.keep(DONE) is DONE
    (made,) = claims.made
    return made


KEYED = {"Idempotency-Key": "k"}
IMPORT = "GET /v1/imports/{import_id}"


def test_a_request_without_a_key_makes_no_claim() -> None:
    claims = Claims()

    with request(claims=claims).claim() as held:
        assert held.keep(DONE) is DONE
    assert claims.made == []


def test_a_claim_has_a_scope_a_key_and_the_body() -> None:
    made = claim(gateway_event(body="{}", headers=KEYED))

    assert made == Claimed(f"{ORG_ID}#POST /v1/consent/bulk", "k", b"{}")


def test_one_request_repeated_makes_one_claim() -> None:
    events = [gateway_event(IMPORT, path={"import_id": "a"}, headers=KEYED) for _ in range(2)]

    assert len({claim(event) for event in events}) == 1


OTHERS = {
    "organization": (gateway_event(IMPORT, path={"import_id": "a"}, headers=KEYED), "org_2"),
    "method": (
        gateway_event("DELETE /v1/imports/{import_id}", path={"import_id": "a"}, headers=KEYED),
        ORG_ID,
    ),
    "route": (gateway_event("GET /v2/{import_id}", path={"import_id": "a"}, headers=KEYED), ORG_ID),
    "path parameter": (gateway_event(IMPORT, path={"import_id": "b"}, headers=KEYED), ORG_ID),
    "name of a path parameter": (
        gateway_event(IMPORT, path={"import_id": "a"}, headers=KEYED)
        | {"pathParameters": {"x": "a"}},
        ORG_ID,
    ),
    "key": (
        gateway_event(IMPORT, path={"import_id": "a"}, headers={"Idempotency-Key": "l"}),
        ORG_ID,
    ),
    "body": (gateway_event(IMPORT, "{}", path={"import_id": "a"}, headers=KEYED), ORG_ID),
}


@pytest.mark.parametrize(("event", "org_id"), OTHERS.values(), ids=OTHERS)
def test_another_request_makes_another_claim(event: dict[str, Any], org_id: str) -> None:
    first = claim(gateway_event(IMPORT, path={"import_id": "a"}, headers=KEYED))

    assert claim(event, org_id) != first


@pytest.mark.parametrize(
    "parameters",
    [
        [{"a": "1", "b": "2"}, {"a": "1#b=2"}],
        [{"a": '1","b":"2'}, {"a": "1", "b": "2"}],
        [{"a": "1", "b": "2"}, {"a": "2", "b": "1"}],
        [{"a": ""}, {}],
    ],
)
def test_no_two_sets_of_path_parameters_share_a_scope(parameters: list[dict[str, str]]) -> None:
    events = [gateway_event(headers=KEYED) | {"pathParameters": each} for each in parameters]

    assert len({claim(event).scope for event in events}) == 2


def test_the_order_of_path_parameters_makes_no_difference() -> None:
    orders: list[dict[str, str]] = [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}]
    events = [gateway_event(headers=KEYED) | {"pathParameters": each} for each in orders]

    assert len({claim(event).scope for event in events}) == 1


KEYS = [
    ("k", "k"),
    (" k ", "k"),
    ('"k"', "k"),
    (r'"a \"key\" \\"', 'a "key" \\'),
    ('"half', '"half'),
    ("k" * 255, "k" * 255),
    ('"' + "k" * 255 + '"', "k" * 255),
]


@pytest.mark.parametrize(("sent", "key"), KEYS)
def test_a_key_is_a_bare_or_a_quoted_text(sent: str, key: str) -> None:
    assert claim(gateway_event(headers={"Idempotency-Key": sent})).key == key


@pytest.mark.parametrize("sent", ["", " ", '""', "k" * 256, '"' + "k" * 256 + '"'])
def test_an_empty_or_long_key_is_invalid(sent: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        claim(gateway_event(headers={"Idempotency-Key": sent}))


# ---------------------------------------------------------------- Spending


def test_spending_returns_the_level_of_the_organization() -> None:
    buckets = Buckets()
    spender = request(buckets=buckets)
    spender.spend(2)

    assert buckets.spent == [(ORG_ID, 2, 600, RECEIPT)]
    assert (spender.level, spender.spent) == (LEVEL, 2)


def test_a_rate_limited_request_knows_level_and_records() -> None:
    spender = request(buckets=Buckets(RateLimited(4, LEVEL)))
    with pytest.raises(RateLimited):
        spender.spend(3)

    assert (spender.level, spender.spent) == (LEVEL, 3)


def test_a_request_that_spent_nothing_has_no_level() -> None:
    assert (request().level, request().spent) == (None, 0)
