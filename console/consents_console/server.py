"""Serves the console on 127.0.0.1, until nobody uses it or Ctrl-C."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import uvicorn
from consents_cli.stack import Stack

from consents_console.app import build
from consents_console.desk import Desk
from consents_console.guard import OPEN_PATH
from consents_console.session import Session

HOST = "127.0.0.1"
_LOOK_SECONDS = 1.0


def listen(port: int) -> socket.socket:
    """Return a socket that listens at a port of this machine alone; 0 is any free port.

    Raises:
        OSError: the port is not available.
    """
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()  # what connects from now on waits until the server takes it
    except OSError:
        listener.close()
        raise
    return listener


def serve(
    stack: Stack, session: Session, listener: socket.socket, ready: Callable[[str], None]
) -> None:
    """Serve the console of a stack, after `ready` got its link, until the session is over."""
    port = listener.getsockname()[1]
    app = build(Desk(stack, session), hosts_of(port))
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none"
    )
    ready(f"http://{HOST}:{port}{OPEN_PATH}?key={session.link_key}")
    with listener, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(uvicorn.Server(config), listener, session))


def hosts_of(port: int) -> tuple[str, str]:
    """Return the values of `Host` that name a server at this port."""
    return f"{HOST}:{port}", f"localhost:{port}"


async def _run(server: uvicorn.Server, listener: socket.socket, session: Session) -> None:
    async def stop_when_over() -> None:
        while not session.is_over:
            await asyncio.sleep(_LOOK_SECONDS)
        server.should_exit = True

    watch = asyncio.create_task(stop_when_over())
    await server.serve([listener])
    watch.cancel()
