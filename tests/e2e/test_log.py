"""The transparency log on the local stack: a record is under a signed checkpoint in minutes."""

from base64 import b64decode
from typing import Any

import httpx
import pytest
from consents.proof import notes
from consents_cli.stack import connect_local

from tests.e2e.local_stack import LocalStack, eventually

pytestmark = pytest.mark.usefixtures("sealing")

BYTES = {"Accept": "application/octet-stream"}
RECORD = {
    "contact_number": "+15554443377",
    "opted_in": True,
    "evidence": {
        "captured_at": "2026-04-26T12:00:00Z",
        "agreement_text": "Agreed.",
        "consent_method": "verbal",
    },
}


@pytest.fixture(scope="module")
def bearer(stack: LocalStack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.organization['api_key']}"}


@pytest.fixture(scope="module")
def call(stack: LocalStack, bearer: dict[str, str]) -> Any:
    """Call a route of the log as a client that accepts bytes."""

    def call(name: str, **headers: str) -> httpx.Response:
        sent = BYTES | bearer | headers
        return httpx.get(f"{stack.api_url}/v1/log/{name}", headers=sent, timeout=30)

    return call


@pytest.fixture(scope="module")
def checkpoint(stack: LocalStack, bearer: dict[str, str], call: Any) -> notes.Checkpoint:
    """The checkpoint after a record was captured."""
    deployed = connect_local(stack.state["aws_endpoint_url"])
    sender = stack.organization["senders"][0]["phone_number_id"]
    record = RECORD | {"phone_number_id": sender}
    sent = httpx.post(f"{stack.api_url}/v1/consent", headers=bearer, json=record, timeout=30)
    assert sent.status_code == 201

    def is_there() -> bool:
        deployed.invoke("PublishLogFunction", {})
        return bool(call("checkpoint?min_size=3").status_code == 200)

    assert eventually(is_there)
    return notes.parse_checkpoint(notes.parse_note(call("checkpoint").content).text)


def test_the_checkpoint_is_signed_by_the_key_that_anybody_can_get(
    stack: LocalStack, checkpoint: notes.Checkpoint, call: Any
) -> None:
    policy = httpx.get(f"{stack.api_url}/v1/log/keys", timeout=30).text
    _, key, url = policy.splitlines()[0].split(" ")

    assert checkpoint.origin == stack.state["log_origin"]
    assert notes.parse_key(key).has_signed(notes.parse_note(call("checkpoint").content))
    assert url.endswith("/v1/log")


def newest_bundle(checkpoint: notes.Checkpoint) -> tuple[str, int]:
    """Return the name of the last bundle of entries, and how many it has."""
    number, width = divmod(checkpoint.size - 1, 256)
    return f"tile/entries/{number:03}" + (f".p/{width + 1}" if width < 255 else ""), width + 1


def test_tiles_are_returned_as_bytes_or_by_a_link(checkpoint: notes.Checkpoint, call: Any) -> None:
    name, width = newest_bundle(checkpoint)
    found, linked = call(name), call(name, Accept="*/*")

    assert (found.status_code, len(found.content)) == (200, width * 67)
    assert linked.status_code == 302
    assert httpx.get(linked.headers["Location"], timeout=30).content == found.content


@pytest.mark.parametrize(
    "name", ["tile/0/999", "tile/0/0", "index/0/000", "anchors/1", "work/batches/0", "tile"]
)
def test_other_names_are_not_found(call: Any, name: str) -> None:
    assert call(name).status_code == 404


def test_a_number_is_in_no_object_of_the_log(
    stack: LocalStack, checkpoint: notes.Checkpoint, call: Any
) -> None:
    entries = call(newest_bundle(checkpoint)[0]).content

    assert str(RECORD["contact_number"]).encode() not in entries
    assert stack.organization["org_id"].encode() not in entries


def test_callers_are_handed_the_checkpoint(checkpoint: notes.Checkpoint, call: Any) -> None:
    def handed() -> bool:
        note = b64decode(call("checkpoint").headers.get("Consent-Log", ""))
        handed = notes.parse_checkpoint(notes.parse_note(note).text) if note else None
        return handed is not None and handed.size >= checkpoint.size

    assert eventually(handed)


def test_operators_see_the_state_of_the_log(
    stack: LocalStack, checkpoint: notes.Checkpoint
) -> None:
    state = stack.ask("log", "show")

    assert (state["origin"], state["faults"]) == (checkpoint.origin, [])
    assert state["size"] >= checkpoint.size
    assert stack.ask("log", "keys")["policy"].startswith(f"log {checkpoint.origin}+")
