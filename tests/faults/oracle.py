"""Judges what is on disk: nothing acknowledged lost, nothing signed that is not so.

Databases are read with plain SQL and the log's mathematics, not through the code that wrote them.
"""

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyrage

from ledger.doors.keys import load_identity, load_ledger_keys
from ledger.errors import LedgerError
from ledger.operator.sequencer import LedgerKeys
from ledger.record.chain import check_chain
from ledger.record.manifest import parse_line
from ledger.record.record import Record, check_record, parse_record
from ledger.timestamp.token import check_token, parse_token
from ledger.tlog.checkpoint import (
    Checkpoint,
    check_signatures,
    parse_checkpoint,
    self_certifying_origin,
)
from ledger.tlog.merkle import TreeHead, leaf_hash, root_of_leaves
from ledger.tlog.note import NoteKey, parse_note
from ledger.tlog.tile import parse_entry_bundle
from tests.faults.workloads import Place, Told


class WrongError(Exception):
    """What must not be, in words."""


def must(holds: object, words: str) -> None:
    if not holds:
        raise WrongError(words)


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query; none if the database or the table is not made yet."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise


def guard_files(home: Path) -> dict[int, bytes]:
    """What the guard has, by size."""
    found: list[tuple[int, bytes]] = []
    for path in (home / "state" / "guards").glob("*.sqlite"):
        with suppress(sqlite3.DatabaseError):  # a damaged guard signs nothing
            found += rows(path, "SELECT size, file FROM signed")
    return dict(found)


def published(home: Path) -> list[tuple[int, bytes]]:
    sql = "SELECT size, content FROM attachments WHERE kind = 'checkpoint' ORDER BY size"
    return rows(home / "vault" / "ledger" / "store.sqlite", sql)


def look(place: Place) -> str:
    """The state that a fault left, in words. A copy is looked at: opening would mend it."""
    with tempfile.TemporaryDirectory(dir=place.folder) as folder:
        home = Path(folder) / "home"
        shutil.copytree(place.home, home)
        vault = home / "vault"
        head = rows(vault / "ledger" / "store.sqlite", "SELECT size FROM head")
        guard, shown = guard_files(home), published(home)
        queued = rows(vault / "vault.sqlite", "SELECT count(*) FROM records WHERE idx IS NULL")
        left = list(home.rglob(".tally-*"))
    words = []
    if not (place.vault / "tallystick.toml").exists():
        begun = (place.vault / "unfinished-init").exists()
        words.append("vault begun" if begun else "no vault")
    size = head[0][0] if head else 0
    if guard and size > max(guard):
        words.append("store ahead of guard")
    if guard and max(guard) > max((one for one, _ in shown), default=-1):
        words.append("signed, not published")
    if queued and queued[0][0]:
        words.append("records queued")
    if left:
        words.append("temporary file left")
    return ", ".join(words) or "in step"


def ledger_keys(home: Path) -> tuple[NoteKey, ...]:
    ed25519, ml_dsa_44 = load_ledger_keys(home / "vault" / "ledger" / "keys.pem")
    raw = (ed25519.public_key().public_bytes_raw(), ml_dsa_44.public_key().public_bytes_raw())
    return LedgerKeys(self_certifying_origin(*raw), ed25519, ml_dsa_44).public_keys()


def read_entries(home: Path) -> list[bytes]:
    entries: list[bytes] = []
    store = home / "vault" / "ledger" / "store.sqlite"
    for start, content in rows(store, "SELECT start, content FROM bundles ORDER BY start"):
        must(start == len(entries), f"entries {len(entries)} to {start} are missing")
        entries += parse_entry_bundle(content)
    return entries


def opened(file: bytes, keys: Sequence[NoteKey]) -> Checkpoint:
    """The checkpoint in a file that both keys signed."""
    note = parse_note(file)
    must(len(check_signatures(note, keys)) == len(keys), "a file is not signed by both keys")
    return parse_checkpoint(note.text)


def check_ledger(home: Path, before: Mapping[int, bytes]) -> list[bytes]:
    """The log's entries, after checking that all that was ever signed is of one history.

    ``before``: signed files seen earlier, which must still stand.
    """
    keys, entries, guard = ledger_keys(home), read_entries(home), guard_files(home)
    leaves = [leaf_hash(entry) for entry in entries]
    for size, file in guard.items():
        head = opened(file, keys).head
        must(size <= len(leaves), f"{size} entries were signed, {len(leaves)} are there")
        must(head == TreeHead(size, root_of_leaves(leaves[:size])), f"size {size} is wrong")
    for size, file in [*published(home), *before.items()]:
        must(guard.get(size) == file, f"the guard has another file of size {size}")
    return entries


def check_stamps(home: Path) -> None:
    """Every kept token is over the one signed file of its size."""
    guard = guard_files(home)
    sql = "SELECT size, content FROM attachments WHERE kind = 'stamp'"
    for size, response in rows(home / "vault" / "ledger" / "store.sqlite", sql):
        token = parse_token(response)
        digest = hashlib.new(token.imprint_algorithm, guard[size]).digest()
        check_token(token, imprint=digest)


