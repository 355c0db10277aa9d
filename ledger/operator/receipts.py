"""What a ledger can say of one entry (place, proof, stamps), and what stamps are judged with.

A holder has no need to ask of an entry: it computes the same from tiles, which tells nobody which
one it means.
"""

import hashlib
from dataclasses import dataclass

from ledger.errors import NotFoundError
from ledger.operator.capture import CERTIFICATE
from ledger.operator.local import LocalLedger
from ledger.operator.sequencer import CHECKPOINT
from ledger.operator.stamper import KIND
from ledger.operator.store.protocol import Attachment, Store
from ledger.proof.revocation import READERS
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.merkle import check_inclusion, leaf_hash, prove_inclusion
from ledger.tlog.note import parse_note
from ledger.tlog.proof import ProofFile, format_proof_file
from ledger.tlog.tile import tile_hash_reader


@dataclass(frozen=True, slots=True)
class Receipt:
    """Entry ``index``, under the signed file in ``proof`` (a tlog-proof), with the stamps over it.

    Under the smallest stamped tree with it; as long as there is none, under the smallest signed
    one, and there are no ``stamps`` (rows of kind stamp).
    """

    index: int
    size: int
    proof: bytes
    stamps: tuple[Attachment, ...]


def find_receipt(ledger: LocalLedger, store: Store, entry: bytes) -> Receipt:
    """The receipt of ``entry``, checked before it is given; NotFoundError, UnavailableError.

    An entry that strangers sent again has its lowest index. VerificationError if the store no
    longer leads to what was signed.
    """
    index = store.find(entry)
    newest = parse_checkpoint(parse_note(ledger.checkpoint()).text).size
    if index is None or index >= newest:
        raise NotFoundError("the ledger has no such entry")
    stamped = first_from(store, KIND, index + 1, newest)
    rows = stamped or first_from(store, CHECKPOINT, index + 1, newest)
    size = rows[0].size
    signed_file = ledger.signed_file(size)
    proof = prove_inclusion(index, size, tile_hash_reader(size, ledger.tiles))
    check_inclusion(proof, leaf_hash(entry), parse_checkpoint(parse_note(signed_file).text).head)
    file = format_proof_file(ProofFile(index, proof.path, signed_file))
    return Receipt(index, size, file, stamped)


@dataclass(frozen=True, slots=True)
class Piece:
    """A certificate, CRL or OCSP answer (``kind``), by the ``digest`` (SHA-256) of its DER."""

    kind: str
    digest: bytes


def list_material(ledger: LocalLedger, store: Store) -> tuple[Piece, ...]:
    """What the stamps will be judged with: a piece each, as many as came over the years."""
    certificates = [
        Piece(CERTIFICATE, hashlib.sha256(der).digest()) for der in ledger.certificates()
    ]
    answers = [Piece(row.kind, row.digest) for kind in READERS for row in store.attached(kind)]
    return tuple(dict.fromkeys((*certificates, *answers)))


def find_material(ledger: LocalLedger, store: Store, digest: bytes) -> bytes:
    """The DER of the piece with ``digest``; NotFoundError."""
    for der in ledger.certificates():
        if hashlib.sha256(der).digest() == digest:
            return der
    for row in (row for kind in READERS for row in store.attached(kind)):
        if row.digest == digest:
            found = store.attachments(row.kind, row.size, row.size + 1)
            return next(one.content for one in found if _is(one, digest))
    raise NotFoundError("the ledger has no such certificate, CRL or OCSP answer")


def _is(row: Attachment, digest: bytes) -> bool:
    return hashlib.sha256(row.content).digest() == digest


def first_from(store: Store, kind: str, start: int, stop: int) -> tuple[Attachment, ...]:
    """The rows of ``kind`` of the smallest size from ``start`` to ``stop`` that has any.

    Every further step looks four times as far, so that an old entry reads no long history.
    """
    step = 1
    while start <= stop:
        rows = store.attachments(kind, start, min(start + step, stop + 1))
        if rows:
            return tuple(row for row in rows if row.size == rows[0].size)
        start, step = start + step, step * 4
    return ()
