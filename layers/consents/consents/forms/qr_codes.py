"""The link of an open form as a QR code. It loads segno: only what shows a code imports it."""

from io import BytesIO, StringIO

import segno
from markupsafe import Markup

from consents.http.response import Response

_QUIET_ZONE = 4
"""Modules around a code, as ISO/IEC 18004 demands; they are white, also on a dark page."""

_HEADERS = {
    "Content-Type": "image/svg+xml",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def image(url: str) -> Response:
    """Return a QR code as an SVG image that scales to any size."""
    content = BytesIO()
    _code(url).save(content, kind="svg", border=_QUIET_ZONE, light="#fff", omitsize=True, title=url)
    return Response(200, content.getvalue(), _HEADERS, final=False)


def markup(url: str) -> Markup:
    """Return a QR code as an SVG element of a page."""
    svg = _code(url).svg_inline(border=_QUIET_ZONE, light="#fff", omitsize=True)
    return Markup(svg)  # noqa: S704 - segno's own, of numbers alone


def terminal(url: str) -> str:
    """Return a QR code for a terminal, in half blocks."""
    shown = StringIO()
    _code(url).terminal(shown, border=_QUIET_ZONE, compact=True)
    return shown.getvalue()


def _code(url: str) -> segno.QRCode:
    return segno.make(url, error="m", micro=False)
