"""DynamoDB: the item codec, the retries, and a table of plain values, without a database."""

from base64 import b64encode
from itertools import islice
from typing import Any, cast

import pytest
from consents.aws.dynamodb import (
    KEYS_PER_CALL,
    MAX_WAIT_SECONDS,
    Table,
    attempts,
    decode,
    decode_item,
    encode,
    encode_item,
)
from consents.aws.errors import CallError
from consents.domain.errors import Unavailable
from hypothesis import given
from hypothesis import strategies as st

# ---------------------------------------------------------------- Item codec

TEXTS = st.text(max_size=5)
SETS = st.frozensets(TEXTS, min_size=1, max_size=3)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.binary(max_size=5) | st.integers(-(10**37), 10**37) | SETS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_a_value_is_decoded_as_it_was_encoded(value: Any) -> None:
    assert decode(encode(value)) == value


@given(VALUES)
def test_an_encoded_value_has_one_type(value: Any) -> None:
    encoded = encode(value)

    assert len(encoded) == 1


@given(st.binary(max_size=20))
def test_bytes_are_read_alike_from_json_and_from_boto3(value: bytes) -> None:
    assert decode({"B": b64encode(value).decode()}) == decode({"B": value}) == value


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("", {"S": ""}),
        (b"\x00\xff", {"B": "AP8="}),
        (0, {"N": "0"}),
        (10**37, {"N": "1" + "0" * 37}),
        ({"b", "a"}, {"SS": ["a", "b"]}),
        (frozenset({"a"}), {"SS": ["a"]}),
        ([], {"L": []}),
        (("x", 1), {"L": [{"S": "x"}, {"N": "1"}]}),
        ({}, {"M": {}}),
        ({"a": {"b": ["c"]}}, {"M": {"a": {"M": {"b": {"L": [{"S": "c"}]}}}}}),
    ],
)
def test_each_type_has_its_attribute(value: Any, attribute: dict[str, Any]) -> None:
    assert encode(value) == attribute


def test_none_is_an_absent_attribute() -> None:
    values = {"pk": "a", "revoked_at": None, "evidence": {"ip": None, "text": "t"}}

    assert encode_item(values) == {"pk": {"S": "a"}, "evidence": {"M": {"text": {"S": "t"}}}}


def test_an_item_is_decoded_by_attribute() -> None:
    item = {"pk": {"S": "a"}, "count": {"N": "-3"}, "ids": {"SS": ["x"]}}

    assert decode_item(item) == {"pk": "a", "count": -3, "ids": frozenset({"x"})}


@pytest.mark.parametrize(
    "attribute", [{"NULL": True}, {"BOOL": True}, {"BS": [b"x"]}, {"NS": ["1"]}]
)
def test_an_attribute_of_another_type_is_an_error(attribute: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="no plain value for attribute type"):
        decode(attribute)


# ---------------------------------------------------------------- Retries


def no_sleep(_seconds: float) -> None:
    """Do not wait."""


def test_the_first_attempt_does_not_wait() -> None:
    waits: list[float] = []

    assert next(attempts(waits.append)) == 0
    assert waits == []


def test_attempts_wait_before_each_repeat() -> None:
    waits: list[float] = []

    assert list(attempts(waits.append, 4)) == [0, 1, 2, 3]
    assert len(waits) == 3


@pytest.mark.parametrize("tries", [0, 1, 8])
def test_there_are_as_many_attempts_as_tries(tries: int) -> None:
    assert list(attempts(no_sleep, tries)) == list(range(tries))


def test_attempts_without_a_limit_go_on() -> None:
    assert list(islice(attempts(no_sleep), 100)) == list(range(100))


def test_a_wait_doubles_up_to_a_limit_with_full_jitter() -> None:
    many = [waits_of(12) for _ in range(200)]
    bounds = [min(MAX_WAIT_SECONDS, 0.05 * 2**repeat) for repeat in range(11)]

    for position, bound in enumerate(bounds):
        waits = [waits[position] for waits in many]
        assert all(0 <= wait <= bound for wait in waits)
        assert max(waits) > bound / 2 > min(waits)


