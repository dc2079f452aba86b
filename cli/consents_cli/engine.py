"""MiniStack, the local AWS: one process with its workers, in a separate process group."""

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
SERVICES = (
    "apigateway,cloudformation,cloudwatch,dynamodb,dynamodbstreams,events,iam,kms,lambda,logs,s3,"
    "secretsmanager,sns,sqs,sts"
)

COMMAND = (sys.executable, "-m", "consents_cli.ministack_with_streams")
"""How to run MiniStack."""

_SECONDS_TO_START = 60
_SECONDS_TO_STOP = 10
_INHERITED = ("LANG", "LC_ALL", "PATH")


def url(port: int) -> str:
    """Return the endpoint URL, which is the same for every service."""
    return f"http://{HOST}:{port}"


def check_port(port: int) -> None:
    """Raise `Failed` if a port is in use."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise Failed(
                f"port {port} is not available: {os.strerror(error.errno or 0).lower()}; "
                "choose another with --port"
            ) from None


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def start(files: LocalFiles, port: int) -> subprocess.Popen[bytes]:
    """Start MiniStack, which holds `files.engine_lock` while it runs.

    Raises:
        Failed: another process holds the lock.
    """
    lock = locks.take(files.engine_lock)
    if lock is None:
        raise Failed("a local stack is running already: stop it with `consents local down`")
    try:
        shutil.rmtree(files.scratch, ignore_errors=True)
        files.scratch.mkdir()
        with files.engine_log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - no argument comes from a user
                COMMAND,
                cwd=files.scratch,
                env=environment(files, port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # which the witness can join
                pass_fds=[lock],
            )
        locks.name_holder(lock, process.pid)
    finally:
        os.close(lock)
    return process


def wait_until_ready(process: subprocess.Popen[bytes], files: LocalFiles, port: int) -> None:
    """Wait until MiniStack responds, or raise `Failed` if it does not start."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            direct().open(f"{url(port)}/_ministack/health", timeout=2).close()
            return
        time.sleep(0.05)
    raise Failed(f"MiniStack did not start: read {files.engine_log}")


def stop(files: LocalFiles) -> bool:
    """Kill MiniStack and all its workers; return whether it was running.

    They hold everything in memory, and `LocalFiles.clear` removes their files.
    """
    leader = locks.holder(files.engine_lock)
    if leader is None:
        return False
    deadline = time.monotonic() + _SECONDS_TO_STOP
    while _kill_group(leader) and time.monotonic() < deadline:
        time.sleep(0.02)
    return True


def _kill_group(leader: int) -> bool:
    """Kill a process group; return whether it existed."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-leader, os.WNOHANG)  # reap those that are children of this process
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def direct() -> urllib.request.OpenerDirector:
    """Return an opener that ignores proxies."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def environment(files: LocalFiles, port: int) -> dict[str, str]:
    """Return the environment of MiniStack, with almost nothing of the user's.

    MiniStack passes its environment on to the functions, and reads many settings from it.
    """
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "HOME": str(files.scratch),
        "IOT_MTLS_ENABLED": "0",
        "SERVICES": SERVICES,
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(files.scratch / "state"),
        "TMPDIR": str(files.scratch),
    }
