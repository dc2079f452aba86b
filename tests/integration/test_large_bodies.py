"""Bodies near the limits through the handlers: from the gateway as text, in base64, in gzip."""

import gzip
import json
import tracemalloc
from base64 import b64encode
from collections.abc import Callable

import pytest
from consents.capture.ledger import Ledger

from tests.integration.callers import BULK, BULK_CONSENTS, EVENTS, SINGLE, body, code, is_replay
from tests.integration.callers import headers as caller
from tests.integration.conftest import Invoke, Tenant
from tests.integration.invocation import Response

MEBIBYTE = 1024 * 1024
LIMITS = {BULK: 8 * MEBIBYTE, SINGLE: MEBIBYTE, BULK_CONSENTS: 8 * MEBIBYTE}
TOO_LARGE = {BULK: "PAYLOAD_TOO_LARGE", SINGLE: "PAYLOAD_TOO_LARGE", BULK_CONSENTS: 20001}
MALFORMED = {BULK: "INVALID_INPUT", SINGLE: "INVALID_INPUT", BULK_CONSENTS: 20001}

type Send = Callable[..., Response]


@pytest.fixture
def send(invoke: Invoke, tenant: Tenant) -> Send:
    """Send bytes as API Gateway hands over those of a binary media type."""

    def send(event: str, body: bytes, key: str | None = None) -> Response:
        sent = caller(tenant, event, key) | {"Content-Type": "application/gzip"}
        return invoke(event, sent, body=b64encode(body).decode(), isBase64Encoded=True)

    return send


def padded(event: str, tenant: Tenant, size: int) -> bytes:
    """Return a sound body of a size; what fills it up are fields that no wire reads."""
    sound = body(event, tenant, 1).encode()
    if event == BULK_CONSENTS:
        return sound + b"&pad=" + b"x" * (size - len(sound) - len(b"&pad="))
    start = sound.removesuffix(b"}") + b', "pad": "'
    return start + b"x" * (size - len(start) - 2) + b'"}'


def is_stored(ledger: Ledger, tenant: Tenant) -> bool:
    return len(ledger.history(tenant.org_id, "+15550000001")) == 1


@pytest.mark.parametrize("event", EVENTS)
def test_a_gzip_body_of_exactly_the_limit_is_captured(
    send: Send, tenant: Tenant, ledger: Ledger, event: str
) -> None:
    answer = send(event, gzip.compress(padded(event, tenant, LIMITS[event])))

    assert answer.status in {200, 201}
    assert is_stored(ledger, tenant)


@pytest.mark.parametrize("event", EVENTS)
def test_a_gzip_body_of_one_byte_more_is_rejected_with_the_limit(
    send: Send, tenant: Tenant, ledger: Ledger, event: str
) -> None:
    answer = send(event, gzip.compress(padded(event, tenant, LIMITS[event] + 1)))

    assert (answer.status, code(answer)) == (413, TOO_LARGE[event])
    assert str(LIMITS[event]) in answer.body
    assert not is_stored(ledger, tenant)


@pytest.mark.parametrize("event", EVENTS)
def test_a_plain_body_has_the_same_limit(invoke: Invoke, tenant: Tenant, event: str) -> None:
    shown = [
        invoke(event, caller(tenant, event, None), body=padded(event, tenant, size).decode())
        for size in (LIMITS[event], LIMITS[event] + 1)
    ]

    assert [answer.status in {200, 201} for answer in shown] == [True, False]
    assert (shown[1].status, code(shown[1])) == (413, TOO_LARGE[event])


@pytest.mark.parametrize("event", EVENTS)
def test_a_bomb_of_many_gigabytes_costs_little_memory(send: Send, event: str) -> None:
    bomb = gzip.compress(bytes(64 * MEBIBYTE)) * 64  # 4 GiB in 4 MB
    send(event, gzip.compress(b""))  # what is loaded once is loaded now

    tracemalloc.start()
    answer = send(event, bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (answer.status, code(answer)) == (413, TOO_LARGE[event])
    in_base64 = 3 * len(bomb) * 4 // 3  # the event, as the test makes it and the handler gets it
    assert peak < in_base64 + 4 * LIMITS[event]


BROKEN = {
    "cut off": lambda packed: packed[:-1],
    "trailing garbage": lambda packed: packed + b"{}",
    "no checksum": lambda packed: packed[:-8] + bytes(8),
    "only its magic": lambda packed: packed[:2],
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("event", EVENTS)
def test_broken_gzip_is_malformed_in_the_envelope_of_the_wire(
    send: Send, tenant: Tenant, ledger: Ledger, event: str, spoil: Callable[[bytes], bytes]
) -> None:
    answer = send(event, spoil(gzip.compress(body(event, tenant, 1).encode())))

    assert (answer.status, code(answer)) == (400, MALFORMED[event])
    assert "must be gzip" in answer.body
    assert not is_stored(ledger, tenant)


@pytest.mark.parametrize("event", EVENTS)
def test_a_body_and_its_gzip_are_one_body_for_an_idempotency_key(
    send: Send, invoke: Invoke, tenant: Tenant, event: str
) -> None:
    sound = body(event, tenant, 1)
    first = send(event, gzip.compress(sound.encode(), 9), key="one")
    shown = [
        send(event, gzip.compress(sound.encode(), 1), key="one"),
        invoke(event, caller(tenant, event), body=sound),
    ]

    assert not is_replay(first)
    assert [is_replay(answer) for answer in shown] == [True, True]
    assert {answer.body for answer in shown} == {first.body}


@pytest.mark.parametrize("event", EVENTS)
def test_another_body_in_gzip_reuses_the_key(send: Send, tenant: Tenant, event: str) -> None:
    send(event, gzip.compress(body(event, tenant, 1).encode()), key="one")
    answer = send(event, gzip.compress(body(event, tenant, 2).encode()), key="one")

    assert answer.status == 422


def test_1000_records_of_8_kib_are_captured_from_gzip(send: Send, tenant: Tenant) -> None:
    batch = json.loads(body(BULK, tenant, *range(1000)))
    for number, record in enumerate(batch["records"]):
        record["evidence"]["agreement_text"] = f"{number} " + "I agree. " * 850
    whole = json.dumps(batch).encode()
    assert 7.5 * MEBIBYTE < len(whole) < 8 * MEBIBYTE

    answer = send(BULK, gzip.compress(whole))
    assert answer.json == {"accepted": 1000, "rejected": []}
