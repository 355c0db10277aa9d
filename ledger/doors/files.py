"""Files: writes that survive a crash, reads with a limit."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ledger.doors.hashing import Sm3
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.proof.bundle import Digest

BUFFER_BYTES = 1 << 20
"""Read size for big files: SHA-256 runs at 95 % of OpenSSL's own speed from 256 KiB on."""

TEMPORARY = ".tally-"
"""What the name of a file begins with until it is whole; one that is left over may be deleted."""

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""What the system says of a path that names nothing: asking again gives nothing else."""


def write_durably(
    path: Path, content: bytes, *, mode: int = 0o600, overwrite: bool = False
) -> None:
    """Write ``content`` to ``path``: after the return it survives a crash, before it is not there.

    ConflictError if ``path`` exists and ``overwrite`` is false; UnavailableError if the disk
    refuses.
    """
    with durable_writer(path, mode=mode, overwrite=overwrite) as file:
        file.write(content)


@contextlib.contextmanager
def durable_writer(
    path: Path, *, mode: int = 0o600, overwrite: bool = False
) -> Iterator[IO[bytes]]:
    """A file open for writing beside ``path`` that becomes ``path`` when the block ends well.

    If the block raises, what was at ``path`` before is there still. An OSError of the block counts
    as the disk's: what it reads from elsewhere, it reads through ``read_blocks``. ConflictError,
    UnavailableError as in ``write_durably``.
    """
    if not overwrite and os.path.lexists(path):
        raise _taken(path)
    try:
        make_folder(path.parent)
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    except OSError as error:
        raise unavailable("write", path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        # If we die before this line, only the temporary file is left; after it, the whole content
        # (and perhaps the temporary name as a second one for it).
        if overwrite:
            temporary.replace(path)
        else:
            _rename_new(temporary, path)
        # If we die here the rename may be lost, and nobody was told that it was done.
        sync_folder(path.parent)
    except OSError as error:
        raise unavailable("write", path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _rename_new(temporary: Path, path: Path) -> None:
    """Rename without overwriting what another process put there meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError:
        # No hard links here (FAT, some network drives): the check above is the best there is.
        temporary.replace(path)


def _taken(path: Path) -> ConflictError:
    return ConflictError(f"{path} exists already", hint="choose another name, or --force")


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make ``folder`` and the folders above it that are missing, durably; OSError."""
    missing: list[Path] = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        try:
            one.mkdir(mode=mode, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), one) from error
        sync_folder(one.parent)


def is_absent(error: OSError) -> bool:
    """Whether ``error`` says that there is nothing of that name, and not that it is withheld."""
    return error.errno in _NOT_THERE


def unavailable(verb: str, path: Path, error: OSError) -> UnavailableError:
    """The error for a disk that refused: what was tried, where, and why."""
    return UnavailableError(f"cannot {verb} {path}: {error.strerror or error}")


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable (a no-op where folders cannot be opened: Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """What the file system of ``folder`` has free; UnavailableError if it cannot be asked."""
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise unavailable("see what is free at", folder, error) from error


def read_limited(path: Path, limit_bytes: int) -> bytes:
    """The content of ``path``; MalformedError if longer than ``limit_bytes``.

    NotFoundError if there is no such file or it is a folder, UnavailableError if it cannot be
    read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except IsADirectoryError as error:
        raise NotFoundError(f"{path} is a folder, want a file") from error
    except OSError as error:
        if is_absent(error):
            raise NotFoundError(f"no such file: {path}") from error
        raise unavailable("read", path, error) from error
    if len(content) > limit_bytes:
        raise MalformedError(f"{path} has more than {limit_bytes} bytes")
    return content


def check_private(path: Path) -> None:
    """MalformedError if others than its owner may read ``path``; UnavailableError."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise unavailable("read", path, error) from error
    # Where there are no such bits (Windows) the folder's own protection has to do.
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise MalformedError(f"others may read {path}", hint=f"chmod 600 {path}")


def read_blocks(path: Path) -> Iterator[bytes]:
    """The content of ``path`` block by block; UnavailableError if it cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(BUFFER_BYTES):
                yield block
    except OSError as error:
        raise unavailable("read", path, error) from error


def digest_stream(file: IO[bytes], limit_bytes: int | None = None, *, sm3: bool = False) -> Digest:
    """Size, SHA-256 and, if asked, SM3 of what is left in ``file``, in constant memory.

    MalformedError as soon as more than ``limit_bytes`` come out.
    """
    digest, second, size = hashlib.sha256(), Sm3() if sm3 else None, 0
    while block := file.read(BUFFER_BYTES):
        digest.update(block)
        if second is not None:
            second.update(block)
        size += len(block)
        if limit_bytes is not None and size > limit_bytes:
            raise MalformedError(f"the carriers unpack to more than {limit_bytes} bytes")
    return Digest(size, digest.digest(), None if second is None else second.digest())
