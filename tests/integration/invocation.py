"""Events, the Lambda context that a handler runs in, and the response it returns."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).parents[2]


def event_of(name: str) -> dict[str, Any]:
    """Return an event of the folder events/."""
    return dict(json.loads((ROOT / "events" / f"{name}.json").read_text()))


@dataclass(frozen=True)
class Response:
    """What API Gateway would send."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Invocation:
    """The Lambda context of one invocation."""

    def __init__(self, milliseconds: int) -> None:
        self.aws_request_id = str(uuid4())
        self._end = time.monotonic() + milliseconds / 1000

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left, in milliseconds."""
        return max(0, int((self._end - time.monotonic()) * 1000))
