"""What the console says: states, reasons and origins in words."""

from collections.abc import Mapping

from consents.decisions.decide import Decision, Reason
from consents.decisions.revoke_api import Method
from consents.domain.organization import Scope
from consents.domain.record import EVERY_SENDER, Statement, Status, StoredRecord
from consents_cli.output import API_NAMES
from phonenumbers import PhoneNumberFormat, format_number, parse

METHODS: Mapping[str, str] = {
    Method.SMS_KEYWORD: "Keyword by text",
    Method.REPLY: "Reply by text",
    Method.WEB: "Web form",
    Method.EMAIL: "Email",
    Method.PHONE: "Phone call",
    Method.LETTER: "Letter",
    Method.IN_PERSON: "In person",
    Method.OTHER: "Other",
}
ACTIONS: Mapping[str, str] = {
    "contact.viewed": "looked at a contact",
    "record.viewed": "looked at a record",
    "contact.exported": "exported a contact",
    "contact.checked": "checked a contact",
    "proof.made": "made a proof pack",
    "consent.revoked": "revoked consent",
    "key.created": "created a key",
    "key.revoked": "revoked a key",
}
SCOPES: Mapping[str, str] = {
    Scope.WRITE: "capture, import and revoke",
    Scope.CHECK: "check contacts",
    Scope.READ: "read records",
    Scope.PROVE: "make proof packs",
    Scope.LOG: "read the transparency log",
}
IMPORT_STATES: Mapping[str, str] = {
    "awaiting_upload": "Announced: the file has not arrived yet.",
    "expired": "The upload link expired, and no file arrived.",
    "queued": "Waiting for its turn.",
    "planning": "The file is being cut into parts.",
    "importing": "Rows are being imported.",
    "completed": "Every row is counted and reported.",
    "failed": "The import stopped; what was stored before stays stored.",
}
CODES: Mapping[str, str] = {
    "VALIDATION_FAILED": "a field breaks its rule",
    "NOT_FOUND": "the phone number id is not one of the organization",
    "30646": "a field breaks its rule",
}
_ORIGINS: Mapping[str, str] = {
    "checkbox": "checkbox",
    "sms_keyword": "keyword by text",
    "written": "in writing",
    "verbal": "verbally",
    "attested": "attested",
    "hosted_form": "hosted form",
}


_FIELDS: Mapping[str, str] = {
    "ip_address": "IP address",
    "form_url": "Form URL",
}


def field_name(name: str) -> str:
    """Return the name of a field of the evidence."""
    return _FIELDS.get(name) or name.replace("_", " ").capitalize()


def phone(number: str) -> str:
    """Return a number in E.164 as people write it; another sender, such as a SID, as it is."""
    if not number.startswith("+"):
        return number
    return format_number(parse(number), PhoneNumberFormat.INTERNATIONAL).replace("-", " ")


def sender_name(sender: str) -> str:
    """Return a sender as people read it."""
    return "Every sender" if sender == EVERY_SENDER else phone(sender)


def status(record: Statement) -> str:
    """Return what a record says."""
    return "Opted in" if record.status is Status.OPT_IN else "Opted out"


def source(record: StoredRecord) -> str:
    """Return how a record came about, in a few words."""
    evidence = record.evidence
    how = evidence.get("consent_method") or evidence.get("method") or evidence.get("source") or ""
    named = METHODS.get(how, "").lower() or _ORIGINS.get(how) or how.replace("-", " ")
    api = API_NAMES[record.wire]
    return f"{api}, {named}" if named and named != api.lower() else api


def reason(decision: Decision[StoredRecord]) -> str:
    """Return in one sentence why a sender may or may not text."""
    record = decision.record
    if record is None:
        return "Nothing is recorded about this sender."
    how = source(record)
    match decision.reason:
        case Reason.OPTED_IN:
            return f"Opted in: {how}."
        case Reason.EXPIRED:
            return "The opt-in is older than the organization's rules allow."
        case _:
            every = record.sender == EVERY_SENDER
            return f"Opted out of every sender: {how}." if every else f"Opted out: {how}."
