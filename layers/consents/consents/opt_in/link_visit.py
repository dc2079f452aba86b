"""A visit to the page of a link: what the visitor sent, and what the service observes."""

from collections.abc import Callable
from dataclasses import dataclass

from consents.domain.record import Receipt
from consents.domain.sender_profile import SenderProfile
from consents.http.page_endpoint import PageRequest
from consents.opt_in.answer_post import Post
from consents.opt_in.challenge import Challenge
from consents.opt_in.links import Link


@dataclass(frozen=True, slots=True)
class Shown:
    """The link that a request is about, in a language, and what was sent if it was."""

    link: Link
    challenge: Challenge
    lang: str
    post: Post | None = None

    @property
    def profile(self) -> SenderProfile:
        """Whose page it is."""
        return self.link.profile

    def sent(self) -> dict[str, str] | None:
        """Return the fields of an answer, which can be sent again, or None."""
        return self.post.fields() if self.post else None


@dataclass(frozen=True, slots=True)
class Visit:
    """A question that a visitor answers."""

    link: Link
    challenge: Challenge
    lang: str
    post: Post
    receipt: Receipt
    ip_address: str
    user_agent: str
    form_url: str
    time_left: Callable[[], float]


def visit_of(
    request: PageRequest[Shown], link: Link, challenge: Challenge, lang: str, post: Post
) -> Visit:
    """Return a visit, and let the pages of errors show its brand."""
    request.shown = Shown(link, challenge, lang, post)
    return Visit(
        link,
        challenge,
        lang,
        post,
        request.receipt,
        ip_address=request.ip_address,
        user_agent=request.header("user-agent"),
        form_url=f"{request.public_url}/c/{challenge.challenge_id}",
        time_left=request.time_left,
    )
