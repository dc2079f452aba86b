"""The rules of fields agree with plain readings of their standards, on values near the edge."""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from typing import NamedTuple
from uuid import UUID

import phonenumbers
from consents.domain import numbering_plans
from consents.domain.record import timestamp
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import (
    CHECKBOX,
    ITEM,
    NOW,
    attested_reason,
    attested_record,
    bulk_record,
    bulk_tokens,
    with_field,
)


def attested_accepts(field: str, value: str) -> bool:
    reason = attested_reason(with_field(CHECKBOX, field, value))
    return reason in (None, "phone_number_id: not found")


def bulk_accepts(field: str, value: str) -> bool:
    return not bulk_tokens(with_field(ITEM, field, value))


@st.composite
def nearly_good(draw: st.DrawFn, *parts: tuple[list[str], list[str]]) -> list[str]:
    """Draw one good text for each part; then, half of the time, an odd one for one of them."""
    drawn = [draw(st.sampled_from(good)) for good, _ in parts]
    place = draw(st.none() | st.integers(0, len(parts) - 1))
    if place is not None:
        drawn[place] = draw(st.sampled_from(parts[place][1] or parts[place][0]))
    return drawn


def two_digits(first: int, last: int) -> list[str]:
    return [f"{value:02}" for value in range(first, last + 1)]


# --- phone numbers ---

CODES = sorted(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
DIGITS = st.text("0123456789", max_size=15)
NUMBERS = st.builds(
    "+{}{}".format, st.sampled_from(CODES), st.text("0123456789", min_size=3, max_size=13)
)


def is_possible(number: str) -> bool:
    """Return whether the digits, none of them dropped as a trunk prefix, are a possible number."""
    if not re.fullmatch(r"\+[1-9][0-9]{1,14}", number):
        return False
    code = next((code for code in CODES if number[1:].startswith(code)), "")
    national = number[1 + len(code) :]
    if not code or not national:
        return False
    parsed = phonenumbers.PhoneNumber(
        country_code=int(code),
        national_number=int(national),
        italian_leading_zero=True,
        number_of_leading_zeros=len(national) - len(str(int(national))),
    )
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    return bool(reason == phonenumbers.ValidationResult.IS_POSSIBLE)


def test_lengths_are_those_of_the_library() -> None:
    """`make lock` writes them."""
    assert numbering_plans.possible_lengths() == numbering_plans.lengths_of_library()


@given(NUMBERS | DIGITS.map("+{}".format) | st.from_regex(r"\+?[0-9 \u0660-\u0669]{1,16}\n?"))
def test_contact_numbers_are_those_of_a_possible_length(number: str) -> None:
    assert attested_accepts("contact_number", number) == is_possible(number)
    assert bulk_accepts("contact_id", number) == is_possible(number)


# --- dates ---


class Sent(NamedTuple):
    """The parts of a date as a text."""

    year: str
    month: str
    day: str
    t: str
    hour: str
    minute: str
    second: str
    fraction: str
    zone: str

    def extended(self) -> str:
        return (
            f"{self.year}-{self.month}-{self.day}{self.t}"
            f"{self.hour}:{self.minute}:{self.second}{self.fraction}{self.zone}"
        )

    def basic(self) -> str:
        return (
            f"{self.year}{self.month}{self.day}{self.t}"
            f"{self.hour}{self.minute}{self.second}{self.fraction}{self.zone}"
        )


FRACTIONS = (["", ".5", ".160", ".123456", ".1234567"], [".", ",5", ".x", ".\u0661"])
OFFSETS = ["+00:00", "-00:00", "+05:30", "-06:00", "+06:00", "+16:00", "+14:00", "-23:59"]
ODD_OFFSETS = ["+24:00", "-05:60", "+05:75", "+00:99", "+60:00", "+05:3", "+", "", "UTC", "Z\n"]
DATES = nearly_good(
    (["2025", "2024", "2016", "1970"], ["0000", "0001", "2026", "2027", "9999", "1900", "202"]),
    (two_digits(1, 12), ["00", "13", "02"]),
    (two_digits(1, 28), ["00", "29", "30", "31", "32"]),
    (["T", "t"], [" ", "", "_"]),
    (two_digits(0, 23), ["24", "25", "99"]),
    (two_digits(0, 59), ["60", "99"]),
    (two_digits(0, 59), ["60", "61"]),
    FRACTIONS,
    (["Z", "z", *OFFSETS], ODD_OFFSETS),
).map(lambda parts: Sent(*parts))
LEAPS = nearly_good(
    (["2016", "2015"], ["2026", "9999"]),
    (["12"], ["06", "11"]),
    (["31"], ["30", "01"]),
    (["T"], []),
    (["23"], ["22", "18"]),
    (["59"], ["58"]),
    (["60"], ["61"]),
    FRACTIONS,
    (["Z", "+00:00"], ["-05:00", "-01:00", "+05:00"]),
).map(lambda parts: Sent(*parts))
OFFSET = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")
FRACTION = re.compile(r"\.[0-9]+")


def zone_of(text: str) -> timezone | None:
    if text in {"Z", "z"}:
        return UTC
    match = OFFSET.fullmatch(text)
    if not match or int(match[2]) > 23 or int(match[3]) > 59:
        return None
    ahead = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-ahead if match[1] == "-" else ahead)


