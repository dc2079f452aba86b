"""The bytes of a dropped file split into rows, and each row parsed."""

import csv
import io
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise, repeat
from typing import Any

import pytest
from consents.capture import attested, bulk_consents
from consents.domain.record import ConsentRecord
from consents.imports import rows
from consents.imports.rows import MAX_ROW_BYTES, Row, UnreadableFile, UnreadableRow
from hypothesis import example, given
from hypothesis import strategies as st

from tests.factories import CHECKBOX, ITEM, NOW, OWNED, READ_CONTEXT, TEXT, shown

BOM = b"\xef\xbb\xbf"
MIB = 1024 * 1024


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def split(data: bytes, *, quoted: bool) -> list[Row]:
    return list(rows.split([data], quoted=quoted))


def contents(data: bytes, *, quoted: bool) -> list[bytes | None]:
    return [record.content for record in split(data, quoted=quoted)]


def parsed(text: Iterable[str]) -> list[list[str]]:
    """Return what Python's own reader makes of a text, valid or not."""
    return list(csv.reader(text))


MARKS = ["\n", "\r\n", ",", '"', '""', ',"', '",', '"\n', " ", "a", "\u00fc", "\U0001f600"]
TEXTS = st.lists(st.sampled_from(MARKS), max_size=40).map("".join)


@st.composite
def texts_in_pieces(draw: st.DrawFn) -> list[bytes]:
    data = draw(TEXTS).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


# Splitting


@given(pieces=texts_in_pieces(), quoted=st.booleans())
def test_rows_do_not_depend_on_the_pieces_of_a_stream(pieces: list[bytes], quoted: bool) -> None:
    whole = b"".join(pieces)
    assert list(rows.split(pieces, quoted=quoted)) == split(whole, quoted=quoted)
    assert list(rows.split(cut(whole, 1), quoted=quoted)) == split(whole, quoted=quoted)


@given(text=TEXTS, quoted=st.booleans())
def test_the_sizes_of_rows_add_up_to_the_file(text: str, quoted: bool) -> None:
    data = text.encode()
    records = split(data, quoted=quoted)
    ends = list(accumulate((record.size for record in records), initial=0))
    found = [data[start:end].removesuffix(b"\n") for start, end in pairwise(ends)]
    assert found == [record.content for record in records]
    assert ends[-1] == len(data)


@given(text=TEXTS, quoted=st.booleans())
def test_splitting_may_begin_at_any_boundary(text: str, quoted: bool) -> None:
    data = text.encode()
    whole = split(data, quoted=quoted)
    starts = accumulate((record.size for record in whole), initial=0)
    for index, start in enumerate(starts):
        assert split(data[start:], quoted=quoted) == whole[index:]


@given(text=TEXTS)
@example('5" pipe,x\n5" pipe,"a\nb"\n')
@example('"a"b"c\n"d\n"')
@example('"a""\n""b"\n""""\n')
def test_rows_of_csv_end_where_the_csv_module_ends_them(text: str) -> None:
    file = io.BytesIO(text.encode())
    sizes = [record.size for record in split(file.getvalue(), quoted=True)]
    found = [parsed([file.read(size).decode()]) for size in sizes]
    assert found == [[cells] for cells in parsed(io.StringIO(text, newline=""))]


