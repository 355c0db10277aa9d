"""One file's digests, read once in constant memory, and never of a mixture of two versions.

A file that changes while it is read is read again, and refused if it goes on changing. SM3 (GB/T
32905-2016) is made beside SHA-256 from the same blocks where it is wanted; it is the slower one.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable
from typing import Protocol

from cryptography.hazmat.primitives import hashes

from ledger.errors import LedgerError, UnavailableError

BUFFER_BYTES = 1 << 20
"""Read size for a big file."""
SMALL_BYTES = 32 << 10
"""Files up to this are read at once; a bigger buffer would cost more to clear than to fill."""
READ_TRIES = 3
"""How often a file that changes under our eyes is read again."""

Progress = Callable[[int, int], None]
"""Called with files and bytes read since the last call."""

Read = tuple[int, bytes, int, bytes | None]
"""What was read of a file: size, SHA-256, time in microseconds of Unix, and SM3 if wanted.

A plain tuple, since it travels between processes by the hundred thousand."""

# O_NOFOLLOW and O_NONBLOCK: a file swapped for a link or a pipe must neither fool nor hang us.
_OPEN = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


class Hashing(Protocol):
    """A digest that is fed block by block."""

    def update(self, block: memoryview | bytes, /) -> None:
        """Take ``block`` in."""

    def digest(self) -> bytes:
        """The digest of all blocks; asked once, last."""


class Sm3:
    """SM3 as hashlib's digests are used; hashlib has it only where the system's OpenSSL does."""

    def __init__(self) -> None:
        self._hash = hashes.Hash(hashes.SM3())

    def update(self, block: memoryview | bytes, /) -> None:
        """Take ``block`` in."""
        self._hash.update(block)

    def digest(self) -> bytes:
        """The digest of all blocks; asked once, last."""
        return self._hash.finalize()


def hash_file(path: str, *, sm3: bool = False, progress: Progress | None = None) -> Read:
    """Size, SHA-256, time and, with ``sm3``, SM3 of the file at ``path``; links are not followed.

    UnavailableError if it is no plain file, cannot be read, or keeps changing while it is read.
    """
    for _ in range(READ_TRIES):
        try:
            read = _read_once(path, sm3, progress)
        except OSError as error:
            raise UnavailableError(reason_of(error)) from error
        if read is not None:
            return read
    raise UnavailableError("changed while it was read")


def hash_batch(folder: str, names: list[str], sm3: bool) -> list[Read | str]:
    """What was read of each file, or why it was not: one that fails, fails alone."""
    return [_read_or_reason(f"{folder}/{name}", sm3) for name in names]


def _read_or_reason(path: str, sm3: bool) -> Read | str:
    try:
        return hash_file(path, sm3=sm3)
    except LedgerError as error:
        return str(error)


def _read_once(path: str, sm3: bool, progress: Progress | None) -> Read | None:
    """What was read of one file, or None if it changed meanwhile."""
    digests: list[Hashing] = [hashlib.sha256(), Sm3()] if sm3 else [hashlib.sha256()]
    descriptor = os.open(path, _OPEN)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise UnavailableError(kind_of(before.st_mode))
        if before.st_size <= SMALL_BYTES:
            # One byte more than it has: a file that grew is seen without a second read.
            content = os.read(descriptor, before.st_size + 1)
            while len(content) < before.st_size and (more := os.read(descriptor, SMALL_BYTES)):
                content += more  # some network drives give less than was asked for
            size = len(content)
            for digest in digests:
                digest.update(content)
        else:
            size = _read_big(descriptor, digests, progress)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if after.st_mtime_ns != before.st_mtime_ns or not size == before.st_size == after.st_size:
        return None
    first, *second = [digest.digest() for digest in digests]
    return size, first, before.st_mtime_ns // 1000, second[0] if second else None


def _read_big(descriptor: int, digests: list[Hashing], progress: Progress | None) -> int:
    buffer = memoryview(bytearray(BUFFER_BYTES))
    size = 0
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
        while count := file.readinto(buffer):
            for digest in digests:
                digest.update(buffer[:count])
            size += count
            if progress is not None:
                progress(0, count)
    return size


def reason_of(error: OSError) -> str:
    """Why the system refused, in the words a manifest line can hold."""
    words = re.sub(r"[^a-z0-9 -]", "", (error.strerror or "").lower()).strip(" -")
    return words[:40] or "unreadable"


def kind_of(mode: int) -> str:
    """What a file of ``mode`` is that is not a plain one."""
    names = {
        stat.S_IFLNK: "a link",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }
    return names.get(stat.S_IFMT(mode), "not a plain file")
