"""The one writer of a ledger: commit, read again, sign into the guard, publish; in this order.

    1 commit    one transaction of the store: entries, tiles, head, durable
    2 re-read   the right edge and what was written come back from the store; the roots are
                computed from those bytes (the same bytes give the same root as before), and
                if one differs nothing is signed
    3 guard     sign, and swap the file into the guard: one signed file per tree size, for ever
    4 publish   attach the guard's bytes to the store; only now are indexes given out

A crash leaves the ledger between two of these steps, and the next start goes on from there. Any
other state (a store behind the guard, beside it, or ahead of it with a file published that the
guard never saw) is a restored, copied or twice-written ledger: it is refused, for it would sign a
second history. Stamping and witnesses come afterwards and are not done here.

What is NOT seen here: a restored backup of store and guard together (only a witness can tell),
and damage to old full tiles and old entries (the audit reads them all).
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.errors import ConflictError, NotFoundError, UnavailableError, VerificationError
from ledger.operator.guard import Guard
from ledger.operator.repeats import MAX_ENTRIES, Repeats
from ledger.operator.store.protocol import Attachment, Store
from ledger.tlog.checkpoint import (
    Checkpoint,
    check_signatures,
    parse_checkpoint,
    sign_checkpoint,
)
from ledger.tlog.frontier import Frontier, read_frontier
from ledger.tlog.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    TreeHead,
    leaf_hashes,
    tree_root,
)
from ledger.tlog.note import COSIGNATURE_ML_DSA_44, ED25519, NoteKey, SignedNote, parse_note
from ledger.tlog.tile import Tile, extend_tiles, right_edge, tile_hash_reader

CHECKPOINT = "checkpoint"
"""The kind of attachment that a published signed file is."""

ENTRY_BYTES = 64
"""SHA-256 and SM3 of a record, or of a cover."""

BULK_ENTRIES = 4096
"""A process that appends more than this gets a table of all entries in memory; below, asking the
store for each is cheaper than reading the whole log once."""

READ_ENTRIES = 1 << 16
"""Entries read at a time to fill that table: 4 MiB."""

NEVER_CONTINUED = (
    "a restored, copied or moved ledger is never continued: keep it as it is for its proofs, "
    "and open a successor with new keys (tally vault successor)"
)


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """What the ledger signs with, under the name ``origin``."""

    origin: str
    ed25519: Ed25519PrivateKey
    ml_dsa_44: MLDSA44PrivateKey

    def public_keys(self) -> tuple[NoteKey, NoteKey]:
        """The two keys that a checkpoint of this ledger is checked with."""
        return (
            NoteKey(self.origin, ED25519, self.ed25519.public_key().public_bytes_raw()),
            NoteKey(
                self.origin,
                COSIGNATURE_ML_DSA_44,
                self.ml_dsa_44.public_key().public_bytes_raw(),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Edge:
    """The partial tiles at the right edge of a tree, as they were read, and what they gave."""

    tiles: Mapping[Tile, bytes]
    frontier: Frontier

    def read_tiles(self, tiles: Sequence[Tile]) -> Sequence[bytes]:
        return [self.tiles[tile] for tile in tiles]


class Sequencer:
    """The writer of the ledger in ``store`` and ``guard``. Thread-safe; one at a time a store.

    Construction recovers from a crash, or refuses: ConflictError (with a hint) if store and guard
    are not of one history, VerificationError if stored bytes do not give the head's root or the
    guard's file is not signed by ``keys``, UnavailableError if either cannot be asked. A new
    ledger's empty head is signed at once, so that a guard that was lost is told from a new one.
    """

    def __init__(self, store: Store, guard: Guard, keys: LedgerKeys) -> None:
        self._store = store
        self._guard = guard
        self._keys = keys
        self._public_keys = keys.public_keys()
        self._lock = threading.Lock()
        self._repeats: Repeats | None = None
        self._appended = 0
        self._open = False
        self._edge = _Edge({}, Frontier())
        self._head = TreeHead(0, EMPTY_ROOT)
        self._signed_file = b""
        self._recover()
        self._open = True

    def checkpoint(self) -> bytes:
        """The newest signed file this sequencer published; NotFoundError before the first append.

        The file of size 0 is in the guard and the store, but there is nothing to stamp or prove.
        """
        if self._head.size == 0:
            raise NotFoundError("nothing was appended yet")
        return self._signed_file

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        """Append what is new of ``entries`` in one commit; return the index of each, in order.

        ``entries``: 64 bytes each, else ValueError. One that is there already, or comes twice in
        this call, gets its first index. When it returns, all of them are durable and under a
        published checkpoint.

        ConflictError if another writer moved the store or the guard; VerificationError if the
        store gives back other bytes than it should; UnavailableError if it cannot be asked. After
        an error in the midst of a write the sequencer stays closed (UnavailableError): what is
        on disk is found out by constructing a new one.
        """
        for entry in entries:
            if len(entry) != ENTRY_BYTES:
                raise ValueError(f"entry has {len(entry)} bytes, want {ENTRY_BYTES}")
        with self._lock:
            self._require_open()
            once = list(dict.fromkeys(entries))
            known = self._known(once)
            fresh = [entry for entry in once if entry not in known] if known else once
            if fresh:
                start = self._head.size
                self._write(fresh)
                known.update(zip(fresh, range(start, start + len(fresh)), strict=True))
            return tuple(known[entry] for entry in entries)

    def _require_open(self) -> None:
        if not self._open:
            raise UnavailableError(
                "the sequencer is closed: an earlier append did not finish",
                hint="open the ledger again; store and guard are compared first",
            )
        stored = self._store.head()
        if stored != self._head:
            raise ConflictError(
                f"another writer moved the store to size {stored.size}, want {self._head.size}",
                hint="open the ledger again, and let one process write at a time",
            )

    def _known(self, entries: Sequence[bytes]) -> dict[bytes, int]:
        """The indexes of those ``entries`` that the log has."""
        asked = self._perhaps_known(entries)
        if not asked:
            return {}
        found = zip(asked, self._store.find_each(asked), strict=True)
        known = {entry: index for entry, index in found if index is not None}
        if known and max(known.values()) >= self._head.size:
            raise ConflictError("another writer is appending to the store")
        return known

    def _perhaps_known(self, entries: Sequence[bytes]) -> Sequence[bytes]:
        """Those of ``entries`` that the store must be asked for; they count as seen from now on."""
        if self._head.size + len(entries) > MAX_ENTRIES:
            self._repeats = None
        elif self._repeats is None and self._appended >= BULK_ENTRIES:
            self._repeats = Repeats()
            for start in range(0, self._head.size, READ_ENTRIES):
                stop = min(self._head.size, start + READ_ENTRIES)
                self._repeats.sift(self._store.entries(start, stop))
        return entries if self._repeats is None else self._repeats.sift(entries)

    def _write(self, fresh: Sequence[bytes]) -> None:
        """Steps 1 to 4 for ``fresh``; the sequencer is open again only if all of them succeed."""
        self._open = False
        old = self._head
        # What is extended must be what was signed: a bit that fell over in the stored edge would
        # otherwise be hashed into the new root.
        edge = self._read_edge(old)
        tiles, frontier = extend_tiles(edge.frontier, leaf_hashes(fresh), edge.read_tiles)
        new = frontier.head()

        # Step 1. If we die before the commit returns, nothing is there and nobody was told.
        self._store.commit(old, new, fresh, tiles)

        # Step 2. If we die here, the store is one commit ahead of the guard: the next start
        # reads it again in the same way and then signs it.
        self._check_written(old, new, fresh, tiles)
        self._sign_and_publish(new)

        self._appended += len(fresh)
        self._open = True

    def _check_written(
        self,
        old: TreeHead,
        new: TreeHead,
        fresh: Sequence[bytes],
        tiles: Mapping[Tile, bytes],
    ) -> None:
        """VerificationError unless the store gives back what was committed and the root."""
        written = list(tiles)
        try:
            if self._store.head() != new:
                raise VerificationError("the store's head is not the one committed")
            if self._store.tiles(written) != tuple(tiles[tile] for tile in written):
                raise VerificationError("stored tiles are not those committed")
            if self._store.entries(old.size, new.size) != tuple(fresh):
                raise VerificationError("stored entries are not those committed")
        except NotFoundError as error:
            raise VerificationError(f"the store lost what was committed: {error}") from error
        self._read_edge(new)

    def _read_edge(self, head: TreeHead) -> "_Edge":
        """The right edge at ``head``, read now; VerificationError unless it gives the root.

        The bytes that gave this root before need not be hashed to give it again.
        """
        places = right_edge(head.size)
        try:
            tiles = dict(zip(places, self._store.tiles(places), strict=True))
        except NotFoundError as error:
            raise VerificationError(
                f"the store lost a tile of size {head.size}: {error}"
            ) from error
        if self._edge.tiles != tiles or self._edge.frontier.head() != head:
            read = _Edge(tiles, Frontier()).read_tiles
            frontier = read_frontier(head.size, tile_hash_reader(head.size, read))
            if frontier.head() != head:
                raise VerificationError(f"stored tiles do not give the root of size {head.size}")
            self._edge = _Edge(tiles, frontier)
        return self._edge

    def _root(self, size: int) -> bytes:
        try:
            return tree_root(size, tile_hash_reader(size, self._store.tiles))
        except NotFoundError as error:
            raise VerificationError(f"the store lost a tile of size {size}: {error}") from error

    def _sign_and_publish(self, head: TreeHead) -> None:
        """Steps 3 and 4 for ``head``, whose root was computed from bytes read again."""
        checkpoint = Checkpoint(self._keys.origin, head.size, head.root)
        signed_file = sign_checkpoint(checkpoint, self._keys.ed25519, self._keys.ml_dsa_44)
        self._check_signed(parse_note(signed_file))
        expected = self._head.size if self._signed_file else None

        # Step 3. If we die before the swap returns, the file just signed is lost unseen and the
        # next start signs this size again.
        kept = self._guard.swap(expected, head.size, signed_file)
        if kept != signed_file and self._open_file(kept).head != head:
            raise ConflictError(
                f"the guard has another tree of size {head.size}", hint=NEVER_CONTINUED
            )

        # Step 4. If we die here, the guard is ahead of what is published: the next start
        # publishes the guard's bytes, and no others are ever signed for this size. So too if the
        # machine dies before the publication is on disk: it need not be waited for.
        self._publish(head.size, kept)
        # The file first: a thread in checkpoint() that sees the new head then sees its file too.
        self._signed_file = kept
        self._head = head

    def _publish(self, size: int, signed_file: bytes) -> None:
        published = Attachment(size, CHECKPOINT, self._keys.origin, signed_file)
        self._store.attach(published, durable=False)

    def _recover(self) -> None:
        """Bring store, guard and publication to one state after a crash, or refuse."""
        kept = self._guard.latest()
        stored = self._store.head()
        if kept is None:
            if stored.size or self._store.attachments(CHECKPOINT, 0, MAX_SIZE):
                raise ConflictError(
                    f"the store has {stored.size} entries, the guard never signed anything",
                    hint=NEVER_CONTINUED,
                )
            self._sign_and_publish(stored)
            return
        signed = self._open_file(kept)
        self._check_published(signed.size)
        if stored.size < signed.size:
            raise ConflictError(
                f"the store has {stored.size} entries, the guard signed {signed.size}",
                hint=NEVER_CONTINUED,
            )
        self._read_edge(stored)
        if self._root(signed.size) != signed.root:
            raise ConflictError(
                f"the store has another tree of size {signed.size} than the guard signed",
                hint=NEVER_CONTINUED,
            )
        self._check_entries(min(signed.size, max(0, stored.size - 1)), stored.size)
        # Died between 3 and 4: these bytes, and only these. Otherwise they are there already.
        self._publish(signed.size, kept)
        self._head, self._signed_file = signed.head, kept
        if stored.size > signed.size:
            # Died between 1 and 3. That size was never signed, and its bytes were read again.
            self._sign_and_publish(stored)

    def _check_published(self, size: int) -> None:
        """ConflictError if the store shows, from ``size`` on, what this guard did not sign."""
        for published in self._store.attachments(CHECKPOINT, size, MAX_SIZE):
            kept = self._guard.file(published.size)
            if kept is None:
                raise ConflictError(
                    f"size {published.size} is published, the guard never signed it",
                    hint=NEVER_CONTINUED,
                )
            if published.content != kept and _text(published.content) != _text(kept):
                raise ConflictError(
                    f"another tree of size {published.size} is published than the guard signed",
                    hint=NEVER_CONTINUED,
                )

    def _check_entries(self, start: int, stop: int) -> None:
        """VerificationError unless the stored entries are those under the stored tiles."""
        try:
            leaves = leaf_hashes(self._store.entries(start, stop))
            nodes = [(0, index) for index in range(start, stop)]
            stored = list(tile_hash_reader(stop, self._store.tiles)(nodes)) if nodes else []
        except NotFoundError as error:
            raise VerificationError(f"the store lost entries or tiles: {error}") from error
        if leaves != stored:
            raise VerificationError(f"stored entries {start} to {stop} are not those in the tree")

    def _open_file(self, signed_file: bytes) -> Checkpoint:
        """The checkpoint in a file of the guard's; it must be this ledger's own."""
        note = parse_note(signed_file)
        checkpoint = parse_checkpoint(note.text)
        if checkpoint.origin != self._keys.origin:
            raise ConflictError(
                f"the guard is of {checkpoint.origin}, want {self._keys.origin}",
                hint="give each ledger a guard of its own",
            )
        self._check_signed(note)
        return checkpoint

    def _check_signed(self, note: SignedNote) -> None:
        """VerificationError unless both keys signed: a wrong file would stand for ever."""
        signers = check_signatures(note, self._public_keys)
        if len(signers) != len(self._public_keys):
            raise VerificationError("the signed file is not signed by both keys of the ledger")


def _text(signed_file: bytes) -> str:
    return parse_note(signed_file).text
