"""What hangs on a ledger's tree sizes, audited: checkpoints, stamps, captured material.

The rows of all kinds come merged by tree size, so that a size's tokens meet its signed file and
nothing is held but the rows of one size. Each row's digest is computed anew; what the row says is
then judged by itself.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.operator.capture import CERTIFICATE, SETTLED
from ledger.operator.faults import ONE_BIT, Fault, Faults, Kind, State, mended
from ledger.operator.sequencer import CHECKPOINT
from ledger.operator.stamper import KIND as STAMP
from ledger.operator.store.protocol import KeptRow
from ledger.proof.revocation import READERS
from ledger.timestamp.algorithms import UNCHECKED, digest
from ledger.timestamp.der import load_certificate
from ledger.timestamp.request import DIGEST_BYTES
from ledger.timestamp.token import check_token, parse_token
from ledger.tlog.checkpoint import check_signatures, parse_checkpoint
from ledger.tlog.merkle import Hash
from ledger.tlog.note import NoteKey, parse_note

KINDS = (CHECKPOINT, STAMP, CERTIFICATE, SETTLED, *READERS)
"""The kinds of side rows that are understood here."""


@dataclass(frozen=True, slots=True)
class SizeRows:
    """The side rows of one tree size, and the file that the guard has for it, if it has one."""

    size: int
    rows: Sequence[KeptRow]
    guarded: bytes | None

    def of(self, kind: str) -> tuple[KeptRow, ...]:
        """Those of one kind, in order."""
        return tuple(row for row in self.rows if row.kind == kind)


class RowsAudit:
    """Judges the side rows of a ledger with ``keys``, size by size; faults go to ``faults``.

    ``certificates``: DER, where to look for the signer of a token that does not embed it.
    ``guarded``: there is a guard to compare with. ``unchecked`` gathers what could not be judged.
    """

    def __init__(
        self,
        keys: Sequence[NoteKey],
        certificates: Sequence[bytes],
        faults: Faults,
        *,
        guarded: bool,
    ) -> None:
        self._keys = tuple(keys)
        self._certificates = tuple(certificates)
        self._faults = faults
        self._guarded = guarded
        self.unchecked: dict[str, None] = {}
        self.checkpoints = 0
        self.stamps = 0

    def judge(self, group: SizeRows, root: Hash | None, *, pending: bool) -> None:
        """Compare all rows of one size. ``root``: of that size, computed; None: not known.

        ``pending``: that the guard's file is not published may be a crash's doing.
        """
        signed_file = self._signed_file(group, root, pending=pending)
        stamps = group.of(STAMP)
        self.stamps += len(stamps)
        names = {row.name for row in stamps}
        digests = {digest for row in stamps for digest in (_sha256(row.content), row.digest)}
        if len(names) < len(stamps):
            self._add("stamp", stamps[-1], "a second token of one TSA", state="extra")
        for row in group.rows:
            if row.kind == CHECKPOINT or not self._is_as_kept(row):
                continue
            if row.kind != STAMP:
                self._material(row, names, digests)
            elif signed_file is not None:
                self._stamp(row, signed_file)
            elif group.of(CHECKPOINT):
                self.unchecked[f"{_place(row)}: the signed file is wrong"] = None
            else:
                self._add("stamp", row, "there is no signed file of this size")

    def _is_as_kept(self, row: KeptRow) -> bool:
        """Whether the content has its digest: nothing else covers each byte of a token."""
        if _sha256(row.content) == row.digest:
            return True
        kind = _kind(row.kind)
        byte = None
        if not self._faults.has(kind, "wrong"):
            byte = mended(row.content, lambda trial: _sha256(trial) == row.digest, ONE_BIT)
        self._add(kind, row, "content does not have the digest that is kept with it", byte=byte)
        return False

    def _signed_file(self, group: SizeRows, root: Hash | None, *, pending: bool) -> bytes | None:
        """THE signed file of the size, after all that are kept were compared; None if none is."""
        published = group.of(CHECKPOINT)
        self.checkpoints += len(published)
        guarded = group.guarded
        guard_is_good = guarded is not None and self._tells("guard", group.size, guarded, root)
        if guarded is not None and not published:
            text = "the guard has it, and it is not published"
            if pending:
                self.unchecked[f"checkpoint {group.size}: {text} yet"] = None
            else:
                place = f"checkpoint of size {group.size}"
                fault = Fault("checkpoint", "missing", place, text, size=group.size, offset=0)
                self._faults.add(fault)
        good: list[bytes] = []
        for row in published:
            if row.name != self._keys[0].name:
                self._add("checkpoint", row, f"kept under another name than {self._keys[0].name}")
            if guard_is_good and guarded is not None and row.content != guarded:
                self._beside(row, guarded, root, alone=len(published) == 1)
            elif self._is_as_kept(row) and self._tells("checkpoint", row.size, row.content, root):
                good.append(row.content)
            if guarded is None and self._guarded:
                self._add("guard", row, "it is published, and was never signed", state="missing")
        if not guard_is_good and len(good) > 1:
            self._add("checkpoint", published[-1], "a second one of this size", state="extra")
        return guarded if guard_is_good else next(iter(good), None)

    def _beside(self, row: KeptRow, guarded: bytes, root: Hash | None, *, alone: bool) -> None:
        """A published file that is not the guard's: damaged, or one too many."""
        if alone:
            place, text = _place(row), "not the bytes in the guard"
            self._faults.compare("checkpoint", row.content, guarded, place, text, size=row.size)
        else:
            reason = why_not(row.content, self._keys, row.size, root) or "well signed too"
            self._add("checkpoint", row, f"beside the guard's own: {reason}", state="extra")

    def _tells(self, kind: Kind, size: int, signed_file: bytes, root: Hash | None) -> bool:
        """Whether a signed file says what was computed; else its fault is added."""
        reason = why_not(signed_file, self._keys, size, root)
        if reason is not None:
            place = f"checkpoint of size {size}" + (" in the guard" if kind == "guard" else "")
            self._faults.add(Fault(kind, "wrong", place, reason, size=size))
        return reason is None

    def _stamp(self, row: KeptRow, signed_file: bytes) -> None:
        if not row.name or not row.name.isprintable():
            self._add("stamp", row, "its TSA's name is no name")
        try:
            token = parse_token(row.content)
            known = token.imprint_algorithm in DIGEST_BYTES
            imprint = digest(token.imprint_algorithm, signed_file) if known else None
            check_token(token, imprint=imprint, certificates=self._certificates)
        except LedgerError as error:
            if isinstance(error, VerificationError) and str(error).startswith(UNCHECKED):
                self.unchecked[f"{_place(row)}: {error}"] = None
            else:
                self._add("stamp", row, str(error))

    def _material(self, row: KeptRow, names: Collection[str], digests: Collection[bytes]) -> None:
        """A row of captured material: read, and of a token that is kept at this size."""
        if row.name not in names:
            self._add("material", row, f"no token of {row.name} is kept at this size")
        if row.kind == SETTLED:
            if row.content not in digests:
                self._add("material", row, "it settles no token that is kept at this size")
            return
        readers: Mapping[str, Callable[[bytes], object]]
        readers = {CERTIFICATE: load_certificate, **READERS}
        try:
            readers[row.kind](row.content)
        except MalformedError as error:
            self._add("material", row, str(error))

    def _add(
        self,
        kind: Kind,
        row: KeptRow,
        text: str,
        *,
        state: State = "wrong",
        byte: tuple[int, int] | None = None,
    ) -> None:
        offset, want = byte or (None, None)
        self._faults.add(
            Fault(
                kind,
                state,
                _place(row),
                text,
                size=row.size,
                offset=offset,
                want=want,
                found=None if offset is None else row.content[offset],
            )
        )


def why_not(
    signed_file: bytes, keys: Sequence[NoteKey], size: int, root: Hash | None
) -> str | None:
    """Why this is not the signed file of ``size`` and ``root`` (None: any) by ``keys``, or None."""
    try:
        note = parse_note(signed_file)
        checkpoint = parse_checkpoint(note.text)
        signers = check_signatures(note, keys)
    except LedgerError as error:
        return str(error)
    if checkpoint.origin != keys[0].name:
        return f"of {checkpoint.origin}, want {keys[0].name}"
    if checkpoint.size != size:
        return f"says size {checkpoint.size}, want {size}"
    if len(signers) != len(keys) or len(note.signatures) != len(keys):
        return f"{len(note.signatures)} signatures, want those of the ledger's {len(keys)} keys"
    if root is not None and checkpoint.root != root:
        return "another root than the entries give"
    return None


def _kind(kind: str) -> Kind:
    if kind == CHECKPOINT:
        return "checkpoint"
    return "stamp" if kind == STAMP else "material"


def _place(row: KeptRow) -> str:
    return f"{row.kind} of {row.name} at size {row.size}"


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
