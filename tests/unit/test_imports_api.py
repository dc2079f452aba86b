"""The imports API: what a caller may announce and ask, and what it is told."""

import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import pytest
from consents.domain.drop import Announced, Counts, Drop, Import, Place, drop_of, upload_key
from consents.domain.errors import Invalid, MalformedBody, NotFound, UnsupportedMediaType
from consents.domain.record import Wire, timestamp
from consents.wires import imports
from consents.wires.imports import MESSAGES, MOST_FILE_BYTES, Announcement, Link

from tests.unit.examples import NOW

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
SOUND = {"wire": "attested", "format": "csv", "size": 1048576}
LATER = NOW + timedelta(hours=1)
REPORTS = {name: Link(f"https://example.com/{name}", {}, LATER) for name in ("summary", "rejected")}


def announce(sent: Any) -> Announcement:
    return imports.parse_announcement(json.dumps(sent).encode(), "application/json")


def faults(sent: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        announce(sent)
    return refused.value.details


def dropped(key: str = "drops/org_1/attested/a.csv", version: str = "v1") -> Drop:
    drop = drop_of("bucket", key, version)
    assert drop is not None
    return drop


# --- what is announced ---


@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize("form", ["csv", "csv.gz", "jsonl", "jsonl.gz"])
def test_a_file_of_either_wire_in_each_format_can_be_announced(wire: Wire, form: str) -> None:
    told = announce(SOUND | {"wire": wire, "format": form})

    assert (told.wire, told.format, told.size, told.sha256) == (wire, form, 1048576, None)


@pytest.mark.parametrize("size", [1, MOST_FILE_BYTES])
def test_a_file_may_be_as_large_as_one_put(size: int) -> None:
    assert announce(SOUND | {"size": size}).size == size


@pytest.mark.parametrize("sha256", [SHA256, SHA256.upper()])
def test_a_digest_is_hex_in_any_case(sha256: str) -> None:
    assert announce(SOUND | {"sha256": sha256}).sha256 == SHA256


def test_a_digest_may_be_null_and_other_fields_are_not_read() -> None:
    assert announce(SOUND | {"sha256": None, "name": "mine"}) == announce(SOUND)


@pytest.mark.parametrize("other", ['"name": "x \\ud83d"', '"\\ud83d": 1', '"x": 1e400'])
def test_a_field_that_is_not_read_is_no_fault_whatever_it_holds(other: str) -> None:
    body = json.dumps(SOUND)[:-1] + f", {other}}}"

    assert imports.parse_announcement(body.encode(), None) == announce(SOUND)


BROKEN: dict[str, list[Any]] = {
    "wire": ["Attested", "bulk_consents", "", None, 1, ["attested"]],
    "format": ["CSV", "xlsx", ".csv", "csv.gz.gz", None, {}],
    "size": [0, -1, MOST_FILE_BYTES + 1, 10**400, 1.0, "1", True, None],
    "sha256": ["", SHA256[1:], SHA256 + "0", SHA256 + "\n", "g" * 64, 1],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BROKEN.items() for value in values]
)
def test_a_field_that_breaks_its_rule_is_named(field: str, value: Any) -> None:
    assert faults(SOUND | {field: value}) == {field: MESSAGES[field]}


def test_all_faults_are_told_at_once() -> None:
    assert faults({"format": "xlsx", "sha256": "x"}) == {
        "wire": "is required",
        "format": "must be one of csv, csv.gz, jsonl, jsonl.gz",
        "size": "is required",
        "sha256": "must be 64 hex digits",
    }


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b'{"size": NaN}'])
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        imports.parse_announcement(body, None)


def test_another_content_type_is_not_read() -> None:
    with pytest.raises(UnsupportedMediaType):
        imports.parse_announcement(b"{}", "text/csv")


# --- what is asked ---


@pytest.mark.parametrize(
    "sent", ["", "x", "A" * 32, "0" * 31, "0" * 33, "0" * 2000, "0" * 31 + "\u0660"]
)
def test_what_can_be_no_import_is_not_found(sent: str) -> None:
    with pytest.raises(NotFound):
        imports.parse_id(sent)


