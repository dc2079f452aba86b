"""The witness of the local stack: a process of MiniStack's group that ends when MiniStack does.

`python -m consents_cli.local_witness LOCK` prints its verifier key and its URL, which the stack is
deployed with. It reads the verifier key of its log from standard input, which is known afterwards.
"""

import contextlib
import re
import secrets
import subprocess
import sys
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, cast

from consents_audit import Cosigner
from consents_verify import COSIGNATURE

from consents_cli import locks
from consents_cli.witness import MAX_BODY, Response, Witness

if TYPE_CHECKING:  # it would import the AWS SDK
    from consents_cli.local_files import LocalFiles

NAME = "localhost/witness"

_HOST = "127.0.0.1"
_SECONDS = 10


def start(files: "LocalFiles", group: int) -> subprocess.Popen[str]:
    """Start a witness in the process group of MiniStack; it waits for its log."""
    with files.witness_log.open("wb") as errors:
        return subprocess.Popen(  # noqa: S603 - no argument comes from a user
            (sys.executable, "-m", __name__, str(files.engine_lock)),
            cwd=files.scratch,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            process_group=group,
        )


def policy(process: subprocess.Popen[str]) -> str:
    """Return the policy that asks a witness, or an empty text if it did not start."""
    key_and_url = cast(IO[str], process.stdout).readline().rstrip()
    return f"witness local {key_and_url}\nquorum local\n" if key_and_url else ""


def watch(process: subprocess.Popen[str], log: str) -> None:
    """Have a witness watch a log, named by its verifier key."""
    given = cast(IO[str], process.stdin)
    with contextlib.suppress(BrokenPipeError):
        given.write(f"{log}\n")
        given.close()


def handler(witness: Witness) -> type[BaseHTTPRequestHandler]:
    """Return the class that handles the requests to a witness."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/add-checkpoint":
                self._send(Response(404))
            elif not re.fullmatch("[0-9]{1,6}", length) or int(length) > MAX_BODY:
                self._send(Response(400))
            else:
                self._send(witness.add_checkpoint(self.rfile.read(int(length))))

        def _send(self, response: Response) -> None:
            content = response.body.encode()
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def serve(lock: Path) -> None:
    """Print a new witness, read the log that it watches, and serve until a lock is free."""
    cosigner = Cosigner(NAME, secrets.token_bytes(32))
    server = ThreadingHTTPServer((_HOST, 0), BaseHTTPRequestHandler)  # requests wait from now on
    key = b64encode(COSIGNATURE + cosigner.public).decode()
    url = f"http://{_HOST}:{server.server_port}"
    sys.stdout.write(f"{NAME}+{cosigner.id.hex()}+{key} {url}\n")
    sys.stdout.flush()
    server.RequestHandlerClass = handler(Witness(sys.stdin.readline().strip(), cosigner))
    Thread(target=server.serve_forever, daemon=True).start()
    locks.wait(lock)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
