"""The `Items` of a form-encoded body, in every form that released clients send them."""

import json
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import pytest
from consents.capture import form
from consents.http import json_text
from hypothesis import example, given
from hypothesis import strategies as st

from tests.factories import BAD_ITEM, ITEM, shown

ITEMS = [ITEM, BAD_ITEM]
MOST = 10
SPACED = [json.dumps(item) for item in ITEMS]
DENSE = [json.dumps(item, separators=(",", ":")) for item in ITEMS]


def fields(*pairs: tuple[str, str]) -> bytes:
    return urlencode(pairs).encode()


def objects(*pairs: tuple[int, dict[str, str]]) -> bytes:
    return fields(*((f"Items[{index}][{k}]", v) for index, item in pairs for k, v in item.items()))


FORMS = {
    "python, with spaces": fields(*(("Items", text) for text in SPACED)),
    "node, without spaces": fields(*(("Items", text) for text in DENSE)),
    "spaces as %20": "&".join(f"Items={quote(text)}" for text in SPACED).encode(),
    "names escaped": "&".join(f"%49tems={quote_plus(text)}" for text in SPACED).encode(),
    "a list without indexes": fields(*(("Items[]", text) for text in DENSE)),
    "indexes": fields(("Items[0]", DENSE[0]), ("Items[1]", DENSE[1])),
    "indexes, brackets bare": "&".join(
        f"Items[{index}]={quote_plus(text)}" for index, text in enumerate(DENSE)
    ).encode(),
    "indexes out of order": fields(("Items[1]", DENSE[1]), ("Items[0]", DENSE[0])),
    "indexes from one": fields(("Items[1]", DENSE[0]), ("Items[2]", DENSE[1])),
    "indexes as numbers": fields(("Items[10]", DENSE[1]), ("Items[2]", DENSE[0])),
    "objects by index": objects((0, ITEM), (1, BAD_ITEM)),
    "objects by index as numbers": objects((10, BAD_ITEM), (2, ITEM)),
    "objects interleaved": fields(
        *(
            (f"Items[{index}][{name}]", item[name])
            for name in ITEM
            for index, item in enumerate(ITEMS)
        )
    ),
    "go, encoded twice": fields(*(("Items", json.dumps(text)) for text in DENSE)),
    "an array": fields(("Items", json.dumps(ITEMS))),
    "an array encoded twice": fields(("Items", json.dumps(json.dumps(ITEMS)))),
    "an array of texts": fields(("Items", json.dumps(DENSE))),
    "an array and an item": fields(("Items", json.dumps(ITEMS[:1])), ("Items", DENSE[1])),
    "a list and an index": fields(("Items[0]", DENSE[1]), ("Items", DENSE[0])),
    "a text and an object by index": fields(("Items[0]", DENSE[0])) + b"&" + objects((1, BAD_ITEM)),
    "other fields around": b"a=1&" + fields(*(("Items", text) for text in DENSE)) + b"&Items2=3&b",
    "empty pairs around": b"&&" + fields(*(("Items", text) for text in DENSE)) + b"&&",
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_every_form_holds_the_same_items_in_the_same_order(body: bytes) -> None:
    assert form.items(body, MOST) == ITEMS


def test_one_object_from_node_is_one_item() -> None:
    body = fields(*((f"Items[{name}]", value) for name, value in ITEM.items()))
    assert form.items(body, MOST) == [ITEM]


def test_a_null_date_in_an_object_by_index_is_an_empty_text() -> None:
    assert form.items(b"Items[0][date_of_consent]=", MOST) == [{"date_of_consent": ""}]


def test_text_beyond_ascii_is_read_raw_or_escaped() -> None:
    raw = 'Items={"a":"Z\u00fcrich \U0001f600"}'
    assert form.items(raw.encode(), MOST) == [{"a": "Z\u00fcrich \U0001f600"}]
    assert form.items(quote(raw, safe="=").encode(), MOST) == [{"a": "Z\u00fcrich \U0001f600"}]


def test_escaped_signs_inside_an_item_are_read() -> None:
    assert form.items(fields(("Items", '{"a": "&+=%;"}')), MOST) == [{"a": "&+=%;"}]


NOT_JSON = [
    b"Items",
    b"Items=",
    b"Items=x",
    b"Items={",
    b"Items={'a':1}",
    b"Items=NaN",
    b'Items={"a":NaN}',
    b"Items=null",
    b"Items=%",
    b"Items=%zz",
    b"Items=%7B%2",
    b"Items=%ff",
    b"Items=\xff\xfe",
    b"Items=%00",
    b"Items=\x00",
    b'Items="x"',
    b'Items="%5Cud800"',
    b"Items=" + b"[" * 100_000,
    b"Items[]=x",
    b"Items[7]=x",
]


@pytest.mark.parametrize("body", NOT_JSON, ids=shown)
def test_a_value_that_is_not_json_is_one_item(body: bytes) -> None:
    assert form.items(body, MOST) == [None]


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b"Items=1", [1]),
        (b"Items=true", [True]),
        (b"Items=[1,null,true]", [1, None, True]),
        (b"Items=[[1],{}]", [[1], {}]),
        (b'Items=["x","{}","1"]', [None, {}, 1]),
        (b'Items="[1,%5C"{}%5C"]"', [1, {}]),
        (b'Items="%5C"{}%5C""', [None]),
        (b"Items=[]&Items=1", [1]),
        (b"Items=[]", []),
        (b"Items=1&Items=x&Items=2", [1, None, 2]),
        (b"Items[1]=1&Items[0]=x", [None, 1]),
        (b"Items[0]=1&Items[0]=2", [1, 2]),
        (b"Items[0]=[1,2]&Items[1]=3", [1, 2, 3]),
        (b"Items[5]=1&Items=2&Items[]=3", [2, 3, 1]),
        (b"Items[0][a]=1&Items[0][a]=2", [{"a": "2"}]),
        (b"Items[0][a][b]=1", [{"a": "1"}]),
        (b"", []),
        (b"&&", []),
        (b"items=1&ITEMS=2&Item=3&Itemss=4&xItems=5&Items.0=6", []),
        (b"Items[=1&Items]=2&Items[][a]=3", []),
    ],
)
def test_an_odd_body_holds_these_items(body: bytes, items: list[Any]) -> None:
    assert form.items(body, MOST) == items


def test_invalid_utf_8_spoils_only_its_own_item() -> None:
    assert form.items(b'Items=\xff&Items={"a":1}&Items=%fe', MOST) == [None, {"a": 1}, None]


@given(st.text("%+=&Iabz019F;[]\n\r\u00e9", max_size=40).map(str.encode) | st.binary(max_size=20))
@example(b"Items=%")
@example(b"Items=%%41&a")
@example(b"Items=100%&x=%4")
@example(b"Items=%\n41")
@example(b"Items=%C3%28&%49tems=%zz")
def test_any_body_is_parsed_as_the_standard_library_does(body: bytes) -> None:
    expected = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    assert list(form.pairs(body)) == expected


def test_texts_in_arrays_of_too_many_items_are_not_read() -> None:
    with pytest.MonkeyPatch.context() as patch:
        parse = Mock(side_effect=json.loads)
        patch.setattr(json_text, "parse", parse)
        found = form.items(b'Items=["[","["]&Items=["[","["]', 3)

    assert found == ["["] * 4
    assert parse.call_count == 2
