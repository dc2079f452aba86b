"""The colours of a page have the contrast that WCAG asks for, whatever the brand's colour is."""

import pytest
from consents.pages.brand_colours import DARK_PAGE, EDGE, LIGHT_PAGE, TEXT, contrast, palette
from hypothesis import given, settings
from hypothesis import strategies as st

COLOURS = st.binary(min_size=3, max_size=3).map(lambda colour: "#" + colour.hex())


def rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


@settings(max_examples=500)
@given(COLOURS)
def test_every_colour_has_its_contrast(accent: str) -> None:
    colours = palette(accent)

    assert contrast(rgb(colours.on_fill), rgb(colours.fill)) >= TEXT
    assert contrast(rgb(colours.light_text), LIGHT_PAGE) >= TEXT
    assert contrast(rgb(colours.dark_text), DARK_PAGE) >= TEXT
    assert contrast(rgb(colours.light_edge), LIGHT_PAGE) >= EDGE
    assert contrast(rgb(colours.dark_edge), DARK_PAGE) >= EDGE


@given(COLOURS)
def test_the_fill_is_the_brands_colour(accent: str) -> None:
    assert palette(accent).fill == accent


def test_a_dark_colour_is_the_text_on_a_light_page() -> None:
    assert palette("#0f766e").light_text == "#0f766e"


@pytest.mark.parametrize(("accent", "ink"), [("#0f766e", "#ffffff"), ("#facc15", "#000000")])
def test_text_on_the_brands_colour_is_black_or_white(accent: str, ink: str) -> None:
    assert palette(accent).on_fill == ink


def test_black_and_white_have_the_greatest_contrast() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
