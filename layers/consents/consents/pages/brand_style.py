"""The brand's colours as a style sheet, and the policy that lets a page have it."""

from base64 import b64encode
from hashlib import sha256

from markupsafe import Markup

from consents.domain.sender_profile import SenderProfile
from consents.pages.brand_colours import palette
from consents.pages.templating import style

_POLICY = (
    "default-src 'none'; style-src {styles}; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def brand_style(profile: SenderProfile | None) -> Markup:
    """Return the brand's colours as a style sheet: of hex digits, whatever the profile has."""
    if profile is None:
        return Markup()
    colours = palette(profile.accent)
    light = _variables(
        brand=colours.light_text,
        edge=colours.light_edge,
        page=colours.light_page,
        tint=colours.light_tint,
    )
    dark = _variables(
        brand=colours.dark_text,
        edge=colours.dark_edge,
        page=colours.dark_page,
        tint=colours.dark_tint,
    )
    fill = _variables(fill=colours.fill) + f"--on-fill:{colours.on_fill};"
    return Markup(  # noqa: S704 - computed numbers
        f":root{{{fill}{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    )


def policy(profile: SenderProfile | None) -> str:
    """Return the content security policy of a page of a brand, or of none."""
    styles = " ".join(f"'{_hash(each)}'" for each in (style(), brand_style(profile)) if each)
    return _POLICY.format(styles=styles)


def _variables(**colours: str) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
