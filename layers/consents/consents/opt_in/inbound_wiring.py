"""The composition root of inbound texts; other functions of double opt-in do not load it."""

import os

from consents import wiring
from consents.opt_in import wiring as opt_in_wiring
from consents.opt_in.inbound import Inbox
from consents.opt_in.keyword_replies import KeywordReplies


def inbox() -> Inbox:
    """Return what takes the texts of contacts."""
    directory, ledger = wiring.directory(), wiring.ledger()
    challenges, enqueue = opt_in_wiring.challenges(), opt_in_wiring.enqueue
    keyword_replies = (
        KeywordReplies(directory.profile_of_number, ledger, challenges, enqueue)
        if os.environ.get("KEYWORD_REPLIES") == "ours" and wiring.can_send()
        else None
    )
    return Inbox(challenges, ledger, directory.owner, enqueue, keyword_replies)
