"""Output of a command: JSON for programs, tables for people. Only results go to stdout."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson
import typer
from consents.domain.record import DOUBLE_OPT_IN, HOSTED, INBOUND, REVOCATION, Wire
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

API_NAMES: Mapping[str, str] = {
    Wire.ATTESTED: "Attested Consent API",
    Wire.BULK_CONSENTS: "Bulk Consents API",
    REVOCATION: "Revocation",
    HOSTED: "Hosted form",
    DOUBLE_OPT_IN: "Double opt-in",
    INBOUND: "Text message",
}
"""The name that people read, by the origin of a record."""

_TIMESTAMP = re.compile(r"([0-9-]{10})T([0-9:]{8})\.[0-9]{6}Z")


def console() -> Console:
    """Return the console of stdout, as wide as the terminal."""
    return Console(highlight=False)


def progress_console() -> Console:
    """Return the console of stderr, for progress displays."""
    return Console(stderr=True, highlight=False)


def show(value: Any, *, as_json: bool, people: Callable[[], RenderableType]) -> None:
    """Print a value as JSON, or its rendering for people."""
    if as_json:
        typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    else:
        console().print(people())


def details(value: Mapping[str, Any]) -> Table:
    """Return named values, one per line, without those that are lists of objects."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, one in value.items():
        if not _has_rows(one):
            grid.add_row(Text(name.replace("_", " "), style="dim"), cell(one))
    return grid


def table(
    rows: Iterable[Mapping[str, Any]],
    names: Sequence[str],
    *,
    title: str = "",
    wrapped: Collection[str] = (),
) -> Table:
    """Return a table with a column per name; only the `wrapped` columns break their values."""
    shown = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name in names:
        shown.add_column(name.replace("_", " "), overflow="fold", no_wrap=name not in wrapped)
    for row in rows:
        shown.add_row(*(cell(row[name]) for name in names))
    return shown


def cell(value: Any) -> Text:
    """Return a value for people; text of a client cannot control the terminal."""
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("-")
    if isinstance(value, list):
        return Text(", ".join(plain(str(one)) for one in value))
    return Text(_to_the_second(plain(str(value))))


def plain(text: str) -> str:
    """Return a text with its control characters escaped."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _to_the_second(text: str) -> str:
    return _TIMESTAMP.sub(r"\1 \2Z", text)


def _has_rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)
