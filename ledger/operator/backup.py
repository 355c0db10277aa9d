"""A backup of a ledger by itself: its store as it was at one moment, and its public keys.

    store.sqlite    entries, tiles, checkpoints, stamps
    vkeys           the ledger's public keys, one vkey a line
    SHA256SUMS      of both, written last: without it the backup was interrupted

Never the private keys, and never the guard: what a backup could bring back, somebody could sign
twice with. So a restored store is continued only where its own guard has signed nothing beyond it,
which the sequencer sees to; anywhere else the ledger is closed, and followed by a successor.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path

from ledger.doors.files import (
    durable_writer,
    make_folder,
    read_blocks,
    read_limited,
    unavailable,
    write_durably,
)
from ledger.doors.sqlite import copy_database
from ledger.errors import ConflictError, MalformedError, VerificationError
from ledger.tlog.note import NoteKey, format_vkey

STORE = "store.sqlite"
VKEYS = "vkeys"
SUMS = "SHA256SUMS"
MAX_SMALL_BYTES = 1 << 16
"""Two sums, two keys: some 3 KB."""


def back_up(store: Path, keys: Collection[NoteKey], target: Path) -> int:
    """Copy the ``store``, which others may write meanwhile, to the folder ``target``; its bytes.

    ConflictError if target has files; UnavailableError. If we die before the sums are written, the
    backup is none, and a new one goes to another folder.
    """
    try:
        make_folder(target, mode=0o700)
        if any(target.iterdir()):
            raise ConflictError(f"{target} is not empty", hint="each backup has its own folder")
    except OSError as error:
        raise unavailable("back up to", target, error) from error
    copy_database(store, target / STORE)
    vkeys = "".join(f"{format_vkey(key)}\n" for key in keys).encode("ascii")
    write_durably(target / VKEYS, vkeys)
    sums = [f"{_digest(target / name)}  {name}\n" for name in (STORE, VKEYS)]
    write_durably(target / SUMS, "".join(sums).encode("ascii"))
    return (target / STORE).stat().st_size


def restore(source: Path, store: Path, keys: Collection[NoteKey]) -> None:
    """Put the store of the backup in ``source`` at ``store``, where there is none.

    Its sums are checked first. NotFoundError: ``source`` is no whole backup. VerificationError: it
    is damaged. ConflictError: there is a store, or the backup is of a ledger with other ``keys``.
    UnavailableError.
    """
    if any(store.with_name(store.name + end).exists() for end in ("", "-wal", "-shm")):
        hint = "move it and the files that begin with its name away: nothing is overwritten"
        raise ConflictError(f"there is a store at {store}", hint=hint)
    sums = read_limited(source / SUMS, MAX_SMALL_BYTES)
    wanted = [f"{_digest(source / name)}  {name}\n" for name in (STORE, VKEYS)]
    if sums != "".join(wanted).encode("ascii"):
        raise VerificationError(f"the backup in {source} is damaged", hint="take another one")
    lines = sorted(f"{format_vkey(key)}\n" for key in keys)
    if sorted(_lines(read_limited(source / VKEYS, MAX_SMALL_BYTES))) != lines:
        raise ConflictError(f"the backup in {source} is of another ledger")
    # If we die before the last block is durable, there is still no store, and this can be repeated.
    with durable_writer(store) as file:
        for block in read_blocks(source / STORE):
            file.write(block)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for block in read_blocks(path):
        digest.update(block)
    return digest.hexdigest()


def _lines(content: bytes) -> list[str]:
    try:
        return content.decode("ascii").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise MalformedError("the backup's keys are not ASCII") from error
