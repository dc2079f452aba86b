"""Hostile bodies: each API responds to any body in valid JSON."""

import json
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import pytest
from consents.capture import attested, bulk_consents
from consents.domain.errors import RequestError
from consents.http import json_api
from consents.http.response import Response
from hypothesis import example, given
from hypothesis import strategies as st

from tests.factories import (
    CHECKBOX,
    ITEM,
    NOW,
    READ_CONTEXT,
    all_stored,
    form_body,
    verbal_json,
)

# Half surrogate pairs among them: `json.dumps` writes them as clients send them, escaped.
TEXTS = st.text(st.characters(), max_size=12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
ODD_VALUES = JSON | st.sampled_from([10**400, [[]] * 50, "\ud800", "+1", "2026-02-30T00:00:00Z"])


def spoiled(good: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Draw a good object of which some fields are missing, odd or strange."""
    fields = {name: st.just(value) | ODD_VALUES for name, value in good.items()}
    return st.builds(
        lambda known, strange: strange | known,
        st.fixed_dictionaries({}, optional=fields),
        st.dictionaries(TEXTS, JSON, max_size=2),
    )


EVIDENCE = spoiled(CHECKBOX["evidence"]) | spoiled(verbal_json()["evidence"])
RECORDS = st.one_of(
    st.builds(
        lambda record, evidence: record | {"evidence": evidence}, spoiled(CHECKBOX), EVIDENCE
    ),
    st.builds(lambda evidence: CHECKBOX | {"evidence": evidence}, EVIDENCE),
    spoiled(CHECKBOX),
    JSON,
)
ITEMS = st.one_of(spoiled(ITEM), st.just(ITEM), JSON)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """Draw a good body with a piece of it replaced by any bytes."""
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 20)))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


def reject(constant: str) -> NoReturn:
    raise ValueError(constant)


def parsed(response: Response) -> Any:
    """Return the JSON of a response, read as strictly as any client would."""
    return json.loads(response.body.decode("utf-8"), parse_constant=reject)


# --- the Attested Consent API ---

GOOD_BATCH = as_json({"records": [CHECKBOX, verbal_json()]})


def batch_response(body: bytes) -> Response:
    try:
        records = attested.parse_batch(body, None)
        attested.phone_number_ids(records)
        return attested.render_batch(all_stored(attested.read(r, READ_CONTEXT) for r in records))
    except RequestError as error:
        return json_api.render_error(error, "id")


def single_response(body: bytes) -> Response:
    try:
        sent = json_api.parse_object(body, None)
        attested.phone_number_ids([sent])
        record = attested.read_single(sent, READ_CONTEXT)
        return attested.render_single("id", record, already_opted_in=False)
    except RequestError as error:
        return json_api.render_error(error, "id")


@given(st.binary(max_size=60) | JSON.map(as_json) | mutated(GOOD_BATCH))
@example(b'{"records":' + b"[" * 1020 + b"1" + b"]" * 1020 + b"}")
@example(b'{"records":' + b"[" * 5000 + b"1" + b"]" * 5000 + b"}")
@example(b'{"records":[' + b'{"evidence":' * 5000 + b"1" + b"}" * 5000 + b"]}")
def test_any_batch_body_has_a_json_response(body: bytes) -> None:
    response = batch_response(body)
    assert response.status in {200, 400, 422}
    assert isinstance(parsed(response), dict)


@given(st.binary(max_size=60) | JSON.map(as_json) | mutated(as_json(CHECKBOX)))
def test_any_single_body_has_a_json_response(body: bytes) -> None:
    response = single_response(body)
    assert response.status in {201, 400, 404, 422}
    assert isinstance(parsed(response), dict)


@given(st.lists(RECORDS, min_size=1, max_size=5))
def test_each_record_of_a_batch_is_accepted_or_rejected(records: list[Any]) -> None:
    response = parsed(batch_response(as_json({"records": records})))
    indexes = [rejected["index"] for rejected in response["rejected"]]
    assert response["accepted"] + len(indexes) == len(records)
    assert indexes == sorted(set(indexes) & set(range(len(records))))


@given(st.lists(RECORDS, min_size=1, max_size=3))
def test_every_reason_has_known_words_and_fields_and_is_short(records: list[Any]) -> None:
    words = {*attested.MESSAGES.values(), "is required", "must be an object", "not found"}
    words.add("must not be in the future")
    fields = {*attested.MESSAGES, "evidence"}
    for rejected in parsed(batch_response(as_json({"records": records})))["rejected"]:
        for fault in rejected["reason"].split("; "):
            field, _, message = fault.rpartition(": ")
            assert message in words
            assert field in fields or fault == "must be an object"
        assert len(rejected["reason"]) < 600


# --- the Bulk Consents API ---

GOOD_FORM = form_body([ITEM, ITEM])
TOKENS = list(bulk_consents.TOKENS.values())


def form_response(body: bytes) -> Response:
    try:
        items = bulk_consents.parse_batch(body)
        return bulk_consents.render_batch(items, all_stored(bulk_consents.read_batch(items, NOW)))
    except RequestError as error:
        return bulk_consents.render_error(error, "id")


NAMES = st.sampled_from(
    [
        *("Items", "Items[]", "Items[0]", "Items[3]", "Items[0][status]", "Items[status]"),
        *("Items[", "Items]", "Items[][]", "Items[][a]", "Items[-1]", "Items[9999999999]"),
        *("Items[0][a][b]", "Items[0][]", "Items[0]x", "Items[[0]]", "Items[\u0661]", "items", ""),
    ]
)
PAIRS = st.lists(st.tuples(NAMES, TEXTS | ITEMS.map(json.dumps)), max_size=5)


def escaped(pairs: list[tuple[str, str]]) -> bytes:
    return urlencode(pairs, errors="replace").encode()


@given(
    st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=40).map(b"Items=".__add__),
        st.text('%0123456789abcdefI+&=[]{}"', max_size=40).map(
            lambda text: b"Items=" + text.encode()
        ),
        mutated(GOOD_FORM),
        PAIRS.map(escaped),
    )
)
@example(b"Items=" + b"[" * 5000 + b"1" + b"]" * 5000)
@example(b"Items=" + b'{"a":' * 5000 + b"1" + b"}" * 5000)
@example(b'Items={"correlation_id":' + b"[" * 5000 + b"1" + b"]" * 5000 + b"}")
def test_any_form_body_has_a_json_response(body: bytes) -> None:
    response = form_response(body)
    assert response.status in {201, 400}
    assert isinstance(parsed(response), dict)


@given(
    st.lists(ITEMS.filter(lambda item: not isinstance(item, list | str)), min_size=1, max_size=5)
)
def test_every_item_has_a_result_with_tokens_in_their_order(items: list[Any]) -> None:
    results = parsed(form_response(form_body(items)))["items"]
    assert len(results) == len(items)
    for result in results:
        named = [TOKENS.index(token) for token in result["error_messages"]]
        assert named == sorted(set(named))
        assert result["error_code"] == (30646 if named else 0)


# JSON values that come back the same from JSON, and are items by themselves: an array would be
# spliced, a text decoded again.
EXACT_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
EXACT = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | EXACT_TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(EXACT_TEXTS, inner, max_size=3),
    max_leaves=6,
)
EXACT_ITEMS = st.lists(
    st.dictionaries(EXACT_TEXTS, EXACT, max_size=4) | st.integers(0, 9) | st.none(),
    min_size=1,
    max_size=6,
)


def dense(item: Any) -> str:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False)


ENCODINGS: dict[str, Callable[[list[Any]], bytes]] = {
    "python": form_body,
    "node": lambda items: urlencode([("Items", dense(item)) for item in items]).encode(),
    "percent": lambda items: "&".join(f"Items={quote(dense(item))}" for item in items).encode(),
    "raw utf-8": lambda items: "&".join(
        "Items=" + dense(item).replace("%", "%25").replace("&", "%26").replace("+", "%2B")
        for item in items
    ).encode(),
    "unindexed": lambda items: urlencode([("Items[]", dense(item)) for item in items]).encode(),
    "indexed": lambda items: urlencode(
        [(f"Items[{index}]", dense(item)) for index, item in enumerate(items)]
    ).encode(),
    "indexed, last first": lambda items: urlencode(
        [(f"Items[{index}]", dense(items[index])) for index in reversed(range(len(items)))]
    ).encode(),
    "go": lambda items: form_body([dense(item) for item in items]),
    "array": lambda items: form_body([items]),
    "array, encoded twice": lambda items: form_body([dense(items)]),
}


@given(st.sampled_from(list(ENCODINGS)), EXACT_ITEMS)
def test_items_are_read_as_they_were_sent(encoding: str, items: list[Any]) -> None:
    assert bulk_consents.parse_batch(ENCODINGS[encoding](items)) == items


FIELD_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="]"), max_size=8)


@given(
    st.lists(
        st.dictionaries(FIELD_NAMES, EXACT_TEXTS, min_size=1, max_size=4), min_size=1, max_size=5
    ),
    st.randoms(use_true_random=False),
)
def test_objects_by_index_are_read_in_any_order(items: list[dict[str, str]], random: Any) -> None:
    pairs = [
        (f"Items[{index}][{name}]", value)
        for index, item in enumerate(items)
        for name, value in item.items()
    ]
    random.shuffle(pairs)
    assert bulk_consents.parse_batch(urlencode(pairs).encode()) == items


# --- who calls ---

HEADERS = st.builds(
    "{}{}".format, st.sampled_from(["", "Basic ", "basic", "Bearer ", "BEARER  ", " "]), st.text()
)


@pytest.mark.parametrize(
    "secret", [json_api.secret, bulk_consents.secret], ids=["attested", "bulk"]
)
@given(header=HEADERS | st.text() | st.text("QUMx=+/ \n:", max_size=20).map("Basic {}".format))
def test_any_authorization_header_has_a_secret_or_an_empty_text(
    secret: Callable[[str], str], header: str
) -> None:
    assert secret(header).partition(":")[0] in {"", "basic", "bearer"}
