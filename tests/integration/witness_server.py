"""A witness behind an HTTP server."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.unit.witness_model import WitnessModel


@contextmanager
def serving(witness: WitnessModel, *, hangs: bool = False) -> Iterator[str]:
    """Serve a witness, and yield its URL; it hangs until its client goes, or responds."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/log/add-checkpoint"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if hangs:
                self.rfile.read()
                return
            reply = witness.add_checkpoint(body)
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/log"
        server.shutdown()
