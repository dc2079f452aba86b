"""Cutting a file into parts: bounded, consecutive, and the same from every place."""

import pytest
from consents.imports.import_state import Place
from consents.imports.parts import (
    BYTES_PER_PART,
    MAX_PARTS,
    ROWS_PER_PART,
    check_length,
    cut,
    place_after,
)
from consents.imports.rows import MAX_ROW_BYTES, Row, UnreadableFile
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.one_of(st.integers(1, 3000), st.just(MAX_ROW_BYTES), st.just(MAX_ROW_BYTES + 1))
TABLES = st.lists(st.tuples(SIZES, st.integers(1, 1500)), max_size=6)


def rows_of(table: list[tuple[int, int]]) -> list[Row]:
    """Return rows of hardly any content, of given sizes so many times; some are blank."""
    return [
        Row(b"x" * (size % 2) if size <= MAX_ROW_BYTES else None, size)
        for size, times in table
        for _ in range(times if size <= 3000 else 1)
    ]


@given(TABLES)
def test_parts_are_small_and_follow_one_another(table: list[tuple[int, int]]) -> None:
    found = rows_of(table)
    place, sent = Place(), 0
    for part in cut(found, place):
        in_part = found[part.place.row - 1 :][: part.rows]
        sizes = [row.size for row in in_part]
        sent += any(row.content != b"" for row in in_part)
        assert part.place == place
        assert part.end == place.offset + sum(sizes)
        assert 1 <= part.rows <= ROWS_PER_PART
        assert sum(sizes) <= BYTES_PER_PART or part.rows == 1
        assert part.too_long == (sizes[0] > MAX_ROW_BYTES)
        place = place_after(part)
    assert place == Place(1 + sent, sum(row.size for row in found), 1 + len(found))


@given(TABLES)
def test_parts_are_the_same_from_every_place_of_one(table: list[tuple[int, int]]) -> None:
    found = rows_of(table)
    whole = list(cut(found, Place()))

    for index, part in enumerate(whole):
        assert list(cut(found[part.place.row - 1 :], part.place)) == whole[index:]


def test_a_blank_part_has_the_number_of_the_next_part() -> None:
    blank, filled = cut([Row(b"", 1)] * 1000 + [Row(b"x", 2)], Place())

    assert blank.is_blank
    assert not filled.is_blank
    assert (blank.place.part, filled.place.part) == (1, 1)


def test_a_row_that_is_too_long_is_a_part_and_never_blank() -> None:
    before, too_long, after = cut([Row(b"x", 2), Row(None, 9), Row(b"y", 2)], Place())

    assert (before.too_long, too_long.too_long, after.too_long) == (False, True, False)
    assert not too_long.is_blank


LAST_PLACES = {
    "parts": Place(part=MAX_PARTS + 1, offset=7, row=9),
    "rows": Place(part=3, offset=7, row=MAX_PARTS * ROWS_PER_PART + 1),
}
PLACES_TOO_FAR = {
    "parts": Place(part=MAX_PARTS + 2, offset=7, row=9),
    "rows": Place(part=3, offset=7, row=MAX_PARTS * ROWS_PER_PART + 2),
}


@pytest.mark.parametrize("place", LAST_PLACES.values(), ids=LAST_PLACES)
def test_a_file_may_have_parts_and_rows_up_to_the_limit(place: Place) -> None:
    check_length(place)


@pytest.mark.parametrize("place", PLACES_TOO_FAR.values(), ids=PLACES_TOO_FAR)
def test_a_file_with_one_part_or_row_more_is_unreadable(place: Place) -> None:
    with pytest.raises(UnreadableFile, match=r"^must have at most 200000 parts of 1000 rows"):
        check_length(place)
