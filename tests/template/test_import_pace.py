"""The import pace: how many workers run, and how many parts wait for them."""

from tests.template.expansion import PARAMETERS, SOURCE, Template

PACES = SOURCE["Mappings"]["ImportPace"]


def test_every_pace_has_workers_and_parts_ahead() -> None:
    assert list(PACES) == PARAMETERS["ImportPace"]["AllowedValues"]


def test_four_parts_per_worker_are_ahead() -> None:
    assert {name: int(pace["PartsAhead"]) for name, pace in PACES.items()} == {
        "slow": 8,
        "normal": 20,
        "fast": 80,
        "fastest": 400,
    }
    assert all(int(pace["PartsAhead"]) == 4 * pace["Workers"] for pace in PACES.values())


def test_the_local_engine_receives_parts_ahead_as_text() -> None:
    """An environment variable is text, and the engine converts no number."""
    assert all(isinstance(pace["PartsAhead"], str) for pace in PACES.values())


def test_the_pace_sets_the_window_and_the_workers(template: Template) -> None:
    resources = template["Resources"]
    planner = resources["PlanImportFunction"]["Properties"]["Environment"]["Variables"]
    workers = resources["ImportPartFunctionMessage"]["Properties"]["ScalingConfig"]
    pace = {"Ref": "ImportPace"}

    assert planner["PARTS_AHEAD"] == {"Fn::FindInMap": ["ImportPace", pace, "PartsAhead"]}
    assert workers == {"MaximumConcurrency": {"Fn::FindInMap": ["ImportPace", pace, "Workers"]}}
