"""Proof that a log was not altered: seals, verification, proofs of single events."""

from eventstore.audit.proof import NotProvable, Proof, check, prove
from eventstore.audit.seal import Seal, Signer, key_id, last_seal, seal_next
from eventstore.audit.sealer import Sealer
from eventstore.audit.status import EventHash, Status, hashes, status
from eventstore.audit.verify import Fault, Report, verify

__all__ = [
    "EventHash",
    "Fault",
    "NotProvable",
    "Proof",
    "Report",
    "Seal",
    "Sealer",
    "Signer",
    "Status",
    "check",
    "hashes",
    "key_id",
    "last_seal",
    "prove",
    "seal_next",
    "status",
    "verify",
]