def waits_of(tries: int) -> list[float]:
    waits: list[float] = []
    for _ in attempts(waits.append, tries):
        pass
    return waits


def test_attempts_stop_before_a_wait_where_there_is_no_time() -> None:
    waits: list[float] = []
    answers = iter([True, True, False])

    assert list(attempts(waits.append, may_go_on=lambda: next(answers))) == [0, 1]
    assert len(waits) == 1


def test_there_is_no_attempt_where_there_is_no_time_at_all() -> None:
    assert list(attempts(no_sleep, may_go_on=lambda: False)) == []


# ---------------------------------------------------------------- Tables


def cancelled(*codes: str) -> CallError:
    return CallError("TransactionCanceledException", reasons=codes)


class FakeClient:
    """Returns or raises prepared results, and keeps the parameters of each call."""

    def __init__(self, *results: Any) -> None:
        self.calls: list[dict[str, Any]] = []
        self._results = iter(results)

    def call(self, _operation: str, parameters: dict[str, Any]) -> Any:
        self.calls.append(parameters)
        result = next(self._results)
        if isinstance(result, CallError):
            raise result
        return result

    def call_all(self, operation: str, parameters: list[dict[str, Any]], _may_begin: object) -> Any:
        return [self.call(operation, one) for one in parameters]


def table(*results: Any) -> tuple[Table, FakeClient]:
    client = FakeClient(*results)
    return Table(cast(Any, client), "things", sleep=no_sleep), client


KEY = {"pk": "a"}


def test_a_get_is_consistent_and_in_plain_values() -> None:
    things, client = table({"Item": {"pk": {"S": "a"}, "n": {"N": "1"}}}, {})

    assert things.get(KEY) == {"pk": "a", "n": 1}
    assert things.get(KEY) is None
    assert client.calls[0] == {
        "TableName": "things",
        "Key": {"pk": {"S": "a"}},
        "ConsistentRead": True,
    }


def test_an_update_returns_the_item_as_it_is_now() -> None:
    things, client = table({"Attributes": {"pk": {"S": "a"}, "n": {"N": "2"}}})

    assert things.update(KEY, "SET #n = :n", "#n < :n", n=2) == (True, {"pk": "a", "n": 2})
    assert client.calls[0]["ExpressionAttributeNames"] == {"#n": "n"}
    assert client.calls[0]["ExpressionAttributeValues"] == {":n": {"N": "2"}}


def test_an_update_whose_condition_fails_returns_the_old_item() -> None:
    old = {"pk": {"S": "a"}, "n": {"N": "3"}}
    things, _ = table(CallError("ConditionalCheckFailedException", item=old))

    assert things.update(KEY, "SET #n = :n", "#n < :n", n=2) == (False, {"pk": "a", "n": 3})


def test_an_update_without_condition_or_values_sends_none() -> None:
    things, client = table({"Attributes": {}})
    things.update(KEY, "REMOVE paused")

    assert (
        client.calls[0].keys()
        & {
            "ConditionExpression",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
        }
        == set()
    )


def test_an_update_is_repeated_while_a_transaction_conflicts() -> None:
    things, client = table(*[CallError("TransactionConflictException")] * 3, {"Attributes": {}})

    assert things.update(KEY, "REMOVE x") == (True, {})
    assert len(client.calls) == 4


def test_an_update_that_always_conflicts_is_unavailable() -> None:
    things, client = table(*[CallError("TransactionConflictException")] * 10)

    with pytest.raises(Unavailable):
        things.update(KEY, "REMOVE x")
    assert len(client.calls) == 10


def test_another_error_of_an_update_is_raised() -> None:
    things, client = table(CallError("ValidationException"))

    with pytest.raises(CallError):
        things.update(KEY, "REMOVE x")
    assert len(client.calls) == 1


