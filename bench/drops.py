"""`make bench-drops`: import files of 10,000 to a million rows into the local engine.

One planner and two workers, each in a separate process, receive messages from the engine's queues
and pass them to the handlers, as Lambda does. So memory and calls are measured per function.
MiniStack ignores the range in a request for a version of an object, and would send the whole file
per part. The processes therefore read the ranges that they request from the disk. Tables, queues
and bucket are those of template.yaml.

The engine is one Python process and limits the rows per second: compare them only with each other.
Exits with 1 if row counts are wrong, memory grows with the file, a file is read more than twice, or
a counter is 0.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import boto3
from consents.accounts.directory import organization_key
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table as DynamoDBTable
from consents.imports.drop import Drop, parse_key
from consents.imports.import_state import Import
from consents.imports.table import ImportTable
from rich.console import Console
from rich.table import Table
from samcli.yamlhelper import parse_yaml_file

from bench.drop_process import Usage

ROOT = Path(__file__).parents[1]
SIZES = [10_000, 100_000, 1_000_000]
WORKERS = 2
MAX_GROWTH = 1.2
MAX_READS = 2.01
MIB = 2**20
SERVICES = ("dynamodb", "s3", "sqs")
ORG, BUCKET = "org_bench", "drops"
TABLE_KEYS = {"AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema"}


@dataclass(frozen=True)
class Figures:
    """The measurements of the import of one file."""

    form: str
    rows: int
    size: int
    seconds: float
    planner: Usage
    workers: list[Usage]

    @property
    def worker_memory(self) -> int:
        """The highest peak memory of a worker, in bytes."""
        return max(worker.peak_memory for worker in self.workers)

    @property
    def reads(self) -> float:
        """How often each byte of the file was read."""
        return sum(process.bytes_read for process in self._all) / self.size

    @property
    def write_units(self) -> float:
        """DynamoDB's write units per row."""
        return sum(process.write_units for process in self._all) / self.rows

    def calls(self, service: str) -> float:
        """Return the calls of a service per 1000 rows."""
        counted = Counter[str]()
        for process in self._all:
            counted.update(process.calls)
        made = sum(count for name, count in counted.items() if name.startswith(service))
        return made * 1000 / self.rows

    @property
    def counted(self) -> dict[str, float]:
        """The counters by name; 0 means that a counter does not work."""
        return {
            "bytes read": self.reads,
            "write units": self.write_units,
            **{f"calls of {service}": self.calls(service) for service in SERVICES},
        }

    def cpu(self, processes: list[Usage]) -> float:
        """Return the CPU milliseconds of some processes per 1000 rows."""
        return sum(process.cpu_seconds for process in processes) * 1e6 / self.rows

    @property
    def _all(self) -> list[Usage]:
        return [self.planner, *self.workers]


@contextmanager
def engine(template: dict[str, Any]) -> Iterator[None]:
    """Run MiniStack with the template's resources; set the environment to use it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    os.environ |= environment(port)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-m", "ministack"], **quiet) as process:  # type: ignore[call-overload]
        try:
            wait_for(f"http://127.0.0.1:{port}/_ministack/health")
            make(template)
            yield
        finally:
            process.terminate()


def environment(port: int) -> dict[str, str]:
    """Return the environment of the engine and the functions."""
    url = f"http://127.0.0.1:{port}"
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_SECRET_ACCESS_KEY": "test",
        "BIND_HOST": "127.0.0.1",
        "DIRECTORY_TABLE": "DirectoryTable",
        "DROPS_BUCKET": BUCKET,
        "LOG_BUCKET": BUCKET,
        "GATEWAY_PORT": str(port),
        "IDEMPOTENCY_TABLE": "IdempotencyTable",
        "IMPORTS_TABLE": "ImportsTable",
        "LEDGER_TABLE": "LedgerTable",
        "PARTS_AHEAD": "80",
        "PART_QUEUE": f"{url}/000000000000/PartQueue",
        "PEPPER_SECRET": "Pepper",
        "PLAN_QUEUE": f"{url}/000000000000/PlanQueue",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
        "POWERTOOLS_METRICS_NAMESPACE": "ConsentLedger",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "RATE_LIMITS_TABLE": "RateLimitsTable",
        "SERVICES": "dynamodb,kms,s3,secretsmanager,sqs",
    }


def wait_for(url: str) -> None:
    """Wait until an engine responds."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.05)
            continue
        return
    sys.exit("the local engine did not start within 30 seconds")


def make(template: dict[str, Any]) -> None:
    """Create the tables, the queues, the bucket, and an organization."""
    dynamodb, sqs, s3 = boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("s3")
    for name, resource in template["Resources"].items():
        if name.startswith("Fn::ForEach::"):
            continue
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::DynamoDB::Table":
            described = {key: value for key, value in properties.items() if key in TABLE_KEYS}
            dynamodb.create_table(TableName=name, **described)
        if resource["Type"] == "AWS::SQS::Queue":
            hidden = properties.get("VisibilityTimeout", 30)
            sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(hidden)})
    s3.create_bucket(Bucket=BUCKET)
    texts = organization_key(ORG) | {
        "org_id": ORG,
        "name": "Bench",
        "plan": "payg",
        "created_at": "-",
    }
    item = {name: {"S": text} for name, text in texts.items()}
    dynamodb.put_item(
        TableName="DirectoryTable", Item=item | {"records_per_minute": {"N": "60000"}}
    )


