"""Templates and words of pages: compiled or not they are alike, and both languages are whole."""

from pathlib import Path
from string import Formatter

import pytest
from consents.pages.languages import LANGUAGES
from consents.pages.templating import TEMPLATES, compile_templates, dictionary, environment, words
from jinja2 import FileSystemLoader, ModuleLoader, UndefinedError
from markupsafe import Markup


def test_every_template_is_compiled_and_renders_alike(tmp_path: Path) -> None:
    written = environment(FileSystemLoader(TEMPLATES))
    compile_templates(tmp_path)
    compiled = environment(ModuleLoader(tmp_path))

    for name in written.list_templates(extensions=["html"]):
        assert compiled.get_template(name).name == name
    icons = [each.get_template("icons.html").module for each in (written, compiled)]
    assert vars(icons[0])["icon"]("text") == vars(icons[1])["icon"]("text")


def test_a_name_that_is_not_defined_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment(ModuleLoader("-")).from_string("{{ missing }}").render()


def test_a_value_of_a_text_is_escaped_once() -> None:
    say = words("en")

    assert say("closed_ask", brand="<b>") == "Ask &lt;b&gt; for a new link."
    assert say("closed_ask", brand=Markup("<b>")) == "Ask <b> for a new link."


def names(text: object) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(str(text)) if name}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_language_has_every_text_with_its_values(lang: str) -> None:
    english, other = dictionary("en"), dictionary(lang)

    assert other.keys() == english.keys()
    assert {key: names(text) for key, text in other.items()} == {
        key: names(text) for key, text in english.items()
    }
    assert len(other["months"]) == 12
