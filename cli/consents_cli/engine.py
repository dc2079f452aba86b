"""The local AWS: one MiniStack process with its workers, in a process group of their own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from consents_cli import locks
from consents_cli.errors import Failed
from consents_cli.local_files import LocalFiles

HOST = "127.0.0.1"
SERVICES = "apigateway,cloudformation,cloudwatch,dynamodb,iam,lambda,logs,s3,secretsmanager,sqs,sts"

_SECONDS_TO_START = 60
_SECONDS_TO_STOP = 10
_PASSED_ON = ("LANG", "LC_ALL", "PATH")


def url(port: int) -> str:
    """Return the endpoint of every service."""
    return f"http://{HOST}:{port}"


def check_port(port: int) -> None:
    """Raise `Failed` where something listens already."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise Failed(
                f"port {port} cannot be used ({os.strerror(error.errno or 0).lower()}): "
                "name another with --port"
            ) from None


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def start(files: LocalFiles, port: int) -> subprocess.Popen[bytes]:
    """Start the engine, which holds `files.engine_lock` as long as it lives.

    Raises:
        Failed: one holds it already.
    """
    lock = locks.take(files.engine_lock)
    if lock is None:
        raise Failed("a local stack is running already")
    try:
        shutil.rmtree(files.scratch, ignore_errors=True)
        files.scratch.mkdir()
        with files.engine_log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ministack"],
                cwd=files.scratch,
                env=environment(files, port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock],
            )
        locks.name_holder(lock, process.pid)
    finally:
        os.close(lock)
    return process


def wait_until_ready(process: subprocess.Popen[bytes], files: LocalFiles, port: int) -> None:
    """Return when the engine answers, or raise `Failed` when it does not."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            direct().open(f"{url(port)}/_ministack/health", timeout=2).close()
            return
        time.sleep(0.05)
    raise Failed(f"MiniStack did not start: see {files.engine_log}")


def stop(files: LocalFiles) -> bool:
    """End the engine and all its workers, and tell whether there was one.

    They are killed: what they hold is in memory, and what they leave in files is ours to remove.
    """
    leader = locks.holder(files.engine_lock)
    if leader is None:
        return False
    deadline = time.monotonic() + _SECONDS_TO_STOP
    while _kill_group(leader) and time.monotonic() < deadline:
        time.sleep(0.02)
    return True


def _kill_group(leader: int) -> bool:
    """Kill a process group, and tell whether there was anything to kill."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(leader, os.WNOHANG)  # where it is our own child, it stays until it is asked for
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def direct() -> urllib.request.OpenerDirector:
    """Return an opener that goes through no proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def environment(files: LocalFiles, port: int) -> dict[str, str]:
    """Return all that the engine, and so every function, knows of the user's environment.

    MiniStack hands its own environment on to the functions, and reads dozens of settings from it.
    """
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "HOME": str(files.scratch),
        "IOT_MTLS_ENABLED": "0",
        "SERVICES": SERVICES,
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(files.scratch / "state"),
        "TMPDIR": str(files.scratch),
    }
