"""What a caller orders: the fields of a new form, with the defaults of the sender's profile."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from consents.domain.sender_profile import SenderProfile
from consents.forms.form import Confirm, Form, MessageType
from consents.forms.tokens import Token, new_token


@dataclass(frozen=True, slots=True)
class Order:
    """The fields of a form as the caller sent them, valid; a text that is not set is empty.

    All but `expires_in` are those of a form.
    """

    phone_number_id: str
    sender: str
    contact: str
    agreement_text: str
    expires_in: timedelta
    confirm: Confirm
    max_submissions: int
    headline: str = ""
    intro: str = ""
    program: str = ""
    frequency: str = ""
    redirect_url: str = ""
    locale: str = ""
    agreement_lang: str = "en"
    message_type: MessageType = MessageType.TRANSACTIONAL
    reference: str = ""


def make_form(
    order: Order,
    org_id: str,
    profile: SenderProfile,
    secret_hash: Callable[[Token], str],
    now: datetime,
) -> tuple[Form, Token]:
    """Return the form of an order, which keeps the profile as it is now, and its link's token.

    `secret_hash` returns what the form stores of its token's secret.
    """
    token = new_token(is_secret=bool(order.contact))
    created_at = now.replace(microsecond=0)
    fields = asdict(order)
    expires_at = created_at + fields.pop("expires_in")
    defaults = {
        "program": order.program or profile.program,
        "frequency": order.frequency or profile.frequency,
    }
    form = Form(
        **fields | defaults,
        form_id=token.form_id,
        org_id=org_id,
        profile=profile,
        created_at=created_at,
        expires_at=expires_at,
        secret_hash=secret_hash(token),
    )
    return form, token
