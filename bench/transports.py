"""`python -m bench.transports`: ways to make many calls of DynamoDB, measured against each other.

Each way makes the same signed calls to the stub, in a process for itself: the inserts of 1000
records, and 1000 queries. Prints rows of a Markdown table: CPU and wall milliseconds, and the CPU
of making the client.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from bench import processes

ROUNDS = 9
THREADS = 40
INSERTS = ("BatchExecuteStatement", 40)
QUERIES = ("Query", 1000)

type Call = Callable[[str, Sequence[dict[str, Any]]], int]
"""Makes calls of an operation, and returns how many had a response."""


def inserts(count: int) -> list[dict[str, Any]]:
    """Return calls that insert 25 records each."""
    record = {"pk": "org#+15554443333", "sk": "+15550001111#2026", "evidence": "x" * 400}
    values = ", ".join(f"'{name}': ?" for name in record)
    statement = {
        "Statement": f'INSERT INTO "Ledger" VALUE {{{values}}}',
        "Parameters": [{"S": value} for value in record.values()],
    }
    return [{"Statements": [statement] * 25}] * count


def queries(count: int) -> list[dict[str, Any]]:
    """Return calls that read a contact each."""
    return [
        {
            "TableName": "Ledger",
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": f"org#+1555{number:07}"}},
            "ConsistentRead": True,
        }
        for number in range(count)
    ]


def signed(operation: str, host: str, body: bytes) -> dict[str, str]:
    """Return the headers of a request, signed by the service's code."""
    from consents.aws.session import credentials
    from consents.aws.sigv4 import Scope, signed_headers

    headers = {
        "host": host,
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": f"DynamoDB_20120810.{operation}",
    }
    scope = Scope("us-east-1", "dynamodb")
    return signed_headers("/", headers, body, credentials(), scope, datetime.now(UTC))


def lean() -> Call:
    """The service's client: signs, and exchanges on one poll loop."""
    from consents import wiring

    client = wiring.dynamodb()
    return lambda operation, calls: sum(
        isinstance(one, dict) for one in client.call_all(operation, calls)
    )


def boto3() -> Call:
    """The idiom: boto3 on threads."""
    import boto3
    from botocore.config import Config

    client = boto3.client("dynamodb", config=Config(max_pool_connections=THREADS))
    pool = ThreadPoolExecutor(THREADS)

    def call(operation: str, calls: Sequence[dict[str, Any]]) -> int:
        methods: dict[str, Any] = {
            "Query": client.query,
            "BatchExecuteStatement": client.batch_execute_statement,
        }
        method = methods[operation]
        return sum(isinstance(one, dict) for one in pool.map(lambda one: method(**one), calls))

    return call


def urllib3() -> Call:
    """The service's signature, sent by urllib3 on threads."""
    import orjson
    import urllib3

    url = os.environ["AWS_ENDPOINT_URL"]
    http = urllib3.PoolManager(maxsize=THREADS)
    pool = ThreadPoolExecutor(THREADS)

    def call(operation: str, calls: Sequence[dict[str, Any]]) -> int:
        def one(parameters: dict[str, Any]) -> Any:
            body = orjson.dumps(parameters)
            headers = signed(operation, urlsplit(url).netloc, body)
            return orjson.loads(http.request("POST", url, body=body, headers=headers).data)

        return sum(isinstance(each, dict) for each in pool.map(one, calls))

    return call


def awscrt() -> Call:
    """AWS's C library: its signer, and its HTTP client, which starts threads."""
    import orjson
    from awscrt import auth, http, io  # type: ignore[import-untyped]

    url = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    bootstrap = io.ClientBootstrap.get_or_create_static_default()
    provider = auth.AwsCredentialsProvider.new_static("test", "test")
    connections = [
        http.HttpClientConnection.new(url.hostname, url.port, bootstrap).result()
        for _ in range(THREADS)
    ]

    def request(operation: str, parameters: dict[str, Any]) -> Any:
        body = orjson.dumps(parameters)
        headers = {
            "host": url.netloc,
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"DynamoDB_20120810.{operation}",
            "content-length": str(len(body)),
        }
        made = http.HttpRequest("POST", "/", http.HttpHeaders([*headers.items()]), BytesIO(body))
        config = auth.AwsSigningConfig(
            auth.AwsSigningAlgorithm.V4,
            auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            provider,
            "us-east-1",
            "dynamodb",
        )
        return auth.aws_sign_request(made, config)

    def call(operation: str, calls: Sequence[dict[str, Any]]) -> int:
        requests = [future.result() for future in [request(operation, one) for one in calls]]
        bodies = [bytearray() for _ in calls]

        def run(number: int) -> None:  # the calls of one connection, one after the other
            for index in range(number, len(calls), THREADS):
                take = bodies[index]
                stream = connections[number].request(
                    requests[index], on_body=lambda chunk, take=take, **_: take.extend(chunk)
                )
                stream.activate()
                stream.completion_future.result()

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(run, range(THREADS)))
        return sum(isinstance(orjson.loads(each), dict) for each in bodies)

    return call


WAYS: dict[str, Callable[[], Call]] = {
    "lean": lean,
    "awscrt": awscrt,
    "urllib3": urllib3,
    "boto3": boto3,
}


def measure(way: str) -> dict[str, float]:
    """Make a client, and return the CPU and wall milliseconds of its calls, per kind of call."""
    began = time.process_time()
    call = WAYS[way]()
    figures = {"client": (time.process_time() - began) * 1000}
    for (operation, count), calls in ((INSERTS, inserts(40)), (QUERIES, queries(1000))):
        rounds = []
        for _ in range(ROUNDS + 1):
            cpu, wall = time.process_time(), time.perf_counter()
            if call(operation, calls) != count:
                raise RuntimeError(f"{way}: a call of {operation} had no response")
            rounds.append((time.process_time() - cpu, time.perf_counter() - wall))
        cpus, walls = zip(*rounds[1:], strict=True)
        figures[f"{operation} cpu"] = median(cpus) * 1000
        figures[f"{operation} wall"] = median(walls) * 1000
    return figures


def main() -> None:
    """Measure each way in a process for itself, and print."""
    print("| | 40 inserts of 25, CPU | wall | 1000 queries, CPU | wall | client, CPU |")
    print("| --- | --- | --- | --- | --- | --- |")
    with processes.stub() as endpoint:
        for way in WAYS:
            ran = subprocess.run(
                [sys.executable, "-m", "bench.transports", way],
                env=os.environ | processes.environment(endpoint, "transports"),
                check=True,
                capture_output=True,
                text=True,
            )
            figures = json.loads(ran.stdout.splitlines()[-1])
            inserted = [figures[f"{INSERTS[0]} {kind}"] for kind in ("cpu", "wall")]
            queried = [figures[f"{QUERIES[0]} {kind}"] for kind in ("cpu", "wall")]
            columns = " | ".join(f"{each:.1f}" for each in (*inserted, *queried, figures["client"]))
            print(f"| {way} | {columns} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
