"""JSON as clients send it."""

from typing import Any

import pytest
from consents.domain.errors import MalformedBody
from consents.http import json_text

from tests.factories import shown

HALF = rb'"\ud800"'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"{}", {}),
        (b' {"a" : [ 1 , 2.5 , null , true ] }\n', {"a": [1, 2.5, None, True]}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'"NaN"', "NaN"),
        (rb'"\u00fc\ud83d\ude00"', "\u00fc\U0001f600"),
        ('"\u00fc\U0001f600"'.encode(), "\u00fc\U0001f600"),
        (b"18446744073709551615", 18446744073709551615),
        (b"-0", 0),
        (b"[" * 500 + b"]" * 500, None),
    ],
    ids=shown,
)
def test_json_is_read(text: bytes, value: Any) -> None:
    read = json_text.parse(text)
    assert value is None or read == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (HALF, "\ud800"),
        (rb'"\udc00\ud800"', "\udc00\ud800"),
        (rb'{"\ud800":"\ud83d"}', {"\ud800": "\ud83d"}),
        (b'["\xc3\xbc", ' + HALF + b"]", ["\u00fc", "\ud800"]),
    ],
    ids=shown,
)
def test_half_a_surrogate_pair_is_read(text: bytes, value: Any) -> None:
    assert json_text.parse(text) == value


@pytest.mark.parametrize("number", [b"1e999", b"9" * 400, b"9" * 5000], ids=shown)
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_a_number_too_large_for_a_double_is_read_as_infinity(sign: bytes, number: bytes) -> None:
    assert json_text.parse(sign + number) == float(f"{sign.decode()}inf")


INTEGERS = ["0", "10", "-1", f"{2**63}", f"{2**64 - 1}", f"{2**64}", f"-{2**63}", f"-{2**63 + 1}"]


@pytest.mark.parametrize("number", [*INTEGERS, "1.0", "1e2", "9" * 300])
def test_a_number_is_the_same_next_to_half_a_surrogate_pair(number: str) -> None:
    by_itself = json_text.parse(number)
    after_half = json_text.parse(f'["{chr(92)}ud800", {number}]')[1]

    assert (type(after_half), after_half) == (type(by_itself), by_itself)


NOT_JSON = [
    b"",
    b" ",
    b"x",
    b"{",
    b"[1,]",
    b'{"a":1,}',
    b"{'a':1}",
    b"{a:1}",
    b"01",
    b"+1",
    b".5",
    b"1.",
    b"0x1",
    b"1 2",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"[nan]",
    b"// x\n1",
    b'"\n"',
    b'"\x00"',
    rb'"\x41"',
    rb'"\u12"',
    b'"',
    b"\xff",
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b"\xef\xbb\xbf{}",
    b"undefined",
    b"True",
    b"[" * 200_000,
    b"[" * 200_000 + b"]" * 200_000,
    b'{"a":' * 200_000,
]


@pytest.mark.parametrize("text", NOT_JSON, ids=shown)
def test_text_that_is_not_json_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedBody):
        json_text.parse(text)


@pytest.mark.parametrize("text", [t for t in NOT_JSON if t.strip()], ids=shown)
def test_half_a_surrogate_pair_does_not_make_other_text_json(text: bytes) -> None:
    with pytest.raises(MalformedBody):
        json_text.parse(b"[" + HALF + b"," + text + b"]")


def test_a_text_that_holds_half_a_surrogate_pair_itself_is_read() -> None:
    assert json_text.parse('["\ud800"]') == ["\ud800"]
