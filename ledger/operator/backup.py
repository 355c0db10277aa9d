"""A backup of a ledger by itself: its store as it was at one moment, and its public keys.

    store.sqlite    entries, tiles, checkpoints, stamps
    vkeys           the ledger's public keys, one vkey a line
    access.sqlite   of a hosted ledger: who may append, of each token its digest
    diary.sqlite    of a hosted ledger: its covers' secrets
    SHA256SUMS      of all, written last: without it the backup was interrupted

Never the private keys, and never the guard: what a backup could bring back, somebody could sign
twice with. So a restored store is continued only where its own guard has signed nothing beyond it,
which the sequencer sees to; anywhere else the ledger is closed, and followed by a successor.
"""

import hashlib
from collections.abc import Collection, Iterable
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
"""Four sums, two keys: some 3 KB."""


def back_up(
    store: Path, keys: Collection[NoteKey], target: Path, beside: Collection[str] = ()
) -> int:
    """Copy the ``store``, which others may write meanwhile, to the folder ``target``; its bytes.

    ``beside``: names of databases in its folder that go along, if they are there. ConflictError if
    target has files; UnavailableError. If we die before the sums are written, the backup is none,
    and a new one goes to another folder.
    """
    try:
        make_folder(target, mode=0o700)
        if any(target.iterdir()):
            raise ConflictError(f"{target} is not empty", hint="each backup has its own folder")
    except OSError as error:
        raise unavailable("back up to", target, error) from error
    # The store first: a cover's secret is in the diary before the cover is in the store.
    names = (STORE, *_there(store.parent, beside))
    for name in names:
        copy_database(store.with_name(name), target / name)
    vkeys = "".join(f"{format_vkey(key)}\n" for key in keys).encode("ascii")
    write_durably(target / VKEYS, vkeys)
    write_durably(target / SUMS, _sums(target, beside))
    return sum((target / name).stat().st_size for name in names)


def restore(
    source: Path, store: Path, keys: Collection[NoteKey], beside: Collection[str] = ()
) -> tuple[str, ...]:
    """Put the store of the backup in ``source`` at ``store``, where there is none.

    Of those ``beside`` it, as in ``back_up``, what is there stays as it is; the names of what was
    not, and is now. The sums are checked first. NotFoundError: ``source`` is no whole backup.
    VerificationError: it is damaged. ConflictError: there is a store, or a part of what is restored
    beside it, or the backup is of a ledger with other ``keys``. UnavailableError.
    """
    lost = [name for name in _there(source, beside) if not store.with_name(name).exists()]
    for name in (STORE, *lost):
        _check_absent(store.with_name(name))
    if read_limited(source / SUMS, MAX_SMALL_BYTES) != _sums(source, beside):
        raise VerificationError(f"the backup in {source} is damaged", hint="take another one")
    lines = sorted(f"{format_vkey(key)}\n" for key in keys)
    if sorted(_lines(read_limited(source / VKEYS, MAX_SMALL_BYTES))) != lines:
        raise ConflictError(f"the backup in {source} is of another ledger")
    # The store last: if we die before it is durable, there is still none, and this can be repeated.
    for name in (*lost, STORE):
        with durable_writer(store.with_name(name)) as file:
            for block in read_blocks(source / name):
                file.write(block)
    return tuple(lost)


def _check_absent(database: Path) -> None:
    """ConflictError if there is anything of ``database``, if only what was not merged into it."""
    if any(database.with_name(database.name + end).exists() for end in ("", "-wal", "-shm")):
        hint = "move it and the files that begin with its name away: nothing is overwritten"
        raise ConflictError(f"there is a store at {database}", hint=hint)


def _there(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if (folder / name).exists()]


def _sums(folder: Path, beside: Iterable[str]) -> bytes:
    names = (STORE, VKEYS, *_there(folder, beside))
    return "".join(f"{_digest(folder / name)}  {name}\n" for name in names).encode("ascii")


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
