"""A visit to the page of a link: what the visitor sent, and what the service observes."""

from collections.abc import Callable
from dataclasses import dataclass

from consents.domain.record import Receipt
from consents.http.page_endpoint import PageRequest
from consents.opt_in.answer_post import Post
from consents.opt_in.links import Question
from consents.pages.shown import Shown

ShownQuestion = Shown[Question, Post]


@dataclass(frozen=True, slots=True)
class Visit:
    """A question that a visitor answers."""

    question: Question
    lang: str
    post: Post
    receipt: Receipt
    ip_address: str
    user_agent: str
    form_url: str
    time_left: Callable[[], float]


def visit_of(
    request: PageRequest[ShownQuestion], question: Question, lang: str, post: Post
) -> Visit:
    """Return a visit, and let the pages of errors show its brand."""
    request.shown = Shown(question, lang, post)
    return Visit(
        question,
        lang,
        post,
        request.receipt,
        ip_address=request.ip_address,
        user_agent=request.header("user-agent"),
        form_url=f"{request.public_url}/c/{question.challenge.challenge_id}",
        time_left=request.time_left,
    )
