"""MiniStack with one gap closed: its PartiQL inserts reach the stream of their table, as on AWS.

`python -m consents_cli.ministack_with_streams` runs it in place of `python -m ministack`. The
ledger is written only with PartiQL, so without this nothing behind its stream would run locally.
"""

from typing import Any

from ministack.app import main
from ministack.services import dynamodb

_insert = dynamodb._partiql_insert


def insert_and_stream(table: dict[str, Any], parsed: dict[str, Any]) -> Any:
    """Insert an item as MiniStack does, and write the stream record that it forgets."""
    response = _insert(table, parsed)
    if response[0] == 200:
        item = parsed["item"]
        inserted = item["M"] if item.keys() == {"M"} else item
        dynamodb._emit_stream_event(table["TableName"], "INSERT", None, inserted)
    return response


if __name__ == "__main__":
    dynamodb._partiql_insert = insert_and_stream
    main()
