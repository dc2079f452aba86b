"""The cases of the bench, and the limits of each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from bench import bodies

SIZES = (1, 10, 25, 50, 100, 250, 500, 1000)
"""Records per request on the scaling curve."""

CALLS_BESIDE_RECORDS = 4
"""A claim, at most two writes to the token bucket, and the stored response."""

CALLS_BESIDE_CONTACTS = 5
"""At most: the caller, the sender, and two writes to the token bucket."""

ORG, LIMITED_ORG = "org_bench", "org_limited"
"""The first has no effective rate limit, the other 1000 records per minute."""

type Make = Callable[[str], str]


@dataclass(frozen=True)
class Limits:
    """The maxima of a case: ratios to the plain idiom, and calls. None: no limit."""

    cpu: float | None = None
    wall: float | None = None
    calls: int | None = None


@dataclass(frozen=True)
class Case:
    """One kind of request. Both sides get the same body in the same round."""

    name: str
    route: str
    make: Make
    limits: Limits
    status: int
    accepted: int | None
    """How many records both sides must accept; None if it is not checked."""
    idiom_status: int | None = None
    """The status that the plain idiom must return, if it differs."""
    org: str = ORG
    keyed: bool = True
    repeats: bool = False
    """Whether the measured request repeats one that was just sent."""
    validation_only: bool = False

    def body(self, seed: str) -> str:
        """Return the body of a round."""
        return self.make(f"{self.name}/{seed}")

    def event(self, seed: str, authorization: str) -> dict[str, Any]:
        """Return the API Gateway event of a round, with a new idempotency key."""
        resource, content_type = ROUTES[self.route]
        headers = {
            "Accept": "*/*",
            "Authorization": authorization,
            "Content-Type": content_type,
            "Host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "User-Agent": "bench",
            "X-Forwarded-For": "198.51.100.7",
            "X-Forwarded-Port": "443",
            "X-Forwarded-Proto": "https",
        } | ({"Idempotency-Key": f"{self.name}/{seed}"} if self.keyed else {})
        return {
            "resource": resource,
            "path": resource,
            "httpMethod": "POST",
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "a1b2c3d4e5",
                "httpMethod": "POST",
                "identity": {"sourceIp": "198.51.100.7"},
                "path": resource,
                "requestId": "5c7b0f3e-2d7b-4f0c-8f43-6e6f0d2d9a10",
                "resourcePath": resource,
                "stage": "live",
            },
            "body": self.body(seed),
            "isBase64Encoded": False,
        }


ROUTES = {
    "capture_consents": ("/v1/consent/bulk", "application/json"),
    "check_consents": ("/v1/consent/check", "application/json"),
    "create_bulk_consents": ("/v1/Consents/Bulk", "application/x-www-form-urlencoded"),
}
"""The path and the content type of each route."""


def _bad(count: int, percent: int) -> int:
    return len(bodies.bad(count, percent))


def _most_calls(stored: int) -> int:
    return ceil(stored / 25) + CALLS_BESIDE_RECORDS


def _records(count: int, percent: int) -> Make:
    return lambda seed: bodies.batch(bodies.records(count, percent, seed))


def _different_pages(count: int) -> Make:
    return lambda seed: bodies.batch(bodies.different_pages(count, seed))


def _items(count: int, percent: int) -> Make:
    return lambda seed: bodies.form(bodies.items(count, percent, seed))


def _batch(count: int, percent: int, limits: Limits, **others: Any) -> Case:
    good = count - _bad(count, percent)
    return Case(
        name=f"{count} records, {percent} % bad",
        route="capture_consents",
        make=_records(count, percent),
        limits=replace(limits, calls=_most_calls(good)),
        status=200,
        accepted=good,
        **others,
    )


def batch_of(count: int) -> Case:
    """Return a request of good records, for the scaling curve."""
    return _batch(count, 0, _NO_SLOWER)


def _form(count: int, percent: int, limits: Limits) -> Case:
    good = count - _bad(count, percent)
    return Case(
        name=f"form of {count} items, {percent} % bad",
        route="create_bulk_consents",
        make=_items(count, percent),
        limits=replace(limits, calls=_most_calls(good)),
        status=201,
        accepted=good,
        keyed=False,  # the vendor's clients send no key
    )


def check_of(count: int, limits: Limits) -> Case:
    """Return a check of contacts that have each one opt-in."""
    return Case(
        name=f"check of {count} contacts",
        route="check_consents",
        make=lambda _: bodies.question(count),
        limits=limits,
        status=200,
        accepted=count,
        keyed=False,  # a check reads none
    )


def _hostile(name: str, make: Make, status: int = 200, idiom_status: int | None = None) -> Case:
    accepted = 0 if status == 200 else None
    name = f"hostile: {name}"
    return Case(name, "capture_consents", make, _NO_SLOWER, status, accepted, idiom_status)


def _validation(name: str, make: Make, limits: Limits, route: str = "capture_consents") -> Case:
    return Case(f"validation: {name}", route, make, limits, 200, None, validation_only=True)


_NO_SLOWER = Limits(cpu=1, wall=1)
_FULL = Limits(cpu=0.12, wall=0.12)

CASES = (
    _batch(1000, 0, _FULL),
    _batch(1000, 5, _FULL),
    _batch(1000, 100, _NO_SLOWER),
    replace(
        _batch(1000, 0, _FULL), name="1000 records with different URLs", make=_different_pages(1000)
    ),
    *(_batch(count, bad, Limits()) for count in (25, 100) for bad in (0, 5, 100)),
    *(_batch(1, bad, Limits()) for bad in (0, 100)),  # the time of five calls, on either side
    replace(
        _batch(1000, 0, _NO_SLOWER),
        name="replay of 1000 records",
        repeats=True,
        limits=Limits(cpu=0.8, calls=2),
    ),
    replace(
        _batch(1000, 0, _NO_SLOWER),
        name="429 of 1000 records",
        org=LIMITED_ORG,
        keyed=False,
        repeats=True,
        status=429,
        accepted=None,
        limits=Limits(calls=2),
    ),
    check_of(1000, Limits(cpu=0.15, wall=0.4, calls=1000 + CALLS_BESIDE_CONTACTS)),
    check_of(100, _NO_SLOWER),
    check_of(1, Limits()),
    _form(25, 0, Limits()),
    _form(1000, 0, _FULL),
    _form(1000, 5, _FULL),
    _hostile("every field wrong", bodies.every_field_wrong),
    _hostile("2 KB in every field", bodies.long_texts),
    _hostile("8 MiB of arrays in records", bodies.nested_in_records, idiom_status=422),
    _hostile("8 MiB of arrays in arrays", bodies.nested_deep, status=400, idiom_status=502),
    _hostile("numbers of 10,000 characters", bodies.long_numbers),
    _validation("1000 records, none bad", _records(1000, 0), Limits(cpu=0.2)),
    _validation("1000 records with different URLs", _different_pages(1000), Limits(cpu=0.2)),
    _validation("1000 records, 5 % bad", _records(1000, 5), Limits(cpu=0.2)),
    _validation("1000 records, all bad", _records(1000, 100), Limits(cpu=0.35)),
    _validation(
        "form of 1000 items, parsed too",
        _items(1000, 0),
        Limits(cpu=0.35),
        route="create_bulk_consents",
    ),
)
