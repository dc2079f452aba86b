"""What happens before a page: loopback is no boundary, any page in the browser can call it.

In this order: the host, so that no name that was rebound to 127.0.0.1 gets an answer; the link and
the cookie, static files too; for every write its origin and its token.
"""

import sys
from collections.abc import Collection
from urllib.parse import parse_qsl

from consents.aws.errors import frames
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consents_console.session import COOKIE, Session

OPEN_PATH = "/open"
POLLED = "/progress"
"""How the path of what a page asks for by itself ends: it is no sign of a person."""

MAX_FORM_BYTES = 64 * 1024

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_SAFE = {"GET", "HEAD"}


class Guard:
    """Lets a request through to the pages, or answers it."""

    def __init__(self, app: ASGIApp, session: Session, hosts: Collection[str]) -> None:
        """`hosts` are the values of `Host` that name this server, with its port."""
        self._app = app
        self._session = session
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what is not HTTP gets no answer."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = await self._answer(request) or self._app
        try:
            await answer(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - its text may hold what a page shows
            print(type(error).__name__, *frames(error), sep="\n", file=sys.stderr)  # noqa: T201

    async def _answer(self, request: Request) -> Response | None:
        """Return the answer to a request that does not reach the pages, or None."""
        if request.headers.getlist("host") not in [[host] for host in self._hosts]:
            return PlainTextResponse("unknown host", 400)
        if self._session.is_over:
            return PlainTextResponse("the session is over: run `consents console` again", 401)
        if request.url.path == OPEN_PATH and request.method == "GET":
            return self._opened(request)
        if not self._session.has_cookie(request.cookies.get(COOKIE, "")):
            return PlainTextResponse("open the link that `consents console` printed", 401)
        if not request.url.path.endswith(POLLED):
            self._session.touch()
        return None if request.method in _SAFE else await self._refused_write(request)

    def _opened(self, request: Request) -> Response:
        if not self._session.open(request.query_params.get("key", "")):
            return PlainTextResponse("the link was used: run `consents console` again", 401)
        self._session.touch()
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, self._session.cookie, httponly=True, samesite="strict")
        return response

    async def _refused_write(self, request: Request) -> Response | None:
        """Return the refusal of a write, or None; the form is then in the request's state."""
        if request.method != "POST":
            return PlainTextResponse("method not allowed", 405)
        if not _is_own(request):
            return PlainTextResponse("the request comes from another site", 403)
        body = await _body(request)
        if body is None:
            return PlainTextResponse("the form is too large", 413)
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        if not self._session.has_token(form.pop("token", "")):
            return PlainTextResponse("the form is out of date: open the page again", 403)
        request.state.form = form
        return None


def _is_own(request: Request) -> bool:
    """Return whether a browser says that a page of this server sent a request.

    Without referrers browsers send `null` as the origin of a form; no page can set either header.
    """
    origin = request.headers.get("origin", "null")
    if origin != "null":
        return origin == f"http://{request.headers['host']}"
    return request.headers.get("sec-fetch-site") == "same-origin"


async def _body(request: Request) -> bytes | None:
    """Return the body, or None for one that is too large."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            return None
    return body
