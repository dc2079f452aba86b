"""What a command prints: JSON for machines, tables for people. Nothing else goes to stdout."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson
import typer
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_TIMESTAMP = re.compile(r"([0-9-]{10})T([0-9:]{8})\.[0-9]{6}Z")


def console() -> Console:
    """Return the console of stdout, as wide as the terminal."""
    return Console(highlight=False)


def progress_console() -> Console:
    """Return the console of stderr, for what is worth seeing only while it lasts."""
    return Console(stderr=True, highlight=False)


def show(value: Any, *, as_json: bool, people: Callable[[], RenderableType]) -> None:
    """Print a value as JSON, or what people are shown in its place."""
    if as_json:
        typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    else:
        console().print(people())


def details(value: Mapping[str, Any]) -> Table:
    """Return named values, one a line; what is a list of its own is left out."""
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
    """Return one line for each row, with the values of these names; ids are never broken."""
    shown = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name in names:
        shown.add_column(name.replace("_", " "), overflow="fold", no_wrap=name not in wrapped)
    for row in rows:
        shown.add_row(*(cell(row[name]) for name in names))
    return shown


def cell(value: Any) -> Text:
    """Return a value as a person reads it; what came from a client cannot steer the terminal."""
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("-")
    if isinstance(value, list):
        return Text(", ".join(plain(str(one)) for one in value))
    return Text(_to_the_second(plain(str(value))))


def plain(text: str) -> str:
    """Return a text whose control characters are spelled out."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _to_the_second(text: str) -> str:
    return _TIMESTAMP.sub(r"\1 \2Z", text)


def _has_rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)