DIALECTS = [("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL)]
CELL = st.text(st.sampled_from('",\r\n ab\u00fc\u2028\U0001f600'), max_size=6)
WIDTH = 3


@given(
    table=st.lists(st.lists(CELL, min_size=WIDTH, max_size=WIDTH), max_size=6),
    dialect=st.sampled_from(DIALECTS),
)
def test_each_row_of_the_csv_module_is_read_with_its_cells(
    table: list[list[str]], dialect: tuple[str, Any]
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=dialect[0], quoting=dialect[1]).writerows(table)
    names = [f"column{index}" for index in range(WIDTH)]
    read = [
        rows.csv_row(content, names) for content in contents(file.getvalue().encode(), quoted=True)
    ]
    filled = [dict(zip(names, cells, strict=True)) for cells in table]
    assert read == [{name: cell for name, cell in row.items() if cell} for row in filled]


LINE_ENDS = [
    (b"", []),
    (b"\n", [b""]),
    (b"a", [b"a"]),
    (b"a\n", [b"a"]),
    (b"a\nb", [b"a", b"b"]),
    (b"a\r\nb\r\n", [b"a\r", b"b\r"]),
    (b"a\n\n \nb", [b"a", b"", b" ", b"b"]),
]


@pytest.mark.parametrize("quoted", [False, True], ids=["jsonl", "csv"])
@pytest.mark.parametrize(("data", "expected"), LINE_ENDS, ids=shown)
def test_each_line_is_a_row_without_its_newline(
    data: bytes, expected: list[bytes], quoted: bool
) -> None:
    assert contents(data, quoted=quoted) == expected


QUOTES = [
    (b'"a\nb",c\nd', [b'"a\nb",c', b"d"]),
    (b'"a\r\n\r\nb"\r\nc', [b'"a\r\n\r\nb"\r', b"c"]),
    (b'x,"a""\n""b"\nc', [b'x,"a""\n""b"', b"c"]),
    (b'""\n"",""\n', [b'""', b'"",""']),
    (b'5" pipe,x\n6" pipe,y\n', [b'5" pipe,x', b'6" pipe,y']),
    (b'5" pipe,"a\nb"\nc', [b'5" pipe,"a\nb"', b"c"]),
    (b' "a\nb"\n', [b' "a', b'b"']),
    (b'"a"b"\nc', [b'"a"b"', b"c"]),
    (b'a,b\n"c\nd\n', [b"a,b", b'"c\nd']),
    (BOM + b'"a\nb",c\nd', [BOM + b'"a\nb",c', b"d"]),
]


@pytest.mark.parametrize(("data", "expected"), QUOTES, ids=shown)
def test_a_quote_opens_a_cell_of_several_lines_only_at_its_start(
    data: bytes, expected: list[bytes]
) -> None:
    assert contents(data, quoted=True) == expected


def test_a_quote_means_nothing_in_jsonl() -> None:
    assert contents(b'"a\n"b', quoted=False) == [b'"a', b'"b']


# Rows that are too long

LONGEST = b"x" * (MAX_ROW_BYTES - 1)


@pytest.mark.parametrize("quoted", [False, True], ids=["jsonl", "csv"])
@pytest.mark.parametrize("size", [1000, MIB, 3 * MIB])
def test_a_row_over_the_limit_is_counted_and_not_kept(size: int, quoted: bool) -> None:
    data = LONGEST + b"\n" + LONGEST + b"x\n" + LONGEST + b"xx" + b"\n" + LONGEST + b"x"
    assert list(rows.split(cut(data, size), quoted=quoted)) == [
        Row(LONGEST, MAX_ROW_BYTES),
        Row(None, MAX_ROW_BYTES + 1),
        Row(None, MAX_ROW_BYTES + 2),
        Row(LONGEST + b"x", MAX_ROW_BYTES),
    ]


@pytest.mark.parametrize("size", [1000, MIB, 3 * MIB])
@pytest.mark.parametrize("opened", [b'"', b'x,"', b'"a""', BOM + b'"'], ids=shown)
def test_an_open_quote_takes_only_rows_up_to_the_limit(opened: bytes, size: int) -> None:
    lost = opened + (b"lost " * 100 + b"\n") * (MAX_ROW_BYTES // 500)
    lost = lost[: lost.index(b"\n", MAX_ROW_BYTES) + 1]
    data = b"a,b\n" + lost + b'next,row\n"two\nlines"\n'
    assert list(rows.split(cut(data, size), quoted=True)) == [
        Row(b"a,b", 4),
        Row(None, len(lost)),
        Row(b"next,row", 9),
        Row(b'"two\nlines"', 12),
    ]


def test_a_cell_closed_just_in_time_is_kept() -> None:
    row = b'"\n' + LONGEST[4:] + b'\n"'
    assert split(row + b"\nnext", quoted=True) == [Row(row, MAX_ROW_BYTES), Row(b"next", 4)]


def test_a_cell_closed_too_late_is_not_kept() -> None:
    row = b'"\n' + LONGEST[3:] + b'\n"'
    assert split(row + b"\nnext", quoted=True) == [
        Row(None, MAX_ROW_BYTES + 1),
        Row(b"next", 4),
    ]


def test_a_cell_open_at_the_limit_ends_with_the_next_line() -> None:
    full = b'"' + LONGEST[1:] + b"\n"
    assert split(full + b"lost\nnext", quoted=True) == [
        Row(None, MAX_ROW_BYTES + 5),
        Row(b"next", 4),
    ]


@pytest.mark.parametrize(
    "piece", [b"x" * MIB, b"," * MIB, b'"' * MIB, b'",' * (MIB // 2)], ids=shown
)
@pytest.mark.parametrize("quoted", [False, True], ids=["jsonl", "csv"])
def test_a_line_of_64_mib_takes_little_memory(piece: bytes, quoted: bool) -> None:
    tracemalloc.start()
    try:
        (record,) = rows.split(repeat(piece, 64), quoted=quoted)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert record == Row(None, 64 * MIB)
    assert peak < 8 * MIB


def test_a_row_of_many_short_lines_takes_little_memory() -> None:
    lines = b"0123456789abcde\n" * (MIB // 16)
    pieces = [b'"' + lines, lines[:1600]]
    tracemalloc.start()
    try:
        sizes = [record.size for record in rows.split(pieces, quoted=True)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sizes == [MIB + 1, *[16] * 100]
    assert peak < 16 * MIB


@pytest.mark.parametrize(
    "row", [b"+41790000000,opt-in\n", b'"a","b ""c"""\n', b'"a\nb",c\n'], ids=shown
)
def test_no_row_of_many_is_lost(row: bytes) -> None:
    data = row * 10_000
    records = rows.split(cut(data, 16 * 1024), quoted=True)
    assert list(records) == [Row(row[:-1], len(row))] * 10_000


def test_a_long_row_in_many_tiny_pieces_is_one_row() -> None:
    row = b'"' + b"x\n" * 30_000 + b'"'
    assert list(rows.split(cut(row, 1), quoted=True)) == [Row(row, len(row))]


# Blank lines


@pytest.mark.parametrize("line", [b"", b" ", b"\r", b"\t \r", BOM, BOM + b"\r"], ids=shown)
def test_a_line_of_white_space_is_blank(line: bytes) -> None:
    assert rows.is_blank(line)


@pytest.mark.parametrize("line", [b"a", b",,", b'""', b"{}", b"\xff", None], ids=shown)
def test_any_other_line_is_a_row(line: bytes | None) -> None:
    assert not rows.is_blank(line)


# The header of a CSV

HEADERS: list[tuple[bytes, Sequence[str | None]]] = [
    (b"status,source", ["status", "source"]),
    (b"source,status\r", ["source", "status"]),
    (BOM + b"status,source", ["status", "source"]),
    (BOM + b'"status","source"', ["status", "source"]),
    (b" status ,\tsource\r", ["status", "source"]),
    (b'"status\n",source', ["status", "source"]),
    (b"note,status,,", [None, "status", None, None]),
    (b"note,note,status", [None, None, "status"]),
    (b"Status,source", [None, "source"]),
    (b"status" + b"," * 999, ["status", *[None] * 999]),
    ("Bemerkung f\u00fcr uns,status".encode(), [None, "status"]),
]


@pytest.mark.parametrize(("content", "names"), HEADERS, ids=shown)
def test_a_header_names_columns_and_others_are_ignored(
    content: bytes, names: Sequence[str | None]
) -> None:
    assert rows.header(content, bulk_consents.TOKENS) == tuple(names)


NAME_ONE = "row 1, the header, must name one of " + ", ".join(bulk_consents.TOKENS)
NOT_UTF8 = "must be UTF-8"
NOT_CSV = "must be CSV, all quotes closed or doubled"
ONLY_CR = "must end in LF or CRLF, not in CR"
TOO_LONG = "must end in LF or CRLF, all quotes closed, within 1048576 bytes"
BAD_HEADERS = [
    (b"", NAME_ONE),
    (b"\r", NAME_ONE),
    (BOM, NAME_ONE),
    (b",,", NAME_ONE),
    (b"secret,other", NAME_ONE),
    (b"status;source", NAME_ONE),
    (b"status\tsource", NAME_ONE),
    (b"status,source, status", "the header must name status once"),
    (b"status,secret\xff", f"the header {NOT_UTF8}"),
    ("status,source".encode("utf-16"), f"the header {NOT_UTF8}"),
    (b'status,"source', f"the header {NOT_CSV}"),
    (b'"status"secret,source', f"the header {NOT_CSV}"),
    (b"status,source\ropt-in,website\r", f"the header {ONLY_CR}"),
    (b'"status","source"\r"opt-in","website"\r', f"the header {ONLY_CR}"),
    (b'status,"source\ropt-in,website\r', f"the header {NOT_CSV}"),
    (b"status" + b"," * 1000, "the header must have at most 1000 columns"),
    (None, f"the header {TOO_LONG}"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_HEADERS, ids=shown)
def test_a_file_without_a_header_is_unreadable_with_a_reason(
    content: bytes | None, reason: str
) -> None:
    with pytest.raises(UnreadableFile) as raised:
        rows.header(content, bulk_consents.TOKENS)
    assert str(raised.value) == reason


# Rows

NAMES = ("opted_in", None, "evidence.captured_at", "evidence.form_url", "contact_number")
ROWS: list[tuple[bytes, dict[str, Any]]] = [
    (b"", {}),
    (b",,,,", {}),
    (b"yes", {"opted_in": "yes"}),
    (b",ignored,,,+1", {"contact_number": "+1"}),
    (b",,then,there,", {"evidence": {"captured_at": "then", "form_url": "there"}}),
    (b",,,there,", {"evidence": {"form_url": "there"}}),
    (b",,then", {"evidence": {"captured_at": "then"}}),
    (b",,,,+1,,\r", {"contact_number": "+1"}),
    (b",,,, ", {"contact_number": " "}),
    (b',,,,"a, ""b""\r\nc"\r', {"contact_number": 'a, "b"\r\nc'}),
    (b',,,,5" pipe', {"contact_number": '5" pipe'}),
    (b",,,,true", {"contact_number": "true"}),
    (b",,,,\x00", {"contact_number": "\x00"}),
    (BOM + b'"true",', {"opted_in": True}),
    ("\u00fc,,,,\U0001f600".encode(), {"opted_in": "\u00fc", "contact_number": "\U0001f600"}),
    (b"," + b"x" * 200_000 + b",,,+1", {"contact_number": "+1"}),
]


@pytest.mark.parametrize(("content", "record"), ROWS, ids=shown)
def test_a_row_of_csv_is_read_without_its_empty_cells(
    content: bytes, record: dict[str, Any]
) -> None:
    assert rows.csv_row(content, NAMES) == record


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("TRUE", True),
        ("True", True),
        ("false", False),
        ("FALSE", False),
        ("1", "1"),
        ("yes", "yes"),
        (" true", " true"),
    ],
)
def test_only_true_and_false_are_booleans(text: str, value: bool | str) -> None:
    assert rows.csv_row(text.encode(), NAMES) == {"opted_in": value}


BAD_ROWS = [
    (b"a,b,c,d,e,secret", "must have no more cells than the header"),
    (b"a,b,c,d,e,,secret", "must have no more cells than the header"),
    (b"secret\xff", NOT_UTF8),
    (b"\xed\xa0\x80", NOT_UTF8),
    (b'secret,"', NOT_CSV),
    (b'"secret"x,b', NOT_CSV),
    (b"secret\rx", ONLY_CR),
    (b'"secret"\r"x"\r', ONLY_CR),
    (b'"secret\r"x\r', NOT_CSV),
    (None, TOO_LONG),
]


@pytest.mark.parametrize(("content", "reason"), BAD_ROWS, ids=shown)
def test_a_row_that_is_not_csv_is_unreadable_with_a_reason(
    content: bytes | None, reason: str
) -> None:
    with pytest.raises(UnreadableRow) as raised:
        rows.csv_row(content, NAMES)
    assert str(raised.value) == reason


@pytest.mark.parametrize("content", [b'{"a": [1]}', BOM + b'{"a":[1]}\r'], ids=shown)
def test_a_line_of_jsonl_is_a_value(content: bytes) -> None:
    assert rows.json_row(content) == {"a": [1]}


NOT_JSON = "must be JSON in UTF-8"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{secret", NOT_JSON),
        (b"", NOT_JSON),
        (b'{"a":"\xff"}', NOT_JSON),
        ('{"a":1}'.encode("utf-16"), NOT_JSON),
        (None, TOO_LONG),
    ],
    ids=shown,
)
def test_a_line_that_is_not_json_is_unreadable_with_a_reason(
    content: bytes | None, reason: str
) -> None:
    with pytest.raises(UnreadableRow) as raised:
        rows.json_row(content)
    assert str(raised.value) == reason


def test_a_bad_row_does_not_change_the_rows_around_it() -> None:
    good, bad, last = contents(b"opt-in\n\xff\nopt-out\n", quoted=True)
    assert rows.csv_row(good, ["status"]) == {"status": "opt-in"}
    with pytest.raises(UnreadableRow):
        rows.csv_row(bad, ["status"])
    assert rows.csv_row(last, ["status"]) == {"status": "opt-out"}


# As the APIs read them


def flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    return {
        path: text
        for name, value in record.items()
        for path, text in (
            flat(value, f"{name}.") if isinstance(value, dict) else {prefix + name: value}
        ).items()
    }


def written(record: dict[str, Any]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, flat(record))
    writer.writeheader()
    writer.writerow(flat(record))
    return file.getvalue().encode()


def only_row(data: bytes, columns: Iterable[str]) -> Any:
    first, row = contents(data, quoted=True)
    return rows.csv_row(row, rows.header(first, tuple(columns)))


def test_a_row_of_csv_is_the_same_attested_record_as_its_json() -> None:
    sent = CHECKBOX | {"evidence": CHECKBOX["evidence"] | {"agreement_text": f'{TEXT}\r\n"Yes", I'}}
    row = only_row(written(sent), attested.MESSAGES)
    assert row == sent
    assert isinstance(attested.read(row, READ_CONTEXT), ConsentRecord)


def test_a_row_of_csv_is_the_same_item_as_its_json() -> None:
    row = only_row(written(ITEM), bulk_consents.TOKENS)
    assert row == ITEM
    assert isinstance(bulk_consents.read(row, NOW), ConsentRecord)


def test_a_text_that_is_not_a_boolean_is_a_fault_of_its_field() -> None:
    row = only_row(written(CHECKBOX | {"opted_in": "yes"}), attested.MESSAGES)
    result = attested.read(row, READ_CONTEXT)
    assert not isinstance(result, ConsentRecord)
    assert result.faults == (("opted_in", "must be true or false"),)


def test_an_empty_cell_is_an_absent_field() -> None:
    row = only_row(f"phone_number_id,opted_in\n{OWNED},\n".encode(), attested.MESSAGES)
    result = attested.read(row, READ_CONTEXT)
    assert not isinstance(result, ConsentRecord)
    assert dict(result.faults) == dict.fromkeys(
        ["contact_number", "opted_in", "evidence"], "is required"
    )
