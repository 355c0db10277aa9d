"""One verification as ``verify``, ``demo`` and ``desk`` run it: read, check, say with what."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import ledger
from cli.given import require_plain
from ledger.doors.bundle_files import read_bundle
from ledger.doors.carrier import FileCarrier, read_carrier
from ledger.doors.files import read_limited
from ledger.doors.pieces import digest_places
from ledger.errors import MalformedError, NotFoundError
from ledger.proof.bundle import Bundle, Digest
from ledger.proof.disclosed import names_sm3, shown_places
from ledger.proof.roots import default_trust, read_roots
from ledger.proof.trust import MAX_TRUST_BYTES, Trust, parse_trust
from ledger.proof.verdict import ComparedFolder, Verdict
from ledger.proof.verify import verify
from ledger.record.manifest import parse_line, parse_shown_lines


def check_bundle(
    path: Path, carriers: Sequence[Path], trust: Path | None, at: datetime | None = None
) -> Verdict:
    """The verdict on the bundle at ``path`` under the trust file, by default the package's own.

    MalformedError if it is no bundle or no trust file; NotFoundError, UnavailableError.
    """
    believed = read_trust(trust)
    bundle = read_bundle(path)
    given = read_carriers(carriers, bundle)
    verdict = verify(
        bundle,
        believed,
        given.digests,
        checked_at=at or datetime.now(UTC),
        clock="system clock" if at is None else "given by --at",
        tool=tool(),
    )
    return replace(verdict, folders=given.folders)


def read_trust(path: Path | None) -> Trust:
    """The trust file at ``path``, by default the package's own, with the roots the package holds.

    MalformedError, NotFoundError, UnavailableError.
    """
    content = default_trust() if path is None else read_limited(path, MAX_TRUST_BYTES)
    return replace(parse_trust(content), roots=read_roots())


def read_trust_given(name: str) -> Trust:
    """The trust file called name, with the roots that the package holds; errors name the file."""
    require_plain(name)
    try:
        return read_trust(Path(name))
    except MalformedError as error:
        raise MalformedError(f"{name}: {error}", hint=error.hint) from error


@dataclass(frozen=True, slots=True)
class Given:
    """Digests of the carriers given, by displayed name; of which folders they are the files."""

    digests: Mapping[str, Digest]
    folders: tuple[ComparedFolder, ...]


def read_carriers(paths: Sequence[Path], bundle: Bundle) -> Given:
    """The carriers at ``paths``, digested.

    Of a folder, the files that the bundle discloses by name; what it withholds is not judged, and
    counted. NotFoundError if the folder has none of them.
    """
    found: dict[str, Digest] = {}
    folders: list[ComparedFolder] = []
    sm3 = bool(paths) and names_sm3(bundle)
    places = shown_places(bundle) if paths else ()
    for path in paths:
        if not _is_folder(path):
            name = path.name if path.name not in found else os.fspath(path)
            found[name] = _digest(path, sm3, places)
            continue
        disclosed = _disclosed_names(bundle)
        names = [name for name in disclosed if (path / name).is_file()]
        if not disclosed:
            hint = "want one made with `tally bundle --file PATH`, or give one file"
            raise NotFoundError(f"this bundle discloses no file of a folder: {path}", hint=hint)
        if not names:
            hint = "give the folder that was anchored, or one file"
            text = f"{path} has no file at a path that this bundle discloses"
            raise NotFoundError(text, hint=hint)
        found |= {name: _digest(path / name, sm3, places) for name in names}
        held = sum(len(files) for _, _, files in os.walk(path))
        absent = len(disclosed) - len(names)
        shown = path.name or os.fspath(path)
        folders.append(ComparedFolder(shown, len(names), held - len(names), absent))
    return Given(found, tuple(folders))


def _is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder; what cannot be asked is none, and fails when it is read."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _disclosed_names(bundle: Bundle) -> list[str]:
    """Paths in the shown manifest lines; a damaged line is left to the verdict."""
    names: list[str] = []
    for path, _ in bundle.of_kind("lines"):
        try:
            lines = parse_shown_lines(bundle.files[path])
            names += [parse_line(line.text).path for line in lines]
        except MalformedError:
            continue
    return list(dict.fromkeys(names))


def _digest(path: Path, sm3: bool, places: Sequence[tuple[int, int]]) -> Digest:
    carrier = read_carrier(path, sm3=sm3)
    if not isinstance(carrier, FileCarrier):
        raise NotFoundError(f"{path} is not a file")
    size = carrier.entry.size
    pieces = digest_places(path, places, size)
    return Digest(size, carrier.entry.sha256, carrier.entry.sm3, pieces)


@cache
def tool() -> str:
    """Name, version and a hash over the source of the library that judges."""
    folder = Path(ledger.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".json"} and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"tallystick {ledger.__version__} (sha256 {digest.hexdigest()})"
