"""POST /v1/consent/proof: which questions are understood."""

import json
from typing import Any, cast

import pytest
from consents.domain.errors import Invalid
from consents.domain.organization import Bucket
from consents.http.request import Request, Stores
from consents.proof import proof_api
from consents.proof.prove import Question

from tests.factories import ORG_ID, RECEIPT, caller, gateway_event, lambda_context

CONTACT = "+15554443333"


def parse(body: Any, **query: str) -> Question:
    route = "POST /v1/consent/proof"
    event = gateway_event(route, json.dumps(body), queryStringParameters=query)
    request = Request(
        event,
        lambda_context(),
        caller(),
        RECEIPT,
        max_bytes=proof_api.MAX_BYTES,
        stores=cast(Stores, None),
        bucket=Bucket.CONTACTS,
    )
    return proof_api.parse_question(request)


def test_question_has_kept_sizes_and_the_least_size() -> None:
    question = parse({"contact_number": CONTACT, "kept": [1, 9]}, min_size="12")

    assert question == Question(ORG_ID, CONTACT, [1, 9], 12)
    assert parse({"contact_number": CONTACT}) == Question(ORG_ID, CONTACT, [], 0)


@pytest.mark.parametrize(
    ("changes", "query", "details"),
    [
        ({"contact_number": None}, {}, {"contact_number": "must be E.164"}),
        ({"kept": [True]}, {}, {"kept": "must be an array of at most 16 sizes"}),
        ({"kept": [0]}, {}, {"kept": "must be an array of at most 16 sizes"}),
        ({"kept": [*range(1, 18)]}, {}, {"kept": "must be an array of at most 16 sizes"}),
        ({"kept": 3}, {}, {"kept": "must be an array of at most 16 sizes"}),
        ({}, {"min_size": "-1"}, {"min_size": "must be a whole number"}),
        ({}, {"min_size": "٣"}, {"min_size": "must be a whole number"}),
        ({}, {"dry_run": "true"}, {"dry_run": "must not be sent"}),
        ({"sender_id": "1"}, {}, {"sender_id": "must not be sent"}),
    ],
)
def test_question_that_is_not_understood_names_the_fault(
    changes: dict[str, Any], query: dict[str, str], details: dict[str, str]
) -> None:
    with pytest.raises(Invalid) as raised:
        parse({"contact_number": CONTACT, **changes}, **query)
    assert raised.value.details == details


def test_contact_is_required() -> None:
    with pytest.raises(Invalid) as raised:
        parse({})
    assert raised.value.details == {"contact_number": "is required"}
