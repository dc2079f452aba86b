"""The threat model names files that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_threat_model_names_files_that_exist() -> None:
    pages = [ROOT / "SECURITY.md", ROOT / "docs/design/threat-model.md"]
    text = "\n".join(page.read_text() for page in pages if page.exists())
    named = re.findall(r"`((?:consents|docs|layers|tests)/[\w/.-]+)`", text)

    assert len(named) > 10
    for path in named:
        place = f"layers/consents/{path}" if path.startswith("consents/") else path
        assert (ROOT / place).exists(), path
