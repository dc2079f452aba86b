"""The imports API: announcements, pages, and the states of imports."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from consents.domain.errors import Invalid, MalformedBody, NotFound, UnsupportedMediaType
from consents.domain.record import Wire, timestamp
from consents.imports import api as imports
from consents.imports.api import MAX_FILE_BYTES, MESSAGES, Announcement, Link
from consents.imports.drop import Drop, parse_key, upload_key
from consents.imports.import_state import Counts, Import, PendingUpload, Place, overdue

from tests.factories import NOW, REQUEST_ID, begun_import, pending_upload

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
VALID = {"wire": "attested", "format": "csv", "size": 1048576}
LATER = NOW + timedelta(hours=1)
REPORTS = {name: Link(f"https://example.com/{name}", {}, LATER) for name in ("summary", "rejected")}


def announce(sent: Any) -> Announcement:
    return imports.parse_announcement(json.dumps(sent).encode(), "application/json")


def faults(sent: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as error:
        announce(sent)
    return error.value.details


def dropped(key: str = "drops/org_1/attested/a.csv", version: str = "v1") -> Drop:
    drop = parse_key("bucket", key, version)
    assert drop is not None
    return drop


# --- what is announced ---


@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize("form", ["csv", "csv.gz", "jsonl", "jsonl.gz"])
def test_a_file_of_either_wire_in_each_format_can_be_announced(wire: Wire, form: str) -> None:
    announced_file = announce(VALID | {"wire": wire, "format": form})

    assert (
        announced_file.wire,
        announced_file.format,
        announced_file.size,
        announced_file.sha256,
    ) == (wire, form, 1048576, None)


@pytest.mark.parametrize("size", [1, MAX_FILE_BYTES])
def test_a_file_may_be_as_large_as_one_put(size: int) -> None:
    assert announce(VALID | {"size": size}).size == size


@pytest.mark.parametrize("sha256", [SHA256, SHA256.upper()])
def test_a_digest_is_hex_in_any_case(sha256: str) -> None:
    assert announce(VALID | {"sha256": sha256}).sha256 == SHA256


def test_a_digest_may_be_null_and_other_fields_are_not_read() -> None:
    assert announce(VALID | {"sha256": None, "name": "mine"}) == announce(VALID)


@pytest.mark.parametrize("other", ['"name": "x \\ud83d"', '"\\ud83d": 1', '"x": 1e400'])
def test_an_unknown_field_may_hold_any_value(other: str) -> None:
    body = json.dumps(VALID)[:-1] + f", {other}}}"

    assert imports.parse_announcement(body.encode(), None) == announce(VALID)


BROKEN: dict[str, list[Any]] = {
    "wire": ["Attested", "bulk_consents", "", None, 1, ["attested"]],
    "format": ["CSV", "xlsx", ".csv", "csv.gz.gz", None, {}],
    "size": [0, -1, MAX_FILE_BYTES + 1, 10**400, 1.0, "1", True, None],
    "sha256": ["", SHA256[1:], SHA256 + "0", SHA256 + "\n", "g" * 64, 1],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BROKEN.items() for value in values]
)
def test_a_field_that_breaks_its_rule_is_named(field: str, value: Any) -> None:
    assert faults(VALID | {field: value}) == {field: MESSAGES[field]}


def test_all_faults_are_listed_at_once() -> None:
    assert faults({"format": "xlsx", "sha256": "x"}) == {
        "wire": "is required",
        "format": "must be one of csv, csv.gz, jsonl, jsonl.gz",
        "size": "is required",
        "sha256": "must be 64 hex digits",
    }


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b'{"size": NaN}'])
def test_an_announcement_must_be_a_json_object(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        imports.parse_announcement(body, None)


def test_another_content_type_is_not_read() -> None:
    with pytest.raises(UnsupportedMediaType):
        imports.parse_announcement(b"{}", "text/csv")


# --- what is asked ---


@pytest.mark.parametrize(
    "sent", ["", "x", "A" * 32, "0" * 31, "0" * 33, "0" * 2000, "0" * 31 + "\u0660"]
)
def test_an_id_in_another_form_is_not_found(sent: str) -> None:
    with pytest.raises(NotFound):
        imports.parse_id(sent)


@pytest.mark.parametrize(("sent", "size"), [(None, 20), ("1", 1), ("100", 100), ("007", 7)])
def test_a_page_has_the_requested_size(sent: str | None, size: int) -> None:
    assert imports.parse_page(sent, None) == (size, None)


@pytest.mark.parametrize("sent", ["", "0", "101", "-1", "1.0", "ten", "1" * 5000, "\u0661"])
def test_a_limit_out_of_bounds_is_rejected(sent: str) -> None:
    with pytest.raises(Invalid) as error:
        imports.parse_page(sent, None)
    assert error.value.details == {"limit": "must be 1..100"}


@pytest.mark.parametrize(
    "sent", ["", "x", "é", "AAAA", "=", "____", urlsafe_b64encode(b"a b").decode()]
)
def test_an_invalid_cursor_is_rejected(sent: str) -> None:
    with pytest.raises(Invalid) as error:
        imports.parse_page("0", sent)
    assert set(error.value.details) == {"limit", "cursor"}


def test_a_list_continues_at_its_cursor() -> None:
    position = f"{timestamp(NOW)} {'0' * 32}"
    listed = json.loads(imports.render_list([], NOW, position, []).body)

    assert imports.parse_page(None, listed["next_cursor"]) == (20, position)


def test_the_last_page_has_no_cursor() -> None:
    assert json.loads(imports.render_list([], NOW, None, []).body) == {
        "imports": [],
        "next_cursor": None,
    }


# --- what is rendered ---


def rendered(
    found: PendingUpload | Import,
    reports: dict[str, Link] | None = None,
    uploaded: Collection[str] = (),
) -> dict[str, Any]:
    return dict(json.loads(imports.render_import(found, NOW, reports, uploaded).body))


def announced(seconds_left: int) -> PendingUpload:
    return pending_upload(expires_at=NOW + timedelta(seconds=seconds_left))


@pytest.mark.parametrize(("seconds_left", "state"), [(1, "awaiting_upload"), (0, "expired")])
def test_a_file_can_be_uploaded_until_its_link_expires(seconds_left: int, state: str) -> None:
    response = rendered(announced(seconds_left))

    assert response["state"] == state
    assert (response["rows"], response["parts"], response["reports"]) == (0, None, None)


def test_an_overdue_file_that_is_there_is_queued() -> None:
    pending = announced(0)

    assert rendered(pending, uploaded={pending.drop.import_id})["state"] == "queued"
    assert rendered(pending, uploaded={"another"})["state"] == "expired"


def test_a_file_with_a_valid_link_is_queued_when_it_begins() -> None:
    pending = announced(1)

    assert rendered(pending, uploaded={pending.drop.import_id})["state"] == "awaiting_upload"


def test_only_pending_uploads_whose_link_expired_are_overdue() -> None:
    pending = [announced(seconds_left) for seconds_left in (-1, 0, 1)]

    assert overdue([*pending, begun_import()], NOW) == pending[:2]


BEGUN = begun_import()
STATES: list[tuple[Import, str]] = [
    (replace(BEGUN, is_queued=True), "queued"),
    (BEGUN, "planning"),
    (replace(BEGUN, paused_until=NOW), "planning"),
    (replace(BEGUN, place=Place(4), parts=3), "importing"),
    (replace(BEGUN, parts=3, parts_done=3, outcome="completed"), "importing"),
    (replace(BEGUN, outcome="failed", reason="must be gzip"), "importing"),
    (replace(BEGUN, outcome="failed", reason="must be gzip", is_queued=True), "importing"),
]


@pytest.mark.parametrize(("reached", "state"), STATES)
def test_an_import_has_not_ended_before_its_reports_are_written(
    reached: Import, state: str
) -> None:
    response = rendered(reached)

    assert (response["state"], response["finished_at"], response["reports"]) == (state, None, None)
    assert "reason" not in response


@pytest.mark.parametrize("parts", [None, 7])
def test_a_paused_import_is_queued_and_has_a_reason(parts: int | None) -> None:
    response = rendered(replace(BEGUN, parts=parts, paused_until=NOW + timedelta(hours=12)))

    assert (response["state"], response["reason"]) == (
        "queued",
        "the daily bound of parts is reached: continues 2026-05-02",
    )


def test_an_ended_import_has_counts_and_links_to_its_reports() -> None:
    ended = begun_import(
        dropped(),
        place=Place(2),
        parts=1,
        released=1,
        parts_done=1,
        counts=Counts(5, 2, {"NOT_FOUND": 1, "INVALID": 2}),
        outcome="failed",
        reason="why",
        finished_at=LATER,
        chunks_joined=1,
        is_reported=True,
    )

    assert rendered(ended, REPORTS) == {
        "import_id": dropped().import_id,
        "wire": "attested",
        "state": "failed",
        "rows": 10,
        "accepted": 5,
        "duplicates": 2,
        "rejected": 3,
        "rejected_by_code": {"INVALID": 2, "NOT_FOUND": 1},
        "parts": 1,
        "parts_done": 1,
        "started_at": timestamp(NOW),
        "finished_at": timestamp(LATER),
        "source": {"bucket": "bucket", "key": "drops/org_1/attested/a.csv", "version": "v1"},
        "reason": "why",
        "reports": {
            "summary": "https://example.com/summary",
            "rejected": "https://example.com/rejected",
            "expires_at": timestamp(LATER),
        },
    }


def test_a_list_has_the_states_of_its_imports() -> None:
    pending = [announced(0), pending_upload(f"attested/uploads/{REQUEST_ID}.csv", expires_at=NOW)]
    uploaded = [pending[1].drop.import_id]
    response = json.loads(imports.render_list(pending, NOW, None, uploaded).body)

    assert [one["state"] for one in response["imports"]] == ["expired", "queued"]


# --- the name of an import ---

UPLOAD = dropped(upload_key("org_1", Wire.ATTESTED, "csv", REQUEST_ID), "")


def test_an_announced_file_is_one_import_in_any_version() -> None:
    versions = [dropped(UPLOAD.key, version) for version in ("", "v1", "v2")]

    assert len({drop.import_id for drop in versions}) == 1


@pytest.mark.parametrize(
    "key",
    [
        "drops/org_1/attested/a.csv",
        "drops/org_1/attested/uploads/a.csv",
        "drops/org_1/attested/uploads/01JTBQH2FZ8K1RXC0WJ4Z9P3VM/a.csv",
        "drops/org_1/attested/x/uploads/01JTBQH2FZ8K1RXC0WJ4Z9P3VM.csv",
    ],
)
def test_each_version_of_another_object_is_another_import(key: str) -> None:
    assert dropped(key, "v1").import_id != dropped(key, "v2").import_id


def test_the_same_upload_of_two_organizations_is_two_imports() -> None:
    other = dropped(UPLOAD.key.replace("org_1", "org_2"), "")

    assert other.import_id != UPLOAD.import_id
