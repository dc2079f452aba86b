"""The build for each architecture: everything that the functions need, and nothing else."""

import marshal
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.util import source_hash
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from consents_cli import sam
from consents_cli.errors import Failed
from consents_cli.local_files import PROJECT, LocalFiles
from ministack.services.cloudformation import language_extensions
from samcli.yamlhelper import parse_yaml_file

from tests.e2e.conftest import Build

LARGEST_LAYER, LARGEST_ZIP = 38_000_000, 14_000_000
"""Bytes of the layer and its archive, 15 and 6 million of them cryptography's, which is loaded with
the first consent id. The limits of Lambda are 250 and 50 million."""

MACHINES = {"arm64": 0xB7, "x86_64": 0x3E}
"""`e_machine` of an ELF header."""

MAGIC_OF_3_13, UNCHECKED_HASH = 3571, 0b01
"""The first two fields of bytecode (PEP 552), as the runtime of template.yaml needs them."""

RUNTIMES_OWN = {"boto3", "botocore", "dateutil", "s3transfer", "six.py", "urllib3"}
UNPACKED = {"boto3", "cffi", "pycparser"}
"""Locked, but not in the layer: the runtime has boto3, and of cffi only compiled code is needed."""

LEFT_OUT = {"bin", "pip", "py.typed", "RECORD", "test", "tests"} | RUNTIMES_OWN


@dataclass(frozen=True)
class Built:
    """The output of `sam build` for an architecture."""

    architecture: str
    folder: Path

    @property
    def template(self) -> dict[str, Any]:
        """The template that is deployed with it, with its loops expanded."""
        template = parse_yaml_file(str(self.folder / "template.yaml"))
        return dict(language_extensions.apply(template, {}))

    @property
    def layer(self) -> Path:
        """The folder that Lambda mounts at /opt."""
        return self.folder / "ConsentsLayer"

    def files(self, pattern: str = "*") -> Iterator[Path]:
        """Return the files of the layer."""
        return (path for path in self.layer.rglob(pattern) if path.is_file())


@pytest.fixture(scope="module", params=MACHINES)
def built(request: pytest.FixtureRequest, build_for: Build) -> Built:
    """The build for one of Lambda's architectures."""
    return Built(request.param, build_for(request.param).build)


def locked() -> dict[str, str]:
    """Return the locked run-time dependencies, without what the layer leaves out."""
    packages = tomllib.loads((PROJECT / "uv.lock").read_text())["package"]
    by_name = {package["name"]: package for package in packages}
    found: dict[str, str] = {}
    waiting = ["consent-ledger"]
    while waiting:
        package = by_name[waiting.pop()]
        needed = (one["name"] for one in package.get("dependencies", []))
        new = [name for name in needed if name not in UNPACKED | found.keys()]
        found |= {name: by_name[name]["version"] for name in new}
        waiting += new
    return found


def distribution(folder: Path) -> tuple[str, str]:
    metadata = HeaderParser().parsestr((folder / "METADATA").read_text())
    return metadata["Name"].lower().replace("_", "-"), metadata["Version"]


def test_layer_has_the_locked_packages_and_consents(built: Built) -> None:
    folders = list((built.layer / "python").glob("*.dist-info"))

    assert dict(map(distribution, folders)) == locked()
    assert (built.layer / "python" / "consents" / "wiring.py").is_file()


def test_layer_has_no_package_of_development_or_the_runtime(built: Built) -> None:
    names = {part for path in built.files() for part in path.relative_to(built.layer).parts}

    assert names & LEFT_OUT == set()
    assert list(built.files("*.pyi")) == []
    assert [path.name for path in built.layer.iterdir()] == ["python"]


def test_compiled_code_is_for_the_deployed_architecture(built: Built) -> None:
    headers = {path.name.split(".")[0]: path.read_bytes()[:20] for path in built.files("*.so")}

    assert sorted(headers) == ["_cffi_backend", "_pydantic_core", "_rust", "_speedups", "orjson"]
    assert {header[:4] for header in headers.values()} == {b"\x7fELF"}
    machines = {int.from_bytes(header[18:], "little") for header in headers.values()}
    assert machines == {MACHINES[built.architecture]}
    assert {path.suffix for path in built.files()} & {".dll", ".dylib", ".pyd"} == set()


def test_every_module_has_unchecked_bytecode_of_the_runtime(built: Built) -> None:
    runtime = built.template["Globals"]["Function"]["Runtime"]
    sources = list(built.files("*.py"))
    bytecode = {path: path.read_bytes() for path in built.files("*.pyc")}

    assert runtime == "python3.13"
    assert bytecode.keys() == {
        path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in sources
    }
    for source in sources:
        compiled = bytecode[source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"]
        assert int.from_bytes(compiled[:2], "little") == MAGIC_OF_3_13
        assert int.from_bytes(compiled[4:8], "little") == UNCHECKED_HASH
        assert compiled[8:16] == source_hash(source.read_bytes())


def test_bytecode_has_the_path_of_the_layer_on_lambda(built: Built) -> None:
    (path,) = built.files("attested.cpython-313.pyc")
    code: CodeType = marshal.loads(path.read_bytes()[16:])

    assert code.co_filename == "/opt/python/consents/capture/attested.py"


def test_function_has_its_handler_and_nothing_else(built: Built) -> None:
    resources = built.template["Resources"]
    functions = {
        name for name, one in resources.items() if one["Type"] == "AWS::Serverless::Function"
    }

    assert {path.name for path in built.folder.iterdir()} == {
        *functions,
        "ConsentsLayer",
        "template.yaml",
    }
    held = {
        path.relative_to(built.folder)
        for name in functions
        for path in built.folder.glob(f"{name}/**/*")
    }
    assert held == {Path(name) / "app.py" for name in functions}


def test_layer_is_within_its_size_budget(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "layer.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in built.files():
            packed.write(path, path.relative_to(built.layer))

    assert sum(path.stat().st_size for path in built.files()) <= LARGEST_LAYER
    assert (tmp_path / "layer.zip").stat().st_size <= LARGEST_ZIP


def test_unknown_architecture_is_rejected_by_the_build(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)

    with pytest.raises(Failed, match="sam build failed"):
        sam.build(files, "x86")
    assert "LAMBDA_ARCHITECTURE is arm64, x86_64 or host, not x86." in files.sam_log.read_text()
