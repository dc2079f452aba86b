"""An operator at the console of the local engine, as a browser would send its requests."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

import boto3
import httpx
from consents.accounts.directory import Directory
from consents.accounts.directory_writer import DirectoryWriter
from consents.aws.client import Boto3Client
from consents.aws.dynamodb import Table
from consents.capture.ledger import Ledger
from consents_cli.access_log import Entry, Search, open_access_log
from consents_cli.stack import Stack
from consents_console.app import build
from consents_console.desk import Desk
from consents_console.guard import OPEN_PATH
from consents_console.server import hosts_of
from consents_console.session import COOKIE, Session

from tests.integration.drops import DROPS_BUCKET

PORT = 8123
ORIGIN = f"http://127.0.0.1:{PORT}"
ARN = "arn:aws:sts::000000000000:assumed-role/Operator/jo@acme.example"
TABLES = ("AccessLogTable", "DirectoryTable", "ImportsTable", "LedgerTable")

_TOKEN = re.compile('name="token" value="([^"]+)"')


@dataclass
class Clock:
    """Seconds that a test moves on."""

    seconds: float = 0

    def __call__(self) -> float:
        return self.seconds


def stack_of_engine() -> Stack:
    """Return the engine's tables and bucket as the command sees a stack."""
    dynamodb = boto3.client("dynamodb")
    client = Boto3Client(lambda: dynamodb)
    directory = Table(client, "DirectoryTable")
    return Stack(
        name="consent-ledger",
        region="us-east-1",
        outputs={name: name for name in TABLES} | {"DropsBucket": DROPS_BUCKET},
        parameters={},
        directory=Directory(directory, lambda: b"pepper"),
        entries=DirectoryWriter(directory),
        ledger=Ledger(Table(client, "LedgerTable")),
        dynamodb=dynamodb,
        pepper=lambda: b"pepper",
        secret=lambda output: output,
        kms=lambda: boto3.client("kms"),
        s3=cache(lambda: boto3.client("s3")),
        sns=cache(lambda: boto3.client("sns")),
        caller=lambda: ARN,
        cloudwatch=cache(lambda: boto3.client("cloudwatch")),
        logs=cache(lambda: boto3.client("logs")),
        cloudformation=boto3.client("cloudformation"),
        functions=cache(lambda: boto3.client("lambda")),
    )


@dataclass
class Operator:
    """A browser that has opened the link, unless a test says otherwise."""

    stack: Stack = field(default_factory=stack_of_engine)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.session = Session(self.clock)
        self.app = build(Desk(self.stack, self.session), hosts_of(PORT))
        self.cookies: dict[str, str] = {}

    def open(self) -> "Operator":
        """Exchange the link for the cookie."""
        response = self.send("GET", f"{OPEN_PATH}?key={self.session.link_key}")
        assert (response.status_code, response.headers["location"]) == (303, "/")
        self.cookies = {COOKIE: response.cookies[COOKIE]}
        return self

    def get(self, path: str) -> httpx.Response:
        """Return a page."""
        return self.send("GET", path)

    def post(self, path: str, **form: str) -> httpx.Response:
        """Send a form of a page of the console, with its token."""
        body = urlencode({"token": self.session.form_token} | form)
        return self.send("POST", path, body=body, headers={"Origin": ORIGIN})

    def follow(self, response: httpx.Response) -> httpx.Response:
        """Return the page that a response redirects to."""
        assert response.status_code == 303, response.text
        return self.get(response.headers["location"])

    def find(self, org_id: str, sought: str) -> httpx.Response:
        """Return the page of what is found."""
        return self.follow(self.post("/", sought=sought, org_id=org_id))

    def send(
        self, method: str, path: str, *, body: str = "", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a request as a browser or an attacker would."""
        sent = {"Host": f"127.0.0.1:{PORT}"}
        if body:
            sent["Content-Type"] = "application/x-www-form-urlencoded"

        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, cookies=self.cookies) as client:
                return await client.request(
                    method, f"{ORIGIN}{path}", content=body, headers=sent | (headers or {})
                )

        return asyncio.run(answer())

    def entries(self, contact: str) -> list[Entry]:
        """Return the entries of the access log about a contact, newest first."""
        log = open_access_log(self.stack)
        return log.find(Search(contact=log.hash(contact)), 100)[0]


def token_in(page: httpx.Response) -> str:
    """Return the token of a page's form."""
    found = _TOKEN.search(page.text)
    assert found is not None
    return found[1]


@contextmanager
def watched(stack: Stack) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Collect the calls of DynamoDB: their names and parameters."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def note(model: Any, params: Any, **_: Any) -> None:
        calls.append((model.name, params))

    events = stack.dynamodb.meta.events
    events.register("before-call.dynamodb", note)
    try:
        yield calls
    finally:
        events.unregister("before-call.dynamodb", note)
