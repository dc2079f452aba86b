"""Templates and words of pages: precompiled in the layer, from their files elsewhere."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, Environment, FileSystemLoader, ModuleLoader, StrictUndefined
from markupsafe import Markup, escape

_HERE = Path(__file__).parent
TEMPLATES, _COMPILED = _HERE / "templates", _HERE / "compiled"

type Words = Callable[..., Markup]


def environment(loader: BaseLoader) -> Environment:
    """Return the environment of templates: every value is escaped, and every name is defined."""
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def compile_templates(target: Path = _COMPILED) -> None:
    """Compile all templates into modules: at run time it takes longer than all else of a page."""
    templates = environment(FileSystemLoader(TEMPLATES))
    templates.compile_templates(str(target), zip=None, extensions=["html"], ignore_errors=False)


def render(template: str, values: Mapping[str, Any]) -> bytes:
    """Return a page in UTF-8; half a surrogate pair, which UTF-8 has not, is shown as `?`."""
    return _environment().get_template(template).render(values).encode(errors="replace")


@cache
def _environment() -> Environment:
    is_compiled = _COMPILED.is_dir()
    return environment(ModuleLoader(_COMPILED) if is_compiled else FileSystemLoader(TEMPLATES))


@cache
def style() -> Markup:
    """Return the style sheet, which no value of a page is in."""
    return Markup((TEMPLATES / "style.css").read_text())  # noqa: S704 - a file of this package


def words(lang: str) -> Words:
    """Return the function that returns a text of pages by its key, its values filled in."""
    known = dictionary(lang)

    def say(key: str, **values: str) -> Markup:
        # Escape the words, then fill in: a value that is markup would be shown as text otherwise.
        return escape(known[key]).format(**values)

    return say


@cache
def dictionary(lang: str) -> Mapping[str, Any]:
    """Return the texts of a language by their keys."""
    texts: Mapping[str, Any] = json.loads((_HERE / "words" / f"{lang}.json").read_text())
    return texts
