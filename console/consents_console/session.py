"""The session of one operator: a link that opens it once, a cookie, a form token, an idle end."""

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

COOKIE = "consents_console"

IDLE_SECONDS = timedelta(minutes=30).total_seconds()
"""After so long without a request of a person the session ends, and the server with it."""

_BITS = 256
_RECENT = 10


@dataclass(frozen=True, slots=True)
class Looked:
    """A contact that was looked at in this session."""

    org_id: str
    organization: str
    consent_id: str
    contact: str


def _secret() -> str:
    return secrets.token_urlsafe(_BITS // 8)


@dataclass(slots=True)
class Session:
    """What one run of the console knows of its operator; nothing of it is on disk."""

    clock: Callable[[], float]
    """Returns seconds, and never steps back."""
    link_key: str = field(default_factory=_secret)
    cookie: str = field(default_factory=_secret)
    form_token: str = field(default_factory=_secret)
    org_id: str = ""
    """The organization that was last chosen."""
    recent: deque[Looked] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _last_used: float = field(init=False)

    def __post_init__(self) -> None:
        self._last_used = self.clock()

    def open(self, key: str) -> bool:
        """Return whether this is the key of the link, which is valid once."""
        is_valid = bool(self.link_key) and _equal(key, self.link_key)
        if is_valid:
            self.link_key = ""
        return is_valid

    def has_cookie(self, sent: str) -> bool:
        """Return whether this is the cookie of the session."""
        return _equal(sent, self.cookie)

    def has_token(self, sent: str) -> bool:
        """Return whether this is the token of the session's forms."""
        return _equal(sent, self.form_token)

    def touch(self) -> None:
        """Note that a person uses the console now."""
        self._last_used = self.clock()

    @property
    def is_over(self) -> bool:
        """Whether nobody has used the console for too long."""
        return self.clock() - self._last_used >= IDLE_SECONDS

    def remember(self, looked: Looked) -> None:
        """Put a contact at the top of those looked at."""
        if looked in self.recent:
            self.recent.remove(looked)
        self.recent.appendleft(looked)


def _equal(sent: str, expected: str) -> bool:
    return hmac.compare_digest(sent.encode(), expected.encode())