def write(file: Path, form: str, rows: int) -> int:
    """Write a file with one invalid row in a hundred, and return its size."""
    columns = ["correlation_id", "sender_id", "contact_id", "status", "source", "date_of_consent"]
    with file.open("w", newline="") as out:
        if form == "csv":
            out.write(",".join(columns) + "\r\n")
        for number in range(rows):
            values = (
                f"{number:032x}",
                "MG00000000000000000000000000000001",
                "+19" if number % 100 == 7 else f"+1555{2_000_000 + number}",
                "opt-in",
                "website",
                "2026-04-26T12:00:00Z",
            )
            if form == "csv":
                out.write(",".join(values) + "\r\n")
            else:
                out.write(json.dumps(dict(zip(columns, values, strict=True))) + "\n")
    return file.stat().st_size


@contextmanager
def running(function: str, queue: str, file: Path, usages: list[Usage]) -> Iterator[None]:
    """Run a process of a function, and append its usage when it ends."""
    command = [sys.executable, "-m", "bench.drop_process", function, queue, str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield
        finally:
            process.terminate()
            printed, _ = process.communicate()
        usages.append(Usage(**json.loads(printed)))


def measure(template: dict[str, Any], form: str, rows: int) -> Figures:
    """Import a file of a number of rows into a new engine."""
    planner: list[Usage] = []
    workers: list[Usage] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        file = Path(folder, f"bench.{form}")
        size = write(file, form, rows)
        stack.enter_context(engine(template))
        drop = parse_key(BUCKET, f"drops/{ORG}/bulk-consents/{file.name}", "v1")
        assert drop is not None
        with ExitStack() as processes:
            processes.enter_context(running("plan_import", "PLAN_QUEUE", file, planner))
            for _ in range(WORKERS):
                processes.enter_context(running("import_part", "PART_QUEUE", file, workers))
            started = time.monotonic()
            send_created_event(drop)
            reached = wait_until_imported(drop)
            seconds = time.monotonic() - started
        check(reached, rows)
    return Figures(form, rows, size, seconds, planner[0], workers)


def send_created_event(drop: Drop) -> None:
    """Send the event that S3 sends when an object is created."""
    thing = {
        "bucket": {"name": drop.bucket},
        "object": {"key": drop.key, "versionId": drop.version},
    }
    event = {"Records": [{"eventName": "ObjectCreated:Put", "s3": thing}]}
    queue = os.environ["PLAN_QUEUE"]
    boto3.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(event))


def wait_until_imported(drop: Drop) -> Import:
    """Return a completed import; show its progress until then."""
    progress = ImportTable(
        DynamoDBTable(Boto3Client(lambda: boto3.client("dynamodb")), "ImportsTable")
    )
    with Console(stderr=True).status("waiting") as status:
        while True:
            reached = progress.find(drop.org_id, drop.import_id)
            if isinstance(reached, Import):
                if reached.is_reported:
                    return reached
                status.update(f"{drop.key}: {reached.counts.rows} rows")
            time.sleep(0.2)


def check(reached: Import, rows: int) -> None:
    """Exit with 1 unless every row is counted correctly."""
    rejected = len(range(7, rows, 100))
    counts = reached.counts
    counted = reached.outcome, counts.accepted, counts.duplicates, dict(counts.rejected)
    if counted != ("completed", rows - rejected, 0, {"30646": rejected}):
        sys.exit(f"{rows} rows were counted as {counted}: {reached.reason}")


def table(figures: list[Figures]) -> Table:
    """Return the figures as a table."""
    shown = Table("", *(f"{one.form} {one.rows:,}" for one in figures))
    for column in shown.columns[1:]:
        column.justify = "right"
    lines = {
        "file, MiB": [one.size / MIB for one in figures],
        "rows/s, limited by the engine": [one.rows / one.seconds for one in figures],
        "peak memory of the planner, MiB": [one.planner.peak_memory / MIB for one in figures],
        "peak memory of a worker, MiB": [one.worker_memory / MIB for one in figures],
        "bytes read per byte of file": [one.reads for one in figures],
        "per 1000 rows: DynamoDB calls": [one.calls("dynamodb") for one in figures],
        "S3 calls": [one.calls("s3") for one in figures],
        "SQS calls": [one.calls("sqs") for one in figures],
        "planner, CPU ms": [one.cpu([one.planner]) for one in figures],
        "workers, CPU ms": [one.cpu(one.workers) for one in figures],
        "write units per row": [one.write_units for one in figures],
    }
    for name, values in lines.items():
        shown.add_row(
            name, *(f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in values)
        )
    return shown


def faults(figures: list[Figures]) -> Iterator[str]:
    """Return the violated limits."""
    for one in figures:
        for name, value in one.counted.items():
            if not value:
                yield f"{one.form} {one.rows}: no {name} were counted"
        if one.reads > MAX_READS:
            yield f"{one.form} {one.rows}: each byte was read {one.reads:.2f} times"
    for form in dict.fromkeys(one.form for one in figures):
        same = sorted((one for one in figures if one.form == form), key=lambda one: one.rows)
        least, most = same[0], same[-1]
        for name, small, large in (
            ("planner", least.planner.peak_memory, most.planner.peak_memory),
            ("worker", least.worker_memory, most.worker_memory),
        ):
            if large > MAX_GROWTH * small:
                yield f"{form}: {name} memory grows {large / small:.2f} times with the file"


def main() -> None:
    """Import files of the given sizes in both formats."""
    parser = argparse.ArgumentParser(prog="make bench-drops", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="ROWS")
    template = dict(parse_yaml_file(str(ROOT / "template.yaml")))
    sizes = parser.parse_args().sizes
    figures: list[Figures] = []
    for rows, form in product(sizes, ("jsonl", "csv")):  # the largest last: it takes minutes
        figures.append(measure(template, form, rows))
        Console().print(table(figures[-1:]))
    Console().print(table(figures))
    for fault in (found := list(faults(figures))):
        Console(stderr=True).print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