def check_vault(place: Place, entries: list[bytes]) -> None:
    """Gapless chains of true records, each where the ledger has it; originals come back."""
    database = place.vault / "vault.sqlite"
    records: list[tuple[Record, Any]] = []
    for entry, sdjwt, manifest, index in rows(
        database, "SELECT entry, sdjwt, manifest, idx FROM records ORDER BY number"
    ):
        record = parse_record(sdjwt)
        check_record(record)
        must(record.entry == entry, "a record has another entry than the vault says")
        must(index is not None and entries[index] == entry, f"entry {index} is another record's")
        records.append((record, manifest))
    chains: dict[str, list[Any]] = {}
    for record, _ in records:
        assert record.link is not None
        chains.setdefault(record.link.chain, []).append((record.link, record.entry))
    for links in chains.values():
        must(check_chain(links).first == 1, "a chain does not begin with its first link")
    covers = rows(database, "SELECT entry, idx FROM covers")
    for entry, index in covers:
        must(index is not None and entries[index] == entry, f"entry {index} is not its cover")
    known = {record.entry for record, _ in records} | {entry for entry, _ in covers}
    must(set(entries) <= known, "the log has an entry that nobody knows")
    must(len(set(entries)) == len(entries), "the log has an entry twice")
    restore(place, records)


def restore(place: Place, records: Iterable[tuple[Record, Any]]) -> None:
    """Every kept original gives the carrier's bytes."""
    contents = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path
        for path in place.carriers.rglob("*")
        if path.is_file()
    }
    identity = load_identity(place.vault / "keys" / "identity.txt")
    wanted: set[str] = set()
    for record, manifest in records:
        parts = record.carrier.get("parts")
        if isinstance(parts, dict):
            kept_lines(place, str(parts["root"]))
        # A key's enrolment has no carrier that could be kept.
        if "sha256" in record.carrier:
            wanted.add(str(record.carrier["sha256"]))
        if manifest is not None:
            wanted |= {parse_line(one).sha256.hex() for one in kept_lines(place, manifest)}
    for digest in wanted:
        sealed = place.vault / "originals" / digest[:2] / f"{digest}.age"
        try:
            plain = pyrage.decrypt(sealed.read_bytes(), [identity])
        except pyrage.DecryptError as error:
            raise WrongError(f"an original is damaged: {error}") from error
        must(plain == contents[digest].read_bytes(), "an original came back changed")


def kept_lines(place: Place, root: str) -> list[str]:
    """The lines that the vault keeps under ``root``, which must be theirs."""
    text = (place.vault / "manifests" / root).read_text("ascii")
    lines = text.removesuffix("\n").split("\n")
    found = root_of_leaves([leaf_hash(line.encode("ascii")) for line in lines])
    must(found.hex() == root, "lines are not those of their record")
    return lines


def check_told(home: Path, told: Iterable[Told], entries: list[bytes]) -> None:
    """What commands said that they anchored is there, where they said."""
    sql = "SELECT lower(hex(entry)), idx FROM records"
    kept = dict(rows(home / "vault" / "vault.sqlite", sql))
    for one in told:
        for row in (one.value or {}).get("anchored", ()) if one.words[0] == "anchor" else ():
            must(row["entry"] in kept, "a record that was told of is lost")
            if row["index"] is not None:
                must(
                    entries[row["index"]].hex() == row["entry"],
                    f"entry {row['index']} was told to be another",
                )


def wrong(place: Place, before: Mapping[int, bytes], told: Iterable[Told]) -> str | None:
    """What is not as it must be, or None."""
    try:
        entries = check_ledger(place.home, before)
        check_told(place.home, told, entries)
        check_stamps(place.home)
        check_vault(place, entries)
    except (WrongError, LedgerError, sqlite3.Error, IndexError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def wrongly_signed(place: Place, before: Mapping[int, bytes]) -> str | None:
    """Which root is signed that must not be, or None: what no damage may ever lead to.

    A file that is damaged itself is not signed any more. Entries are taken from the store and from
    the vault: one of them is not damaged.
    """
    sql = "SELECT idx, entry FROM records UNION ALL SELECT idx, entry FROM covers ORDER BY idx"
    known = rows(place.vault / "vault.sqlite", sql)
    logs = [[entry for index, entry in known if index is not None]]
    with suppress(WrongError, LedgerError):
        logs.append(read_entries(place.home))
    heads: dict[int, TreeHead] = {}
    keys = ledger_keys(place.home)
    for size, file in [*before.items(), *guard_files(place.home).items(), *published(place.home)]:
        try:
            head = opened(file, keys).head
        except (WrongError, LedgerError):
            continue
        if head.size != size or heads.setdefault(size, head) != head:
            return f"two trees of size {size} are signed"
        roots = [root_of_leaves(list(map(leaf_hash, log[:size]))) for log in logs]
        if head.root not in roots:
            return f"a wrong root of size {size} is signed"
    return None
