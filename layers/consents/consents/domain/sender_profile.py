"""How a sender presents itself to the people who agree to its messages."""

from dataclasses import dataclass

DEFAULT_ACCENT = "#0f766e"

MAX_LOGO_BYTES = 24 * 1024

_PNG, _RIFF, _WEBP = b"\x89PNG\r\n\x1a\n", b"RIFF", b"WEBP"


@dataclass(frozen=True, slots=True)
class SenderProfile:
    """The profile of a sender; an empty text is not set.

    `accent` is `#rrggbb`, `logo` a `data:` URL. `countries` are the regions that texts go to, as
    ISO 3166 codes; empty: the sender's country.
    """

    brand: str
    legal_name: str
    program: str = ""
    frequency: str = ""
    terms_url: str = ""
    privacy_url: str = ""
    help_contact: str = ""
    accent: str = DEFAULT_ACCENT
    logo: str = ""
    countries: tuple[str, ...] = ()


def image_type(content: bytes) -> str | None:
    """Return the media type of a PNG or WebP image by its first bytes, or None."""
    if content.startswith(_PNG):
        return "image/png"
    if content.startswith(_RIFF) and content[8:12] == _WEBP:
        return "image/webp"
    return None
