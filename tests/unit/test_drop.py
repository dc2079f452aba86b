"""The drop that the key of an object names, and the keys of its import."""

import pytest
from consents.domain.record import Wire
from consents.imports.drop import Drop, parse_key


def drop(key: str, bucket: str = "drops", version: str = "v1") -> Drop:
    found = parse_key(bucket, key, version)
    assert found is not None
    return found


FORMS = [("jsonl", False, False), ("csv", True, False), ("jsonl.gz", False, True)]
FORMS += [("csv.gz", True, True), ("CSV", True, False), ("JSONL", False, False)]
FORMS += [("Csv.GZ", True, True), ("JsonL.gz", False, True)]


@pytest.mark.parametrize(("ending", "is_csv", "is_gzip"), FORMS)
@pytest.mark.parametrize("wire", list(Wire))
def test_a_key_names_organization_wire_and_form(
    wire: Wire, ending: str, is_csv: bool, is_gzip: bool
) -> None:
    found = drop(f"drops/org_1/{wire}/may.{ending}")

    assert (found.org_id, found.wire) == ("org_1", wire)
    assert (found.is_csv, found.is_gzip) == (is_csv, is_gzip)


@pytest.mark.parametrize(
    "name", ["a b+c.csv", "2026/05/01.csv", "\u00fcber \U0001f600.csv", "two\nlines.csv", "a.b.csv"]
)
def test_a_file_may_have_any_name_in_any_folder(name: str) -> None:
    assert drop(f"drops/org_1/attested/{name}").key == f"drops/org_1/attested/{name}"


@pytest.mark.parametrize(
    "key",
    [
        "drops/org_1/attested/",
        "drops/org_1/attested/may.txt",
        "drops/org_1/attested/may.csv.zip",
        "drops/org_1/attested/may.c\u017fv",
        "drops/org_1/Attested/may.csv",
        "Drops/org_1/attested/may.csv",
        "drops/org_1/attested/may.csv/",
        "drops/org_1/attested/.csv",
        "drops/org_1/both/may.csv",
        "drops/org_1/hosted/may.csv",
        "drops/org_1/may.csv",
        "drops//attested/may.csv",
        "drops/org_1#x/attested/may.csv",
        "other/drops/org_1/attested/may.csv",
        "work/org_1/attested/may.csv",
        "",
    ],
)
def test_any_other_key_is_not_a_drop(key: str) -> None:
    assert parse_key("drops", key, "v1") is None


def test_an_import_id_is_a_hash_of_bucket_key_and_version() -> None:
    key = "drops/org_1/attested/may.csv"

    assert drop(key).import_id == drop(key).import_id
    others = [drop(f"{key}.gz"), drop(key, version="v2"), drop(key, bucket="other")]
    assert len({drop(key).import_id, *(other.import_id for other in others)}) == 4
    assert len(drop(key).import_id) == 32


UPLOADS = [("csv", "v1"), ("csv", "v2"), ("CSV", "v1"), ("CSV", "v2")]


def test_keys_that_differ_in_case_are_two_imports() -> None:
    name = "drops/org_1/attested/uploads/01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
    drops = [drop(f"{name}.{ending}", version=version) for ending, version in UPLOADS]

    assert [one.import_id == drops[0].import_id for one in drops] == [True, True, False, False]
    assert drops[2].import_id != drops[3].import_id


def test_objects_of_an_import_are_no_drops_and_sort_by_part() -> None:
    found = drop("drops/org_1/attested/may.csv")

    assert found.report_key("summary.json") == f"reports/org_1/{found.import_id}/summary.json"
    keys = [found.rejected_key(part) for part in (1, 2, 10, 100)]
    assert keys == sorted(keys)
    kept = [found.part_key(1), *keys, found.report_key("summary.json")]
    assert not any(parse_key("drops", key, "v1") for key in kept)
