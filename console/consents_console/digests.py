"""Whether a stored record still is what its key says: its digest, and that of its text."""

from collections.abc import Iterator
from datetime import datetime

from consents.domain.record import ConsentRecord, StoredRecord, text_hash


def digest_fits(record: StoredRecord) -> bool:
    """Return whether the content of a record has the digest that its key ends with."""
    return any(one.digest() == record.record_id for one in _contents(record))


def text_fits(record: StoredRecord, text: str) -> bool:
    """Return whether an agreement text is the one that a record names by its hash."""
    return record.evidence.get("agreement_text_hash") == text_hash(text)


def _contents(record: StoredRecord) -> Iterator[ConsentRecord]:
    """Return the content with a date and without one: only the key says which it had."""
    for dated_at in (datetime.fromisoformat(record.effective_at), None):
        yield ConsentRecord(
            record.wire,
            record.sender,
            record.contact,
            record.status,
            dated_at,
            record.evidence,
            record.phone_number_id,
            record.correlation_id,
        )
