"""A server on this machine that takes requests and does one thing with each."""

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

type Act = Callable[[socket.socket], None]
"""Does something with the connection of a request that has arrived whole."""


class Server:
    """Keeps the requests that it gets, as bytes."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.requests: list[bytes] = []
        self.is_over = threading.Event()
        self.url = ""

    def handle(self, connection: socket.socket) -> None:
        """Take the request of a connection, and act."""
        with suppress(OSError):
            received = _whole_request(connection)
            if received:
                self.requests.append(received)
                self.act(connection)

    def stall(self, _connection: socket.socket) -> None:
        """Send nothing until the test is over."""
        self.is_over.wait(30)


def answer(status: int, body: bytes, **headers: str) -> Act:
    """Return what sends a response and closes the connection."""
    fields = {"Content-Length": str(len(body)), "Connection": "close"} | headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    response = f"HTTP/1.1 {status} -\r\n{lines}\r\n".encode() + body
    return lambda connection: connection.sendall(response)


def reset(connection: socket.socket) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def garbage(connection: socket.socket) -> None:
    """Send what is no response."""
    connection.sendall(b"\x00\xff not HTTP\r\n\r\n")


@contextmanager
def serving(act: Act | None = None) -> Iterator[Server]:
    """Run a server; without an act it stalls."""
    server = Server(lambda _: None)
    server.act = act or server.stall

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            server.handle(self.request)

    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Threads(("127.0.0.1", 0), Handler) as listener:
        server.url = f"http://127.0.0.1:{listener.server_address[1]}"
        threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.is_over.set()
            listener.shutdown()


def _whole_request(connection: socket.socket) -> bytes:
    """Return a request with its body, or what came before the end of the connection."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
        head, found, body = received.partition(b"\r\n\r\n")
        if found and len(body) >= _length(head):
            break
    return received


def _length(head: bytes) -> int:
    lines = head.decode("latin-1").lower().split("\r\n")
    return next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
