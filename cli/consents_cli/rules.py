"""`consents rules`: the rules by which an organization's decisions are made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from consents.accounts.directory import CACHE_SECONDS
from consents.domain.rules import MAX_DAYS, MAX_PREFIXES, NEVER, OptOutScope, Rules
from rich.console import Group, RenderableType

from consents_cli import output
from consents_cli.errors import Failed
from consents_cli.options import AsJson, OrgId, Region, StackName
from consents_cli.stack import open_stack

_PAIR = re.compile(r"(\+(?:[1-9][0-9]{0,14})?)=(?:([0-9]{1,6})d|(never)|(none))")
_IN_FORCE = f"Functions apply the change within {CACHE_SECONDS} seconds."

app = typer.Typer(no_args_is_help=True, help="Rules that decide who may be messaged.")


@app.command()
def show(
    org: OrgId, stack: StackName = None, region: Region = None, as_json: AsJson = False
) -> None:
    """Show the rules in force."""
    described = _described(open_stack(stack, region).entries.entry(org).organization.rules)
    output.show(described, as_json=as_json, people=lambda: output.details(_in_words(described)))


@app.command()
def history(
    org: OrgId, stack: StackName = None, region: Region = None, as_json: AsJson = False
) -> None:
    """List the versions of the rules, newest first. Version 0 is the default."""
    entries = open_stack(stack, region).entries
    entries.entry(org)  # else an unknown organization looks like one without rules
    rows = [_described(rules) | {"created_at": at} for rules, at in entries.rules_history(org)]
    names = ("rules_version", "opt_out_scope", "opt_in_expires", "created_at")
    output.show(
        rows,
        as_json=as_json,
        people=lambda: output.table(map(_in_words, rows), names, wrapped={"opt_in_expires"}),
    )


@app.command("set", help=f"Change the rules: a new version. {_IN_FORCE}")
def change(
    org: OrgId,
    opt_out_scope: Annotated[
        OptOutScope | None,
        typer.Option(help="Whom an opt-out stops: its sender, or all of the organization."),
    ] = None,
    opt_in_expires: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX=TIME",
            help="How long an opt-in of these contacts counts: +33=365d, +=never; "
            "+33=none removes the prefix. Repeatable.",
        ),
    ] = None,
    stack: StackName = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Merge the given rules into those in force."""
    if opt_out_scope is None and not opt_in_expires:
        raise Failed("nothing to set: pass --opt-out-scope SCOPE or --opt-in-expires PREFIX=TIME")
    entries = open_stack(stack, region).entries
    before = entries.entry(org).organization.rules
    expires = merged(before.opt_in_expires, opt_in_expires or [])
    changed = Rules(before.version, opt_out_scope or before.opt_out_scope, expires)
    if changed != before:
        changed = replace(changed, version=before.version + 1)
        entries.add_rules(org, changed, datetime.now(UTC))
    described = _described(changed)
    output.show(described, as_json=as_json, people=lambda: _changes(_described(before), described))


def merged(before: Mapping[str, int], pairs: Sequence[str]) -> dict[str, int]:
    """Return the days per prefix after some `PREFIX=TIME` are merged in.

    Raises:
        Failed: a pair is invalid, or there are too many.
    """
    days = dict(before)
    for pair in pairs:
        match = _PAIR.fullmatch(pair)
        if match is None or (match[2] and not 1 <= int(match[2]) <= MAX_DAYS):
            raise Failed(
                f"invalid --opt-in-expires {pair!r}: must be a prefix such as + or +33, then "
                f"=1d..={MAX_DAYS}d, =never or =none"
            )
        if match[4]:
            days.pop(match[1], None)
        else:
            days[match[1]] = int(match[2]) if match[2] else NEVER
    if len(days) > MAX_PREFIXES:
        raise Failed(f"too many prefixes: {len(days)}, at most {MAX_PREFIXES}; remove some")
    return dict(sorted(days.items()))


def _described(rules: Rules) -> dict[str, Any]:
    expires = {prefix: days or None for prefix, days in sorted(rules.opt_in_expires.items())}
    return {
        "rules_version": rules.version,
        "opt_out_scope": rules.opt_out_scope,
        "opt_in_expires": expires,
    }


def _in_words(described: Mapping[str, Any]) -> dict[str, Any]:
    pairs = described["opt_in_expires"].items()
    words = [f"{prefix} {f'{days} days' if days else 'never'}" for prefix, days in pairs]
    return {**described, "opt_in_expires": words or "never"}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> RenderableType:
    if after == before:
        return "Nothing changes."
    old, new = _in_words(before), _in_words(after)
    rows = [
        {"rule": name, "before": old[name], "after": new[name]}
        for name in new
        if old[name] != new[name]
    ]
    names = ("rule", "before", "after")
    return Group(output.table(rows, names, wrapped={"before", "after"}), _IN_FORCE)