def instant(sent: Sent) -> datetime | None:
    """Return what RFC 3339 says that a date names; None if it is invalid, or far in the future."""
    year, month, day = int(sent.year), int(sent.month), int(sent.day)
    hour, minute, second = int(sent.hour), int(sent.minute), int(sent.second)
    zone = zone_of(sent.zone)
    well_formed = (
        len(sent.year) == 4
        and sent.t in {"T", "t"}
        and zone is not None
        and (not sent.fraction or (sent.fraction.isascii() and FRACTION.fullmatch(sent.fraction)))
    )
    in_range = (
        year >= 1 and 1 <= month <= 12 and hour <= 23 and minute <= 59 and second <= 60
    ) and 1 <= day <= monthrange(year, month)[1]
    if not well_formed or not in_range:
        return None
    micro = int((sent.fraction[1:] + "000000")[:6])
    try:
        at = datetime(year, month, day, hour, minute, min(second, 59), micro, zone).astimezone(UTC)
        if second == 60:
            if (at.month, at.day, at.hour, at.minute) not in {(6, 30, 23, 59), (12, 31, 23, 59)}:
                return None
            at = at.replace(microsecond=0) + timedelta(seconds=1)
    except OverflowError:
        return None
    return at if at <= NOW + timedelta(minutes=5) else None


@given(DATES | LEAPS)
def test_captured_at_is_read_as_in_rfc_3339(sent: Sent) -> None:
    expected = instant(sent)
    text = sent.extended()
    assert attested_accepts("evidence.captured_at", text) == (expected is not None)
    if expected:
        assert attested_record(with_field(CHECKBOX, "evidence.captured_at", text)).dated_at == (
            expected
        )


@given(DATES | LEAPS)
def test_every_rfc_3339_date_is_a_date_of_consent(sent: Sent) -> None:
    expected = instant(sent)
    if expected:
        record = bulk_record(with_field(ITEM, "date_of_consent", sent.extended()))
        assert record.dated_at == expected


@given(DATES, st.sampled_from(["{}{}", "{}:{}"]))
def test_the_basic_and_extended_formats_name_one_instant(sent: Sent, offset: str) -> None:
    expected = instant(sent)
    match = OFFSET.fullmatch(sent.zone)
    zone = match[1] + offset.format(match[2], match[3]) if match else sent.zone
    if expected and sent.second != "60":
        text = sent._replace(zone=zone).basic()
        assert bulk_record(with_field(ITEM, "date_of_consent", text)).dated_at == expected


@given(st.integers(-10, 10))
def test_five_minutes_ahead_is_the_last_instant_that_is_accepted(microseconds: int) -> None:
    text = timestamp(NOW + timedelta(minutes=5, microseconds=microseconds))
    assert attested_accepts("evidence.captured_at", text) == (microseconds <= 0)
    assert bulk_accepts("date_of_consent", text) == (microseconds <= 0)


# --- IP addresses ---

