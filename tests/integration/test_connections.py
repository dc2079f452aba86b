"""Whatever a server does, an exchange ends in time, with its own response or with none."""

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from zlib import crc32

import pytest
from consents.aws import connections
from consents.aws.connections import Broken, Connections, ProtocolError, Response, parse

type Behaviour = Callable[[socket.socket, int, bytes], bool]
"""Answers the request number `n` of a connection; returns whether the connection goes on."""


def reply(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """Return a response as DynamoDB sends it."""
    fields = {"Content-Length": str(len(body)), "x-amz-crc32": str(crc32(body))} | headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


class Server:
    """A server on this machine that behaves as a test wants."""

    def __init__(self) -> None:
        self.behave: Behaviour = echo
        self.requests: list[bytes] = []
        self.connections = 0
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer.connections += 1
                number = 0
                while body := read_request(self.request):
                    outer.requests.append(body)
                    with suppress(OSError):
                        if not outer.behave(self.request, number, body):
                            return
                    number += 1

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

        self.server = Threads(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


def read_request(sock: socket.socket) -> bytes:
    """Return the body of the next request, empty at the end of the connection."""
    received = b""
    with suppress(OSError):
        while chunk := sock.recv(65536):
            received += chunk
            head, found, body = received.partition(b"\r\n\r\n")
            if found and len(body) == int(head.rpartition(b"Content-Length: ")[2]):
                return body
    return b""


def echo(sock: socket.socket, _number: int, body: bytes) -> bool:
    """Send the body of the request back."""
    sock.sendall(reply(body))
    return True


def request(body: bytes) -> bytes:
    """Return a request."""
    return b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this test."""
    made = Server()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def client(server: Server) -> Connections:
    """Connections to the server."""
    return Connections("127.0.0.1", server.port, is_tls=False)


def sent(client: Connections, *bodies: bytes, seconds: float = 3) -> list[bytes | str]:
    """Exchange bodies, and return the body of each response, or why there was no response."""
    results = client.exchange([request(body) for body in bodies], seconds)
    return [one.body if isinstance(one, Response) else one.reason for one in results]


def test_each_request_gets_its_own_response(server: Server, client: Connections) -> None:
    bodies = [b"%d" % number * 50 for number in range(1, 500)]

    assert sent(client, *bodies) == bodies
    assert server.connections <= connections.MAX_CONNECTIONS


def test_a_connection_is_kept_for_the_next_exchange(server: Server, client: Connections) -> None:
    for number in range(5):
        assert sent(client, b"%d" % number) == [b"%d" % number]
    assert server.connections == 1


def test_a_megabyte_goes_there_and_back(client: Connections) -> None:
    body = bytes(range(256)) * 4096
    assert sent(client, body, b"small", body) == [body, b"small", body]


def test_responses_come_in_the_order_of_requests(server: Server, client: Connections) -> None:
    def slow_first(sock: socket.socket, number: int, body: bytes) -> bool:
        time.sleep(0.2 if body == b"0" else 0)
        return echo(sock, number, body)

    server.behave = slow_first
    assert sent(client, b"0", b"1", b"2") == [b"0", b"1", b"2"]


def closed(_sock: socket.socket, _number: int, _body: bytes) -> bool:
    return False


def reset(sock: socket.socket, _number: int, _body: bytes) -> bool:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def truncated(sock: socket.socket, _number: int, body: bytes) -> bool:
    sock.sendall(reply(body)[:-1])
    return False


def changed(sock: socket.socket, _number: int, body: bytes) -> bool:
    sock.sendall(reply(body).replace(b"\r\n\r\na", b"\r\n\r\nb"))
    return True


def twice(sock: socket.socket, _number: int, body: bytes) -> bool:
    sock.sendall(reply(body) * 2)
    return True


def chunked(sock: socket.socket, _number: int, body: bytes) -> bool:
    sock.sendall(reply(body, **{"Transfer-Encoding": "chunked"}))
    return True


def without_length(sock: socket.socket, _number: int, body: bytes) -> bool:
    sock.sendall(reply(body, **{"Content-Length": ""}))
    return False


def too_long(sock: socket.socket, _number: int, body: bytes) -> bool:
    sock.sendall(reply(body, **{"Content-Length": "99999999999"}))
    return False


def two_lengths(sock: socket.socket, _number: int, body: bytes) -> bool:
    sock.sendall(reply(body, **{"content-length": "1"}))
    return True


def no_http(sock: socket.socket, _number: int, _body: bytes) -> bool:
    sock.sendall(b"220 smtp ready\r\n\r\n")
    return True


def endless_header(sock: socket.socket, _number: int, _body: bytes) -> bool:
    sock.sendall(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10_000)
    return True


BROKEN = [
    closed, reset, truncated, changed, twice, chunked, without_length, too_long, two_lengths,
    no_http, endless_header,
]  # fmt: skip


@pytest.mark.parametrize("behaviour", BROKEN)
def test_a_broken_response_is_no_response(
    server: Server, client: Connections, behaviour: Behaviour
) -> None:
    server.behave = behaviour
    (result,) = client.exchange([request(b"aaa")], 3)
    assert isinstance(result, Broken)


@pytest.mark.parametrize("behaviour", BROKEN)
def test_a_broken_response_spoils_no_other(
    server: Server, client: Connections, behaviour: Behaviour
) -> None:
    def sometimes(sock: socket.socket, number: int, body: bytes) -> bool:
        return (behaviour if body.startswith(b"a") else echo)(sock, number, body)

    server.behave = sometimes
    bodies = [b"a%d" % n if n % 3 == 0 else b"c%d" % n for n in range(90)]
    results = client.exchange([request(body) for body in bodies], 5)
    for body, result in zip(bodies, results, strict=True):
        if body.startswith(b"a"):
            assert isinstance(result, Broken)
        else:
            assert isinstance(result, Response)
            assert result.body == body
    server.behave = echo
    assert sent(client, b"next") == [b"next"]


def test_a_late_second_response_is_not_taken_for_the_next(
    server: Server, client: Connections
) -> None:
    def echo_and_more(sock: socket.socket, number: int, body: bytes) -> bool:
        echo(sock, number, body)
        if body == b"first":
            time.sleep(0.05)
            sock.sendall(reply(b"of nobody"))
        return True

    server.behave = echo_and_more
    assert sent(client, b"first") == [b"first"]
    time.sleep(0.2)
    assert sent(client, b"second") == [b"second"]


def test_a_stalled_server_costs_no_more_than_the_time(
    server: Server, client: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.2)
    monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.1)

    def stalled(sock: socket.socket, _number: int, body: bytes) -> bool:
        sock.sendall(reply(body)[:10])
        time.sleep(5)
        return False

    server.behave = stalled
    started = time.monotonic()
    assert set(sent(client, *[b"x"] * 100, seconds=0.5)) <= {"timeout", "no time left"}
    assert time.monotonic() - started < 1


def test_a_connection_closed_meanwhile_is_opened_again(server: Server, client: Connections) -> None:
    def once(sock: socket.socket, number: int, body: bytes) -> bool:
        echo(sock, number, body)
        return False

    server.behave = once
    for number in range(5):
        assert sent(client, b"%d" % number) == [b"%d" % number]


def test_a_connection_closed_under_way_is_opened_again(server: Server, client: Connections) -> None:
    def second_closes(sock: socket.socket, number: int, body: bytes) -> bool:
        return echo(sock, number, body) if number == 0 else False

    server.behave = second_closes
    assert [sent(client, b"%d" % n) for n in range(4)] == [[b"%d" % n] for n in range(4)]


def test_an_old_connection_is_not_used_again(
    server: Server, client: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sent(client, b"1") == [b"1"]
    monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", -1)
    assert sent(client, b"2") == [b"2"]
    assert server.connections == 2


def test_connection_close_is_obeyed(server: Server, client: Connections) -> None:
    def last(sock: socket.socket, _number: int, body: bytes) -> bool:
        sock.sendall(reply(body, Connection="close"))
        return True

    server.behave = last
    assert [sent(client, b"1"), sent(client, b"2")] == [[b"1"], [b"2"]]
    assert server.connections == 2


def test_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        client = Connections("127.0.0.1", sock.getsockname()[1], is_tls=False)
        assert set(sent(client, *[b"x"] * 50)) == {"ConnectionRefusedError"}


def test_an_unknown_host_is_no_response() -> None:
    client = Connections("nowhere.invalid", 80, is_tls=False)
    assert sent(client, b"x", b"y") == ["gaierror", "gaierror"]


def test_threads_have_connections_of_their_own(client: Connections) -> None:
    wrong: list[object] = []

    def run(name: int) -> None:
        for number in range(50):
            body = b"%d-%d" % (name, number)
            if sent(client, body) != [body]:
                wrong.append(body)

    threads = [threading.Thread(target=run, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_server_that_does_not_verify_is_refused(server: Server) -> None:
    client = Connections("127.0.0.1", server.port, is_tls=True)
    assert sent(client, b"x", seconds=1)[0] in {"SSLError", "timeout", "no time left"}
    assert server.requests == []


@pytest.mark.parametrize("cut", range(len(reply(b"abc"))))
def test_a_part_of_a_response_is_waited_for(cut: int) -> None:
    assert parse(reply(b"abc")[:cut]) is None


def test_a_response_may_have_no_checksum() -> None:
    parsed = parse(reply(b"abc", **{"x-amz-crc32": ""}))
    assert parsed is not None
    assert parsed[0].body == b"abc"


NO_HEADS = [
    "HTTP/2 200",
    "HTTP/1.1 20",
    "HTTP/1.1 \N{SUPERSCRIPT TWO}00 OK",
    "HTTP/1.1 200\r\nno colon",
    "HTTP/1.1 200\r\n: x",
    "HTTP/1.1 200\r\na : x",
    "HTTP/1.1 200\r\ncontent-length: +3",
    "HTTP/1.1 200\r\ncontent-length: \N{FULLWIDTH DIGIT THREE}",
]


@pytest.mark.parametrize("head", NO_HEADS)
def test_what_is_no_head_is_a_protocol_error(head: str) -> None:
    with pytest.raises(ProtocolError):
        parse(head.encode("utf-8") + b"\r\n\r\n")
