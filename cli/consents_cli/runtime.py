"""A built function in AWS's own runtime client, under AWS's emulator of Lambda.

There it finds what it finds on AWS: its folder, the layer, the runtime client and boto3. Nothing of
the environment that this command runs in is on its path.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import samcli
from botocore.config import Config

from consents_cli import engine, sam
from consents_cli.errors import Failed
from consents_cli.local_files import PROJECT, LocalFiles
from consents_cli.stack import LOCAL_CREDENTIALS, LOCAL_NAME, LOCAL_REGION, local_session

_SECONDS_TO_START = 30
_SECONDS_TO_STOP = 10


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the local stack, as it is deployed."""

    name: str
    handler: str
    code: Path
    layer: Path
    seconds: int
    """After how many it is cut off."""
    megabytes: int
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A function that waits for events, one at a time: the emulator knows no concurrency."""

    function: Function
    process: subprocess.Popen[bytes]
    url: str

    def invoke(self, event: bytes) -> Any:
        """Return the function's answer to an event.

        Raises:
            Failed: it gave none; the message is what the runtime says of it.
        """
        request = urllib.request.Request(self.url, event)  # noqa: S310 - of our own making
        longest = self.function.seconds + _SECONDS_TO_START
        try:
            with engine.direct().open(request, timeout=longest) as told:
                text = told.read()
        except urllib.error.HTTPError as error:
            text = error.read()
        except OSError as error:
            raise Failed(f"AWS's emulator gave no answer: {type(error).__name__}") from None
        return self._answer(text)

    def _answer(self, text: bytes) -> Any:
        try:
            answer = json.loads(text)
        except ValueError:
            answer = {"errorMessage": text.decode(errors="replace")}
        if isinstance(answer, dict) and "errorMessage" in answer:
            told = filter(None, [answer.get("errorType"), answer["errorMessage"]])
            raise Failed(f"{self.function.name}: {': '.join(told)}")
        return answer


def deployed(files: LocalFiles, endpoint_url: str, name: str) -> Function:
    """Return a function of the local stack by its name in the template, `Function` left out or not.

    Raises:
        Failed: there is none.
    """
    direct = Config(proxies={})
    names = _functions(
        local_session().client("cloudformation", endpoint_url=endpoint_url, config=direct)
    )
    logical = name if name in names else f"{name}Function"
    if logical not in names:
        raise Failed(f"there is no function {name!r}, but {', '.join(sorted(names))}")
    told = (
        local_session()
        .client("lambda", endpoint_url=endpoint_url, config=direct)
        .get_function_configuration(FunctionName=names[logical])
    )
    return Function(
        name=told["FunctionName"],
        handler=told["Handler"],
        code=files.build / logical,
        layer=files.build / "ConsentsLayer",
        seconds=told["Timeout"],
        megabytes=told["MemorySize"],
        variables=told["Environment"]["Variables"] | _local_aws(endpoint_url),
    )


def _functions(cloudformation: Any) -> dict[str, str]:
    """Return the physical names of the stack's functions by their names in the template."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=LOCAL_NAME)
    return {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for page in pages
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] == "AWS::Lambda::Function"
    }


def _local_aws(endpoint_url: str) -> dict[str, str]:
    """Return the variables that lead a function to the local stack."""
    return {
        **LOCAL_CREDENTIALS,
        "AWS_DEFAULT_REGION": LOCAL_REGION,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": LOCAL_REGION,
    }


def emulator() -> Path:
    """Return AWS's emulator, which comes with aws-sam-cli.

    Raises:
        Failed: there is none for this machine.
    """
    if sys.platform != "linux":
        raise Failed("AWS's emulator runs on Linux alone; README.md says what Docker can do")
    name = f"aws-lambda-rie-{sam.architecture()}"
    program = Path(samcli.__file__).parent / "local" / "rapid" / name
    if not os.access(program, os.X_OK):
        raise Failed(f"aws-sam-cli has no {name}, or one that cannot be run")
    return program


def prepare(files: LocalFiles) -> Path:
    """Install what AWS's runtime has, as it is locked, and return the interpreter that finds it.

    Raises:
        Failed: uv could not.
    """
    command = ["uv", "sync", "--frozen", "--quiet", "--compile-bytecode", "--only-group", "runtime"]
    done = subprocess.run(  # noqa: S603 - the arguments are our own
        command,
        cwd=PROJECT,
        env=sam.environment() | {"UV_PROJECT_ENVIRONMENT": str(files.runtime)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"uv sync of AWS's runtime failed: {done.stderr}")
    return files.runtime / "bin" / "python"


@contextlib.contextmanager
def running(function: Function, python: Path, log: IO[bytes]) -> Iterator[Runtime]:
    """Run a function in the runtime; what it prints goes to a log, with what AWS adds."""
    port, runtime_port = engine.free_port(), engine.free_port()
    process = subprocess.Popen(  # noqa: S603 - the arguments are our own
        [
            emulator(),
            *("--log-level", "error"),
            *("--runtime-interface-emulator-address", f"{engine.HOST}:{port}"),
            *("--runtime-api-address", f"{engine.HOST}:{runtime_port}"),
            *(python, "-m", "awslambdaric", function.handler),
        ],
        cwd=function.code,
        env=environment(function),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        _wait_until_ready(process, port)
        url = f"{engine.url(port)}/2015-03-31/functions/function/invocations"
        yield Runtime(function, process, url)
    finally:
        _end(process)


def environment(function: Function) -> dict[str, str]:
    """Return all that a function knows of its surroundings.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return {
        **function.variables,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.megabytes),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.seconds),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "LAMBDA_TASK_ROOT": str(function.code),
        "LANG": "en_US.UTF-8",
        "PATH": os.defpath,
        "PYTHONDONTWRITEBYTECODE": "1",  # as where the folder of a function cannot be written to
        "PYTHONPATH": f"{function.code}{os.pathsep}{function.layer / 'python'}",
        "TZ": ":UTC",
    }


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection((engine.HOST, port), timeout=1).close()
            return
        time.sleep(0.02)
    raise Failed("AWS's emulator did not start")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the emulator, which ends the runtime."""
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
