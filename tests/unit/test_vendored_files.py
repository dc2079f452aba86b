"""Files of others in the repository are those that their authors published."""

from hashlib import sha256

from consents_console.rendering import STATIC

HTMX = "2.0.11"


def test_htmx_is_the_published_file_and_its_license_is_beside_it() -> None:
    content = (STATIC / "htmx.min.js").read_bytes()
    assert sha256(content).hexdigest() == SHA256
    assert f'version:"{HTMX}"'.encode() in content
    assert (STATIC / "htmx.LICENSE.txt").read_text().startswith("Zero-Clause BSD")


SHA256 = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""Of `dist/htmx.min.js` in the package `htmx.org` of npm."""
