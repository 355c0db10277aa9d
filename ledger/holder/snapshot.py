"""The list of one backup: every file of the vault as it was, by path, size and SHA-256.

    tallystick/backup/v1
    made 2026-11-22T18:00:00Z
    ledger tallystick/0123…
    file <sha256> <size> <path>          in order of path
    sha256 <of all lines above>

It is written last: a backup without its list was interrupted, and one of another sum is damaged.

>>> snapshot = Snapshot("2026-11-22T18:00:00Z", "a.example", (SavedFile("keys/x", 2, bytes(32)),))
>>> parse_snapshot(format_snapshot(snapshot)) == snapshot
True
"""

import hashlib
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ledger.errors import MalformedError
from ledger.record.claims import check_claim, parse_time

HEADER: Final = "tallystick/backup/v1"

MAX_SNAPSHOT_BYTES: Final = 4 << 30
"""Ten million kept originals."""

PATHS: Final = re.compile(
    r"tallystick\.toml|vault\.sqlite|development-[a-z0-9.-]{1,80}|keys/[A-Za-z0-9_.-]{1,80}"
    r"|manifests/[0-9a-f]{64}|originals/[0-9a-f]{2}/[0-9a-f]{64}\.age"
    r"|(ledger|ledgers/[1-9][0-9]{0,5})/(store\.sqlite|vkeys|development-[a-z0-9.-]{1,80})"
    r"|ledger/material/[0-9a-f]{64}\.(certificate|crl|ocsp)"
    r"|evidence/(fork|rollback)-[0-9a-f]{16}/(seen|shown|WHAT\.txt|tile/[0-9a-z/.]{5,80})"
)
"""What a backup holds of a vault. Not the guard, which no backup ever restores; and not the private
keys of a ledger, with which nobody is ever to sign again (docs/adr/0007)."""

_ROW = re.compile(r"file ([0-9a-f]{64}) (0|[1-9][0-9]{0,15}) ([A-Za-z0-9_./-]+)")


@dataclass(frozen=True, slots=True, order=True)
class SavedFile:
    """One file: its path in the vault, and its content."""

    path: str
    size: int
    sha256: bytes

    def __post_init__(self) -> None:
        if not PATHS.fullmatch(self.path) or self.path.endswith(("/.", "/..")):
            raise MalformedError(f"{self.path!r} is no file of a vault's backup")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole backup. ``made``: RFC 3339; ``ledger``: origin of the ledger anchored in then.

    MalformedError for files that are not in order of path, or twice.
    """

    made: str
    ledger: str
    files: tuple[SavedFile, ...]

    def __post_init__(self) -> None:
        parse_time(self.made)
        check_claim("ledger", self.ledger)
        for one, other in pairwise(self.files):
            if one.path >= other.path:
                raise MalformedError(f"backup lists {other.path} after {one.path}")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def format_snapshot(snapshot: Snapshot) -> bytes:
    """The list as bytes."""
    rows = [HEADER, f"made {snapshot.made}", f"ledger {snapshot.ledger}"]
    rows += [f"file {one.sha256.hex()} {one.size} {one.path}" for one in snapshot.files]
    text = "".join(f"{row}\n" for row in rows).encode("utf-8")
    return text + f"sha256 {hashlib.sha256(text).hexdigest()}\n".encode("ascii")


def parse_snapshot(content: bytes) -> Snapshot:
    """The list in ``content``; MalformedError if it is not exactly one, with the sum it has."""
    body, _, last = content.removesuffix(b"\n").rpartition(b"\n")
    body += b"\n"
    if last != f"sha256 {hashlib.sha256(body).hexdigest()}".encode("ascii"):
        raise MalformedError("backup list is damaged: it has not the sum it says")
    try:
        header, made, ledger, *rows = body.decode("utf-8").removesuffix("\n").split("\n")
    except ValueError as error:
        raise MalformedError(f"backup list is not {HEADER}") from error
    if header != HEADER or not made.startswith("made ") or not ledger.startswith("ledger "):
        raise MalformedError(f"backup list is not {HEADER}")
    matches = [_ROW.fullmatch(row) for row in rows]
    files = [SavedFile(m[3], int(m[2]), bytes.fromhex(m[1])) for m in matches if m is not None]
    if len(files) != len(rows):
        raise MalformedError("backup list has a line that is no file")
    snapshot = Snapshot(made.removeprefix("made "), ledger.removeprefix("ledger "), tuple(files))
    if format_snapshot(snapshot) != content:
        raise MalformedError("backup list is not written as it should be")
    return snapshot
