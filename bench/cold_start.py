"""Cold starts: processes that import a built function and handle one event.

`sam build` builds functions and layer as they are deployed. The idiom is compiled the same way and
uses the same layer. The packages of the runtime come last on both paths, as on Lambda.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from compileall import compile_dir
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import TemporaryDirectory

from bench import page, processes
from bench.cases import CASES, Case, Limits
from bench.directory import authorization
from bench.result import ROUNDS, Result
from bench.side import Round, counts

ROOT = Path(__file__).parents[1]
RUNTIME = (
    "__pycache__",  # of six.py
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "s3transfer",
    "six.py",
    "urllib3",
)
"""Packages of the Lambda runtime, which the layer therefore omits."""

API = ("CaptureConsents", "CreateBulkConsents", "CaptureConsent", "NotFound")
FILES = ("CreateImport", "GetImport", "ListImports", "PlanImport", "ImportPart", "FailImport")
"""These have clients that the idiom lacks: they are compared, but have no limit."""
_IMPORT, _FIRST_RESPONSE = Limits(cpu=0.25), Limits(cpu=0.2)
_OPENED, _SUBMITTED = Limits(cpu=1.25), Limits(cpu=1.6)
"""Beside a bulk request; a submission loads the phone number library."""


PROCESS = """
import json, os, sys
module, event = sys.argv[1:]
sys.stdout = open(os.devnull, "w")
handler = __import__(module, fromlist=["handler"]).handler
if event:
    from bench.context import Context
    response = handler(json.loads(event), Context())
    sys.exit(0 if response["statusCode"] in (200, 201) else 1)
"""


@dataclass(frozen=True)
class Function:
    """The module that a process imports, its path and its environment variables."""

    module: str
    path: Sequence[Path]
    environment: dict[str, str]

    def start(self, event: str) -> Round:
        """Run a process that imports the module and handles an event, unless it is empty."""
        counts(self.environment["AWS_ENDPOINT_URL"])
        environment = self.environment | {"PYTHONPATH": os.pathsep.join(map(str, self.path))}
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-c", PROCESS, self.module, event],
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            preexec_fn=partial(processes.pin, processes.cores()[1]),
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{self.module} did not start, or returned an error")
        cpu = used.ru_utime + used.ru_stime
        return Round(cpu * 1000, wall * 1000, *counts(self.environment["AWS_ENDPOINT_URL"]))


def measure() -> Iterator[Result]:
    """Start every function, in turns with the idiom."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(processes.stub())
        for side in processes.SIDES:
            running = stack.enter_context(processes.side(side, endpoint))
            running.round(CASES[0].name, "cold start")  # this fills its tables
        built = Path(stack.enter_context(TemporaryDirectory()))
        _build(built)
        for name in (*API, *FILES):
            limits = _IMPORT if name in API else Limits()
            functions = _ours(built, endpoint, name), _idiom(built, endpoint, name)
            yield _measured(f"cold start: import of {name}", limits, functions, ("", ""))
        for name, case in (
            (API[0], _first("capture_consents")),
            (API[1], _first("create_bulk_consents")),
        ):
            functions = _ours(built, endpoint, name), _idiom(built, endpoint, name)
            event = json.dumps(case.event("cold", authorization(case)))
            title = f"cold start: import and first response of {name}"
            yield _measured(title, _FIRST_RESPONSE, functions, (event, event))
        yield from _pages(built, endpoint)


def _pages(built: Path, endpoint: str) -> Iterator[Result]:
    """Start the functions of pages, in turns with a route of our API."""
    route, case = _ours(built, endpoint, API[0]), _first("capture_consents")
    page.store(endpoint, route.environment["FORMS_TABLE"])
    of_route = json.dumps(case.event("cold", authorization(case)))
    for name, limits, event in (
        ("ServeForm", _OPENED, page.opened()),
        ("SubmitForm", _SUBMITTED, page.submitted()),
    ):
        functions = _ours(built, endpoint, name), route
        title = f"cold start: import and first response of {name} / {API[0]}"
        yield _measured(title, limits, functions, (event, of_route))


def _first(route: str) -> Case:
    """Return a request of 25 good records, without an idempotency key."""
    found = next(case for case in CASES if case.route == route and case.accepted == 25)
    return replace(found, keyed=False)


def _measured(
    title: str, limits: Limits, functions: tuple[Function, Function], events: tuple[str, str]
) -> Result:
    pairs = [
        tuple(function.start(event) for function, event in zip(functions, events, strict=True))
        for _ in range(1 + ROUNDS)
    ]
    ours, idiom = zip(*pairs[1:], strict=True)
    return Result(title, limits, ours, idiom)


def _build(built: Path) -> None:
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(
        ["sam", "build", "--build-dir", str(built / "sam"), "--cache-dir", str(built / "cache")],
        cwd=ROOT,
        env=os.environ | {"PATH": tools, "LAMBDA_ARCHITECTURE": "host"},
        check=True,
        capture_output=True,
    )
    site = Path(sysconfig.get_path("purelib"))
    (built / "runtime").mkdir()
    for name in RUNTIME:
        (built / "runtime" / name).symlink_to(site / name)
    shutil.copytree(ROOT / "bench" / "idiom", built / "idiom" / "bench" / "idiom")
    shutil.copy(ROOT / "bench" / "context.py", built / "idiom" / "bench")
    mode = PycInvalidationMode.UNCHECKED_HASH
    compile_dir(built / "idiom", quiet=1, invalidation_mode=mode)


def _ours(built: Path, endpoint: str, name: str) -> Function:
    return _function(built, endpoint, "bench.ours", "app", built / "sam" / f"{name}Function")


def _idiom(built: Path, endpoint: str, name: str) -> Function:
    route = "create_bulk_consents" if name == "CreateBulkConsents" else "capture_consents"
    return _function(built, endpoint, "bench.idiom.side", f"bench.idiom.{route}")


def _function(built: Path, endpoint: str, side: str, module: str, *first: Path) -> Function:
    path = (*first, built / "idiom", built / "sam" / "ConsentsLayer" / "python", built / "runtime")
    return Function(module, path, processes.environment(endpoint, side))
