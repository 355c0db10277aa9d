"""Files: writes that survive a crash, reads with a limit, bundles as ZIP or folder."""

import contextlib
import hashlib
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

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

BUFFER_BYTES = 1 << 20
"""Read size for big files: SHA-256 runs at 95 % of OpenSSL's own speed from 256 KiB on."""

MAX_RATIO = 200
"""How far a compressed carrier of a repacked ZIP may unpack: text does 20, a bomb does 1000."""


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
    """A file open for writing beside ``path`` that becomes ``path`` when the block ends well."""
    if not overwrite and path.exists():
        raise ConflictError(f"{path} exists already", hint="choose another name, or --force")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
    except OSError as error:
        raise unavailable("write", path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        # If we die before this line, only the temporary file is left; after it, the whole content.
        if overwrite:
            temporary.replace(path)
        else:
            _rename_new(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise unavailable("write", path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _rename_new(temporary: Path, path: Path) -> None:
    """Rename without overwriting what another process put there meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise ConflictError(f"{path} exists already") from error
    except OSError:
        # No hard links here (FAT, some network drives): the check above is the best there is.
        temporary.replace(path)


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


def read_limited(path: Path, limit_bytes: int) -> bytes:
    """The content of ``path``; MalformedError if longer than ``limit_bytes``.

    NotFoundError if there is no such file, UnavailableError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"no such file: {path}") from error
    except OSError as error:
        raise unavailable("read", path, error) from error
    if len(content) > limit_bytes:
        raise MalformedError(f"{path} has more than {limit_bytes} bytes")
    return content


def digest_stream(file: IO[bytes], limit_bytes: int | None = None) -> Digest:
    """Size and SHA-256 of what is left in ``file``, in constant memory.

    MalformedError as soon as more than ``limit_bytes`` come out.
    """
    digest, size = hashlib.sha256(), 0
    while block := file.read(BUFFER_BYTES):
        digest.update(block)
        size += len(block)
        if limit_bytes is not None and size > limit_bytes:
            raise MalformedError(f"a carrier unpacks to more than {limit_bytes} bytes")
    return Digest(size, digest.digest())


def read_bundle(path: Path) -> Bundle:
    """The bundle at ``path``, a ZIP or a folder; carriers as digests only.

    MalformedError if it is no bundle, or a hostile ZIP (duplicate or unsafe names, encryption,
    more than the limits of ``ledger.proof.bundle``); NotFoundError, UnavailableError.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise NotFoundError(f"no such bundle: {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_zip(archive)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zipfile.LargeZipFile) as error:
        raise MalformedError(
            f"{path.name} is not a bundle: {error}",
            hint="a bundle is a ZIP or a folder with a bundle.json, made by `tally bundle`",
        ) from error
    except (ValueError, RuntimeError, zlib.error) as error:
        raise MalformedError(f"{path.name} is a damaged ZIP: {error}") from error
    except OSError as error:
        raise unavailable("read", path, error) from error


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
    with source.open("rb") as reader, archive.open(info, "w", force_zip64=True) as writer:
        while block := reader.read(BUFFER_BYTES):
            digest.update(block)
            size += len(block)
            writer.write(block)
    if (size, digest.digest()) != (want.size, want.sha256):
        raise ConflictError(f"{source} changed while the bundle was written")


def _read_zip(archive: zipfile.ZipFile) -> Bundle:
    files: dict[str, bytes] = {}
    carriers: dict[str, Digest] = {}
    entries = [info for info in archive.infolist() if not info.is_dir()]
    _check_count(len(entries))
    for info in entries:
        name = info.filename
        check_path_name(name)
        if name in files or name in carriers:
            raise MalformedError(f"{name!r} is in the ZIP twice")
        if info.flag_bits & 0x1:
            raise MalformedError(f"{name!r} is encrypted")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise MalformedError(f"{name!r} is a link")
        with archive.open(info) as file:
            limit = max(MAX_FILE_BYTES, info.compress_size * MAX_RATIO)
            _take(name, file, limit, files, carriers)
    return _whole(files, carriers)


def _read_folder(folder: Path) -> Bundle:
    files: dict[str, bytes] = {}
    carriers: dict[str, Digest] = {}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    if not (folder / INDEX).is_file():
        raise MalformedError(f"{folder} is not a bundle: it has no {INDEX}")
    _check_count(len(paths))
    for path in paths:
        name = path.relative_to(folder).as_posix()
        check_path_name(name)
        if path.is_symlink() or not path.is_file():
            raise MalformedError(f"{name!r} is not a plain file")
        try:
            with path.open("rb") as file:
                _take(name, file, None, files, carriers)
        except OSError as error:
            raise unavailable("read", path, error) from error
    return _whole(files, carriers)


def _take(
    name: str,
    file: IO[bytes],
    carrier_limit: int | None,
    files: dict[str, bytes],
    carriers: dict[str, Digest],
) -> None:
    """Read one file of a bundle; limits count what comes out, not what a header promises."""
    if name.startswith("carriers/"):
        carriers[name] = digest_stream(file, carrier_limit)
        return
    content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise MalformedError(f"{name!r} has more than {MAX_FILE_BYTES} bytes")
    if sum(map(len, files.values())) + len(content) > MAX_TOTAL_BYTES:
        raise MalformedError(f"the bundle has more than {MAX_TOTAL_BYTES} bytes beside carriers")
    files[name] = content


def _check_count(count: int) -> None:
    if count > MAX_FILES:
        raise MalformedError(f"the bundle has {count} files, want at most {MAX_FILES}")


def _whole(files: Mapping[str, bytes], carriers: Mapping[str, Digest]) -> Bundle:
    if INDEX not in files:
        raise MalformedError(f"not a bundle: it has no {INDEX}")
    return Bundle(files, carriers)
