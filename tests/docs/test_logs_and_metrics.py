"""docs/reference/logs-and-metrics.md lists the log events and the metrics of the code."""

import ast
import re
from collections.abc import Iterator

from tests import yaml_documents
from tests.docs.pages import ROOT, table, tracked

PAGE = ROOT / "docs" / "reference" / "logs-and-metrics.md"
EVENTS = table(PAGE, "Event")
METRICS = table(PAGE, "Metric")
SOURCES = tracked("layers/*.py", "functions/*.py")

_EVENT = re.compile(r"[a-z]+(?:_[a-z]+)*\.[a-z]+(?:_[a-z]+)*")
_METRIC = re.compile(
    r"(?:Calls|Contacts|Log|Records|Requests|Messages)[A-Z][a-zA-Z]+|RequestLatency"
)
_LEVELS = {"info", "warning", "error"}
_SUBJECTS = {event.partition(".")[0] for event in EVENTS}


def texts(node: ast.AST) -> Iterator[str]:
    """Return every string literal of a syntax tree."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


TREES = [ast.parse(path.read_text()) for path in SOURCES]
TEXTS = {text for tree in TREES for text in texts(tree)}


def logged() -> Iterator[tuple[str, str]]:
    """Return the level and the event of each call of the log whose event is a literal."""
    for tree in TREES:
        for call in ast.walk(tree):
            match call:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                    args=[ast.Constant(value=str(event)), *_],
                ) if level in _LEVELS:
                    yield level, event


def test_every_event_of_the_log_is_a_noun_and_a_past_verb() -> None:
    assert [event for _, event in logged() if not _EVENT.fullmatch(event)] == []


def test_the_page_lists_the_events_of_the_code() -> None:
    """An event is a literal in a call of the log, or one of the same form passed to it."""
    passed = {text for text in TEXTS if _EVENT.fullmatch(text)}
    passed = {text for text in passed if text.partition(".")[0] in _SUBJECTS}
    assert set(EVENTS) == passed | {event for _, event in logged()}


def test_the_page_has_the_level_of_each_event() -> None:
    for level, event in logged():
        assert EVENTS[event][0] == level.upper(), event


def test_the_page_lists_the_metrics_of_the_code() -> None:
    assert set(METRICS) == {text for text in TEXTS if _METRIC.fullmatch(text)}


def test_the_namespace_of_the_metrics_is_that_of_the_template() -> None:
    variables = yaml_documents.template()["Globals"]["Function"]["Environment"]["Variables"]
    assert f"`{variables['POWERTOOLS_METRICS_NAMESPACE']}`" in PAGE.read_text()
