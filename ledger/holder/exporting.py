"""Exports: kept originals as they were anchored, byte for byte, with their names and times."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import LedgerError, NotFoundError, VerificationError
from ledger.holder.records import StoredRecord
from ledger.holder.vault import Vault
from ledger.record.manifest import FileEntry, parse_line
from ledger.record.record import parse_record
from ledger.record.shown import lines_root


@dataclass(frozen=True, slots=True)
class Original:
    """One file of a record and where it is to be written."""

    target: Path
    entry: FileEntry


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of an export: the files written, and those that were not, with the reason."""

    written: tuple[Path, ...]
    failed: tuple[tuple[Path, LedgerError], ...]


def plan_export(
    vault: Vault, record: StoredRecord, folder: Path, files: Collection[str] = ()
) -> tuple[Path, list[Original]]:
    """Where ``record`` is to be written under ``folder``, and each original of it.

    A file becomes ``folder/NAME``, a folder the tree ``folder/NAME/…``, of which ``files`` chooses
    some by path. Nothing is read or written but the manifest. NotFoundError for a record without a
    carrier, or a path it has not; VerificationError if the manifest is not what was recorded.
    """
    if record.path is None:
        raise NotFoundError(f"record {record.number} is not of a file or folder")
    place = folder / (Path(record.path).name or "root")
    if record.manifest is None:
        if files:
            raise NotFoundError(f"record {record.number} is of one file, and has no others in it")
        return place, [Original(place, _single(record))]
    lines = vault.manifests.read(record.manifest)
    if lines_root(lines)[0].hex() != record.manifest:
        hint = "restore the folder manifests/ from a backup of the vault"
        raise VerificationError(f"the manifest of record {record.number} is damaged", hint=hint)
    entries = {entry.path: entry for entry in map(parse_line, lines)}
    for path in files:
        if path not in entries:
            hint = "`tally show --files` lists them"
            raise NotFoundError(f"record {record.number} has no file {path!r}", hint=hint)
    chosen = files or entries
    return place, [Original(place / path, entries[path]) for path in entries if path in chosen]


def export(
    vault: Vault,
    originals: Sequence[Original],
    *,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda _files, _size: None,
) -> Exported:
    """Write ``originals``, each whole and with its digest checked, or not at all.

    One that cannot be had does not keep the others from being written. What is there already is
    overwritten only with ``force``. ``progress``: called with files and bytes done since last time.
    """
    written: list[Path] = []
    failed: list[tuple[Path, LedgerError]] = []
    for original in originals:
        try:
            _write(vault, original, force=force)
            written.append(original.target)
        except LedgerError as error:
            failed.append((original.target, error))
        progress(1, original.entry.size)
    return Exported(tuple(written), tuple(failed))


def _write(vault: Vault, original: Original, *, force: bool) -> None:
    entry, target = original.entry, original.target
    if entry.skipped is not None:
        raise NotFoundError(f"it was skipped when it was anchored: {entry.skipped}")
    vault.originals.restore(entry.sha256, target, force=force)
    try:
        os.utime(target, ns=(entry.mtime * 1000, entry.mtime * 1000))
    except (OSError, OverflowError):
        # Content and name are what was anchored; its time this disk cannot hold.
        return


def _single(record: StoredRecord) -> FileEntry:
    """What a record of one file says of it."""
    carrier = parse_record(record.sdjwt).carrier
    size, mtime = carrier.get("size"), carrier.get("mtime")
    return FileEntry(
        path=Path(record.path or "").name,
        size=size if isinstance(size, int) else 0,
        sha256=bytes.fromhex(record.content),
        mtime=mtime if isinstance(mtime, int) else 0,
    )
