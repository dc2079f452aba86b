"""HTTP/1.1 over kept-alive connections, several requests at a time, in one thread.

Only what DynamoDB sends is a response: a status line, headers with a `Content-Length`, and exactly
so many bytes. Everything else is a `Broken` exchange: the caller repeats it by other means.
"""

import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import NamedTuple
from zlib import crc32

MAX_CONNECTIONS = 40

MAX_HEADER_BYTES = 16 * 1024
MAX_BODY_BYTES = 17 * 1024 * 1024
"""DynamoDB sends at most 16 MB."""

CONNECT_SECONDS, READ_SECONDS = 1.0, 2.0

MAX_IDLE_SECONDS = 30
"""A connection that was idle for longer may have died silently, as while a function is frozen."""

_CHUNK = 256 * 1024


class Response(NamedTuple):
    """A whole response. The names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Broken(NamedTuple):
    """An exchange without a usable response; whether the request was carried out is not known."""

    reason: str


class ProtocolError(Exception):
    """The peer sent what is no response."""


def parse(received: bytes | bytearray) -> tuple[Response, bool] | None:
    """Return a response and whether its connection may be kept, or None if it is not whole yet.

    Raises:
        ProtocolError: it can become no response, or bytes follow it.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > MAX_HEADER_BYTES:
            raise ProtocolError("header too long")
        return None
    status_line, *lines = received[:end].decode("latin-1").split("\r\n")
    status = status_of(status_line)
    headers = headers_of(lines)
    length = content_length(headers)
    body = bytes(received[end + 4 :])
    if len(body) > length:
        raise ProtocolError("bytes after the response")
    if len(body) < length:
        return None
    check_crc32(headers, body)
    keep = status_line.startswith("HTTP/1.1") and headers.get("connection", "").lower() != "close"
    return Response(status, headers, body), keep


def status_of(line: str) -> int:
    """Return the status of a status line (RFC 9112, section 4)."""
    version, _, rest = line.partition(" ")
    code = rest[:3]
    if version not in {"HTTP/1.1", "HTTP/1.0"} or not (code.isascii() and code.isdigit()):
        raise ProtocolError("no status line")
    return int(code)


def headers_of(lines: Iterable[str]) -> dict[str, str]:
    """Return the header fields by name (RFC 9112, section 5); a repeated one is refused."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip():
            raise ProtocolError("no header field")
        if name in headers:
            raise ProtocolError("repeated header field")
        headers[name] = value.strip()
    return headers


def content_length(headers: dict[str, str]) -> int:
    """Return the length of the body (RFC 9112, section 6); other framings are refused."""
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
        raise ProtocolError("no content length")
    if len(length) > 9 or int(length) > MAX_BODY_BYTES:
        raise ProtocolError("body too long")
    return int(length)


def check_crc32(headers: dict[str, str], body: bytes) -> None:
    """Compare the body with DynamoDB's checksum, if there is one."""
    expected = headers.get("x-amz-crc32")
    if expected is not None and expected != str(crc32(body)):
        raise ProtocolError("wrong checksum")


class _Connection:
    """A socket, and the exchange that it carries."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.is_connected = False
        self.is_ready = False
        """Whether it is connected, and its TLS handshake is done."""
        self.is_reused = False
        self.index = -1
        self.unsent = memoryview(b"")
        self.received = bytearray()
        self.deadline = 0.0
        self.idle_since = 0.0

    def __del__(self) -> None:
        """Close with the thread that it belongs to."""
        self.sock.close()

    def is_usable(self) -> bool:
        """Return whether an idle connection is young, open, and has nothing unread."""
        if time.time() - self.idle_since > MAX_IDLE_SECONDS:
            return False
        try:
            self.sock.recv(1)  # the end of the stream, or bytes after the last response
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def read(self) -> tuple[Response, bool]:
        """Return the response and whether to keep the socket; BlockingIOError until it is whole.

        Raises:
            ProtocolError: the server closes, or sends what is no response.
        """
        while True:
            chunk = self.sock.recv(_CHUNK)
            if not chunk:
                raise ProtocolError("closed")
            self.received += chunk
            parsed = parse(self.received)
            if parsed is not None:
                return parsed


class Connections:
    """Connections to one endpoint, kept alive, for each thread its own."""

    def __init__(self, host: str, port: int, *, is_tls: bool, ca_bundle: str = "") -> None:
        """With TLS, servers are verified against the system's roots, or a file of certificates."""
        self._host, self._port = host, port
        self._is_tls = is_tls
        self._ca_bundle = ca_bundle
        self._threads = threading.local()
        self._known_address, self._looked_up_at = "", 0.0

    def exchange(self, requests: Sequence[bytes], seconds: float) -> list[Response | Broken]:
        """Send requests, several at a time, and return the response to each, in input order."""
        idle = self._threads.__dict__.setdefault("idle", [])
        exchange = _Exchange(idle, self._connect, self._handshake, requests, seconds)
        try:
            exchange.run()
        finally:
            exchange.close()
        return exchange.results

    def _connect(self) -> _Connection:
        address = self._address()
        sock = socket.socket(socket.AF_INET)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BlockingIOError):
            sock.connect(address)
        return _Connection(sock)

    def _address(self) -> tuple[str, int]:
        """Return an address of the host, looked up anew from time to time."""
        if time.time() > self._looked_up_at + MAX_IDLE_SECONDS:
            found = socket.getaddrinfo(self._host, self._port, socket.AF_INET, socket.SOCK_STREAM)
            self._known_address, self._looked_up_at = str(found[0][4][0]), time.time()
        return self._known_address, self._port

    def _handshake(self, connection: _Connection) -> None:
        """Bring a new connection further; ssl.SSLWantReadError and its kin where it has to wait."""
        if not connection.is_connected:
            error = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "connect")
            connection.is_connected = True
            if self._is_tls:
                connection.sock = _tls_context(self._ca_bundle).wrap_socket(
                    connection.sock, server_hostname=self._host, do_handshake_on_connect=False
                )
        if isinstance(connection.sock, ssl.SSLSocket):
            connection.sock.do_handshake()
        connection.is_ready = True


