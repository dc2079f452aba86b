"""The verifier's judgement of a pack: the program that anybody runs, under the stack's keys."""

import json

import consents_verify

from consents.proof.cover_page import Report


def judge(pack: bytes, policy: bytes) -> Report:
    """Return the verifier's report on a pack under a policy, in its JSON form."""
    options = consents_verify.Options(consents_verify.parse_policy(policy))
    report: Report = json.loads(consents_verify.verify(pack, options).as_json())
    return report
