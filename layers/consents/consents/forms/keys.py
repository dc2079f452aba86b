"""What the service's HMAC key proves about links and pages."""

import hmac
from collections.abc import Callable

from consents.forms.form import Form
from consents.forms.tokens import Token
from consents.pages import stamps


class FormKeys:
    """Hashes the secrets of links, and holds the key of stamps."""

    def __init__(self, keyed_hash: Callable[[str], str]) -> None:
        """`keyed_hash` returns the HMAC of a text under the service's key, in hex."""
        self._hash = keyed_hash

    def secret_hash(self, token: Token) -> str:
        """Return what a form stores of its link's secret; empty for a link without one."""
        return self._hash(f"form:{token}") if token.secret else ""

    def opens(self, token: Token, form: Form) -> bool:
        """Return whether a link is the whole link of a form."""
        return hmac.compare_digest(self.secret_hash(token), form.secret_hash)

    @property
    def stamp(self) -> bytes:
        """The key of stamps."""
        return stamps.signing_key(self._hash)
