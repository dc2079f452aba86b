"""Plain words of the cover page for the words of the verifier."""

from collections.abc import Mapping

ORIGINS: Mapping[str, str] = {
    "attested": "Captured by the organization, and sent with its evidence",
    "bulk-consents": "Recorded by the organization, and sent in bulk",
    "hosted": "Signed up by the contact on a web page that the operator served",
    "double-opt-in": "Confirmed by the contact in reply to a text message",
    "inbound": "Sent by the contact as a text message",
    "revocation": "Revoked by the organization for the contact",
}
"""By the origin of a record."""

RECORDS: Mapping[str, str] = {
    "PROVEN": "The log contains a commitment to exactly this content.",
    "BACKFILLED": (
        "The log contains a commitment to exactly this content. It was logged after the fact: "
        "the record is older than the log."
    ),
    "LATE": (
        "This record was added to the log later than its own date of receipt allows. It may be "
        "backdated."
    ),
    "FUTURE": (
        "The date of receipt of this record is later than its entry in the log. The date is wrong."
    ),
    "CHANGED": "This record was changed after it was stored. The log has the change.",
    "REMOVED": "The log says that this record was removed or replaced after it was stored.",
    "ERASED": "A record was stored, and then removed or replaced. Its content is not available.",
    "WITHHELD": "The log has a record of this contact here whose content was not shown.",
    "NOT LOGGED": "The log has no entry of this record. Nothing shows when it was stored.",
    "ALTERED": "This content is not what the log commits to. It was altered.",
}
"""By the word of a record."""

GOOD = {"PROVEN", "BACKFILLED"}

TIMES: Mapping[str, str] = {
    "BETWEEN": "Logged between {not_before} and {not_after}, as witnessed by {by}.",
    "NOT LATER THAN": "Logged not later than {not_after}, as witnessed by {by}.",
    "CLAIMED": (
        "No independent witness confirms when it was logged: the times above are the operator's."
    ),
}
"""By the beginning of the word of a time."""

TEXTS: Mapping[str, str] = {
    "MATCHES": "Agreement text, whose SHA-256 is in the record",
    "DIFFERS": "The agreement text in this pack is not the one that the record names.",
    "NOT IN THE PACK": "The record names an agreement text that is not in this pack.",
}

COMPLETENESS: Mapping[str, str] = {
    "COMPLETE": (
        "These are all records of this contact in the log. An independent auditor confirmed the"
        " index that shows it."
    ),
    "COMPLETE, RECOMPUTED": (
        "These are all records of this contact in the log, recomputed from the whole log."
    ),
    "COMPLETE AS INDEXED": (
        "These are all records of this contact in the log, according to the operator's signed "
        "index. An auditor, or a replay of the log, confirms that the index is true."
    ),
    "NOT SHOWN": "This pack does not show that it has all records of the contact.",
}

NOT_PROVEN: Mapping[str, str] = {
    "N1": (
        "That the person acted. The log proves what was sent to the operator and when at the "
        "latest, not who clicked."
    ),
    "N2": "That no record was rejected or lost before the operator accepted it.",
    "N3": "Anything that happened after the size of the log that this pack is about.",
    "N4": (
        "Completeness against an operator who wrote a false index, unless the log was audited "
        "or recomputed."
    ),
    "N5": (
        "That there is one log only. Without independent witnesses or a checkpoint that "
        "somebody kept, a second log could be made up later."
    ),
    "N6": "That a record is not older than the last witnessed state of the log before it.",
    "N7": "That a court admits this. The facts for a certification are below; a person signs it.",
}

OPEN_POINTS: Mapping[str, str] = {
    "NO QUORUM": (
        "Fewer independent witnesses signed the log than its policy asks for. A pack made after "
        "they sign closes this."
    ),
    "NONE": (
        "No independent witness signed the log. A pack made after witnesses sign closes this."
    ),
    "BACKFILLED": ("A record is older than the log. Other evidence of its age closes this."),
    "CLAIMED": (
        "When a record was logged is the operator's word. A pack made after witnesses sign the "
        "log again closes this."
    ),
    "NOT LATER THAN": (
        "How early a record was logged is open. A pack with a witnessed state of the log from "
        "before the record closes this."
    ),
    "NOT IN THE PACK": (
        "An agreement text is missing. The text closes this: its SHA-256 is in the record."
    ),
    "UNKNOWN KIND": (
        "The log has an entry of a kind that this verifier does not know. A newer one closes this."
    ),
    "COMPLETE AS INDEXED": (
        "That nothing is left out rests on the operator's index. The signature of an auditor, or "
        "a replay of the log, closes this."
    ),
}
"""By the word that leaves a point open."""

MEANINGS: Mapping[str, str] = {
    "VERIFIED": "Every statement is proven.",
    "VERIFIED, WITH OPEN POINTS": (
        "Nothing contradicts the records. Some points are open, and named below."
    ),
    "GAPS": (
        "The log speaks of records that are not shown, or that were changed, removed or came late."
    ),
    "BROKEN": "The contents contradict each other or the log.",
    "UNREADABLE": "The pack could not be read.",
}
"""By the verdict."""

LABELS: Mapping[str, str] = {
    "agreement_text_hash": "Agreement text (SHA-256)",
    "captured_at": "Captured at",
    "confirmation_text_hash": "Confirmation request (SHA-256)",
    "consent_method": "Method",
    "form_id": "Form",
    "form_url": "Web page",
    "inbound_message_id": "Message ID of the reply",
    "ip_address": "IP address",
    "page_hash": "Page shown (SHA-256)",
    "page_lang": "Language of the page",
    "provider_message_id": "Message ID of the request",
    "reply_text": "Text from the contact",
    "sent_at": "Request sent at",
    "shown_at": "Page shown at",
    "user_agent": "Browser",
}
"""By the name of a field of evidence."""