@cache  # reading the certificates takes 20 ms of CPU
def _tls_context(ca_bundle: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_bundle or None)


class _Exchange:
    """Several requests at a time, in one loop over the sockets that carry them."""

    def __init__(
        self,
        idle: list[_Connection],
        connect: Callable[[], _Connection],
        handshake: Callable[[_Connection], None],
        requests: Sequence[bytes],
        seconds: float,
    ) -> None:
        self.results: list[Response | Broken] = [Broken("no time left")] * len(requests)
        self._idle, self._connect, self._handshake = idle, connect, handshake
        self._requests = requests
        self._waiting = deque(range(len(requests)))
        self._busy: dict[int, _Connection] = {}
        self._poll = select.poll()
        self._ends = time.monotonic() + seconds

    def run(self) -> None:
        """Exchange until there is a result for each request, or no time left."""
        while (self._waiting or self._busy) and time.monotonic() < self._ends:
            try:
                while self._waiting and len(self._busy) < MAX_CONNECTIONS:
                    self._begin(self._idle_connection() or self._connect())
            except OSError as error:  # an unknown host, no descriptor left
                while self._waiting:
                    self.results[self._waiting.popleft()] = Broken(type(error).__name__)
            soonest = min((one.deadline for one in self._busy.values()), default=self._ends)
            wait = max(0.0, soonest - time.monotonic())
            for descriptor, _ in self._poll.poll(wait * 1000):
                self._advance(self._busy[descriptor])
            now = time.monotonic()
            for connection in [one for one in self._busy.values() if one.deadline <= now]:
                self._end(connection, Broken("timeout"))

    def close(self) -> None:
        """Close the connections whose exchange has not ended."""
        for connection in [*self._busy.values()]:
            self._end(connection, Broken("no time left"))

    def _idle_connection(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.sock.close()
        return None

    def _begin(self, connection: _Connection) -> None:
        """Let a connection carry the next request."""
        connection.index = self._waiting.popleft()
        connection.unsent = memoryview(self._requests[connection.index])
        connection.received = bytearray()
        seconds = READ_SECONDS + (0 if connection.is_ready else CONNECT_SECONDS)
        connection.deadline = min(self._ends, time.monotonic() + seconds)
        self._busy[connection.sock.fileno()] = connection
        self._poll.register(connection.sock.fileno(), select.POLLOUT)

    def _advance(self, connection: _Connection) -> None:
        """Do what the socket is ready for: shake hands, send, receive."""
        try:
            if not connection.is_ready:
                self._handshake(connection)
            while connection.unsent:
                sent = connection.sock.send(connection.unsent)
                connection.unsent = connection.unsent[sent:]
            response, keep = connection.read()
            self._end(connection, response, keep=keep)
        except (BlockingIOError, ssl.SSLWantReadError):
            is_sending = connection.is_ready and connection.unsent
            wanted = select.POLLOUT if is_sending else select.POLLIN
            self._poll.modify(connection.sock.fileno(), wanted)
        except ssl.SSLWantWriteError:
            self._poll.modify(connection.sock.fileno(), select.POLLOUT)
        except ProtocolError as error:
            self._fail(connection, str(error))
        except OSError as error:
            self._fail(connection, type(error).__name__)

    def _fail(self, connection: _Connection, reason: str) -> None:
        """End an exchange without a response, or begin it again where the socket was stale."""
        index = connection.index
        is_stale = connection.is_reused and not connection.received
        self._end(connection, Broken(reason))
        if is_stale:  # the server closed it when the request was on its way
            self._waiting.appendleft(index)

    def _end(
        self, connection: _Connection, result: Response | Broken, *, keep: bool = False
    ) -> None:
        self.results[connection.index] = result
        descriptor = connection.sock.fileno()
        self._poll.unregister(descriptor)
        del self._busy[descriptor]
        if keep:
            connection.is_reused, connection.idle_since = True, time.time()
            self._idle.append(connection)
        else:
            connection.sock.close()
