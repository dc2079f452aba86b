"""Files of consents: rows, the objects and queues of their imports, and what an import reports."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import httpx
from consents.imports.drop import Drop, parse_key
from consents_cli import imports
from consents_cli.stack import Stack

from tests.e2e.local_stack import LocalStack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ATTESTED, BULK = "attested", "bulk-consents"

type Row = dict[str, str]
type Put = Callable[[str, bytes], Drop]
type Summary = Callable[..., dict[str, Any]]


def aws(stack: LocalStack, service: Any) -> Any:
    """Return a client of the local AWS."""
    return boto3.client(
        service,
        endpoint_url=stack.state["aws_endpoint_url"],
        region_name=stack.state["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def s3(stack: LocalStack) -> "S3Client":
    client: S3Client = aws(stack, "s3")
    return client


def attested_row(stack: LocalStack, contact: str, **changes: str) -> Row:
    return {
        "phone_number_id": stack.organization["senders"][0]["phone_number_id"],
        "contact_number": contact,
        "opted_in": "TRUE",
        "evidence.captured_at": "2026-04-26T12:00:00Z",
        "evidence.ip_address": "203.0.113.42",
        "evidence.user_agent": "Mozilla/5.0",
        "evidence.agreement_text": 'By signing up, you agree.\r\nReply "STOP" to opt out.',
        "evidence.form_url": "https://example.com/signup",
        "evidence.consent_method": "checkbox",
    } | changes


def bulk_row(number: int, contact: str, **changes: str) -> Row:
    return {
        "correlation_id": f"{number:032x}",
        "contact_id": contact,
        "sender_id": "MG00000000000000000000000000000001",
        "status": "opt-in",
        "source": "website",
        "date_of_consent": "2026-04-26T12:00:00Z",
        "note": 'seen in the shop,\r\nsaid "yes"',
    } | changes


def as_csv(rows: Sequence[Row]) -> bytes:
    """Return a spreadsheet's CSV: a byte order mark, CRLF, quotes where they are needed."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def as_jsonl_gz(rows: Sequence[Row]) -> bytes:
    return gzip.compress(b"".join(json.dumps(nested(row)).encode() + b"\n" for row in rows))


def nested(row: Row) -> dict[str, Any]:
    """Return the record of a row."""
    record: dict[str, Any] = {}
    for name, value in row.items():
        parent, _, field = name.rpartition(".")
        (record.setdefault(parent, {}) if parent else record)[field] = value
    if "opted_in" in record:
        record["opted_in"] = True
    return record


def dropped_as(stack: LocalStack, key: str) -> Drop:
    """Return the drop of the newest version of an object."""
    bucket = stack.state["drops_bucket"]
    version = s3(stack).head_object(Bucket=bucket, Key=key)["VersionId"]
    dropped = parse_key(bucket, key, version)
    assert dropped is not None
    return dropped


def report(stack: LocalStack, dropped: Drop, name: str) -> bytes:
    answer = s3(stack).get_object(Bucket=dropped.bucket, Key=dropped.report_key(name))
    return answer["Body"].read()


def state(stack: Stack, import_id: str) -> str | None:
    """Return the state of an import, or None while it has not begun."""
    found = imports.find(stack, import_id)
    return str(found["state"]) if found else None


def post(stack: LocalStack) -> int:
    """Capture one record by a request, and return the status.

    A 503 is repeated twice, as the guide to retries says: the machine may be busy with other tests.
    """
    for _ in range(3):
        answer = httpx.post(
            f"{stack.api_url}/v1/consent/bulk",
            json={"records": [nested(attested_row(stack, "+15555558001"))]},
            headers={"Authorization": f"Bearer {stack.organization['api_key']}"},
            timeout=60,
        )
        if answer.status_code != 503:
            break
    return answer.status_code


class Queues:
    """The deployed queues, by their names in the template."""

    def __init__(self, stack: LocalStack) -> None:
        self.sqs = aws(stack, "sqs")
        self.mappings = aws(stack, "lambda")
        self.urls: list[str] = self.sqs.list_queues()["QueueUrls"]

    def url(self, name: str) -> str:
        (url,) = [url for url in self.urls if f"-{name}-" in url]
        return url

    def receive(self, name: str) -> list[str]:
        """Take some messages off a queue."""
        url = self.url(name)
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in found]

    def attributes(self, name: str, *wanted: str) -> dict[str, str]:
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url(name), AttributeNames=wanted)
        return dict(answer["Attributes"])

    @contextmanager
    def changed(self, name: str, **attributes: str) -> Iterator[None]:
        """Change attributes of a queue for a while."""
        before = self.attributes(name, "VisibilityTimeout", "RedrivePolicy")
        url = self.url(name)
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        try:
            yield
        finally:
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes=before)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Keep the messages of a queue from its function for a while."""
        arn = self.attributes(name, "QueueArn")["QueueArn"]
        found = self.mappings.list_event_source_mappings(EventSourceArn=arn)
        (mapping,) = found["EventSourceMappings"]
        self.mappings.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            self.mappings.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def totals(summary: Mapping[str, Any]) -> tuple[str, int, int, int]:
    """Return the state and the counts of a summary."""
    return summary["state"], summary["accepted"], summary["duplicates"], summary["rejected"]


def jsonl(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)
