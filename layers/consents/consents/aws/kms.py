"""KMS: an Ed25519 key that signs, and never leaves the service."""

from functools import cached_property

from consents.aws.client import Client

_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What precedes the 32 bytes of an Ed25519 public key in DER (RFC 8410, section 4)."""


class SigningKey:
    """One Ed25519 key."""

    def __init__(self, client: Client, key_id: str) -> None:
        self._client = client
        self._key_id = key_id

    @cached_property
    def public_key(self) -> bytes:
        """Return the public key, 32 bytes."""
        response = self._client.call("GetPublicKey", {"KeyId": self._key_id})
        der = bytes(response["PublicKey"])
        if len(der) != len(_SPKI) + 32 or not der.startswith(_SPKI):
            raise ValueError("the KMS key is not of the type ECC_NIST_EDWARDS25519")
        return der.removeprefix(_SPKI)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, as in RFC 8032."""
        parameters = {
            "KeyId": self._key_id,
            "Message": message,
            "MessageType": "RAW",
            "SigningAlgorithm": "ED25519_SHA_512",
        }
        return bytes(self._client.call("Sign", parameters)["Signature"])
