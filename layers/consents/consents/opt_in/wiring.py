"""The composition root of double opt-in."""

import os
from functools import cache

from consents import wiring
from consents.aws import session
from consents.aws.sqs import Queue
from consents.opt_in.ask import Asker
from consents.opt_in.challenge import Message
from consents.opt_in.limits import TextLimits
from consents.opt_in.links import LinkKeys
from consents.opt_in.queues import Outbound
from consents.opt_in.table import Challenges


@cache
def challenges() -> Challenges:
    """Return the challenges."""
    return Challenges(wiring.table("FORMS_TABLE"))


@cache
def link_keys() -> LinkKeys:
    """Return the keys of links and pages."""
    return LinkKeys(wiring.directory().hash)


@cache
def asker() -> Asker:
    """Return what opens challenges."""
    limits = TextLimits(wiring.stores().rate_limits, wiring.directory().organization)
    return Asker(challenges(), wiring.ledger().current, limits, enqueue, keys=link_keys())


def enqueue(org_id: str, message: Message) -> None:
    """Let a text be sent."""
    outbound().enqueue(org_id, message)  # its client is loaded for the first text


@cache
def outbound() -> Outbound:
    """Return the queue of texts to send."""
    return Outbound(Queue(session.boto_client("sqs"), os.environ["OUTBOUND_QUEUE"]))
