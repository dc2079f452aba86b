"""Entries and records of the log: their bytes, and where they stand."""

import hmac
import json
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest
from consents.proof import entries, records
from consents.proof.entries import Kind
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(32))
SALT = b"sixteen bytes ok"
ITEM: dict[str, Any] = {
    "pk": {"S": "org_1#+15554443333"},
    "sk": {"S": "+15550001111#2026-05-01T12:00:00.000Z#opt_in#abc"},
    "wire": {"S": "attested"},
    "evidence": {"M": {"user_agent": {"S": "Mozilla"}, "ip_address": {"S": "203.0.113.42"}}},
    "salt": {"B": SALT},
}


def test_entry_is_a_kind_a_tag_and_a_body() -> None:
    entry = entries.entry(Kind.RECORD, b"t" * 32, b"b" * 32)

    assert entry == b"\x01" + b"t" * 32 + b"b" * 32
    assert len(entry) == entries.BYTES
    assert entries.tag_of(entry) == b"t" * 32


def test_first_entry_names_the_log() -> None:
    named = sha256(b"log.example.com").digest() + sha256(b"consent-ledger/log/v1").digest()

    assert entries.first_entry("log.example.com") == b"\0" + named


def test_tag_of_a_contact_and_of_an_organization_are_as_the_format_says() -> None:
    contact = b"consent-ledger/tag/v1\norg_1\n+15554443333"
    organization = sha256(b"consent-ledger/org/v1\norg_1").digest()

    tag = entries.contact_tag(KEY, "org_1", "+15554443333")
    assert tag == hmac.new(KEY, contact, sha256).digest()
    assert entries.organization_entry("org_1", KEY) == b"\x04" + organization + KEY


@given(others=st.integers(0, 2**40))
def test_kth_other_entry_is_leaf_k_plus_a_255th_of_k_plus_1(others: int) -> None:
    size = entries.size_with(others)

    assert entries.others_in(size) == others
    assert size % 256  # a leaf of kind LOG is written as soon as the tile before it is full
    assert size == others + others // 255 + 1


def test_record_is_sorted_compact_json_without_its_salt() -> None:
    assert records.record_json(ITEM) == (
        b'{"evidence":{"ip_address":"203.0.113.42","user_agent":"Mozilla"},'
        b'"pk":"org_1#+15554443333","sk":"+15550001111#2026-05-01T12:00:00.000Z#opt_in#abc",'
        b'"wire":"attested"}'
    )


LETTERS = "".join(map(chr, range(0x20))) + '"\\/\x7f\u00e9\u2028\uffff\U0001f600'
ESCAPED = (
    r"\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f"
    r"\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e"
    r"\u001f\"\\" + "/\x7f\u00e9\u2028\uffff\U0001f600"
)


def test_only_quotes_backslashes_and_control_characters_are_escaped() -> None:
    assert records.record_json({"pk": {"S": LETTERS}}) == f'{{"pk":"{ESCAPED}"}}'.encode()


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.text()))
def test_names_are_sorted_by_code_point(values: dict[str, str]) -> None:
    item = {name: {"S": value} for name, value in values.items() if name != "salt"}
    values.pop("salt", None)

    wanted = json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert records.record_json(item) == wanted.encode()


@pytest.mark.parametrize(
    ("attribute", "typed"),
    [
        ({"N": "1"}, '{"N":"1"}'),
        ({"BOOL": True}, '{"BOOL":true}'),
        ({"NULL": True}, '{"NULL":true}'),
        ({"SS": ["b", "a"]}, '{"SS":["a","b"]}'),
        ({"NS": ["2", "10"]}, '{"NS":["10","2"]}'),
        ({"B": b"\0\1"}, '{"B":"AAE="}'),
        ({"BS": [b"\2", b"\1"]}, '{"BS":["AQ==","Ag=="]}'),
        ({"L": [{"S": "a"}, {"M": {"b": {"N": "1"}}}]}, '{"L":[{"S":"a"},{"M":{"b":{"N":"1"}}}]}'),
        ({"M": {"b": {"S": "1"}, "a": {"S": "2"}}}, '{"M":{"a":{"S":"2"},"b":{"S":"1"}}}'),
    ],
)
def test_item_with_another_attribute_is_written_with_types(
    attribute: dict[str, Any], typed: str
) -> None:
    item = {"pk": {"S": "org#+1"}, "more": attribute, "salt": {"B": SALT}}

    assert records.record_json(item).decode() == f'{{"more":{typed},"pk":{{"S":"org#+1"}}}}'


def test_evidence_that_is_no_map_of_texts_is_written_with_types() -> None:
    nested = {"evidence": {"M": {"a": {"N": "1"}}}}

    assert records.record_json(nested) == b'{"evidence":{"M":{"a":{"N":"1"}}}}'
    assert records.record_json({"evidence": {"S": "a"}}) == b'{"evidence":"a"}'


def test_commitment_is_keyed_by_the_salt_of_the_item() -> None:
    wanted = hmac.new(SALT, records.record_json(ITEM), sha256).digest()
    from_stream = ITEM | {"salt": {"B": b64encode(SALT).decode()}}

    assert records.commitment(ITEM, KEY) == wanted
    assert records.commitment(from_stream, KEY) == wanted


@pytest.mark.parametrize("salt", [{}, {"salt": {"S": "text"}}, {"salt": {"B": b"short"}}])
def test_item_without_a_salt_has_a_derived_one(salt: dict[str, Any]) -> None:
    item = {name: value for name, value in ITEM.items() if name != "salt"} | salt
    key = f"consent-ledger/salt/v1\n{item['pk']['S']}\n{item['sk']['S']}".encode()

    assert records.salt(item, KEY) == hmac.new(KEY, key, sha256).digest()[:16]


def test_every_item_but_an_agreement_text_is_a_record() -> None:
    assert records.is_record(ITEM)
    assert not records.is_record({"pk": {"S": "org_1#text#hash"}, "sk": {"S": "text"}})
    assert records.subject(ITEM) == ("org_1", "+15554443333")
