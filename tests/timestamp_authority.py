"""A timestamp authority that OpenSSL plays, and an HTTP server for it or for what fails."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest

CONFIG = """\
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[tsa]
basicConstraints = critical, CA:false
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[ts]
default_tsa = stamps
[stamps]
serial = {directory}/serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
"""
CA = "req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -keyout ca.key -out ca.pem -extensions ca"
REQUEST = "req -newkey rsa:2048 -nodes -subj /CN=tsa -keyout tsa.key -out tsa.csr"
SIGN = "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -out tsa.pem -extensions tsa"

type Respond = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Responds to the query in the body of a request."""


class Authority:
    """A timestamp authority."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Lock()
        self.queries: list[bytes] = []
        (directory / "config").write_text(CONFIG.format(directory=directory))
        (directory / "serial").write_text("01")
        self._openssl(f"{CA} -config config")
        self._openssl(f"{REQUEST} -config config")
        self._openssl(f"{SIGN} -CAcreateserial -extfile config")

    def _openssl(self, command: str) -> None:
        subprocess.run(
            ["openssl", *command.split()], cwd=self._directory, check=True, capture_output=True
        )

    @property
    def roots(self) -> bytes:
        """Return the certificate that a reader trusts."""
        return (self._directory / "ca.pem").read_bytes()

    def query(self, data: bytes, *options: str) -> bytes:
        """Return the query for a timestamp of some bytes, as OpenSSL makes it."""
        (self._directory / "data").write_bytes(data)
        self._openssl(" ".join(["ts -query -data data -cert -out query", *options]))
        return (self._directory / "query").read_bytes()

    def reply(self, query: bytes) -> bytes:
        """Return the response to a query."""
        with self._lock:
            self.queries.append(query)
            (self._directory / "query").write_bytes(query)
            self._openssl(
                "ts -reply -queryfile query -signer tsa.pem -inkey tsa.key "
                "-config config -section stamps -out reply"
            )
            return (self._directory / "reply").read_bytes()

    def stamp(self, data: bytes) -> bytes:
        """Return the timestamp of some bytes."""
        return self.reply(self.query(data, "-sha256"))

    def respond(self, request: BaseHTTPRequestHandler, query: bytes) -> None:
        """Respond to a query over HTTP, as RFC 3161 says."""
        assert request.headers["Content-Type"] == "application/timestamp-query"
        send(request, 200, self.reply(query))


def new_authority(directory: Path) -> Authority:
    """Return a timestamp authority, where there is OpenSSL."""
    if shutil.which("openssl") is None and os.environ.get("CI") != "true":
        pytest.skip("needs openssl")
    return Authority(directory)


def send(request: BaseHTTPRequestHandler, status: int, content: bytes) -> None:
    """Send a response."""
    request.send_response(status)
    request.send_header("Content-Type", "application/timestamp-reply")
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


@contextmanager
def serving(respond: Respond) -> Iterator[str]:
    """Serve what responds to queries, and yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            respond(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
