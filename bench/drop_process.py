"""One process of a function of file drops: takes messages off a queue until it is told to end.

Started by `bench.drops`, in an environment like that of the deployed function. At its end it prints
what it used, as JSON.
"""

import json
import os
import re
import resource
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from consents.aws import wiring

LAMBDA_SECONDS = 900
WRITES = {"BatchExecuteStatement", "TransactWriteItems", "UpdateItem"}


class Invocation:
    """The Lambda context of one invocation."""

    def __init__(self) -> None:
        self._end = time.monotonic() + LAMBDA_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left, in milliseconds."""
        return int((self._end - time.monotonic()) * 1000)


class Range:
    """A range of a file, as the body of an answer is read."""

    def __init__(self, file: Path, start: int, end: int) -> None:
        self._file = file.open("rb")
        self._file.seek(start)
        self._left = end - start
        self.given = 0

    def read(self, amt: int | None = None, **_: Any) -> bytes:
        """Return the next bytes, and none at the end."""
        piece = self._file.read(self._left if amt is None else min(amt, self._left))
        self._left -= len(piece)
        self.given += len(piece)
        return piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True)
class Usage:
    """What a process used: bytes are those of the dropped file, units DynamoDB's for writes."""

    calls: dict[str, int]
    write_units: float
    bytes_read: int
    peak_memory: int
    cpu_seconds: float


class Watch:
    """What the handlers ask of AWS, told by the events of their clients."""

    def __init__(self, session: Any, file: Path) -> None:
        """`session` is botocore's: the clients that it makes afterwards have its events."""
        self.calls: Counter[str] = Counter()
        self.write_units = 0.0
        self._file = file
        self._given: list[Range] = []
        session.register("before-call.dynamodb", self._ask_for_units)
        session.register("after-call", self._count)
        session.register("before-send.s3.GetObject", self._from_disk)

    @property
    def bytes_read(self) -> int:
        """How much of the dropped file was read."""
        return sum(given.given for given in self._given)

    def _ask_for_units(self, params: dict[str, Any], **_: Any) -> None:
        """Add a parameter to the body, which the ledger has made itself by now."""
        params["body"] = params["body"][:-1] + b',"ReturnConsumedCapacity":"TOTAL"}'

    def _count(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        if model.name == "ReceiveMessage" and not parsed.get("Messages"):
            return  # how often an idle function asks is not the handlers' doing
        self.calls[f"{model.service_model.service_name}.{model.name}"] += 1
        if model.name in WRITES:
            told = parsed.get("ConsumedCapacity", [])
            for used in told if isinstance(told, list) else [told]:
                self.write_units += used["CapacityUnits"]

    def _from_disk(self, request: AWSRequest, **_: Any) -> AWSResponse | None:
        """Answer a ranged read of the dropped file as S3 does; the engine would send all of it."""
        if "Range" not in request.headers:
            return None  # the dropped file alone is read in ranges
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", _text(request.headers["Range"]))
        assert asked is not None
        size = self._file.stat().st_size
        start, end = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else size, size)
        self._given.append(Range(self._file, start, end))
        headers = HTTPHeaders()
        headers["Content-Length"] = str(end - start)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return AWSResponse(str(request.url), 206, headers, self._given[-1])


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def main(function: str, queue: str, file: Path) -> None:
    """Run a function on each message of a queue."""
    out, sys.stdout = sys.stdout, sys.stderr  # where the log will go, of faults alone
    told_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told_to_end.append(number))
    watch = Watch(wiring.session(), file)
    handler = import_module(f"functions.{function}.app").handler
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - where metrics go, to the end
    sqs: Any = wiring.session().create_client("sqs")
    url = os.environ[queue]
    while not told_to_end:
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            if not handler(_event(message), Invocation())["batchItemFailures"]:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    used = resource.getrusage(resource.RUSAGE_SELF)
    usage = Usage(
        calls=dict(watch.calls),
        write_units=watch.write_units,
        bytes_read=watch.bytes_read,
        peak_memory=used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        cpu_seconds=used.ru_utime + used.ru_stime,
    )
    out.write(json.dumps(asdict(usage)))


def _event(message: Any) -> dict[str, Any]:
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:Queue",
        "awsRegion": "us-east-1",
    }
    return {"Records": [record]}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
