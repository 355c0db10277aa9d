"""What a ledger can say of one entry: where it is, its proof, and the stamps over it.

A holder has no need to ask: it computes the same from tiles, which tells nobody which entry it
means.
"""

from dataclasses import dataclass

from ledger.errors import NotFoundError
from ledger.operator.local import LocalLedger
from ledger.operator.sequencer import CHECKPOINT
from ledger.operator.stamper import KIND
from ledger.operator.store.protocol import Attachment, Store
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