OCTET = (["0", "1", "10", "127", "255"], ["256", "01", "", "-1", "1 ", "\u0661", "0x1", "1.1"])
GROUP = (["0", "1", "a", "FFFF", "0db8"], ["", "12345", "g", "1.2.3.4", "1:1", "\uff11", " "])
TAIL = (["", ":1.2.3.4"], ["%eth0", "%1", "/64", ":01.2.3.4", "\n", "%", ":", "::"])
ADDRESSES = st.one_of(
    nearly_good(*[OCTET] * 4).map(".".join),
    nearly_good(*[GROUP] * 8).map(":".join),
    nearly_good(GROUP, ([":"], []), GROUP, (["::"], [":", ":::"]), GROUP, TAIL).map("".join),
    st.ip_addresses().map(str),
    st.text("0123456789abcdef:.%", max_size=45),
)


def is_address(text: str) -> bool:
    """Return whether the standard library reads a text as an address without a zone."""
    try:
        return "%" not in text and bool(ip_address(text))
    except ValueError:
        return False


@given(ADDRESSES)
def test_ip_addresses_are_those_that_the_standard_library_reads(text: str) -> None:
    assert attested_accepts("evidence.ip_address", text) == is_address(text)


# --- UUIDs and correlation ids ---

UUIDS = st.builds(
    lambda uuid, write: write(uuid),
    st.uuids(),
    st.sampled_from(
        [
            str,
            lambda uuid: str(uuid).upper(),
            lambda uuid: uuid.hex,
            lambda uuid: uuid.urn,
            lambda uuid: f"{{{uuid}}}",
            lambda uuid: f"{uuid}\n",
            lambda uuid: str(uuid).replace("-", "", 1),
            lambda uuid: str(uuid).replace("-", "_"),
            lambda uuid: str(uuid).replace("a", "\uff41"),
            lambda uuid: str(uuid).replace("1", "\u0661"),
        ]
    ),
)


def is_uuid_with_hyphens(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


@given(UUIDS | st.text("0123456789abcdefABCDEF-", min_size=30, max_size=38))
def test_phone_number_ids_are_uuids_in_the_usual_form(text: str) -> None:
    assert attested_accepts("phone_number_id", text) == is_uuid_with_hyphens(text)


@given(UUIDS | st.text("0123456789abcdefABCDEFg", min_size=31, max_size=33))
def test_correlation_ids_are_32_hex_digits_of_any_version(text: str) -> None:
    hex_digits = len(text) == 32 and set(text) <= set("0123456789abcdefABCDEF")
    assert bulk_accepts("correlation_id", text) == hex_digits


# --- URLs, built of parts that are good or bad by themselves ---

URL_PARTS = (
    (
        ["http://", "https://", "HTTPS://", "hTTp://"],
        ["", "//", "http:", "https:/", "https:///", "ftp://", "http//", " http://", "ht\ntp://"],
    ),
    ([""], ["a@", "a:b@", "@", ":@", "a%40b@"]),
    (
        ["example.com", "EXAMPLE.com", "a", "a.", "a-b.c_d", "1.2.3.4", "[::1]", "\u00fc.example"],
        ["", ".", "a..b", "a b", "a\tb", "1.2.3", "1.2.3.256", "[::1", "[x]", "[::1]a", "a\\b"],
    ),
    (
        ["", ":", ":1", ":80", ":443", ":65535"],
        [":0", ":65536", ":x", ":-1", ":80:80", ": 80", ":\u0661", ":8\n0"],
    ),
    (
        ["", "/", "/a/b", "?a=b", "#a", "/@a:b", "/?u=http://a@b:0", "/\u00fc", "/%20"],
        ["/ ", "/a b", "/\t", "\n", "/\x00", "/\u2028", "/\\"],
    ),
)


@given(nearly_good(*URL_PARTS))
def test_a_url_is_valid_if_its_parts_are(url: list[str]) -> None:
    good = all(part in known for part, (known, _) in zip(url, URL_PARTS, strict=True))
    assert attested_accepts("evidence.form_url", "".join(url)) == good


# --- senders ---


@given(
    st.from_regex(r"(MG|mg|AC)[0-9a-fA-Fg]{31,33}\n?")
    | st.from_regex(r"\+?[0-9\u0660-\u0669]{1,17}\n?", fullmatch=True)
)
def test_senders_are_services_numbers_and_short_codes(text: str) -> None:
    forms = [r"MG[0-9a-fA-F]{32}", r"\+[1-9][0-9]{1,14}", r"[0-9]{3,8}"]
    assert bulk_accepts("sender_id", text) == any(re.fullmatch(form, text) for form in forms)
