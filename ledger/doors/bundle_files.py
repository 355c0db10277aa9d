"""Bundles as files: a ZIP or a folder, read within limits; a ZIP written the same each time."""

import errno
import hashlib
import os
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ledger.doors.files import digest_stream, durable_writer, is_absent, read_blocks, unavailable
from ledger.doors.zip_layout import check_layout
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.proof.bundle import (
    INDEX,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    SUMS,
    Bundle,
    Digest,
    check_path_name,
    parse_index,
)
from ledger.proof.disclosed import names_sm3

MAX_RATIO = 200
"""How far the carriers of a repacked ZIP may unpack in all: text does 20, a bomb does 1000."""


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
    except (zipfile.BadZipFile, EOFError) as error:
        raise _damaged(path, error) if _was_zip(path) else _no_bundle(path, str(error)) from error
    except (NotImplementedError, zipfile.LargeZipFile) as error:
        raise _no_bundle(path, str(error)) from error
    except (ValueError, RuntimeError, zlib.error) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if is_absent(error):
            raise NotFoundError(f"no such bundle: {path}") from error
        if error.errno == errno.EINVAL:
            # Its directory points before the beginning of the file.
            raise _damaged(path, error) from error
        raise unavailable("read", path, error) from error


def _no_bundle(path: Path, reason: str) -> MalformedError:
    return MalformedError(
        f"{path.name or path} is not a bundle: {reason}",
        hint="a bundle is a ZIP or a folder with a bundle.json, made by `tally bundle`",
    )


def _damaged(path: Path, error: Exception) -> MalformedError:
    hint = "get it again, as it was sent: bytes changed or were lost on the way"
    return MalformedError(f"{path.name} is a damaged ZIP: {error}", hint=hint)


def _was_zip(path: Path) -> bool:
    """Whether the file begins or ends as a ZIP does."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04" or zipfile.is_zipfile(file)


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
    bundle = taken.whole()
    _check_listed(bundle)
    return bundle


def _check_listed(bundle: Bundle) -> None:
    """MalformedError if a folder has what its index does not list: anyone may have put it there."""
    try:
        listed = {row.path for row in parse_index(bundle.files[INDEX]).files}
    except MalformedError:
        return  # a fault of the bundle's own, which the verdict tells
    for name in sorted({*bundle.files, *bundle.carriers} - listed - {INDEX, SUMS}):
        hint = "take it out of the folder, or give the ZIP as it came"
        raise MalformedError(f"{name} is in the folder and not in its {INDEX}", hint=hint)


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
