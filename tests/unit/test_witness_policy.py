"""The policy of witnesses: the verifier reads it in the same way."""

import consents_verify
import pytest
from consents.proof.notes import SignatureType, VerifierKey
from consents.proof.policy import policy_text
from consents.proof.witness_policy import (
    MAX_BYTES,
    MAX_WITNESSES,
    InvalidPolicy,
    parse_witness_policy,
)

from tests.unit.log_store import LogKey
from tests.unit.witness_model import WitnessModel

LOG = LogKey().verifier
KEYS = [WitnessModel(f"w{number}.example", LOG).verifier for number in range(MAX_WITNESSES + 1)]
POLICY = f"""# Two companies, and an auditor who is not asked.
witness one {KEYS[0]} https://one.example/log/
witness two\t{KEYS[1]} https://two.example

witness auditor {KEYS[2]}
group auditors any auditor
group watched 2 one two
quorum watched
"""


def test_policy_names_witnesses_and_where_to_ask_them() -> None:
    policy = parse_witness_policy(POLICY)

    assert {name: (one.key, one.url) for name, one in policy.witnesses.items()} == {
        "one": (KEYS[0], "https://one.example/log"),
        "two": (KEYS[1], "https://two.example"),
        "auditor": (KEYS[2], ""),
    }


@pytest.mark.parametrize(
    ("cosigners", "is_met"),
    [("one two", True), ("one", False), ("one auditor", False), ("", False)],
)
def test_quorum_is_met_by_enough_members(cosigners: str, is_met: bool) -> None:
    assert parse_witness_policy(POLICY).is_met(cosigners.split()) is is_met


def test_group_may_have_groups_as_members() -> None:
    text = POLICY.replace("quorum watched", "group both all watched auditors\nquorum both")
    policy = parse_witness_policy(text)

    assert policy.is_met(["one", "two", "auditor"])
    assert not policy.is_met(["one", "two"])


def test_empty_policy_needs_no_witness() -> None:
    assert parse_witness_policy("").is_met([])
    assert parse_witness_policy(POLICY.replace("quorum watched", "quorum none")).is_met([])


@pytest.mark.parametrize("text", ["", POLICY])
def test_policy_of_the_stack_is_valid_for_the_verifier(text: str) -> None:
    read = consents_verify.parse_policy(
        policy_text(LOG, "https://api.example/v1/log", text).encode()
    )

    own = parse_witness_policy(text)
    assert read.quorum == own.quorum
    assert read.witnesses.keys() == own.witnesses.keys()


LOG_TYPE = VerifierKey("w.example", SignatureType.ED25519, KEYS[3].public_key)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("witness one {0}", "used twice"),
        ("witness none {3}", "used twice"),
        ("witness three {0}", "a key is there twice"),
        ("witness three nonsense", "not a verifier key"),
        (f"witness three {LOG_TYPE}", "its type must be 4"),
        ("witness three {3} ftp://three.example", "https://"),
        ("witness three {3} https://three.example more", "unknown line"),
        ("group more 1 nobody", "unknown members"),
        ("group more 2 auditors auditors", "unknown members"),
        ("group more 0 auditors", "another threshold"),
        ("group more 2 auditors", "another threshold"),
        ("group more any", "another threshold"),
        ("group more some auditors", "invalid literal"),
        ("group more 1 one", "unknown members"),  # it is a member of another group
        ("quorum one", "used twice"),
        ("log {3}", "unknown line"),
        ("x" * MAX_BYTES, "bytes"),
    ],
)
def test_invalid_line_is_rejected_with_its_reason(line: str, reason: str) -> None:
    with pytest.raises(InvalidPolicy, match=reason):
        parse_witness_policy(
            POLICY + line.replace("{0}", str(KEYS[0])).replace("{3}", str(KEYS[3]))
        )


def test_policy_with_witnesses_needs_a_quorum() -> None:
    with pytest.raises(InvalidPolicy, match="quorum"):
        parse_witness_policy(POLICY.replace("quorum watched\n", ""))


def test_witnesses_are_limited() -> None:
    lines = [f"witness w{number} {key}" for number, key in enumerate(KEYS)]
    assert len(parse_witness_policy("\n".join([*lines[:-1], "quorum none"])).witnesses) == 32

    with pytest.raises(InvalidPolicy, match="more than 32"):
        parse_witness_policy("\n".join([*lines, "quorum none"]))
