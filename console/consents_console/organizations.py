"""Organizations: usage, limits, senders and keys."""

from consents.domain.organization import Credential, Scope
from consents.domain.record import Wire
from consents_cli import organizations
from starlette.requests import Request
from starlette.responses import Response

from consents_console import usage
from consents_console.forms import MAX_REASON
from consents_console.rendering import desk_of, page

EXPIRIES = {"": "never", "30d": "in 30 days", "90d": "in 90 days", "365d": "in a year"}


def list_all(request: Request) -> Response:
    """Show all organizations, oldest first."""
    desk = desk_of(request)
    rows = desk.stack.entries.organizations()
    charts = usage.of_stack(desk.stack, desk.now())
    return page(request, "organizations.html", rows=rows, charts=charts)


def show(request: Request) -> Response:
    """Show an organization."""
    return page_of(request)


def page_of(
    request: Request,
    *,
    sent: dict[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    """Return the page of an organization, with the form for a key as it was sent."""
    desk = desk_of(request)
    entry = desk.entry(request.path_params["org_id"])
    desk.session.org_id = entry.organization.org_id
    now = desk.now()
    return page(
        request,
        "organization.html",
        status,
        org=entry.organization,
        limits=organizations.described(entry.organization),
        senders=entry.senders,
        keys=[(key, _state(key, key.is_live(now))) for key in entry.credentials],
        charts=usage.of_organization(desk.stack, entry.organization.org_id, now),
        sent=sent or {Scope.WRITE: "on", "wire": Wire.ATTESTED},
        problem=problem,
        is_revoked="revoked" in request.query_params,
        scopes=[*Scope],
        expiries=EXPIRIES,
        max_reason=MAX_REASON,
    )


def _state(key: Credential, is_live: bool) -> str:
    if is_live:
        return "live"
    return "revoked" if key.revoked_at else "expired"
