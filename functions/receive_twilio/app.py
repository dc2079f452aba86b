"""POST /inbound/twilio: take the text of a contact, and acknowledge it once the queue has it."""

from consents.domain.record import Receipt
from consents.http.endpoint import GatewayResponse, respond
from consents.http.request import Context, Event, header, sent_body
from consents.http.response import Response
from consents.opt_in import provider_wiring, twilio_webhook


def handler(event: Event, context: Context) -> GatewayResponse:
    """Take a text that Twilio signed."""

    def take(receipt: Receipt) -> Response:
        sent = header(event, "x-twilio-signature") or ""
        url, tokens = provider_wiring.twilio_url(event), provider_wiring.twilio_tokens()
        parameters = twilio_webhook.verify(sent_body(event), sent, url, tokens)
        provider_wiring.inbound().enqueue(twilio_webhook.reply(parameters, receipt.received_at))
        return twilio_webhook.TAKEN

    return respond(event, context, twilio_webhook, take, headers={})
