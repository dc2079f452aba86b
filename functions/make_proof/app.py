"""POST /v1/consent/proof: make the proof pack of a contact, and return a presigned URL."""

from consents.decisions import wiring as decision_wiring
from consents.domain.organization import Scope
from consents.domain.ulid import new_ulid
from consents.http.request import Request
from consents.http.response import Response
from consents.proof import pack_wiring, proof_api

prover = pack_wiring.prover()
store = pack_wiring.store()


@decision_wiring.route(Scope.PROVE, max_bytes=proof_api.MAX_BYTES)
def handler(request: Request) -> Response:
    """Make the pack, also of a contact of whom nothing is known."""
    question = proof_api.parse_question(request)
    request.spend(min(proof_api.COST, request.allowance))
    now = request.receipt.received_at
    pack = prover.prove(question, now, request.time_left)
    proof_id = new_ulid(now)
    return proof_api.render(proof_id, pack, store.keep(proof_id, pack.content, now))
