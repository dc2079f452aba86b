"""An answer on the page of a link: *Yes, text me*, or *No, I didn't ask for this*."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was first received; a repeat has the same nonce and changes nothing.

    `page_hash` is of the page without stamp and number, in full. `form_url` opens its specimen.
    """

    challenge_id: str
    nonce: str
    agrees: bool
    at: datetime
    ip_address: str
    user_agent: str
    form_url: str
    page_hash: str
    page_lang: str
