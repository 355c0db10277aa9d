"""Carriers: read a file or a folder of any size, and say exactly what was read.

Files are hashed in constant memory. Many small files are hashed by processes, since threads only
hand the interpreter's lock around. What cannot be read as it stands (a link, a device, a file
without permission) is refused by name, or with ``skip_unreadable`` recorded as skipped.
"""

import multiprocessing
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from pickle import PicklingError

from ledger.doors.files import is_absent
from ledger.doors.hashing import Progress, Read, hash_batch, hash_file, kind_of, reason_of
from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.record.manifest import FileEntry

BATCH_FILES = 512
"""Files handed to a process at once: enough that the hand-over is not felt."""
PROCESS_THRESHOLD = 2048
"""Below so many files, starting processes costs more than it saves."""

_ODD_CHARACTER = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a path in a manifest may not hold: backslash, C0, C1, and bidi controls (UAX #9 §2)."""


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
    sm3: bool = False,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> FileCarrier | FolderCarrier:
    """Read the file or folder at ``path``, with ``sm3`` for a second digest of each file.

    ``executor`` (any: threads, processes, a cluster that sees the same paths) hashes the files of
    a folder; without one, processes are started for many files.
    NotFoundError if there is nothing, MalformedError for an empty folder, a file that is not a
    plain one, or a name that is not UTF-8; UnavailableError for what cannot be read or keeps
    changing while it is read, and for an executor that broke.
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
        hashing = _Hashing(sm3, executor)
        return FolderCarrier(absolute, _read_folder(absolute, skip_unreadable, progress, hashing))
    if not stat.S_ISREG(mode):
        raise MalformedError(
            f"{path} is {kind_of(mode)}, not a file or folder", hint="give the file it points to"
        )
    try:
        read = hash_file(os.fspath(path), sm3=sm3, progress=progress)
    except UnavailableError as error:
        hint = "close the program that writes it, or mend its permissions, then anchor again"
        raise UnavailableError(f"cannot read {path}: {error}", hint=hint) from error
    return FileCarrier(absolute, FileEntry(absolute.name, *read))


def walk(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Every name below ``folder`` that is no folder: relative POSIX path, and why it is refused.

    The reason is None for a plain file. Links are named, not followed. In no promised order.
    """
    folders = [(os.fspath(folder), "")]
    while folders:
        place, prefix = folders.pop()
        try:
            with os.scandir(place) as entries:
                if Path(place).is_symlink():  # asked last: swapped since it was seen
                    yield prefix.rstrip("/") or ".", "a link"
                    continue
                for entry in entries:
                    name = prefix + entry.name
                    if reason := _odd_name(entry.name):
                        yield name, reason
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, f"{name}/"))
                    elif entry.is_file(follow_symlinks=False):
                        yield name, None
                    else:
                        yield name, kind_of(entry.stat(follow_symlinks=False).st_mode)
        except OSError as error:
            yield prefix.rstrip("/") or ".", f"unreadable folder - {reason_of(error)}"


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
    folder: Path, skip: bool, progress: Progress | None, hashing: "_Hashing"
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
    for names, results in hashing.run(os.fspath(folder), batches):
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


@dataclass(frozen=True, slots=True)
class _Hashing:
    """How the files of a folder are hashed: with SM3 or not, and by whom."""

    sm3: bool
    executor: Executor | None

    def run(
        self, folder: str, batches: list[list[str]]
    ) -> Iterator[tuple[list[str], list[Read | str]]]:
        """Each batch of names with what was read of it, in order.

        UnavailableError if a process that was hashing is gone.
        """
        if self.executor is not None:
            yield from self._map(self.executor, folder, batches)
            return
        workers = min(os.cpu_count() or 1, 8)
        if len(batches) * BATCH_FILES <= PROCESS_THRESHOLD or workers == 1:
            for batch in batches:
                yield batch, hash_batch(folder, batch, self.sm3)
            return
        # Forked children share what is imported; elsewhere they start anew, at 0.2 s each.
        method = "fork" if sys.platform == "linux" else "spawn"
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=_leave_interrupts
        ) as pool:
            yield from self._map(pool, folder, batches)

    def _map(
        self, executor: Executor, folder: str, batches: list[list[str]]
    ) -> Iterator[tuple[list[str], list[Read | str]]]:
        folders, sm3 = [folder] * len(batches), [self.sm3] * len(batches)
        try:
            answers = iter(executor.map(hash_batch, folders, batches, sm3))
            for batch in batches:
                answer = next(answers, None)
                if answer is None or len(answer) != len(batch):
                    raise _gone("not every file was answered for")
                yield batch, answer
        # RuntimeError: a broken pool, or one that was shut down.
        except (RuntimeError, CancelledError, PicklingError, OSError) as error:
            raise _gone(str(error) or type(error).__name__) from error


def _gone(reason: str) -> UnavailableError:
    hint = "run it again; if the machine is short of memory, anchor smaller folders"
    return UnavailableError(f"a process that was hashing is gone: {reason}", hint=hint)


def _leave_interrupts() -> None:
    """In a child: Ctrl-C is the parent's to answer; the children just end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
