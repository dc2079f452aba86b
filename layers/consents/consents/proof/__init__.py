"""The transparency log of the ledger: a Merkle tree of commitments to every record."""
