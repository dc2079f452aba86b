"""Lambda handlers of pages: no caller, HTML in every case, and headers that contain the page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Protocol

from consents.domain.errors import BodyTooLarge, RequestError
from consents.domain.record import Receipt
from consents.http.endpoint import GatewayResponse, Handler, respond
from consents.http.public_url import public_url
from consents.http.request import RESPONSE_SECONDS, Context, Event, header, sent_body
from consents.http.response import Response

HEADERS: Mapping[str, str] = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Not no-referrer: a form's Origin would then be null.
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""On every page; the content security policy is that of the page."""


class PageRequest[Shown]:
    """A request of a browser, as API Gateway has it: no forwarded header is read."""

    shown: Shown | None = None
    """What the handler knows of the page so far, for the pages of errors."""

    def __init__(self, event: Event, context: Context, receipt: Receipt, configured: str) -> None:
        """`configured` is the configured public URL, or empty."""
        self.receipt = receipt
        self.method: str = event["httpMethod"]
        self.public_url = public_url(configured, event)
        self._event = event
        self._context = context

    @property
    def reads_page(self) -> bool:
        """Whether the request is a GET or HEAD of a page, and not of a path below it."""
        return self.method in {"GET", "HEAD"} and not self.path("proxy")

    @property
    def last_segment(self) -> str:
        """The last segment of the route."""
        return str(self._event["resource"]).rpartition("/")[2]

    @property
    def ip_address(self) -> str:
        """The address of the connection to API Gateway."""
        return str(self._event["requestContext"]["identity"]["sourceIp"])

    def header(self, name: str) -> str:
        """Return a header by its name in lower case, or an empty text."""
        return header(self._event, name) or ""

    def path(self, name: str) -> str:
        """Return a path parameter."""
        return str((self._event.get("pathParameters") or {}).get(name, ""))

    def query(self, name: str) -> str:
        """Return a query parameter, or an empty text."""
        return str((self._event.get("queryStringParameters") or {}).get(name, ""))

    def body(self, max_bytes: int) -> bytes:
        """Return the body, or raise `BodyTooLarge`."""
        body = sent_body(self._event)
        if len(body) > max_bytes:
            raise BodyTooLarge(max_bytes)
        return body

    def time_left(self) -> float:
        """Return the seconds left for the work."""
        return self._context.get_remaining_time_in_millis() / 1000 - RESPONSE_SECONDS


class ErrorPages[Shown](Protocol):
    """Renders the pages of errors."""

    def error(self, error: RequestError, request: PageRequest[Shown]) -> Response:
        """Return the page of an error."""


@dataclass(slots=True)
class _Errors[Shown]:
    """Renders errors as pages of the request that they are of."""

    pages: ErrorPages[Shown]
    request: Callable[[], PageRequest[Shown]]

    def render_error(self, error: RequestError, request_id: str) -> Response:
        """Return the page of an error."""
        del request_id  # a header has it
        return self.pages.error(error, self.request())


def page_endpoint[Shown](
    pages: ErrorPages[Shown], *, configured_url: str
) -> Callable[[Callable[[PageRequest[Shown]], Response]], Handler]:
    """Return a decorator that makes a function of a request the Lambda handler of a page.

    Every response, also to an error, is a page with `HEADERS`. A HEAD request gets no body.
    """

    def decorate(handle: Callable[[PageRequest[Shown]], Response]) -> Handler:
        @wraps(handle)
        def handler(event: Event, context: Context) -> GatewayResponse:
            requests: list[PageRequest[Shown]] = []

            def run(receipt: Receipt) -> Response:
                requests.append(PageRequest(event, context, receipt, configured_url))
                return handle(requests[0])

            errors = _Errors(pages, lambda: requests[0])
            response = respond(event, context, errors, run, headers=HEADERS)
            return _without_body(response) if event["httpMethod"] == "HEAD" else response

        return handler

    return decorate


def _without_body(response: GatewayResponse) -> GatewayResponse:
    return {**response, "body": ""}
