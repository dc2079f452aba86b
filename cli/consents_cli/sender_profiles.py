"""`consents sender profile`: how a sender presents itself on hosted forms."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from consents.domain import checks, fields
from consents.domain.sender_profile import MAX_LOGO_BYTES, SenderProfile, image_type
from phonenumbers import SUPPORTED_REGIONS
from pydantic import TypeAdapter, ValidationError

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import open_stack

MAX_LENGTHS: Mapping[str, int] = {
    "brand": 60,
    "legal_name": 200,
    "program": 160,
    "frequency": 120,
    "help_contact": 200,
}
_URLS = ("terms_url", "privacy_url")
_URL = TypeAdapter(fields.FormUrl)
_ACCENT = re.compile("#[0-9a-fA-F]{6}")

Url = Annotated[str | None, typer.Option(metavar="URL")]


def profile(
    phone_number_id: Annotated[str, typer.Argument(metavar="PHONE_NUMBER_ID")],
    org: OrgId,
    brand: Annotated[
        str | None, typer.Option(help="Name on the page.", show_default="the organization's name")
    ] = None,
    legal_name: Annotated[
        str | None, typer.Option(help="The seller's.", show_default="the organization's name")
    ] = None,
    program: Annotated[str | None, typer.Option(help="What people get by text.")] = None,
    frequency: Annotated[str | None, typer.Option(help="How often.")] = None,
    terms_url: Url = None,
    privacy_url: Url = None,
    help_contact: Annotated[
        str | None, typer.Option(help="Where people get help: an address, a number, a URL.")
    ] = None,
    accent: Annotated[str | None, typer.Option(metavar="#RRGGBB", help="Brand colour.")] = None,
    logo: Annotated[
        str | None, typer.Option(metavar="FILE", help="PNG or WebP, at most 24 KiB.")
    ] = None,
    countries: Annotated[
        str | None, typer.Option(metavar="US,CA", help="Countries that texts go to.")
    ] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Show or change how a sender presents itself on hosted forms.

    An option that is left out keeps its value; an empty value clears it. New forms use the change
    within 30 seconds; a form that exists keeps the profile that it was created with.
    """
    sent = {
        "brand": brand,
        "legal_name": legal_name,
        "program": program,
        "frequency": frequency,
        "terms_url": terms_url,
        "privacy_url": privacy_url,
        "help_contact": help_contact,
        "accent": accent,
        "logo": logo,
        "countries": countries,
    }
    changes = {name: parsed(name, text) for name, text in sent.items() if text is not None}
    opened = open_stack(stack, region)
    name = phone_number_id.lower()
    organization = opened.entries.entry(org).organization
    if changes:
        opened.entries.change_profile(org, name, changes)
    elif not opened.directory.senders(org, [name]):
        raise Failed(f"unknown sender {name} of organization {org}")
    changed = described(opened.directory.profile(organization, name))
    output.show(changed, as_json=as_json, people=lambda: output.details(changed))


def parsed(name: str, text: str) -> str | list[str]:
    """Return the value of an option; an empty text stays empty.

    Raises:
        Failed: the value breaks the rule of its option.
    """
    text = text.strip()
    if not text:
        return ""
    if name in MAX_LENGTHS:
        return _line(name, text)
    if name in _URLS:
        return _url(name, text)
    match name:
        case "accent":
            return _accent(text)
        case "logo":
            return _logo(Path(text))
        case _:
            return _countries(text)


def described(shown: SenderProfile) -> dict[str, Any]:
    """Return a profile for people and programs: of a logo only how long it is."""
    logo = f"{len(shown.logo)} characters" if shown.logo else None
    return asdict(shown) | {"logo": logo, "countries": list(shown.countries)}


def _line(name: str, text: str) -> str:
    try:
        checks.one_line(text)
    except ValueError:
        raise Failed(f"invalid {_spelt(name)}: must be one line") from None
    if len(text) > MAX_LENGTHS[name]:
        raise Failed(f"invalid {_spelt(name)}: must be 1..{MAX_LENGTHS[name]} chars")
    return text


def _url(name: str, text: str) -> str:
    try:
        return _URL.validate_python(text)
    except ValidationError:
        raise Failed(f"invalid {_spelt(name)}: must be an http(s) URL") from None


def _accent(text: str) -> str:
    if not _ACCENT.fullmatch(text):
        raise Failed("invalid accent: must be a colour such as #0f766e")
    return text.lower()


def _logo(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Failed(f"cannot read {file}: {error.strerror}") from None
    kind = image_type(content)
    if kind is None or len(content) > MAX_LOGO_BYTES:
        raise Failed(f"invalid logo: must be PNG or WebP, at most {MAX_LOGO_BYTES} bytes")
    return f"data:{kind};base64,{b64encode(content).decode()}"


def _countries(text: str) -> list[str]:
    listed = [part.strip().upper() for part in text.split(",")]
    unknown = [code for code in listed if code not in SUPPORTED_REGIONS]
    if unknown:
        raise Failed(f"unknown country {unknown[0]!r}: use ISO 3166 codes, such as US,CA")
    return listed


def _spelt(name: str) -> str:
    return name.replace("_", " ")
