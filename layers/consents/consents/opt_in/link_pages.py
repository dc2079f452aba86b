"""The pages of a link: the question, its specimen, and the page after the answer."""

from consents.http.response import Response
from consents.opt_in.answer import Answer
from consents.opt_in.links import Link, Question
from consents.pages import languages, phone_numbers
from consents.pages.done import Agreed, done_page
from consents.pages.notice import notice_page
from consents.pages.page import content, response
from consents.pages.templating import dictionary, words


def bare_page(question: Question, lang: str) -> bytes:
    """Return the question as first shown, without its stamp and number: nobody's data."""
    return _question(question, lang)


def question_page(
    question: Question, lang: str, stamp: str, *, reads_again: bool = False
) -> Response:
    """Return the question, with its stamp and the last digits of the number."""
    challenge = question.challenge
    masked = phone_numbers.masked(challenge.contact, challenge.sender)
    page = _question(question, lang, stamp=stamp, masked=masked, reads_again=reads_again)
    return response(409 if reads_again else 200, page, question.profile)


def specimen_page(question: Question, lang: str) -> Response:
    """Return the question without the number, for auditors; it cannot be answered."""
    page = _question(question, lang, is_specimen=True)
    return response(200, page, question.profile)


def answered_page(question: Question, lang: str, answer: Answer) -> Response:
    """Return the page after an answer."""
    link, challenge = question
    if not answer.agrees:
        return notice_page(200, lang, "declined", "check", profile=link.profile)
    agreed = Agreed(
        challenge.agreement_text,
        _text_lang(link),
        challenge.contact,
        challenge.sender,
        answer.at,
        answer.nonce,
    )
    return done_page(lang, link.profile, agreed)


def _question(
    question: Question,
    lang: str,
    *,
    stamp: str = "",
    masked: str = "",
    reads_again: bool = False,
    is_specimen: bool = False,
) -> bytes:
    link, challenge = question
    values = {
        "title": words(lang)("question"),
        "program": link.program,
        "frequency": link.frequency,
        "agreement_text": challenge.agreement_text,
        "agreement_lang": _text_lang(link),
        "other_lang": languages.other(lang),
        "other_language": dictionary(languages.other(lang))["language"],
        "stamp": stamp,
        "masked": masked,
        "reads_again": reads_again,
        "is_specimen": is_specimen,
    }
    return content("question.html", lang, link.profile, values)


def _text_lang(link: Link) -> str:
    return link.locale or languages.DEFAULT
