"""The colours of a page, from the brand's one colour: each text and edge has enough contrast.

Contrast is the ratio of WCAG 2.2: 4.5 for text, 3 for edges of controls.
"""

from typing import NamedTuple

TEXT, EDGE = 4.5, 3.0

LIGHT_PAGE = (0xF7, 0xF8, 0xFA)
"""The darkest light background that text in the brand's colour has."""
DARK_PAGE = (0x1D, 0x23, 0x2C)
"""The lightest dark background that text in the brand's colour has."""

_LIGHT_TINT, _DARK_TINT = (0xEE, 0xF1, 0xF4), (0x0D, 0x11, 0x17)
_TINT, _BADGE_TINT = 0.07, 0.16
"""How much of the brand's colour is in the page around the card, and in a badge."""

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_STEPS = 64

type Colour = tuple[int, int, int]


class Palette(NamedTuple):
    """Colours as `#rrggbb`: the brand's own, the text on it; text, edges and tints of each page."""

    fill: str
    on_fill: str
    light_text: str
    light_edge: str
    light_page: str
    light_tint: str
    dark_text: str
    dark_edge: str
    dark_page: str
    dark_tint: str


def palette(accent: str) -> Palette:
    """Return the colours of a page with this brand colour, `#rrggbb`."""
    brand = _parse(accent)
    return Palette(
        fill=_text(brand),
        on_fill=_text(max(_BLACK, _WHITE, key=lambda ink: contrast(ink, brand))),
        light_text=_text(_moved(brand, _BLACK, LIGHT_PAGE, TEXT)),
        light_edge=_text(_moved(brand, _BLACK, LIGHT_PAGE, EDGE)),
        light_page=_text(_mixed(_LIGHT_TINT, brand, _TINT)),
        light_tint=_text(_mixed(_LIGHT_TINT, brand, _BADGE_TINT)),
        dark_text=_text(_moved(brand, _WHITE, DARK_PAGE, TEXT)),
        dark_edge=_text(_moved(brand, _WHITE, DARK_PAGE, EDGE)),
        dark_page=_text(_mixed(_DARK_TINT, brand, _TINT)),
        dark_tint=_text(_mixed(DARK_PAGE, brand, _BADGE_TINT)),
    )


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _moved(colour: Colour, toward: Colour, page: Colour, wanted: float) -> Colour:
    """Return a colour moved toward black or white as far as the contrast needs."""
    moved = colour
    for step in range(_STEPS + 1):
        moved = _mixed(colour, toward, step / _STEPS)
        if contrast(moved, page) >= wanted:
            break
    return moved


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _luminance(colour: Colour) -> float:
    red, green, blue = map(_linear, colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: int) -> float:
    share = channel / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def _parse(accent: str) -> Colour:
    red, green, blue = bytes.fromhex(accent[1:])
    return red, green, blue


def _text(colour: Colour) -> str:
    return "#" + bytes(colour).hex()
