"""The application: its routes, its errors, and the guard before them."""

from collections.abc import Collection

from botocore.exceptions import BotoCoreError, ClientError
from consents.accounts.directory_writer import DirectoryError
from consents.aws.errors import CallError, error_code
from consents.domain.errors import Unavailable
from consents_cli.errors import Failed
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from consents_console import (
    audit,
    contacts,
    find,
    imports,
    keys,
    organizations,
    proofs,
    records,
    requests,
    revocations,
)
from consents_console.desk import Desk, NotHere
from consents_console.guard import Guard
from consents_console.rendering import STATIC, page

_POST = ["POST"]
_ORGANIZATION = "/organizations/{org_id}"
_CONSENT = _ORGANIZATION + "/consents/{consent_id}"
_KEY = _ORGANIZATION + "/keys/{key_id}/revoke"
_IMPORT = "/imports/{import_id}"

ROUTES = [
    Route("/", find.show),
    Route("/", find.search, methods=_POST),
    Route(_CONSENT, contacts.show),
    Route(_CONSENT + "/revoke", revocations.show),
    Route(_CONSENT + "/revoke", revocations.store, methods=_POST),
    Route(_CONSENT + "/proof", proofs.make, methods=_POST),
    Route(_CONSENT + "/records/{record_id}", records.show),
    Route("/requests/{request_id}", requests.show),
    Route("/organizations", organizations.list_all),
    Route(_ORGANIZATION, organizations.show),
    Route(_ORGANIZATION + "/keys", keys.create, methods=_POST),
    Route(_KEY, keys.ask_to_revoke),
    Route(_KEY, keys.revoke, methods=_POST),
    Route(_ORGANIZATION + "/imports", imports.list_all),
    Route("/imports", imports.choose),
    Route(_IMPORT, imports.show),
    Route(_IMPORT + "/progress", imports.progress),
    Route(_IMPORT + "/rejected.jsonl", imports.download),
    Route(_IMPORT + "/rejected.csv", imports.download_csv),
    Route("/audit", audit.show),
    Route("/audit", audit.search, methods=_POST),
    Route("/audit.csv", audit.download),
    Mount("/static", StaticFiles(directory=STATIC)),
]


def build(desk: Desk, hosts: Collection[str]) -> ASGIApp:
    """Return the application for one operator, behind its guard."""
    errors = dict.fromkeys((CallError, ClientError, BotoCoreError, Unavailable), _not_available)
    app = Starlette(
        routes=ROUTES,
        exception_handlers={
            Exception: _broken,
            HTTPException: _not_found,
            NotHere: _not_here,
            Failed: _failed,
            DirectoryError: _failed,
            **errors,
        },
    )
    app.state.desk = desk
    return Guard(app, desk.session, hosts)


def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return page(request, "error.html", status, title="There is no such page", text="")


def _not_here(request: Request, error: Exception) -> Response:
    return page(request, "error.html", 404, title="Not found", text=str(error))


def _failed(request: Request, error: Exception) -> Response:
    return page(request, "error.html", 503, title="Not done", text=str(error))


def _broken(request: Request, _error: Exception) -> Response:
    text = "This is a bug of the console. The terminal shows where it happened."
    return page(request, "error.html", 500, title="Something broke", text=text)


def _not_available(request: Request, error: Exception) -> Response:
    text = "AWS did not answer, or refused: check your credentials, then load the page again."
    text = f"{text} ({error_code(error)})"
    return page(request, "error.html", 503, title="Not available", text=text)
