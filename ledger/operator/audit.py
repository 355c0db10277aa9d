"""The audit of a ledger: everything that is kept computed anew, and nothing believed or changed.

From the entries every leaf, every tile of every level, the head and each checkpoint's root are
computed and compared byte for byte; each checkpoint's signatures are checked, and its bytes
compared with the guard's; each token is checked over the signed file of its size; captured material
is read; the lookup is asked. One pass over a snapshot of the store, so that others may append
meanwhile; the memory does not grow with the log.

What is NOT seen: an entry that was never let in, a store and a guard that were set back together
(only somebody else who holds a checkpoint can tell), and whether tokens lead to a trusted root.
"""

import heapq
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError
from ledger.operator.audit_rows import KINDS, RowsAudit, SizeRows, why_not
from ledger.operator.audit_tree import Block, TreeAudit
from ledger.operator.capture import CERTIFICATE
from ledger.operator.faults import Fault, Faults, Kind, State
from ledger.operator.guard import Guard
from ledger.operator.sequencer import CHECKPOINT
from ledger.operator.store.protocol import KeptRow, Snapshot, Store
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.frontier import Frontier
from ledger.tlog.merkle import EMPTY_ROOT, MAX_SIZE, Hash
from ledger.tlog.note import NoteKey, parse_note

LOOKUP_ALL = 1 << 16
"""Up to this many entries each is looked up; of a larger log one in each tile, for asking an index
for random keys takes longer than hashing them."""

GUARD = "guard"

Progress = Callable[[int, int], None]
"""Called with the entries that are done, and all of them."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit came to. ``size``, ``root``: of the tree that the entries give.

    ``first``: the first fault of each kind and state; ``counts``: how many there are of each.
    ``unchecked``: what could not be compared, and why. Of the rest: how much was looked at.
    """

    size: int
    root: Hash | None
    first: tuple[Fault, ...]
    counts: Mapping[tuple[Kind, State], int]
    unchecked: tuple[str, ...]
    checkpoints: int
    stamps: int


