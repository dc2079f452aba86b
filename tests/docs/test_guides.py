"""The numbers, states and messages of the guides are those of the code."""

from datetime import timedelta

import pytest
from consents.accounts.directory import CACHE_SECONDS
from consents.capture import attested, bulk_consents
from consents.decisions.api import MAX_CONTACTS
from consents.decisions.decide import Reason
from consents.domain.organization import (
    DEFAULT_PARTS_PER_DAY,
    DEFAULT_RECORDS_PER_MINUTE,
    PLANS_WITH_CAPTURE,
    Bucket,
    Plan,
    Scope,
)
from consents.domain.outcome import Stored
from consents.domain.token_bucket import WINDOW_SECONDS
from consents.http import rejections
from consents.http.idempotency import KEPT_FOR
from consents.http.request import MAX_IDEMPOTENCY_KEY_LENGTH
from consents.imports import api, bucket, limits, parts, rows

from tests import yaml_documents
from tests.docs.pages import ROOT, code, table

GUIDES = ROOT / "docs" / "guides"
OPENAPI = yaml_documents.openapi()
GIB, MIB = 2**30, 2**20


def text(name: str) -> str:
    return " ".join((GUIDES / f"{name}.md").read_text().split())


@pytest.mark.parametrize(
    ("guide", "stated"),
    [
        ("file-imports", f"| running imports per organization | {limits.MAX_RUNNING};"),
        ("file-imports", f"| open announcements per organization | {limits.MAX_OPEN_UPLOADS};"),
        ("file-imports", f"UTC day | {DEFAULT_PARTS_PER_DAY:,} by default;"),
        ("file-imports", f"| a file | {parts.MAX_PARTS:,} parts"),
        ("file-imports", f"has at most {parts.ROWS_PER_PART} rows or about 1 MiB"),
        ("file-imports", f"presigned URL | {api.MAX_FILE_BYTES // GIB} GiB |"),
        ("file-imports", f"| {bucket.MAX_BYTES // GIB} GiB decompressed;"),
        ("file-imports", f"line ending | {rows.MAX_ROW_BYTES // MIB} MiB;"),
        ("file-imports", f"| a CSV header | {rows.MAX_COLUMNS} columns,"),
        ("file-imports", f"{api.DEFAULT_PAGE} per page: use `limit` (at most {api.MAX_PAGE})"),
        ("large-bodies", f"at most {attested.MAX_BATCH_BYTES // MIB} MiB after decoding"),
        ("large-bodies", f"({attested.MAX_SINGLE_BYTES // MIB} MiB for `POST /v1/consent`)"),
        ("large-bodies", f"at most {attested.MAX_RECORDS} records"),
        ("twilio-sdk", f"up to {bulk_consents.MAX_ITEMS} items"),
        ("checking-consent", f"1 to {MAX_CONTACTS} contacts"),
        ("checking-consent", f"in force within {CACHE_SECONDS} seconds"),
        ("rate-limits", f"w={WINDOW_SECONDS}"),
        ("rate-limits", f"| `POST /v1/imports` | {limits.MAX_OPEN_UPLOADS}:"),
        ("retries-and-idempotency", f"a header of 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} characters"),
        ("retries-and-idempotency", f"within {KEPT_FOR // timedelta(hours=1)} hours"),
        ("retries-and-idempotency", f"within {CACHE_SECONDS} seconds"),
        ("retries-and-idempotency", f"error code {bulk_consents.INVALID_ITEM}"),
        ("retries-and-idempotency", f"reason `{rejections.reason(Stored.UNAVAILABLE)}`"),
        ("organizations-and-keys", f"| {DEFAULT_RECORDS_PER_MINUTE:,} |"),
        ("organizations-and-keys", f"| {DEFAULT_PARTS_PER_DAY:,} |"),
        ("organizations-and-keys", f"for up to {CACHE_SECONDS} seconds"),
    ],
)
def test_a_guide_states_what_the_code_has(guide: str, stated: str) -> None:
    assert stated in text(guide)


def test_the_guide_lists_the_states_of_an_import() -> None:
    listed = table(GUIDES / "file-imports.md", "State")
    schema = OPENAPI["components"]["schemas"]["ListedImport"]
    assert list(listed) == schema["properties"]["state"]["enum"]


def test_the_guide_lists_the_reasons_and_the_scopes() -> None:
    guide = GUIDES / "checking-consent.md"
    assert set(table(guide, "Reason")) == set(Reason)
    assert set(table(guide, "Scope")) == set(Scope)


def test_the_guide_lists_the_buckets() -> None:
    assert list(table(GUIDES / "rate-limits.md", "Bucket")) == list(Bucket)


def test_the_guide_lists_the_plans() -> None:
    plans = code(table(GUIDES / "organizations-and-keys.md", "Setting")["--plan"][0])
    assert set(plans) == {str(plan) for plan in Plan}
    assert plans[:-1] == [str(plan) for plan in Plan if plan in PLANS_WITH_CAPTURE]


def test_the_description_states_the_limit_of_open_announcements_and_running_imports() -> None:
    description = " ".join(OPENAPI["paths"]["/v1/imports"]["post"]["description"].split())
    assert f"may have {limits.MAX_OPEN_UPLOADS} open announcements" in description
    assert f"at most {limits.MAX_RUNNING} imports" in description