def test_a_transaction_returns_which_condition_failed() -> None:
    things, _ = table({}, cancelled("None", "ConditionalCheckFailed", "None"))

    assert things.transact("one") is None
    assert things.transact("one", "two", "three") == 1


def test_a_transaction_is_repeated_while_others_are_in_its_way() -> None:
    things, client = table(
        cancelled("None", "TransactionConflict"), CallError("ThrottlingError"), {}
    )

    assert things.transact("one", "two") is None
    assert len(client.calls) == 3


def test_a_transaction_that_always_conflicts_is_unavailable() -> None:
    things, _ = table(*[cancelled("TransactionConflict")] * 10)

    with pytest.raises(Unavailable):
        things.transact("one")


def test_another_error_of_a_transaction_is_raised() -> None:
    things, client = table(cancelled("None", "ValidationError"))

    with pytest.raises(CallError):
        things.transact("one", "two")
    assert len(client.calls) == 1


def keys(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"{number}"} for number in range(count)]


def batch(*found: str, unprocessed: tuple[str, ...] = ()) -> dict[str, Any]:
    pending = {"things": {"Keys": [{"pk": {"S": name}} for name in unprocessed]}}
    return {
        "Responses": {"things": [{"pk": {"S": name}} for name in found]},
        "UnprocessedKeys": pending if unprocessed else {},
    }


def test_a_batch_of_keys_is_read_a_hundred_at_a_time() -> None:
    things, client = table(batch("0"), batch(), batch("200"))

    assert list(things.batch_get(keys(201))) == [{"pk": "0"}, {"pk": "200"}]
    requested = [len(call["RequestItems"]["things"]["Keys"]) for call in client.calls]
    assert requested == [KEYS_PER_CALL, KEYS_PER_CALL, 1]


def test_keys_that_were_not_processed_are_read_again() -> None:
    things, client = table(batch("0", unprocessed=("1",)), batch("1"))

    assert list(things.batch_get(keys(2))) == [{"pk": "0"}, {"pk": "1"}]
    assert client.calls[1]["RequestItems"]["things"]["Keys"] == [{"pk": {"S": "1"}}]


def test_keys_that_are_never_processed_are_unavailable() -> None:
    things, client = table(*[batch(unprocessed=("0",))] * 8)

    with pytest.raises(Unavailable):
        list(things.batch_get(keys(1)))
    assert len(client.calls) == 8


def test_an_insert_returns_the_code_of_each_item() -> None:
    things, client = table({"Responses": [{}, {"Error": {"Code": "DuplicateItem"}}]})
    items = [{"pk": {"S": name}, "sk": {"S": "x"}} for name in ("a", "b")]

    assert things.insert_all([items], lambda: True) == [["", "DuplicateItem"]]
    assert client.calls[0]["Statements"][1] == {
        "Statement": """INSERT INTO "things" VALUE {'pk': ?, 'sk': ?}""",
        "Parameters": [{"S": "b"}, {"S": "x"}],
    }


def test_actions_name_table_key_and_condition() -> None:
    things, _ = table()

    assert things.put_new({"pk": "a", "x": None}, unless="pk") == {
        "Put": {
            "TableName": "things",
            "Item": {"pk": {"S": "a"}},
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }
    assert things.check(KEY, "attribute_exists(pk)") == {
        "ConditionCheck": {
            "TableName": "things",
            "Key": {"pk": {"S": "a"}},
            "ConditionExpression": "attribute_exists(pk)",
        }
    }
    assert things.update_if(KEY, "SET #x = :x", x="y") == {
        "Update": {
            "TableName": "things",
            "Key": {"pk": {"S": "a"}},
            "UpdateExpression": "SET #x = :x",
            "ExpressionAttributeNames": {"#x": "x"},
            "ExpressionAttributeValues": {":x": {"S": "y"}},
        }
    }
