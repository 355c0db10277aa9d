"""Carriers: read a file or a folder of any size, and say exactly what was read.

Files are hashed in constant memory. Many small files are hashed by processes, since threads only
hand the interpreter's lock around. What cannot be read as it stands (a link, a device, a file
without permission) is refused by name, or with ``skip_unreadable`` recorded as skipped.
"""

import hashlib
import multiprocessing
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import LedgerError, MalformedError, NotFoundError, UnavailableError
from ledger.record.manifest import FileEntry

BUFFER_BYTES = 1 << 20
"""Read size for a big file."""
SMALL_BUFFER_BYTES = 32 << 10
"""Read size for the first read: near a small file's size, since a bigger one costs a memset."""
BATCH_FILES = 512
"""Files handed to a process at once: enough that the hand-over is not felt."""
PROCESS_THRESHOLD = 2048
"""Below so many files, starting processes costs more than it saves."""
READ_TRIES = 3
"""How often a file that changes under our eyes is read again."""

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

    NotFoundError if there is nothing, MalformedError for an empty folder or a file that is not a
    plain one, UnavailableError for what cannot be read or keeps changing while it is read.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError as error:
        raise NotFoundError(f"no such file or folder: {path}") from error
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        absolute = path.resolve()
        return FolderCarrier(absolute, _read_folder(absolute, skip_unreadable, progress, executor))
    if not stat.S_ISREG(mode):
        raise MalformedError(
            f"{path} is {_kind(mode)}, not a file or folder", hint="give the file it points to"
        )
    try:
        entry = _read_file(os.fspath(path), path.name, progress)
    except UnavailableError as error:
        hint = "close the program that writes it, or mend its permissions, then anchor again"
        raise UnavailableError(f"cannot read {path}: {error}", hint=hint) from error
    return FileCarrier(path.resolve(), entry)


def walk(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Every name below ``folder`` that is no folder: relative POSIX path, and why it is refused.

    Sorted by name within each folder. The reason is None for a plain file.
    """
    yield from _walk(os.fspath(folder), "")


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str | None]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield prefix.rstrip("/") or ".", f"unreadable folder - {_reason(error)}"
        return
    for entry in found:
        name = prefix + entry.name
        if not _is_utf8(entry.name):
            yield name, "name is not utf-8"
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{name}/")
        elif entry.is_file(follow_symlinks=False):
            yield name, None
        else:
            yield name, _kind(entry.stat(follow_symlinks=False).st_mode)


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
    entries: list[FileEntry] = []
    for batch in _hash_all(os.fspath(folder), plain, executor):
        failed = [(name, reason) for name, reason in batch if isinstance(reason, str)]
        _refuse(failed, skip)
        skipped += failed
        read = [result for _, result in batch if isinstance(result, FileEntry)]
        entries += read
        if progress is not None:
            progress(len(batch), sum(entry.size for entry in read))
    entries += [_skipped(name, reason) for name, reason in skipped]
    if not any(entry.skipped is None for entry in entries):
        raise MalformedError(f"no file to read in {folder}")
    return tuple(sorted(entries, key=lambda entry: entry.path.encode("utf-8")))


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


Result = tuple[str, FileEntry | str]
"""A relative path and what was read, or why it was not."""


def _hash_all(folder: str, names: list[str], executor: Executor | None) -> Iterator[list[Result]]:
    batches = [names[i : i + BATCH_FILES] for i in range(0, len(names), BATCH_FILES)]
    if executor is not None:
        yield from executor.map(_hash_batch, [folder] * len(batches), batches)
        return
    workers = min(os.cpu_count() or 1, 8)
    if len(names) < PROCESS_THRESHOLD or workers == 1:
        for batch in batches:
            yield _hash_batch(folder, batch)
        return
    # Forked children share what is imported; elsewhere they start anew, which costs 0.2 s each.
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_hash_batch, [folder] * len(batches), batches)


def _hash_batch(folder: str, names: list[str]) -> list[Result]:
    """Hash files of one folder; an error becomes its reason, so that one file fails alone."""
    results: list[Result] = []
    for name in names:
        try:
            results.append((name, _read_file(f"{folder}/{name}", name, None)))
        except LedgerError as error:
            results.append((name, str(error)))
    return results


def _read_file(path: str, name: str, progress: Progress | None) -> FileEntry:
    for _ in range(READ_TRIES):
        try:
            entry = _read_once(path, name, progress)
        except OSError as error:
            raise UnavailableError(_reason(error)) from error
        if entry is not None:
            return entry
    raise UnavailableError("changed while it was read")


def _read_once(path: str, name: str, progress: Progress | None) -> FileEntry | None:
    """Size, digest and time of one file, or None if it changed meanwhile."""
    # O_NOFOLLOW and O_NONBLOCK: a file swapped for a link or a pipe must neither fool nor hang us.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise UnavailableError(_kind(before.st_mode))
        digest = hashlib.sha256()
        size = 0
        if before.st_size <= SMALL_BUFFER_BYTES:
            while block := os.read(descriptor, SMALL_BUFFER_BYTES):
                digest.update(block)
                size += len(block)
        else:
            size = _read_big(descriptor, digest.update, progress)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if (after.st_mtime_ns, after.st_size) != (before.st_mtime_ns, size):
        return None
    return FileEntry(name, size, digest.digest(), before.st_mtime_ns // 1000)


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
    return "".join(c if c.isprintable() else _percent(c) for c in name)


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
