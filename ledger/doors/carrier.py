"""Carriers: read a file or a folder of any size, and say exactly what was read.

Files are hashed in constant memory. Many small files are hashed by processes, since threads only
hand the interpreter's lock around. What cannot be read as it stands (a link, a device, a file
without permission) is refused by name, or with ``skip_unreadable`` recorded as skipped.
"""

import hashlib
import multiprocessing
import os
import re
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ledger.doors.files import is_absent
from ledger.errors import LedgerError, MalformedError, NotFoundError, UnavailableError
from ledger.record.manifest import FileEntry

BUFFER_BYTES = 1 << 20
"""Read size for a big file."""
SMALL_BYTES = 32 << 10
"""Files up to this are read at once; a bigger buffer would cost more to clear than to fill."""
BATCH_FILES = 512
"""Files handed to a process at once: enough that the hand-over is not felt."""
PROCESS_THRESHOLD = 2048
"""Below so many files, starting processes costs more than it saves."""
READ_TRIES = 3
"""How often a file that changes under our eyes is read again."""

_ODD_CHARACTER = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a path in a manifest may not hold: backslash, C0, C1, and bidi controls (UAX #9 §2)."""

Progress = Callable[[int, int], None]
"""Called with files and bytes read since the last call."""


@dataclass(frozen=True, slots=True)
class FileCarrier:
    """One file: its absolute path and what was read. ``entry.path`` is its bare name."""

    path: Path
    entry: FileEntry


@dataclass(frozen=True, slots=True)
class FolderCarrier:
    """A folder: its absolute path and every file under it, sorted by path (UTF-8 bytes)."""

    path: Path
    entries: tuple[FileEntry, ...]


def read_carrier(
    path: Path,
    *,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> FileCarrier | FolderCarrier:
    """Read the file or folder at ``path``.

    ``executor`` hashes the files of a folder; without one, processes are started for many files.
    NotFoundError if there is nothing, MalformedError for an empty folder, a file that is not a
    plain one, or a name that is not UTF-8; UnavailableError for what cannot be read or keeps
    changing while it is read.
    """
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        if is_absent(error):
            raise NotFoundError(f"no such file or folder: {_display(str(path))}") from error
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    # Unlike Path.resolve, realpath has no error for a link that leads to itself.
    absolute = Path(os.path.realpath(path))
    if not _is_utf8(str(absolute)):
        hint = "rename it: a record can only hold names that are text"
        raise MalformedError(f"name is not utf-8: {_display(str(absolute))}", hint=hint)
    if stat.S_ISDIR(mode):
        return FolderCarrier(absolute, _read_folder(absolute, skip_unreadable, progress, executor))
    if not stat.S_ISREG(mode):
        raise MalformedError(
            f"{path} is {_kind(mode)}, not a file or folder", hint="give the file it points to"
        )
    try:
        size, sha256, mtime = _read_file(os.fspath(path), progress)
    except UnavailableError as error:
        hint = "close the program that writes it, or mend its permissions, then anchor again"
        raise UnavailableError(f"cannot read {path}: {error}", hint=hint) from error
    return FileCarrier(absolute, FileEntry(absolute.name, size, sha256, mtime))


def walk(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Every name below ``folder`` that is no folder: relative POSIX path, and why it is refused.

    The reason is None for a plain file. Links are named, not followed. In no promised order.
    """
    folders = [(os.fspath(folder), "")]
    while folders:
        place, prefix = folders.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if reason := _odd_name(entry.name):
                        yield name, reason
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, f"{name}/"))
                    elif entry.is_file(follow_symlinks=False):
                        yield name, None
                    else:
                        yield name, _kind(entry.stat(follow_symlinks=False).st_mode)
        except OSError as error:
            yield prefix.rstrip("/") or ".", f"unreadable folder - {_reason(error)}"


def _odd_name(name: str) -> str | None:
    """Why ``name`` cannot stand in a manifest, or None."""
    if name.isascii() and name.isprintable() and "\\" not in name:
        return None
    if not _is_utf8(name):
        return "name is not utf-8"
    if _ODD_CHARACTER.search(name):
        return "name has a control bidi or backslash character"
    return None


def _read_folder(
    folder: Path, skip: bool, progress: Progress | None, executor: Executor | None
) -> tuple[FileEntry, ...]:
    plain: list[str] = []
    skipped: list[tuple[str, str]] = []
    for name, reason in walk(folder):
        if reason is None:
            plain.append(name)
        else:
            skipped.append((name, reason))
    _refuse(skipped, skip)
    batches = [plain[i : i + BATCH_FILES] for i in range(0, len(plain), BATCH_FILES)]
    del plain
    entries: list[FileEntry] = []
    for names, results in _hash_all(os.fspath(folder), batches, executor):
        found = list(zip(names, results, strict=True))
        failed = [(name, read) for name, read in found if isinstance(read, str)]
        _refuse(failed, skip)
        skipped += failed
        entries += [FileEntry(name, *read) for name, read in found if not isinstance(read, str)]
        if progress is not None:
            progress(len(names), sum(read[0] for read in results if not isinstance(read, str)))
    entries += [_skipped(name, reason) for name, reason in skipped]
    if not any(entry.skipped is None for entry in entries):
        hint = "a folder is anchored by its files: give one that has some"
        raise MalformedError(f"no file to read in {folder}", hint=hint)
    entries.sort(key=lambda entry: entry.path)  # code points: the order of UTF-8 bytes
    return tuple(entries)


def _refuse(failed: Sequence[tuple[str, str]], skip: bool) -> None:
    if not failed or skip:
        return
    named = "; ".join(f"{_display(name)}: {reason}" for name, reason in failed[:5])
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    raise UnavailableError(
        f"{len(failed)} cannot be read as they stand: {named}{more}",
        hint="mend them, or add --skip-unreadable to record them as skipped",
    )


def _skipped(name: str, reason: str) -> FileEntry:
    return FileEntry(_display(name), 0, b"", 0, skipped=reason)


Read = tuple[int, bytes, int]
"""What was read of a file: size, SHA-256, and time in microseconds of Unix.

A plain tuple, since it travels between processes by the hundred thousand."""


def _hash_all(
    folder: str, batches: list[list[str]], executor: Executor | None
) -> Iterator[tuple[list[str], list[Read | str]]]:
    """Each batch of names with what was read of it, in order.

    UnavailableError if a process that was hashing is gone.
    """
    if executor is not None:
        yield from _map(executor, folder, batches)
        return
    workers = min(os.cpu_count() or 1, 8)
    if len(batches) * BATCH_FILES <= PROCESS_THRESHOLD or workers == 1:
        for batch in batches:
            yield batch, _hash_batch(folder, batch)
        return
    # Forked children share what is imported; elsewhere they start anew, which costs 0.2 s each.
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts) as pool:
        yield from _map(pool, folder, batches)


def _map(
    executor: Executor, folder: str, batches: list[list[str]]
) -> Iterator[tuple[list[str], list[Read | str]]]:
    folders = [folder] * len(batches)
    try:
        yield from zip(batches, executor.map(_hash_batch, folders, batches), strict=True)
    except BrokenExecutor as error:
        hint = "run it again; if the machine is short of memory, anchor smaller folders"
        raise UnavailableError(f"a process that was hashing is gone: {error}", hint=hint) from error


def _leave_interrupts() -> None:
    """In a child: Ctrl-C is the parent's to answer; the children just end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _hash_batch(folder: str, names: list[str]) -> list[Read | str]:
    """What was read of each file, or why it was not: one that fails, fails alone."""
    return [_read_or_reason(f"{folder}/{name}") for name in names]


def _read_or_reason(path: str) -> Read | str:
    try:
        return _read_file(path, None)
    except LedgerError as error:
        return str(error)


def _read_file(path: str, progress: Progress | None) -> Read:
    for _ in range(READ_TRIES):
        try:
            read = _read_once(path, progress)
        except OSError as error:
            raise UnavailableError(_reason(error)) from error
        if read is not None:
            return read
    raise UnavailableError("changed while it was read")


# O_NOFOLLOW and O_NONBLOCK: a file swapped for a link or a pipe must neither fool nor hang us.
_OPEN = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


def _read_once(path: str, progress: Progress | None) -> Read | None:
    """What was read of one file, or None if it changed meanwhile."""
    descriptor = os.open(path, _OPEN)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise UnavailableError(_kind(before.st_mode))
        if before.st_size <= SMALL_BYTES:
            # One byte more than it has: a file that grew is seen without a second read.
            content = os.read(descriptor, before.st_size + 1)
            while len(content) < before.st_size and (more := os.read(descriptor, SMALL_BYTES)):
                content += more  # some network drives give less than was asked for
            size, digest = len(content), hashlib.sha256(content)
        else:
            digest = hashlib.sha256()
            size = _read_big(descriptor, digest.update, progress)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if after.st_mtime_ns != before.st_mtime_ns or not size == before.st_size == after.st_size:
        return None
    return size, digest.digest(), before.st_mtime_ns // 1000


def _read_big(
    descriptor: int, update: Callable[[memoryview], None], progress: Progress | None
) -> int:
    buffer = memoryview(bytearray(BUFFER_BYTES))
    size = 0
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
        while count := file.readinto(buffer):
            update(buffer[:count])
            size += count
            if progress is not None:
                progress(0, count)
    return size


def _reason(error: OSError) -> str:
    """Why the system refused, in the words a manifest line can hold."""
    words = re.sub(r"[^a-z0-9 -]", "", (error.strerror or "").lower()).strip(" -")
    return words[:40] or "unreadable"


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _display(name: str) -> str:
    """A name that may not be UTF-8, its odd bytes shown as ``%XX``."""
    return "".join(c if c.isprintable() and c != "\\" else _percent(c) for c in name)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))


def _kind(mode: int) -> str:
    names = {
        stat.S_IFLNK: "a link",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }
    return names.get(stat.S_IFMT(mode), "not a plain file")
