"""A built function in the Lambda runtime client, under the Lambda Runtime Interface Emulator.

The function finds what it finds on AWS: its folder, the layer, the runtime client and boto3.
Nothing of the environment of this command is on its path.
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
    """A function of the local stack, as deployed."""

    name: str
    handler: str
    code: Path
    layer: Path
    seconds: int
    """Its timeout."""
    megabytes: int
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A function that waits for events: the emulator runs one at a time."""

    function: Function
    process: subprocess.Popen[bytes]
    url: str

    def invoke(self, event: bytes) -> Any:
        """Return the response of the function to an event.

        Raises:
            Failed: the function crashed or timed out; the message is that of the runtime.
        """
        request = urllib.request.Request(self.url, event)  # noqa: S310 - always http
        timeout = self.function.seconds + _SECONDS_TO_START
        try:
            with engine.direct().open(request, timeout=timeout) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            text = error.read()
        except OSError as error:
            raise Failed(f"no response from the Lambda emulator: {type(error).__name__}") from None
        return self._parsed(text)

    def _parsed(self, text: bytes) -> Any:
        try:
            response = json.loads(text)
        except ValueError:
            response = {"errorMessage": text.decode(errors="replace")}
        if isinstance(response, dict) and "errorMessage" in response:
            parts = filter(None, [response.get("errorType"), response["errorMessage"]])
            raise Failed(f"{self.function.name}: {': '.join(parts)}")
        return response


def deployed(files: LocalFiles, endpoint_url: str, name: str) -> Function:
    """Return a function by its name in the template, with or without `Function`.

    Raises:
        Failed: there is no such function.
    """
    direct = Config(proxies={})
    names = _functions(
        local_session().client("cloudformation", endpoint_url=endpoint_url, config=direct)
    )
    logical = name if name in names else f"{name}Function"
    if logical not in names:
        raise Failed(f"unknown function {name!r} (choose from {', '.join(sorted(names))})")
    configuration = (
        local_session()
        .client("lambda", endpoint_url=endpoint_url, config=direct)
        .get_function_configuration(FunctionName=names[logical])
    )
    return Function(
        name=configuration["FunctionName"],
        handler=configuration["Handler"],
        code=files.build / logical,
        layer=files.build / sam.LAYER,
        seconds=configuration["Timeout"],
        megabytes=configuration["MemorySize"],
        variables=configuration["Environment"]["Variables"] | _local_aws(endpoint_url),
    )


def _functions(cloudformation: Any) -> dict[str, str]:
    """Return the physical names of all functions by their names in the template."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=LOCAL_NAME)
    return {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for page in pages
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] == "AWS::Lambda::Function"
    }


def _local_aws(endpoint_url: str) -> dict[str, str]:
    """Return the variables that point a function to the local stack."""
    return {
        **LOCAL_CREDENTIALS,
        "AWS_DEFAULT_REGION": LOCAL_REGION,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": LOCAL_REGION,
    }


def emulator() -> Path:
    """Return the Lambda emulator, which is part of aws-sam-cli.

    Raises:
        Failed: there is no emulator for this machine.
    """
    if sys.platform != "linux":
        raise Failed("the Lambda emulator runs only on Linux: use Docker, see README.md")
    name = f"aws-lambda-rie-{sam.architecture()}"
    program = Path(samcli.__file__).parent / "local" / "rapid" / name
    if not os.access(program, os.X_OK):
        raise Failed(f"no executable {name} in aws-sam-cli: run `make install`")
    return program


def prepare(files: LocalFiles) -> Path:
    """Install the locked packages of the Lambda runtime, and return its interpreter.

    Raises:
        Failed: uv failed.
    """
    command = ["uv", "sync", "--frozen", "--quiet", "--compile-bytecode", "--only-group", "runtime"]
    done = subprocess.run(  # noqa: S603 - no argument comes from a user
        command,
        cwd=PROJECT,
        env=sam.environment() | {"UV_PROJECT_ENVIRONMENT": str(files.runtime)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"uv sync of the Lambda runtime failed: {done.stderr}")
    return files.runtime / "bin" / "python"


@contextlib.contextmanager
def running(function: Function, python: Path, log: IO[bytes]) -> Iterator[Runtime]:
    """Run a function in the runtime; its output and that of the runtime go to a log."""
    port, runtime_port = engine.free_port(), engine.free_port()
    process = subprocess.Popen(  # noqa: S603 - no argument comes from a user
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
    """Return the environment variables of a function.

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
        "PYTHONDONTWRITEBYTECODE": "1",  # as on Lambda, where its folder is read-only
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
    raise Failed("the Lambda emulator did not start")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the emulator, which stops the runtime."""
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
