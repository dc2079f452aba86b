"""Twilio's signatures are those of its official SDK, and what it posts becomes a reply."""

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from consents.domain.errors import Internal, MalformedBody, Unauthenticated, Unavailable
from consents.opt_in import twilio_webhook
from consents.opt_in.queues import Inbound, parse_inbound
from consents.opt_in.records import Reply
from consents.opt_in.twilio_webhook import MAX_BYTES, Parameters, signature, verify
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

URL = "https://text.example.com/inbound/twilio"
TOKEN = "0123456789abcdef0123456789abcdef"
AT = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.one_of(st.sampled_from(["Body", "From", "To", "MediaUrl", ""]), TEXTS)
PARAMETERS = st.lists(st.tuples(NAMES, TEXTS), max_size=12)


class MultiDict(dict[str, str]):
    """Parameters as a web framework passes them to the SDK, with all values of a name."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._parameters = parameters

    def getlist(self, name: str) -> list[str]:
        """Return all values of a name."""
        return [value for each, value in self._parameters if each == name]


@given(PARAMETERS, st.text(min_size=1, max_size=40))
def test_a_signature_is_that_of_the_official_sdk(parameters: Parameters, token: str) -> None:
    token = token.encode(errors="replace").decode()
    official = RequestValidator(token).compute_signature(URL, MultiDict(parameters))

    assert signature(URL, parameters, token) == official


@given(PARAMETERS)
def test_a_signed_body_has_the_parameters_that_were_signed(parameters: Parameters) -> None:
    sent = RequestValidator(TOKEN).compute_signature(URL, MultiDict(parameters))

    assert verify(urlencode(parameters).encode(), sent, URL, [TOKEN]) == parameters


def test_the_example_of_the_documentation_has_its_signature() -> None:
    """https://www.twilio.com/docs/usage/security#validating-requests"""
    parameters = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ]
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"

    assert signature(url, parameters, "12345") == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


STOP = {
    "MessageSid": "SM00000000000000000000000000000001",
    "From": "+14155552671",
    "To": "+15550001111",
    "Body": "STOP",
    "MessagingServiceSid": "",
}


def signed(fields: dict[str, str], token: str = TOKEN) -> tuple[bytes, str]:
    """Return a body and its signature."""
    return urlencode(fields).encode(), RequestValidator(token).compute_signature(URL, fields)


@pytest.mark.parametrize("tokens", [[TOKEN], ["new", TOKEN], [TOKEN, "old"]])
def test_any_token_of_the_account_verifies(tokens: list[str]) -> None:
    assert dict(verify(*signed(STOP), URL, tokens)) == STOP


BODY, SIGNATURE = signed(STOP)


@pytest.mark.parametrize(
    ("body", "sent", "url", "tokens"),
    [
        (BODY, "", URL, [TOKEN]),
        (BODY, SIGNATURE, URL, []),
        (BODY, SIGNATURE, URL, ["another"]),
        (BODY, SIGNATURE, URL + "?a=1", [TOKEN]),
        (BODY, SIGNATURE[:-1], URL, [TOKEN]),
        (BODY, "\u00e9\ud800", URL, [TOKEN]),
        (BODY.replace(b"STOP", b"YES"), SIGNATURE, URL, [TOKEN]),
        (BODY + b"&Extra=", SIGNATURE, URL, [TOKEN]),
        (BODY.replace(b"&MessagingServiceSid=", b""), SIGNATURE, URL, [TOKEN]),
    ],
)
def test_a_request_that_was_not_signed_like_this_is_rejected(
    body: bytes, sent: str, url: str, tokens: list[str]
) -> None:
    with pytest.raises(Unauthenticated):
        verify(body, sent, url, tokens)


@pytest.mark.parametrize(
    "body",
    [
        b"Body=" + b"x" * MAX_BYTES,
        b"Body=\xff",
        b"Body=%ff",
        b"Body=%ed%a0%80",
        b"&".join([b"a=1"] * 1000),
    ],
)
def test_a_body_that_nobody_could_sign_is_rejected(body: bytes) -> None:
    with pytest.raises(Unauthenticated):
        verify(body, SIGNATURE, URL, [TOKEN])


def test_a_text_becomes_a_reply() -> None:
    group = f"MG{'0' * 32}"
    fields = STOP | {"OptOutType": "STOP", "MessagingServiceSid": group}

    assert twilio_webhook.reply([*fields.items()], AT) == Reply(
        provider="twilio",
        message_id=STOP["MessageSid"],
        sender=STOP["To"],
        contact=STOP["From"],
        text="STOP",
        at=AT,
        opt_out_type="STOP",
        messaging_service=group,
    )


@pytest.mark.parametrize("name", ["From", "To", "MessageSid"])
def test_a_text_without_its_numbers_or_its_id_is_malformed(name: str) -> None:
    without = [(key, value) for key, value in STOP.items() if key != name]
    for parameters in (without, [*without, (name, "")]):
        with pytest.raises(MalformedBody):
            twilio_webhook.reply(parameters, AT)


def test_a_text_without_a_body_is_empty() -> None:
    without = [(key, value) for key, value in STOP.items() if key != "Body"]
    assert twilio_webhook.reply(without, AT).text == ""


def test_an_error_is_an_empty_response() -> None:
    statuses = {Unauthenticated: 403, MalformedBody: 400, Unavailable: 503, Internal: 503}
    rendered = {kind: twilio_webhook.render_error(kind(), "-") for kind in statuses}

    assert {kind: each.status for kind, each in rendered.items()} == statuses
    assert {each.body for each in rendered.values()} == {b""}


class FakeQueue:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, bodies: list[bytes]) -> None:
        """Keep messages."""
        self.sent += bodies


@given(TEXTS, TEXTS)
def test_a_reply_is_read_from_the_queue_as_it_was_kept(text: str, contact: str) -> None:
    kept = Reply("twilio", "SM1", "+15550001111", contact, text, AT, "STOP", "MG1")
    queue = FakeQueue()
    Inbound(queue).enqueue(kept)  # type: ignore[arg-type]
    (body,) = queue.sent

    assert parse_inbound(body) == kept
    assert all(0x20 <= byte <= 0x7F for byte in body)  # SQS rejects some other characters


def test_the_largest_text_fits_into_a_message_of_sqs() -> None:
    fields = STOP | {"Body": "\x01" * 10_000}
    queue = FakeQueue()
    Inbound(queue).enqueue(twilio_webhook.reply([*fields.items()], AT))  # type: ignore[arg-type]

    assert len(queue.sent[0]) < 256 * 1024
