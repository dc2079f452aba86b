"""One process of an import function: handles messages of a queue until SIGTERM.

`bench.drops` starts it in an environment like that of the deployed function. When it ends, it
prints its resource usage as JSON.
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
from consents.aws import session

from bench.counted import Counted

LAMBDA_SECONDS = 900


class Invocation:
    """The Lambda context of one invocation."""

    def __init__(self) -> None:
        self._end = time.monotonic() + LAMBDA_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining time in milliseconds."""
        return int((self._end - time.monotonic()) * 1000)


class Range:
    """A range of a file, readable as the body of a response."""

    def __init__(self, file: Path, start: int, end: int) -> None:
        self._file = file.open("rb")
        self._file.seek(start)
        self._left = end - start
        self.bytes_read = 0

    def read(self, amt: int | None = None, **_: Any) -> bytes:
        """Return the next bytes, or b"" at the end of the range."""
        piece = self._file.read(self._left if amt is None else min(amt, self._left))
        self._left -= len(piece)
        self.bytes_read += len(piece)
        return piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True)
class Usage:
    """Resource usage of a process: bytes of the file, and write units of DynamoDB."""

    calls: dict[str, int]
    write_units: float
    bytes_read: int
    peak_memory: int
    cpu_seconds: float


class Watch:
    """Counts the calls of the handlers to AWS, but for DynamoDB, by the events of their clients."""

    def __init__(self, session: Any, file: Path) -> None:
        """Register with a botocore session; clients that it creates later are counted."""
        self.calls: Counter[str] = Counter()
        self._file = file
        self._ranges: list[Range] = []
        session.register("after-call.s3", self._count)
        session.register("after-call.sqs", self._count)
        session.register("before-send.s3.GetObject", self._from_disk)

    @property
    def bytes_read(self) -> int:
        """Bytes read of the imported file."""
        return sum(one.bytes_read for one in self._ranges)

    def _count(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        if model.name == "ReceiveMessage" and not parsed.get("Messages"):
            return  # polls of an empty queue are not calls of the handlers
        self.calls[f"{model.service_model.service_name}.{model.name}"] += 1

    def _from_disk(self, request: AWSRequest, **_: Any) -> AWSResponse | None:
        """Return the requested range as S3 does; MiniStack would send the whole object."""
        if "versionId=" not in str(request.url):
            return None  # only the imported file is read by its version
        size = self._file.stat().st_size
        sent = _text(request.headers.get("Range", "bytes=0-"))
        requested = re.fullmatch(r"bytes=(\d+)-(\d*)", sent)
        assert requested is not None
        start, end = int(requested[1]), min(int(requested[2]) + 1 if requested[2] else size, size)
        self._ranges.append(Range(self._file, start, end))
        headers = HTTPHeaders()
        headers["Content-Length"] = str(end - start)
        if "Range" in request.headers:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        status = 206 if "Range" in request.headers else 200
        return AWSResponse(str(request.url), status, headers, self._ranges[-1])


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def main(function: str, queue: str, file: Path) -> None:
    """Run a function for each message of a queue."""
    out, sys.stdout = sys.stdout, sys.stderr  # loggers use the stream of import time
    wiring: Any = import_module("consents.wiring")
    stop_signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop_signals.append(number))
    watch = Watch(session.session(), file)
    tables = Counted(wiring.dynamodb())
    wiring.dynamodb = lambda: tables
    handler = import_module(f"functions.{function}.app").handler
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for metrics, until the process ends
    sqs: Any = session.boto_client("sqs")
    url = os.environ[queue]
    while not stop_signals:
        received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
        for message in received.get("Messages", []):
            if not handler(_event(message), Invocation())["batchItemFailures"]:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    used = resource.getrusage(resource.RUSAGE_SELF)
    usage = Usage(
        calls=watch.calls | {f"dynamodb.{name}": count for name, count in tables.calls.items()},
        write_units=tables.write_units,
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
