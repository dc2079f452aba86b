"""The type of a logo, by its first bytes."""

import pytest
from consents.domain.sender_profile import image_type


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"<svg onload=alert(1)>", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"", None),
    ],
)
def test_only_png_and_webp_have_a_type(content: bytes, kind: str | None) -> None:
    assert image_type(content) == kind
