"""The composition root of providers of text messages: what sends, and what Twilio signs with."""

import os
from functools import cache
from typing import Any

from cachetools import TTLCache, cached

from consents import wiring
from consents.aws import session
from consents.aws.dynamodb import BOTO_CONFIG
from consents.aws.sqs import Queue
from consents.http.public_url import public_url
from consents.http.request import Event
from consents.messages import aws, outbox, twilio
from consents.messages.port import Messages
from consents.opt_in import twilio_webhook
from consents.opt_in.queues import Inbound

TOKEN_SECONDS = 30
"""How long a token is kept: a new one is in force after that."""

_AWS_SETTINGS = {
    "ConfigurationSetName": "CONFIGURATION_SET_NAME",
    "MaxPrice": "MAX_PRICE_PER_TEXT",
    "MessageType": "MESSAGE_TYPE",
    "ProtectConfigurationId": "PROTECT_CONFIGURATION_ID",
}
"""Parameters of SendTextMessage, by environment variables that may be empty."""


@cache
def provider() -> Messages:
    """Return the configured provider.

    Raises:
        LookupError: no provider is configured, or it lacks its account.
    """
    match os.environ["MESSAGE_PROVIDER"]:
        case outbox.NAME:
            return outbox.Outbox(wiring.table("FORMS_TABLE"))
        case aws.NAME:
            return aws.AwsMessages(_sms_voice, _aws_settings())
        case twilio.NAME if account_sid := os.environ["TWILIO_ACCOUNT_SID"]:
            url = os.environ["TWILIO_API_URL"]
            return twilio.TwilioMessages(url, account_sid, lambda: twilio_tokens()[0])
    raise LookupError("no provider, or a provider without an account")


@cached(TTLCache(1, TOKEN_SECONDS))
def twilio_tokens() -> list[str]:
    """Return the auth tokens of the Twilio account: the first sends, all of them verify."""
    if not os.environ["TWILIO_ACCOUNT_SID"]:
        return []
    return wiring.secret("TWILIO_TOKEN_SECRET").split()


def twilio_url(event: Event) -> str:
    """Return the URL that Twilio posts to, and signs."""
    return public_url(os.environ["PUBLIC_URL"], event) + twilio_webhook.PATH


@cache
def inbound() -> Inbound:
    """Return the queue of what contacts text."""
    client = session.boto_client("sqs", **BOTO_CONFIG)
    return Inbound(Queue(client, os.environ["INBOUND_QUEUE"]))


@cache
def _sms_voice() -> Any:
    """Return the client of AWS End User Messaging SMS, which the first text loads."""
    return session.boto_client("pinpoint-sms-voice-v2", **aws.BOTO_CONFIG)


def _aws_settings() -> dict[str, str]:
    found = {name: os.environ[variable] for name, variable in _AWS_SETTINGS.items()}
    return {name: value for name, value in found.items() if value}
