"""A DynamoDB client that counts its calls and the write units that they consume."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from consents.aws.client import Client, Parameters
from consents.aws.errors import CallError

WRITES = {"BatchExecuteStatement", "DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"}


class Counted:
    """A client, the number of its calls by operation, and the write units that were consumed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()
        self.write_units = 0.0

    def call(self, operation: str, parameters: Parameters) -> dict[str, Any]:
        """Return the response, or raise `CallError`."""
        (result,) = self.call_all(operation, [parameters])
        if isinstance(result, CallError):
            raise result
        return result

    def call_all(
        self,
        operation: str,
        parameters: Sequence[Parameters],
        may_begin: Callable[[], bool] = lambda: True,
    ) -> list[dict[str, Any] | CallError]:
        """Make several calls at a time; return each response or error, in input order."""
        asked = [{**one, "ReturnConsumedCapacity": "TOTAL"} for one in parameters]
        results = self._client.call_all(operation, asked, may_begin)
        self.calls[operation] += len(results)
        if operation in WRITES:
            self.write_units += sum(map(_units, results))
        return results


def _units(result: Mapping[str, Any] | CallError) -> float:
    if isinstance(result, CallError):
        return 0
    consumed = result.get("ConsumedCapacity", [])
    each = consumed if isinstance(consumed, list) else [consumed]
    return float(sum(used["CapacityUnits"] for used in each))
