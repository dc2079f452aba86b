"""Build docs/ into site/: pages by Zensical, diagrams by Mermaid, the API reference by Redoc.

Run it with `make docs`. The site loads nothing from elsewhere.
"""

import json
import re
import shutil
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
SITE = ROOT / "site"
DOWNLOADS = ROOT / ".tools" / "docs"


class Script(NamedTuple):
    """A file of an npm package, with the digest that it must have."""

    package: str
    version: str
    path: str
    digest: str


SCRIPTS = (
    Script(
        "mermaid",
        "11.17.2",
        "dist/mermaid.min.js",
        "581ed7d74bd9048d0e3a91363927d72ef22942d7722546b27f7cc29e35390eb8",
    ),
    Script(
        "redoc",
        "2.5.4",
        "bundles/redoc.standalone.js",
        "dcaf76612bc4a3fbcc923a8966dee2f6146a5f32e5ce1b6f02dd60cbbf89500b",
    ),
)


def main() -> None:
    """Build the site; exit with an error where a link or an anchor is broken."""
    if shutil.which("npm") is None:
        raise SystemExit("npm is not on PATH: `make docs` needs it to download Mermaid and Redoc")
    shutil.rmtree(SITE, ignore_errors=True)
    built = subprocess.run(
        ["zensical", "build", "--strict"],  # noqa: S607
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if built.returncode:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", built.stderr)
        warnings = plain.partition("Traceback")[0]  # --strict ends with one
        raise SystemExit(f"{warnings}the site has warnings: fix them")
    assets = SITE / "assets"
    for script in SCRIPTS:
        (assets / Path(script.path).name).write_bytes(content(script))
    described = yaml.safe_load((ROOT / "docs" / "reference" / "openapi.yaml").read_text())
    # A script, because a page that is opened as a file may not fetch another.
    (assets / "openapi.js").write_text(f"const OPENAPI = {json.dumps(described)};\n")
    print(f"open {SITE / 'index.html'}")  # noqa: T201


def content(script: Script) -> bytes:
    """Return a script, downloaded once."""
    archive = DOWNLOADS / f"{script.package}-{script.version}.tgz"
    if not archive.exists():
        DOWNLOADS.mkdir(parents=True, exist_ok=True)
        subprocess.run(  # noqa: S603
            [  # noqa: S607
                "npm",
                "pack",
                "--silent",
                f"--pack-destination={DOWNLOADS}",
                f"{script.package}@{script.version}",
            ],
            stdout=subprocess.DEVNULL,
            check=True,
        )
    with tarfile.open(archive) as package:
        member = package.extractfile(f"package/{script.path}")
        read = member.read() if member else b""
    if sha256(read).hexdigest() != script.digest:
        archive.unlink()
        raise SystemExit(f"{archive.name}: unexpected content of {script.path}; run it again")
    return read


if __name__ == "__main__":
    main()
