"""Pages from templates: every value is escaped, every name is defined."""

from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from consents_console import words
from consents_console.desk import Desk

STATIC = Path(__file__).parent / "static"


def desk_of(request: Request) -> Desk:
    """Return the desk of the application."""
    desk: Desk = request.app.state.desk
    return desk


def page(request: Request, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """Return a page; half a surrogate pair, which UTF-8 has not, is shown as `?`."""
    desk = desk_of(request)
    shared = {"desk": desk, "session": desk.session, "section": section_of(request.url.path)}
    html = _environment.get_template(template).render(**shared, **values)
    return HTMLResponse(html.encode(errors="replace"), status)


def time_of(at: str | datetime | None, form: str = "%-d %b %Y, %H:%M") -> Markup:
    """Return an instant for people, in UTC."""
    if not at or at == "-":
        return Markup("-")
    when = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return Markup('<time datetime="{}">{} UTC</time>').format(when.isoformat(), f"{when:{form}}")


def number_of(value: int) -> str:
    """Return a number with its thousands separated."""
    return f"{value:,}"


def section_of(path: str) -> str:
    """Return the entry of the navigation that a page belongs to."""
    if "/consents/" in path or path.startswith("/requests/"):
        return "/"
    named = [part for part in path.split("/") if part in ("imports", "audit", "organizations")]
    return f"/{named[-1]}" if named else path


def person(arn: str) -> str:
    """Return the part of an ARN that names a person: a user, or the name of a session."""
    return arn.rpartition("/")[2] if "/" in arn else arn.rpartition(":")[2]


def query(**values: str | None) -> str:
    """Return a query string of the values that are set."""
    sent = {name: value for name, value in values.items() if value}
    return f"?{urlencode(sent)}" if sent else ""


_environment = Environment(
    loader=PackageLoader("consents_console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "time": time_of,
    "number": number_of,
    "person": person,
    "phone": words.phone,
}
_environment.globals |= {"words": words, "query": query}
