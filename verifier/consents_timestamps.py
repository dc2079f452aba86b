"""RFC 3161 timestamps, for `--tsa-roots`: needs the extra `timestamps`."""

from cryptography.x509 import load_pem_x509_certificates
from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

from consents_verify import UNKNOWN, UsageError


def verified_time(stamp: bytes, message: bytes, roots: bytes) -> float:
    """Return the time of a timestamp of a message, or UNKNOWN if these roots did not sign it."""
    builder = VerifierBuilder()
    try:
        for root in load_pem_x509_certificates(roots):
            builder = builder.add_root_certificate(root)
    except ValueError:
        raise UsageError("--tsa-roots has no certificates in PEM") from None
    try:
        response = decode_timestamp_response(stamp)
        builder.build().verify_message(response, message)
        return float(response.tst_info.gen_time.timestamp())
    except (VerificationError, ValueError):
        return UNKNOWN
