"""The composition root of decisions: their clients, and what all their routes share."""

from collections.abc import Callable
from functools import cache

from consents import wiring
from consents.aws.dynamodb import MAX_CALL_SECONDS, MAX_WAIT_SECONDS
from consents.decisions import api, check_api, revoke_api, search_api
from consents.decisions.consent_ids import ConsentIds
from consents.decisions.decision_ids import DecisionIds
from consents.decisions.ledger import ContactReader
from consents.domain.organization import Bucket, Scope
from consents.http import json_api
from consents.http.endpoint import Handler, endpoint
from consents.http.request import Request
from consents.http.response import Response

HEADERS = {"Cache-Control": "no-store"}
"""An answer is about an instant: nobody keeps it."""


def route(
    scope: Scope,
    bucket: Bucket = Bucket.CONTACTS,
    *,
    max_bytes: int = api.MAX_BYTES,
    takes_dry_run: bool = False,
) -> Callable[[Callable[[Request], Response]], Handler]:
    """Return the decorator of a route, which asks for no plan: a lapsed one must honour a STOP."""
    return endpoint(
        json_api,
        stores=wiring.stores(),
        scope=scope,
        max_bytes=max_bytes,
        headers=HEADERS,
        bucket=bucket,
        needs_capture=False,
        takes_dry_run=takes_dry_run,
    )


@cache
def reader() -> ContactReader:
    """Return the reader of contacts of this process."""
    bound = MAX_CALL_SECONDS + MAX_WAIT_SECONDS
    return ContactReader(wiring.table("LEDGER_TABLE"), max_call_seconds=bound)


@cache
def consent_ids() -> ConsentIds:
    """Return what seals and opens consent ids."""
    return ConsentIds(wiring.pepper)


@cache
def decision_ids() -> DecisionIds:
    """Return what signs decisions."""
    return DecisionIds(wiring.pepper)


def renderer() -> check_api.Renderer:
    """Return the renderer of decisions."""
    return check_api.Renderer(consent_ids(), decision_ids())


def revocation_renderer() -> revoke_api.Renderer:
    """Return the renderer of revocations."""
    return revoke_api.Renderer(consent_ids())


def consent_renderer() -> search_api.Renderer:
    """Return the renderer of consents."""
    return search_api.Renderer(consent_ids())
