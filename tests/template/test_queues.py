"""Messages: how long they live, who retries them, and where failed ones go."""

import pytest

from tests.template.edits import Edit, dropping, edited
from tests.template.expansion import Template, of_type

CONSUMERS = {
    "PlanQueue": "PlanImportFunction",
    "PartQueue": "ImportPartFunction",
    "FailedQueue": "FailImportFunction",
}
OF_TEXTS = {"OutboundQueue": "SendMessageFunction", "InboundQueue": "ReceiveMessageFunction"}


def short_retention(template: Template) -> list[str]:
    """Return the queues that drop a message before the 14 days that SQS can keep it."""
    return [
        f"{name} drops messages early"
        for name, queue in of_type(template, "SQS::Queue").items()
        if queue["Properties"].get("MessageRetentionPeriod") != 14 * 24 * 60 * 60
    ]


def unlimited_consumers(template: Template) -> list[str]:
    """Return the queues that can use all of the concurrency, which API requests need too."""
    return [
        f"{name} has no maximum concurrency"
        for name, mapping in of_type(template, "Lambda::EventSourceMapping").items()
        if mapping["Properties"]["EventSourceArn"]["Fn::GetAtt"][1] != "StreamArn"
        and "MaximumConcurrency" not in mapping["Properties"].get("ScalingConfig", {})
    ]


def test_queues_keep_messages_as_long_as_sqs_can(environment: Template) -> None:
    assert short_retention(environment) == []


def test_every_queue_consumer_has_a_maximum_concurrency(environment: Template) -> None:
    assert unlimited_consumers(environment) == []


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (
            dropping("PartQueue.Properties.MessageRetentionPeriod"),
            "PartQueue drops messages early",
        ),
        (
            dropping("PlanImportFunctionMessage.Properties.ScalingConfig"),
            "PlanImportFunctionMessage has no maximum concurrency",
        ),
    ],
)
def test_an_edit_that_breaks_a_queue_rule_is_found(edit: Edit, finding: str) -> None:
    template = edited(edit)

    assert finding in short_retention(template) + unlimited_consumers(template)


@pytest.mark.parametrize(("queue", "function"), (CONSUMERS | OF_TEXTS).items())
def test_a_message_stays_hidden_longer_than_its_function_runs(
    template: Template, queue: str, function: str
) -> None:
    resources = template["Resources"]
    hidden = resources[queue]["Properties"]["VisibilityTimeout"]

    assert hidden > resources[function]["Properties"]["Timeout"]


def test_failed_messages_end_in_the_dead_letter_queue(template: Template) -> None:
    targets = {
        name: queue["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for name, queue in of_type(template, "SQS::Queue").items()
        if "RedrivePolicy" in queue["Properties"]
    }

    assert targets == {
        "PlanQueue": "FailedQueue",
        "PartQueue": "FailedQueue",
        "FailedQueue": "DeadLetterQueue",
        "OutboundQueue": "DeadLetterQueue",
        "InboundQueue": "InboundDeadLetterQueue",
    }


def test_a_message_with_old_receives_still_gets_five_tries(template: Template) -> None:
    part, failed = (
        template["Resources"][name]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
        for name in ("PartQueue", "FailedQueue")
    )

    assert failed >= part + 5


def test_only_the_import_functions_may_invoke_in_a_loop(template: Template) -> None:
    loops = {
        name: function["Properties"]["RecursiveLoop"]
        for name, function in of_type(template, "Lambda::Function").items()
        if "RecursiveLoop" in function["Properties"]
    }

    assert loops == dict.fromkeys(CONSUMERS.values(), "Allow")


def test_import_functions_know_the_queues_they_send_to(template: Template) -> None:
    """Each function has the URL of exactly the queues that its permissions name."""
    urls = {
        name: {
            value["Ref"]
            for key, value in function["Properties"]["Environment"]["Variables"].items()
            if key.endswith("_QUEUE")
        }
        for name, function in of_type(template, "Lambda::Function").items()
        if name in CONSUMERS.values()
    }

    assert urls == {
        "PlanImportFunction": {"PartQueue", "PlanQueue"},
        "ImportPartFunction": {"PlanQueue"},
        "FailImportFunction": {"DeadLetterQueue", "PlanQueue"},
    }
