"""The routes of the log: names, sizes, headers, and who gets bytes."""

from base64 import b64encode

import pytest
from consents.domain.errors import Invalid, LogBehind, NotFound
from consents.proof import api, log_names
from consents.proof.notes import Checkpoint, Note, Signature, SignatureType, VerifierKey
from consents.proof.policy import policy_text
from consents.proof.tiles import bundle_name, name_part, tile_name
from hypothesis import given
from hypothesis import strategies as st

SIGNED = Note(
    Checkpoint("log.example.com", 300, bytes(32)).text(),
    (Signature("log.example.com", bytes(4), bytes(64)),),
)
KEY = VerifierKey("log.example.com", SignatureType.ED25519, bytes(32))


class DictLog:
    """A log whose objects are in a dict, and which counts looks at it."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {"checkpoint": bytes(SIGNED), **objects}
        self.looks = 0

    def read(self, name: str) -> bytes:
        self.looks += 1
        if name not in self.objects:
            raise NotFound
        return self.objects[name]

    def link(self, name: str) -> str:
        self.read(name)
        return f"https://bucket/{name}?X-Amz-Signature=s"

    def anchored_sizes(self) -> list[int]:
        return [300, 7]


@given(st.integers(0, 2**40), st.integers(0, 63), st.integers(1, 256))
def test_every_name_of_a_tile_is_valid(number: int, level: int, width: int) -> None:
    names = [tile_name(level, number, width), bundle_name(number, width)]

    assert all(map(log_names.is_binary, [*names, f"index/1/{name_part(number)}"]))


INVALID = [
    "",
    "checkpoint",
    "keys",
    "tile",
    "tile/",
    "tile/0",
    "tile/64/000",
    "tile/00/000",
    "tile/0/0",
    "tile/0/0000",
    "tile/0/x01/000",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/01",
    "tile/0/000/../../checkpoint",
    "tile/0/000\n",
    "tile/0/\u0661\u0662\u0663",
    "tile/entries/x000/x000/x000/x000/x000/x000/x000/000",
    "index/0/000",
    "index/2/000",
    "index/1/000.p/1",
    "anchors/1",
    "anchors/000000000000000000001",
    "anchors/00000000000000000001.txt",
    "work/batches/" + "0" * 64,
]


@pytest.mark.parametrize("name", INVALID)
def test_any_other_name_is_not_found_before_a_look_at_the_bucket(name: str) -> None:
    log = DictLog(**{name: b"secret"})
    with pytest.raises(NotFound):
        api.fixed_object(log, name, api.BINARY)

    assert log.looks == 0


@pytest.mark.parametrize(
    "accept", [api.BINARY, f"{api.BINARY};q=0.9, */*", "Application/Octet-Stream, text/html"]
)
def test_a_client_that_accepts_bytes_first_gets_bytes(accept: str) -> None:
    response = api.fixed_object(DictLog(**{"tile/0/000": b"\xff"}), "tile/0/000", accept)

    assert (response.status, response.body, response.is_binary) == (200, b"\xff", True)
    assert response.headers == {
        "Content-Type": "application/octet-stream",
        "Cache-Control": "max-age=31536000, immutable",
    }


@pytest.mark.parametrize("accept", ["", "*/*", "text/html, application/octet-stream"])
def test_any_other_client_is_redirected(accept: str) -> None:
    response = api.fixed_object(DictLog(**{"tile/0/000": b"\xff"}), "tile/0/000", accept)

    assert response.status == 302
    assert response.headers["Location"].startswith("https://bucket/tile/0/000?")
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("accept", ["", api.BINARY])
def test_a_tile_that_is_not_there_is_not_found(accept: str) -> None:
    with pytest.raises(NotFound):
        api.fixed_object(DictLog(), "tile/0/000", accept)


def test_an_anchored_checkpoint_is_text_for_every_client() -> None:
    name = f"anchors/{300:020}"
    response = api.fixed_object(DictLog(**{name: bytes(SIGNED)}), name, "*/*")

    assert (response.status, response.body, response.is_binary) == (200, bytes(SIGNED), False)


@pytest.mark.parametrize("min_size", [None, "", "0", "299", "300"])
def test_a_checkpoint_of_the_wanted_size_is_returned(min_size: str | None) -> None:
    response = api.checkpoint(DictLog(), min_size)

    assert (response.status, response.body) == (200, bytes(SIGNED))
    assert response.headers == {
        "Content-Type": "text/plain; charset=utf-8",
        "Cache-Control": "max-age=5",
    }


@pytest.mark.parametrize("min_size", ["301", "9" * 19])
def test_a_smaller_log_is_behind(min_size: str) -> None:
    with pytest.raises(LogBehind) as refused:
        api.checkpoint(DictLog(), min_size)

    assert refused.value.retry_after == 60


@pytest.mark.parametrize("min_size", ["-1", "1.0", "1e3", " 1", "\u0661", "x", "1" * 20])
def test_a_size_is_a_whole_number(min_size: str) -> None:
    log = DictLog()
    with pytest.raises(Invalid) as refused:
        api.checkpoint(log, min_size)

    assert refused.value.details == {"min_size": "must be a whole number"}
    assert log.looks == 0


def test_anchors_are_listed_one_a_line() -> None:
    assert api.anchors(DictLog()).body == b"300\n7\n"


def test_the_policy_names_the_key_and_the_url() -> None:
    encoded = b64encode(b"\x01" + bytes(32)).decode()

    assert policy_text(KEY, "https://api.example.com/v1/log") == (
        f"log log.example.com+{KEY.key_id.hex()}+{encoded} https://api.example.com/v1/log\n"
        "quorum none\n"
    )
