"""Files: writes that survive a crash, reads with a limit, bundles as ZIP or folder."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ledger.doors.hashing import Sm3
from ledger.doors.zip_layout import check_layout
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.proof.bundle import (
    INDEX,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    Bundle,
    Digest,
    check_path_name,
)
from ledger.proof.disclosed import names_sm3

BUFFER_BYTES = 1 << 20
"""Read size for big files: SHA-256 runs at 95 % of OpenSSL's own speed from 256 KiB on."""

MAX_RATIO = 200
"""How far the carriers of a repacked ZIP may unpack in all: text does 20, a bomb does 1000."""

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


def read_bundle(path: Path) -> Bundle:
    """The bundle at ``path``, a ZIP or a folder; carriers as digests only.

    Their SM3 is made where a record discloses one.

    MalformedError if it is no bundle, or a hostile ZIP (duplicate or unsafe names, encryption,
    more than the limits of ``ledger.proof.bundle``); NotFoundError, UnavailableError.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _read_folder(path)
        if not stat.S_ISREG(mode):
            raise _no_bundle(path, "it is no plain file")
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            size_bytes = file.seek(0, os.SEEK_END)
            check_layout(file, archive, size_bytes)
            return _read_zip(archive, size_bytes)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zipfile.LargeZipFile) as error:
        raise _no_bundle(path, str(error)) from error
    except (ValueError, RuntimeError, zlib.error) as error:
        raise MalformedError(f"{path.name} is a damaged ZIP: {error}") from error
    except OSError as error:
        if is_absent(error):
            raise NotFoundError(f"no such bundle: {path}") from error
        if error.errno == errno.EINVAL:
            # Its directory points before the beginning of the file.
            raise MalformedError(f"{path.name} is a damaged ZIP: {error}") from error
        raise unavailable("read", path, error) from error


def _no_bundle(path: Path, reason: str) -> MalformedError:
    return MalformedError(
        f"{path.name} is not a bundle: {reason}",
        hint="a bundle is a ZIP or a folder with a bundle.json, made by `tally bundle`",
    )


def write_bundle(path: Path, bundle: Bundle, sources: Mapping[str, Path], *, force: bool) -> None:
    """Write ``bundle`` as a stored ZIP in fixed order and times: the same files, the same bytes.

    ``sources``: the file behind each carrier path, streamed; ConflictError if one no longer has
    the digest it had, or if ``path`` exists and ``force`` is false.
    """
    names = sorted([*bundle.files, *bundle.carriers], key=str.encode)
    with (
        durable_writer(path, mode=0o644, overwrite=force) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name in names:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16
            if name in bundle.files:
                archive.writestr(info, bundle.files[name])
            else:
                _store_carrier(archive, info, sources[name], bundle.carriers[name])


def _store_carrier(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Path, want: Digest
) -> None:
    digest, size = hashlib.sha256(), 0
    info.file_size = want.size
    with archive.open(info, "w", force_zip64=True) as writer:
        for block in read_blocks(source):
            digest.update(block)
            size += len(block)
            writer.write(block)
    if (size, digest.digest()) != (want.size, want.sha256):
        raise ConflictError(f"{source} changed while the bundle was written")


def _read_zip(archive: zipfile.ZipFile, size_bytes: int) -> Bundle:
    taken = _Taken(room_bytes=max(MAX_FILE_BYTES, size_bytes * MAX_RATIO))
    _check_count(len(archive.infolist()))
    for info in sorted(archive.infolist(), key=lambda info: _is_carrier(info.filename)):
        _check_member(info)
        if info.is_dir():
            continue
        if info.filename in taken.files or info.filename in taken.carriers:
            raise MalformedError(f"{info.filename!r} is in the ZIP twice")
        with archive.open(info) as file:
            taken.take(info.filename, file)
    return taken.whole()


def _check_member(info: zipfile.ZipInfo) -> None:
    """MalformedError for a member of a ZIP that two readers could read differently."""
    name = info.filename
    check_path_name(name.removesuffix("/"))
    if info.orig_filename != name:
        raise MalformedError(f"unsafe path {info.orig_filename!r}")
    if info.flag_bits & 0x1:
        raise MalformedError(f"{name!r} is encrypted")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise MalformedError(f"{name!r} has compression {info.compress_type}, want 0 or 8")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() and not info.file_size and kind in {0, stat.S_IFDIR}:
        return
    if info.is_dir() or kind not in {0, stat.S_IFREG}:
        raise MalformedError(f"{name!r} is a link, or not a plain file")


def _read_folder(folder: Path) -> Bundle:
    if not (folder / INDEX).is_file():
        raise _no_bundle(folder, f"it has no {INDEX}")
    taken = _Taken(room_bytes=None)
    for name in sorted(_list_folder(folder), key=_is_carrier):
        try:
            with (folder / name).open("rb") as file:
                taken.take(name, file)
        except OSError as error:
            raise unavailable("read", folder / name, error) from error
    return taken.whole()


def _list_folder(folder: Path) -> list[str]:
    """Every file under ``folder``, as its path in the bundle; a link or device is refused."""
    names: list[str] = []
    folders = [""]
    while folders:
        prefix = folders.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                name = prefix + entry.name
                check_path_name(name)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{name}/")
                elif entry.is_file(follow_symlinks=False):
                    names.append(name)
                else:
                    raise MalformedError(f"{name!r} is not a plain file")
                _check_count(len(names) + len(folders))
    return sorted(names)


def _is_carrier(name: str) -> bool:
    return name.startswith("carriers/")


@dataclass(slots=True)
class _Taken:
    """The files of a bundle taken so far; limits count what comes out, not what a header says.

    Carriers come last: the records say with what they are hashed. ``room_bytes``: what carriers
    may still unpack to, None in a folder. ``sm3``: whether carriers need it, once that is known.
    """

    room_bytes: int | None
    files: dict[str, bytes] = field(default_factory=dict)
    carriers: dict[str, Digest] = field(default_factory=dict)
    total_bytes: int = 0
    sm3: bool | None = None

    def take(self, name: str, file: IO[bytes]) -> None:
        """Read one file; MalformedError above a limit."""
        if _is_carrier(name):
            if self.sm3 is None:
                self.sm3 = names_sm3(Bundle(self.files, {}))
            self.carriers[name] = digest_stream(file, self.room_bytes, sm3=self.sm3)
            if self.room_bytes is not None:
                self.room_bytes -= self.carriers[name].size
            return
        content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise MalformedError(f"{name!r} has more than {MAX_FILE_BYTES} bytes")
        self.total_bytes += len(content)
        if self.total_bytes > MAX_TOTAL_BYTES:
            text = f"the bundle has more than {MAX_TOTAL_BYTES} bytes beside carriers"
            raise MalformedError(text)
        self.files[name] = content

    def whole(self) -> Bundle:
        """The bundle of all that was taken; MalformedError if it has no index."""
        if INDEX not in self.files:
            raise MalformedError(f"not a bundle: it has no {INDEX}")
        return Bundle(self.files, self.carriers)


def _check_count(count: int) -> None:
    if count > MAX_FILES:
        raise MalformedError(f"the bundle has {count} files, want at most {MAX_FILES}")