@pytest.mark.parametrize(("sent", "size"), [(None, 20), ("1", 1), ("100", 100), ("007", 7)])
def test_a_page_has_the_size_that_is_asked_for(sent: str | None, size: int) -> None:
    assert imports.parse_page(sent, None) == (size, None)


@pytest.mark.parametrize("sent", ["", "0", "101", "-1", "1.0", "ten", "1" * 5000, "\u0661"])
def test_a_limit_out_of_bounds_is_refused(sent: str) -> None:
    with pytest.raises(Invalid) as refused:
        imports.parse_page(sent, None)
    assert refused.value.details == {"limit": "must be 1..100"}


@pytest.mark.parametrize(
    "sent", ["", "x", "é", "AAAA", "=", "____", urlsafe_b64encode(b"a b").decode()]
)
def test_a_cursor_that_no_list_gave_is_refused(sent: str) -> None:
    with pytest.raises(Invalid) as refused:
        imports.parse_page("0", sent)
    assert set(refused.value.details) == {"limit", "cursor"}


def test_a_list_goes_on_where_its_cursor_says() -> None:
    position = f"{timestamp(NOW)} {'0' * 32}"
    told = json.loads(imports.render_list([], NOW, position).body)

    assert imports.parse_page(None, told["next_cursor"]) == (20, position)


def test_the_last_page_has_no_cursor() -> None:
    assert json.loads(imports.render_list([], NOW, None).body) == {
        "imports": [],
        "next_cursor": None,
    }


# --- what is told ---


def upload() -> Drop:
    return dropped(upload_key("org_1", Wire.ATTESTED, "csv", "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"), "")


def told(found: Announced | Import, reports: dict[str, Link] | None = None) -> dict[str, Any]:
    return dict(json.loads(imports.render_import(found, NOW, reports).body))


@pytest.mark.parametrize(("ahead", "state"), [(1, "awaiting_upload"), (0, "expired")])
def test_an_announced_file_can_be_uploaded_until_its_link_expires(ahead: int, state: str) -> None:
    announced = Announced(upload(), NOW - timedelta(hours=1), NOW + timedelta(seconds=ahead))

    answer = told(announced)
    assert answer["state"] == state
    assert (answer["rows"], answer["parts"], answer["reports"]) == (0, None, None)


@pytest.mark.parametrize(
    ("reached", "state"),
    [
        (Import(dropped(), NOW), "planning"),
        (Import(dropped(), NOW, place=Place(4), parts=3), "importing"),
        (Import(dropped(), NOW, parts=3, parts_done=3, outcome="completed"), "importing"),
        (Import(dropped(), NOW, outcome="failed", reason="must be gzip"), "importing"),
    ],
)
def test_an_import_is_not_at_its_end_before_its_reports_are_written(
    reached: Import, state: str
) -> None:
    answer = told(reached)

    assert (answer["state"], answer["finished_at"], answer["reports"]) == (state, None, None)
    assert "reason" not in answer


def test_an_import_at_its_end_tells_its_counts_and_where_its_reports_are() -> None:
    counts = Counts(5, 2, {"NOT_FOUND": 1, "INVALID": 2})
    place = Place(2)
    reached = Import(dropped(), NOW, (), place, 1, 1, counts, "failed", "why", LATER, 1, True)

    assert told(reached, REPORTS) == {
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


# --- the name of an import ---


def test_an_announced_file_is_one_import_whatever_version_it_becomes() -> None:
    versions = [dropped(upload().key, version) for version in ("", "v1", "v2")]

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
def test_each_version_of_any_other_object_is_an_import_of_its_own(key: str) -> None:
    assert dropped(key, "v1").import_id != dropped(key, "v2").import_id


def test_the_same_upload_of_two_organizations_is_two_imports() -> None:
    other = dropped(upload().key.replace("org_1", "org_2"), "")

    assert other.import_id != upload().import_id
