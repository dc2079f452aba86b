"""The bodies of the cases: made for each round, so that no cache holds the last one."""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

PHONE_NUMBER_ID = "7c1f0a2d-9e8b-4c3a-9d2e-1f0a2b3c4d5e"
MIB = 2**20

_TEXTS = (
    "By signing up you agree to receive appointment reminders. Reply STOP to opt out.",
    "I agree to receive marketing messages at the number given. Consent is not a condition of any "
    "purchase. Message and data rates may apply. Reply STOP to opt out, HELP for help.",
)
_USER_AGENTS = tuple(
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
    f"Chrome/{major}.0.0.0 Safari/537.36"
    for system in (
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "Linux; Android 10; K",
        "X11; Linux x86_64",
    )
    for major in range(128, 140)
)
_PAGES = tuple(
    f"{page}?utm_source={source}&utm_medium=email&utm_campaign=spring-2026"
    for page in ("signup", "checkout/contact", "waiting-list")
    for source in ("newsletter", "receipt")
)
_NUMBERS = (("+1", 10), ("+44", 10), ("+49", 11), ("+33", 9), ("+91", 10), ("+55", 11))
_SPOILED: tuple[tuple[str, Any], ...] = (
    ("contact_number", "+19"),
    ("evidence.ip_address", ""),
    ("evidence.captured_at", "2026-04-31T12:00:00Z"),
    ("evidence.form_url", "example.com/signup"),
    ("evidence.user_agent", ""),
    ("phone_number_id", "7c1f0a2d"),
    ("evidence.agreement_text", None),
)
_SPOILED_ITEM: tuple[tuple[str, Any], ...] = (
    ("contact_id", "+19"),
    ("date_of_consent", "2025-03-25"),
    ("status", "opted-in"),
    ("correlation_id", "1"),
)


def records(count: int, bad_percent: int, seed: str) -> list[dict[str, Any]]:
    """Return records of the attested wire; some have one bad field."""
    random = Random(seed)
    made = [_record(random) for _ in range(count)]
    for number, index in enumerate(bad(count, bad_percent)):
        _set(made[index], *_SPOILED[number % len(_SPOILED)])
    return made


def items(count: int, bad_percent: int, seed: str) -> list[dict[str, Any]]:
    """Return items of the bulk-consents wire; some have one bad field."""
    random = Random(seed)
    made = [_item(random) for _ in range(count)]
    for number, index in enumerate(bad(count, bad_percent)):
        _set(made[index], *_SPOILED_ITEM[number % len(_SPOILED_ITEM)])
    return made


def bad(count: int, bad_percent: int) -> range:
    """Return which of so many records are bad."""
    return range(0, count, 100 // bad_percent) if bad_percent else range(0)


def different_pages(count: int, seed: str) -> list[dict[str, Any]]:
    """Return good records, each with a different form URL."""
    random = Random(f"{seed}/pages")
    made = records(count, 0, seed)
    for record in made:
        record["evidence"]["form_url"] += f"&id={random.getrandbits(64):016x}"
    return made


def batch(made: list[Any]) -> str:
    """Return the JSON body that a client sends."""
    return json.dumps({"records": made}, separators=(",", ":"))


def form(made: list[Any]) -> str:
    """Return the form body that the vendor's Python library sends."""
    return urlencode([("Items", json.dumps(item)) for item in made])


def question(count: int) -> str:
    """Return the body of a check."""
    contacts = [f"+1555{number:07}" for number in range(count)]
    return json.dumps({"sender_id": "+15550001111", "contact_numbers": contacts})


def every_field_wrong(seed: str) -> str:
    """Return 1000 records in which every field is invalid."""
    random = Random(seed)
    return batch([_wrong(random) for _ in range(1000)])


def long_texts(seed: str) -> str:
    """Return records with 2 KB in every field, as many as fit into a body."""
    random = Random(seed)
    return batch([_long(random) for _ in range(440)])


def nested_in_records(_seed: str) -> str:
    """Return 1000 records that are arrays in arrays, 8 MiB in all."""
    depth = 400
    columns = (8 * MIB // 1000 - 16) // (2 * depth + 1)
    row = ",".join(["[" * depth + "]" * depth] * columns)
    return '{"records":[' + ",".join([f"[{row}]"] * 1000) + "]}"


def nested_deep(_seed: str) -> str:
    """Return 8 MiB of one array in another."""
    depth = 4 * MIB - 16
    return '{"records":' + "[" * depth + "]" * depth + "}"


def long_numbers(seed: str) -> str:
    """Return records whose contact is a plus and 9,999 digits, as many as fit."""
    made = records(780, 0, seed)
    for number, record in enumerate(made):
        record["contact_number"] = f"+1{number:04}".ljust(10_000, "5")
    return batch(made)


def _number(random: Random) -> str:
    code, digits = random.choice(_NUMBERS)
    return code + str(random.randrange(2 * 10 ** (digits - 1), 10**digits))


def _record(random: Random) -> dict[str, Any]:
    return {
        "phone_number_id": PHONE_NUMBER_ID,
        "contact_number": _number(random),
        "opted_in": random.random() < 0.9,
        "evidence": {
            "captured_at": _instant(random),
            "ip_address": _ip_address(random),
            "user_agent": random.choice(_USER_AGENTS),
            "agreement_text": random.choice(_TEXTS),
            "form_url": f"https://www.example.com/{random.choice(_PAGES)}",
            "consent_method": "checkbox",
        },
    }


def _item(random: Random) -> dict[str, Any]:
    return {
        "contact_id": _number(random),
        "correlation_id": f"{random.getrandbits(128):032x}",
        "sender_id": f"MG{7:032x}",
        "date_of_consent": _instant(random),
        "status": random.choice(("opt-in", "opt-out")),
        "source": "website",
    }


def _instant(random: Random) -> str:
    at = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(milliseconds=random.randrange(2_500_000_000))
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ip_address(random: Random) -> str:
    if random.random() < 0.3:
        return "2001:db8:" + ":".join(f"{random.randrange(1, 2**16):x}" for _ in range(6))
    return ".".join(str(random.randrange(1, 255)) for _ in range(4))


def _wrong(random: Random) -> dict[str, Any]:
    number = random.randrange(1000)
    return {
        "phone_number_id": f"{number}",
        "contact_number": f"+1{number:03}",
        "opted_in": "yes",
        "evidence": {
            "captured_at": "2026-02-30T25:00:00Z",
            "ip_address": f"999.0.0.{number}",
            "user_agent": "",
            "agreement_text": "",
            "form_url": f"ftp://example.com/{number}",
            "consent_method": "telepathy",
        },
    }


def _long(random: Random) -> dict[str, Any]:
    text = f"{random.randrange(10**9):09}" * (2048 // 9)
    fields = ("captured_at", "ip_address", "user_agent", "agreement_text", "form_url")
    evidence = dict.fromkeys((*fields, "consent_method"), text)
    form_url, at = f"https://example.com/{text}", f"2026-04-26T12:00:00.{text}Z"
    return {
        "phone_number_id": text,
        "contact_number": f"+{text}",
        "opted_in": text,
        "evidence": evidence | {"form_url": form_url, "captured_at": at},
    }


def _set(made: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        made = made[parent]
    made[name] = value