def audit(
    store: Store,
    guard: Guard | None,
    keys: Sequence[NoteKey],
    *,
    certificates: Sequence[bytes] = (),
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> Audit:
    """Audit the ledger of ``keys`` in ``store``; nothing is written.

    ``guard``: None if it is gone or cannot be asked; then what rests on it is unchecked.
    ``certificates``: DER, for tokens that do not embed their signer's. UnavailableError if store or
    guard cannot be asked.
    """
    # The guard first: it is never behind what is published in a snapshot taken later.
    greatest = None if guard is None else guard.greatest()
    with store.snapshot() as snapshot:
        run = _Run(snapshot, guard if greatest is not None else None, greatest or 0, keys)
        return run.audit(certificates, progress)


class _Run:
    """One audit of one snapshot."""

    def __init__(
        self, snapshot: Snapshot, guard: Guard | None, greatest: int, keys: Sequence[NoteKey]
    ) -> None:
        self._snapshot = snapshot
        self._guard = guard
        self._greatest = greatest
        self._keys = tuple(keys)
        self._faults = Faults()
        self._unchecked: dict[str, None] = {}
        self._looked_up = snapshot.lookup_size()
        self._published: int | None = None

    def audit(self, certificates: Sequence[bytes], progress: Progress) -> Audit:
        """The whole of it."""
        if self._guard is None:
            self._unchecked["guard: nothing could be compared with it"] = None
        captured = [row.content for row in self._snapshot.rows(CERTIFICATE)]
        rows = RowsAudit(
            self._keys,
            (*certificates, *captured),
            self._faults,
            guarded=self._guard is not None,
        )
        size, signed = self._newest()
        tree = TreeAudit(self._snapshot, size, signed, self._faults)
        root = self._walk(tree, size, rows, progress)
        self._head(size, root)
        self._lookup_size(size)
        return Audit(
            tree.size,
            root,
            self._faults.first,
            dict(self._faults.counts),
            (*self._unchecked, *rows.unchecked),
            rows.checkpoints,
            rows.stamps,
        )

    def _newest(self) -> tuple[int, Hash]:
        """The size to audit, and the root that is claimed for it.

        The head's size, unless the published checkpoints are ahead of it, or both they and the
        entries say another.
        """
        newest: KeptRow | None = None
        for row in self._snapshot.rows(CHECKPOINT):
            if _size(row.content) == row.size:
                newest, self._published = row, row.size
        size, root = self._snapshot.head() or (0, EMPTY_ROOT)
        if newest is None or why_not(newest.content, self._keys, newest.size, None) is not None:
            return max(size, 0), root
        signed_root = parse_checkpoint(parse_note(newest.content).text).root
        if newest.size in (size, self._snapshot.entries_end()) or newest.size > size:
            return newest.size, signed_root
        return min(size, MAX_SIZE), root

    def _walk(self, tree: TreeAudit, size: int, rows: RowsAudit, progress: Progress) -> Hash | None:
        """Entries, tiles and side rows in one pass; the root, None if it could not be computed."""
        groups = self._groups()
        group = next(groups, None)
        block = Block(0, (), (), Frontier())
        for one in itertools.chain((block,), tree.blocks()):
            block = one
            while group is not None and group.size <= block.stop:
                rows.judge(group, self._root(group, block), pending=self._is_pending(group))
                group = next(groups, None)
            self._lookup(block, size)
            progress(block.stop, size)
        whole = tree.size == size
        if not whole:
            self._unchecked[f"tree: from entry {tree.size} on nothing can be computed"] = None
        while group is not None:
            self._beyond(group, size, rows, whole=whole)
            group = next(groups, None)
        return block.root(size) if whole else None

    def _root(self, group: SizeRows, block: Block) -> Hash | None:
        return block.root(group.size) if group.size >= block.start else None

    def _is_pending(self, group: SizeRows) -> bool:
        """Only the newest file can be in the guard and not published yet: a crash came between."""
        return group.size == self._greatest

    def _beyond(self, group: SizeRows, size: int, rows: RowsAudit, *, whole: bool) -> None:
        """Side rows of a size that could not be computed, or that the log does not have."""
        if not whole and group.size <= size:
            rows.judge(group, None, pending=self._is_pending(group))
            return
        text = f"the log has {size} entries"
        if group.guarded is not None:
            place = f"checkpoint of size {group.size} in the guard"
            behind = f"{text}: the store is behind its guard"
            self._faults.add(Fault("guard", "extra", place, behind, size=group.size))
        for row in group.rows:
            place = f"{row.kind} of {row.name} at size {row.size}"
            kind: Kind = "checkpoint" if row.kind == CHECKPOINT else "stamp"
            self._faults.add(Fault(kind, "extra", place, text, size=row.size))

    def _groups(self) -> Iterator[SizeRows]:
        """All side rows with the guard's files, by size."""
        known = [kind for kind in self._snapshot.kinds() if kind in KINDS]
        for kind in self._snapshot.kinds():
            if kind not in KINDS:
                self._unchecked[f"side rows of kind {kind!r}: not known here"] = None
        guarded = (KeptRow(size, GUARD, "", file, b"") for size, file in self._guard_files())
        merged = heapq.merge(
            *(self._snapshot.rows(kind) for kind in known), guarded, key=operator.attrgetter("size")
        )
        for size, rows in itertools.groupby(merged, operator.attrgetter("size")):
            together = tuple(rows)
            files = [row.content for row in together if row.kind == GUARD]
            kept = tuple(row for row in together if row.kind != GUARD)
            if not files and self._guard is not None:
                # Signed since the guard was asked for its greatest size, or never.
                file = self._guard.file(size)
                files = [] if file is None else [file]
            yield SizeRows(size, kept, files[0] if files else None)

    def _guard_files(self) -> Iterator[tuple[int, bytes]]:
        return iter(()) if self._guard is None else self._guard.files(self._greatest + 1)

    def _head(self, size: int, root: Hash | None) -> None:
        """The head's row, against what was computed."""
        head = self._snapshot.head()
        if head is None:
            self._faults.add(Fault("head", "missing", "head", "no head is kept", offset=0))
            return
        if head[0] != size:
            text = f"says size {head[0]}, the entries and checkpoints {size}"
            self._faults.add(Fault("head", "wrong", "head", text, size=head[0]))
        if root is None:
            self._unchecked["head: its root could not be computed"] = None
        else:
            text = "not the root of the entries"
            self._faults.compare("head", head[1], root, "root of the head", text, size=size)
        if size not in (self._published, self._greatest) and head[0] == size:
            self._unchecked[f"head: size {size} is committed and not signed yet"] = None

    def _lookup(self, block: Block, size: int) -> None:
        """Whether the lookup knows the block's entries, or one of them if there are many."""
        places: Sequence[int] = range(len(block.entries))
        if size > LOOKUP_ALL and places:
            # Another place in each tile; which, nobody chose.
            places = (block.leaves[0][0] % len(places),)
        asked = [
            (block.start + place, entry)
            for place in places
            if (entry := block.entries[place]) is not None
            and block.start + place < self._looked_up[0]
        ]
        for index in self._snapshot.not_found(asked) if asked else ():
            text = "the entry is not found by the lookup"
            self._faults.add(Fault("lookup", "missing", f"lookup of entry {index}", text, index))

    def _lookup_size(self, size: int) -> None:
        """How far the lookup is prepared, and whether it has one row for each entry."""
        ready, rows = self._looked_up
        if not 0 <= ready <= size:
            text = f"prepared to {ready}, the log has {size} entries"
            self._faults.add(Fault("lookup", "wrong", "mark of the lookup", text, size=ready))
        elif rows > ready:
            text = f"{rows} rows for {ready} entries"
            self._faults.add(Fault("lookup", "extra", "lookup", text), rows - ready)


def _size(signed_file: bytes) -> int | None:
    """The size that a signed file says, None if it is none."""
    try:
        return parse_checkpoint(parse_note(signed_file).text).size
    except LedgerError:
        return None
