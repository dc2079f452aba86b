"""What is built to be deployed: all that the functions need, for what they run on, and no more."""

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
from samcli.yamlhelper import parse_yaml_file

LARGEST_LAYER, LARGEST_ZIP = 20_000_000, 8_000_000
"""Bytes that a cold start reads and fetches. Lambda would take 250 and 50 million."""

MACHINES = {"arm64": 0xB7, "x86_64": 0x3E}
"""`e_machine` of an ELF header."""

MAGIC_OF_3_13, UNCHECKED_HASH = 3571, 0b01
"""The first two fields of bytecode (PEP 552), as the runtime of template.yaml wants them."""

RUNTIMES_OWN = {"boto3", "botocore", "dateutil", "s3transfer", "six.py", "urllib3"}
LEFT_OUT = {"bin", "pip", "py.typed", "RECORD", "test", "tests"} | RUNTIMES_OWN


@dataclass(frozen=True)
class Built:
    """What `sam build` made for an architecture."""

    architecture: str
    folder: Path

    @property
    def template(self) -> dict[str, Any]:
        """The template that is deployed with it."""
        return dict(parse_yaml_file(str(self.folder / "template.yaml")))

    @property
    def layer(self) -> Path:
        """What is under /opt on Lambda."""
        return self.folder / "ConsentsLayer"

    def files(self, pattern: str = "*") -> Iterator[Path]:
        """Return the files of the layer."""
        return (path for path in self.layer.rglob(pattern) if path.is_file())


@pytest.fixture(scope="module", params=MACHINES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Everything, built for an architecture that is deployed to."""
    files = LocalFiles(tmp_path_factory.mktemp("built"))
    sam.build(files, request.param)
    return Built(request.param, files.build)


def locked() -> dict[str, str]:
    """Return what the project imports at run time, as uv.lock has it, without boto3's own needs."""
    packages = tomllib.loads((PROJECT / "uv.lock").read_text())["package"]
    by_name = {package["name"]: package for package in packages}
    found: dict[str, str] = {}
    waiting = ["consent-ledger"]
    while waiting:
        package = by_name[waiting.pop()]
        needed = (one["name"] for one in package.get("dependencies", []))
        new = [name for name in needed if name != "boto3" and name not in found]
        found |= {name: by_name[name]["version"] for name in new}
        waiting += new
    return found


def distribution(folder: Path) -> tuple[str, str]:
    told = HeaderParser().parsestr((folder / "METADATA").read_text())
    return told["Name"].lower().replace("_", "-"), told["Version"]


def test_layer_holds_what_is_locked_and_our_own_package(built: Built) -> None:
    folders = list((built.layer / "python").glob("*.dist-info"))

    assert dict(map(distribution, folders)) == locked()
    assert (built.layer / "python" / "consents" / "capture.py").is_file()


def test_layer_holds_nothing_that_only_development_or_the_runtime_needs(built: Built) -> None:
    names = {part for path in built.files() for part in path.relative_to(built.layer).parts}

    assert names & LEFT_OUT == set()
    assert list(built.files("*.pyi")) == []
    assert [path.name for path in built.layer.iterdir()] == ["python"]


def test_compiled_code_is_for_the_machine_that_is_deployed_to(built: Built) -> None:
    headers = {path.parent.name: path.read_bytes()[:20] for path in built.files("*.so")}

    assert sorted(headers) == ["orjson", "pydantic_core"]
    assert {header[:4] for header in headers.values()} == {b"\x7fELF"}
    machines = {int.from_bytes(header[18:], "little") for header in headers.values()}
    assert machines == {MACHINES[built.architecture]}
    assert {path.suffix for path in built.files()} & {".dll", ".dylib", ".pyd"} == set()


def test_every_module_has_bytecode_that_the_runtime_takes_unasked(built: Built) -> None:
    runtime = built.template["Globals"]["Function"]["Runtime"]
    sources = list(built.files("*.py"))
    bytecode = {path: path.read_bytes() for path in built.files("*.pyc")}

    assert runtime == "python3.13"
    assert bytecode.keys() == {
        path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in sources
    }
    for source in sources:
        told = bytecode[source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"]
        assert int.from_bytes(told[:2], "little") == MAGIC_OF_3_13
        assert int.from_bytes(told[4:8], "little") == UNCHECKED_HASH
        assert told[8:16] == source_hash(source.read_bytes())


def test_bytecode_names_the_place_where_lambda_puts_it(built: Built) -> None:
    (path,) = built.files("capture.cpython-313.pyc")
    code: CodeType = marshal.loads(path.read_bytes()[16:])

    assert code.co_filename == "/opt/python/consents/capture.py"


def test_a_function_is_its_handler_alone(built: Built) -> None:
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


def test_layer_is_within_its_budget(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "layer.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in built.files():
            packed.write(path, path.relative_to(built.layer))

    assert sum(path.stat().st_size for path in built.files()) <= LARGEST_LAYER
    assert (tmp_path / "layer.zip").stat().st_size <= LARGEST_ZIP


def test_an_architecture_that_lambda_has_not_is_no_build(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)

    with pytest.raises(Failed, match="sam build failed"):
        sam.build(files, "x86")
    assert "LAMBDA_ARCHITECTURE is arm64, x86_64 or host, not x86." in files.sam_log.read_text()
