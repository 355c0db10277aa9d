"""Every damage to a small ledger is found and named; a whole one is clean, also while it grows."""

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotFoundError
from ledger.operator.audit import Audit, audit
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.faults import Fault, first_difference, mended
from ledger.operator.guard import Guard
from ledger.operator.sequencer import CHECKPOINT, Sequencer
from ledger.operator.stamper import Stamper
from ledger.operator.store.memory import MemoryStore
from ledger.operator.store.protocol import Attachment, Store
from ledger.operator.store.sqlite import SqliteStore
from ledger.tlog.checkpoint import sign_checkpoint
from ledger.tlog.merkle import leaf_hash, root_of_leaves
from tests.sequencer_checks import KEYS, entries, opened
from tests.store_contract import entry, extend

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TSA = DevelopmentTsa.create("one", lambda: NOW, lambda size: bytes(range(1, size + 1)))
PUBLIC = KEYS.public_keys()


@dataclass
class Log:
    """A ledger on disk, closed, to be damaged and audited."""

    path: Path
    guard_path: Path

    def audit(self, *, guarded: bool = True) -> Audit:
        with closing(SqliteStore(self.path, create=False)) as store:
            if not guarded:
                return audit(store, None, PUBLIC)
            with closing(Guard(self.guard_path, create=False)) as guard:
                return audit(store, guard, PUBLIC)

    def run(self, statement: str, *values: object) -> int:
        with closing(sqlite3.connect(self.path)) as database:
            count = database.execute(statement, values).rowcount
            database.commit()
            return count

    def ask(self, statement: str, *values: object) -> Any:
        with closing(sqlite3.connect(self.path)) as database:
            return database.execute(statement, values).fetchone()[0]

    def set(self, table: str, column: str, where: str, value: object) -> None:
        assert self.run(f"UPDATE {table} SET {column} = ? WHERE {where}", value) == 1


def fill(store: Store, guard: Guard, *sizes: int) -> Sequencer:
    """A ledger that was at each of ``sizes``, with a stamp at each and its lookup prepared."""
    sequencer = Sequencer(store, guard, KEYS)
    stamper = Stamper(
        store,
        (TSA,),
        wanted=1,
        minimum_interval=timedelta(0),
        clock=lambda: NOW,
        random_bytes=lambda size: bytes([7]) * size,
    )
    for size in sizes:
        sequencer.append(entries(store.head().size, size))
        stamper.stamp(size, sequencer.checkpoint())
    store.find(entry(0))
    return sequencer


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """700 entries that came in three appends."""
    made = Log(tmp_path / "store.db", tmp_path / "guard.db")
    with closing(SqliteStore(made.path)) as store, closing(Guard(made.guard_path)) as guard:
        fill(store, guard, 10, 300, 700)
    return made


def only(found: Audit) -> Fault:
    """The only fault there is."""
    assert sum(found.counts.values()) == 1, found
    return found.first[0]


def is_clean(found: Audit) -> bool:
    return not found.first and not found.counts and not found.unchecked


# Whole ledgers


def test_a_whole_ledger_is_clean(log: Log) -> None:
    found = log.audit()
    assert is_clean(found)
    assert (found.size, found.checkpoints, found.stamps) == (700, 4, 3)
    assert found.root == root_of_leaves([leaf_hash(e) for e in entries(0, 700)])


def test_an_audit_writes_nothing(log: Log) -> None:
    before = log.path.read_bytes(), log.guard_path.read_bytes()
    log.audit()
    assert (log.path.read_bytes(), log.guard_path.read_bytes()) == before


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 300, 511, 512, 513])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_whole_ledger_of_each_size_is_clean(tmp_path: Path, kind: str, size: int) -> None:
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "store.db")
    with closing(Guard(tmp_path / "guard.db")) as guard:
        sequencer = Sequencer(store, guard, KEYS)
        if size:
            sequencer.append(entries(0, size))
        found = audit(store, guard, PUBLIC)
    if isinstance(store, SqliteStore):
        store.close()
    assert is_clean(found)
    assert found.size == size


@pytest.mark.slow
def test_a_ledger_is_clean_at_every_size_to_300(tmp_path: Path) -> None:
    store = MemoryStore()
    with closing(Guard(tmp_path / "guard.db")) as guard:
        sequencer = Sequencer(store, guard, KEYS)
        for size in range(1, 301):
            sequencer.append([entry(size - 1)])
            assert is_clean(audit(store, guard, PUBLIC))


@pytest.mark.parametrize("size", [70_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_a_ledger_with_three_levels_of_tiles_is_clean(tmp_path: Path, size: int) -> None:
    with (
        closing(SqliteStore(tmp_path / "store.db")) as store,
        closing(Guard(tmp_path / "guard.db")) as guard,
    ):
        Sequencer(store, guard, KEYS).append(entries(0, size))
        store.find(entry(1))
        done: list[tuple[int, int]] = []
        found = audit(store, guard, PUBLIC, progress=lambda *step: done.append(step))
        assert is_clean(found)
        assert done[-1] == (size, size)
        assert done == sorted(done)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 90), max_size=9), st.data())
def test_a_ledger_is_clean_however_it_grew(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], data: st.DataObject
) -> None:
    """And one changed entry or tile of it is the only fault."""
    store = MemoryStore()
    with closing(Guard(tmp_path_factory.mktemp("grown") / "guard.db")) as guard:
        sequencer = Sequencer(store, guard, KEYS)
        for step in steps:
            sequencer.append(entries(store.head().size, store.head().size + step))
        assert is_clean(audit(store, guard, PUBLIC))
        if not steps:
            return
        index = data.draw(st.integers(0, store.head().size - 1))
        offset = data.draw(st.integers(0, 63))
        changed = bytearray(entry(index))
        changed[offset] ^= data.draw(st.integers(1, 255))
        store._entries[index] = bytes(changed)
        store._first[bytes(changed)] = index
        found = only(audit(store, guard, PUBLIC))
    assert (found.kind, found.state, found.index, found.offset) == ("entry", "wrong", index, offset)
    assert (found.want, found.found) == (entry(index)[offset], changed[offset])


def test_a_moment_is_audited_while_another_writes(tmp_path: Path) -> None:
    """What comes while the audit runs is not its matter, and no fault."""
    with (
        closing(SqliteStore(tmp_path / "store.db")) as store,
        closing(SqliteStore(tmp_path / "store.db")) as other,
        closing(Guard(tmp_path / "guard.db")) as guard,
    ):
        writer = fill(store, guard, 300)
        steps = iter(range(1, 1000))

        def append(done: int, total: int) -> None:
            number = next(steps)
            thread = threading.Thread(
                target=writer.append, args=(entries(300 + 50 * number, 350 + 50 * number),)
            )
            thread.start()
            thread.join()

        found = audit(other, guard, PUBLIC, progress=append)
        assert is_clean(found)
        assert found.size == 300
        assert store.head().size > 300
        assert is_clean(audit(other, guard, PUBLIC))


# One byte


def change(content: bytes, offset: int, mask: int) -> bytes:
    changed = bytearray(content)
    changed[offset] ^= mask
    return bytes(changed)


@pytest.mark.parametrize(
    ("start", "step"),
    [(0, 83), (10, 4177), (266, 331), (300, 5003), pytest.param(0, 1, marks=pytest.mark.slow)],
)
def test_each_changed_byte_of_a_bundle_is_named(log: Log, start: int, step: int) -> None:
    where = f"start = {start}"
    content = log.ask(f"SELECT content FROM bundles WHERE {where}")
    for offset in range(0, len(content), step):
        log.set("bundles", "content", where, change(content, offset, 0x41))
        fault = log.audit().first[0]
        index, place = start + offset // 66, offset % 66
        assert (fault.kind, fault.state, fault.index) == ("entry", "wrong", index)
        if place < 2:
            assert (fault.offset, fault.want) == (offset, content[offset])
        else:
            assert (fault.offset, fault.want) == (place - 2, content[offset])
        assert fault.found == content[offset] ^ 0x41
    log.set("bundles", "content", where, content)
    assert is_clean(log.audit())


@pytest.mark.parametrize(
    ("place", "step"),
    [
        (0, 2003),
        (1, 3001),
        (2, 1009),
        (1 << 56, 21),
        pytest.param(2, 13, marks=pytest.mark.slow),
        pytest.param(1, 101, marks=pytest.mark.slow),
    ],
)
def test_each_changed_byte_of_a_tile_is_named(log: Log, place: int, step: int) -> None:
    where = f"place = {place}"
    content = log.ask(f"SELECT content FROM tiles WHERE {where}")
    name = {0: "tile/0/000", 1: "tile/0/001", 2: "tile/0/002.p/188", 1 << 56: "tile/1/000.p/2"}
    for offset in range(0, len(content), step):
        log.set("tiles", "content", where, change(content, offset, 0x10))
        fault = only(log.audit())
        assert (fault.kind, fault.state, fault.place) == ("tile", "wrong", name[place])
        assert (fault.offset, fault.want) == (offset, content[offset])
        assert fault.found == content[offset] ^ 0x10


def test_each_changed_byte_of_the_head_is_named(log: Log) -> None:
    root = log.ask("SELECT root FROM head")
    for offset in range(0, 32, 5):
        log.set("head", "root", "one = 1", change(root, offset, 1))
        fault = only(log.audit())
        assert (fault.kind, fault.state, fault.offset) == ("head", "wrong", offset)
        assert (fault.want, fault.found) == (root[offset], root[offset] ^ 1)


@pytest.mark.parametrize("size", [0, 300, 699, 701, 956, 700 + (1 << 40), (1 << 63) - 1, -1])
def test_another_size_in_the_head_is_named(log: Log, size: int) -> None:
    log.set("head", "size", "one = 1", size)
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.size) == ("head", "wrong", size)
    assert "700" in fault.text


@pytest.mark.parametrize("statement", ["DELETE FROM head", "UPDATE head SET root = x''"])
def test_a_head_that_is_gone_or_empty_is_missing(log: Log, statement: str) -> None:
    log.run(statement)
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.offset) == ("head", "missing", 0)


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("kind", ["checkpoint", "stamp"])
def test_each_changed_byte_of_a_side_row_is_named(log: Log, kind: str, guarded: bool) -> None:
    where = f"kind = '{kind}' AND size = 300"
    content = log.ask(f"SELECT content FROM attachments WHERE {where}")
    for offset in range(0, len(content), 1201 if kind == "checkpoint" else 733):
        log.set("attachments", "content", where, change(content, offset, 0x20))
        found = log.audit(guarded=guarded)
        fault = only(found)
        assert (fault.kind, fault.state, fault.size) == (kind, "wrong", 300)
        assert (fault.offset, fault.want) == (offset, content[offset])


@pytest.mark.parametrize("kind", ["checkpoint", "stamp"])
def test_a_changed_side_row_whose_digest_was_made_anew_is_judged_by_what_it_says(
    log: Log, kind: str
) -> None:
    where = f"kind = '{kind}' AND size = 300"
    content = log.ask(f"SELECT content FROM attachments WHERE {where}")
    changed = change(content, len(content) - 9, 1)
    log.set("attachments", "digest", where, hashlib.sha256(changed).digest())
    log.set("attachments", "content", where, changed)
    fault = only(log.audit(guarded=False))
    assert (fault.kind, fault.state, fault.size) == (kind, "wrong", 300)


def test_two_changed_bytes_of_an_entry_are_found_without_their_place(log: Log) -> None:
    content = log.ask("SELECT content FROM bundles WHERE start = 10")
    log.set("bundles", "content", "start = 10", change(change(content, 70, 1), 80, 1))
    fault = log.audit().first[0]
    assert (fault.kind, fault.state, fault.index, fault.offset) == ("entry", "wrong", 11, None)


@pytest.mark.parametrize("column", ["digest", "name", "size"])
def test_a_stamp_whose_row_says_something_else_is_found(log: Log, column: str) -> None:
    where = "kind = 'stamp' AND size = 300"
    value = {"digest": bytes(32), "name": "", "size": 301}[column]
    log.set("attachments", column, where, value)
    fault = only(log.audit())
    assert (fault.kind, fault.state) == ("stamp", "wrong")


# Rows that are missing, or too many


def test_missing_and_extra_bytes_of_a_row_are_named(log: Log) -> None:
    content = log.ask("SELECT content FROM bundles WHERE start = 10")
    log.set("bundles", "content", "start = 10", content[:-1])
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.index) == ("entry", "missing", 265)
    assert fault.offset == len(content) - 1
    log.set("bundles", "content", "start = 10", content + b"!")
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.offset) == ("entry", "extra", len(content))
    log.set("bundles", "content", "start = 10", content)
    tile = log.ask("SELECT content FROM tiles WHERE place = 1")
    for found, state, offset in ((tile[:-1], "missing", 8191), (tile + b"!", "extra", 8192)):
        log.set("tiles", "content", "place = 1", found)
        fault = only(log.audit())
        assert (fault.kind, fault.state, fault.offset) == ("tile", state, offset)


@pytest.mark.parametrize(("start", "count"), [(0, 10), (10, 256), (266, 34), (300, 256)])
def test_entries_that_are_gone_are_missing(log: Log, start: int, count: int) -> None:
    log.run("DELETE FROM bundles WHERE start = ?", start)
    found = log.audit()
    assert found.counts == {("entry", "missing"): count}
    assert found.first[0].index == start


@pytest.mark.parametrize("place", [0, 1, 2, 1 << 56])
def test_a_tile_that_is_gone_is_missing(log: Log, place: int) -> None:
    log.run("DELETE FROM tiles WHERE place = ?", place)
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.index) == ("tile", "missing", place % (1 << 56))


def test_entries_gone_with_their_tile_leave_the_rest_unchecked(log: Log) -> None:
    log.run("DELETE FROM bundles WHERE start = 300")
    log.run("DELETE FROM tiles WHERE place = 1")
    found = log.audit()
    assert found.size == 256
    assert found.root is None
    assert {fault.kind for fault in found.first} == {"entry", "tile"}
    assert any("from entry 256" in words for words in found.unchecked)


@pytest.mark.parametrize(
    "place",
    [3, 99, 1 << 55, (1 << 56) + 1, 2 << 56, 7 << 56, 8 << 56, (1 << 63) - 1, -1, -(1 << 63)],
)
def test_a_tile_beyond_the_log_is_extra(log: Log, place: int) -> None:
    log.run("INSERT INTO tiles VALUES (?, ?)", place, bytes(32))
    fault = only(log.audit())
    assert (fault.kind, fault.state) == ("tile", "extra")


@pytest.mark.parametrize("start", [700, 701, 1 << 40, -1])
def test_entries_beyond_the_head_are_extra(log: Log, start: int) -> None:
    content = log.ask("SELECT content FROM bundles WHERE start = 0")
    log.run("INSERT INTO bundles VALUES (?, ?)", start, content)
    found = log.audit()
    assert {fault.kind for fault in found.first} == {"entry"}
    assert found.first[0].state == "extra"
    assert found.first[0].index == start


def test_a_checkpoint_that_is_gone_is_missing(log: Log) -> None:
    log.run("DELETE FROM attachments WHERE kind = 'checkpoint' AND size = 300")
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.size) == ("checkpoint", "missing", 300)
    without = log.audit(guarded=False)
    assert [(fault.kind, fault.size) for fault in without.first] == [("stamp", 300)]


def test_a_second_checkpoint_of_one_size_is_extra(log: Log) -> None:
    content = log.ask("SELECT content FROM attachments WHERE kind = 'checkpoint' AND size = 300")
    again = sign_checkpoint(opened(content), KEYS.ed25519, KEYS.ml_dsa_44)
    assert again != content
    with closing(SqliteStore(log.path)) as store:
        store.attach(Attachment(300, CHECKPOINT, KEYS.origin, again))
    for guarded in (True, False):
        fault = only(log.audit(guarded=guarded))
        assert (fault.kind, fault.state, fault.size) == ("checkpoint", "extra", 300)


def test_another_good_signature_than_the_guards_is_wrong(log: Log) -> None:
    where = "kind = 'checkpoint' AND size = 300"
    content = log.ask(f"SELECT content FROM attachments WHERE {where}")
    again = sign_checkpoint(opened(content), KEYS.ed25519, KEYS.ml_dsa_44)
    log.set("attachments", "content", where, again)
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.size) == ("checkpoint", "wrong", 300)
    assert fault.offset == first_difference(content, again)


def test_a_checkpoint_beyond_the_log_is_extra(log: Log) -> None:
    content = log.ask("SELECT content FROM attachments WHERE kind = 'checkpoint' AND size = 300")
    with closing(SqliteStore(log.path)) as store:
        store.attach(Attachment(900, CHECKPOINT, KEYS.origin, content))
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.size) == ("checkpoint", "extra", 900)


def test_a_checkpoint_of_another_tree_is_wrong(log: Log) -> None:
    with closing(SqliteStore(log.path)) as store:
        content = store.attachments(CHECKPOINT, 300, 301)[0].content
        store.attach(Attachment(301, CHECKPOINT, KEYS.origin, content))
    found = log.audit(guarded=False)
    assert only(found).text == "says size 300, want 301"


def test_a_second_token_of_one_tsa_is_extra(log: Log) -> None:
    with closing(SqliteStore(log.path)) as store:
        content = store.attachments("stamp", 300, 301)[0].content
        log.set("attachments", "name", "kind = 'stamp' AND size = 300", "one")
        token = store.attachments("stamp", 700, 701)[0].content
        assert token != content
        store.attach(Attachment(300, "stamp", "one", token))
    found = log.audit()
    assert found.counts == {("stamp", "extra"): 1, ("stamp", "wrong"): 1}
    assert "imprint" in next(f.text for f in found.first if f.state == "wrong")


# Captured material


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Attachment(300, "crl", "one", b"\x30\x00"), "CRL"),
        (Attachment(300, "ocsp", "one", b"\x30\x00"), "OCSP"),
        (Attachment(300, "certificate", "one", b"\x30\x00"), "certificate"),
        (Attachment(300, "certificate", "two", TSA.root), "no token of two"),
        (Attachment(301, "certificate", "one", TSA.root), "no token of one"),
        (Attachment(300, "settled", "one", bytes(32)), "settles no token"),
    ],
)
def test_captured_material_that_cannot_be_is_found(log: Log, row: Attachment, reason: str) -> None:
    with closing(SqliteStore(log.path)) as store:
        store.attach(row)
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.size) == ("material", "wrong", row.size)
    assert reason in fault.text


def test_captured_material_that_fits_is_clean(log: Log) -> None:
    with closing(SqliteStore(log.path)) as store:
        token = store.attachments("stamp", 300, 301)[0].content
        store.attach(Attachment(300, "settled", "one", hashlib.sha256(token).digest()))
        store.attach(Attachment(300, "certificate", "one", TSA.root))
    assert is_clean(log.audit())


def test_rows_of_an_unknown_kind_are_told_and_not_judged(log: Log) -> None:
    with closing(SqliteStore(log.path)) as store:
        store.attach(Attachment(300, "novelty", "one", b"x"))
    found = log.audit()
    assert not found.first
    assert found.unchecked == ("side rows of kind 'novelty': not known here",)


# The lookup


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("DELETE FROM lookup WHERE position = 5", "missing"),
        ("INSERT INTO lookup VALUES (1, 99999)", "extra"),
        ("UPDATE lookup SET position = 2000 WHERE position = 5", "missing"),
        ("UPDATE looked_up SET size = 701", "wrong"),
        ("DELETE FROM looked_up", "wrong"),
    ],
)
def test_a_damaged_lookup_is_found(log: Log, statement: str, state: str) -> None:
    assert log.run(statement) == 1
    fault = only(log.audit())
    assert (fault.kind, fault.state) == ("lookup", state)


def test_a_lookup_that_lags_behind_is_clean(log: Log) -> None:
    log.run("DELETE FROM lookup WHERE position >= 400")
    log.run("UPDATE looked_up SET size = 400")
    assert is_clean(log.audit())


# The guard


def test_a_guard_that_is_gone_leaves_its_comparisons_unchecked(log: Log, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Guard(tmp_path / "none.db", create=False)
    found = log.audit(guarded=False)
    assert not found.first
    assert found.unchecked == ("guard: nothing could be compared with it",)
    log.guard_path = tmp_path / "new.db"
    Guard(log.guard_path).close()
    assert log.audit() == found


def test_a_store_behind_its_guard_is_found(log: Log, tmp_path: Path) -> None:
    behind = Log(tmp_path / "behind.db", log.guard_path)
    with closing(SqliteStore(behind.path)) as store, closing(Guard(tmp_path / "x.db")) as guard:
        fill(store, guard, 10)
        files = dict(guard.files(11))
    with closing(sqlite3.connect(log.guard_path)) as database:
        for size, file in files.items():
            where = "kind = 'checkpoint' AND size = ?"
            kept = database.execute("SELECT file FROM signed WHERE size = ?", (size,)).fetchone()[0]
            assert kept != file
            assert behind.run(f"UPDATE attachments SET content = ? WHERE {where}", kept, size) == 1
    behind.run("DELETE FROM attachments WHERE kind = 'stamp'")
    found = behind.audit()
    extra = [fault for fault in found.first if fault.state == "extra"]
    assert [(fault.kind, fault.size) for fault in extra] == [("guard", 300)]
    assert found.counts["guard", "extra"] == 2


def test_a_checkpoint_that_the_guard_never_signed_is_found(log: Log, tmp_path: Path) -> None:
    with closing(Guard(log.guard_path)) as guard, closing(Guard(tmp_path / "old.db")) as old:
        for size, file in guard.files(301):
            old.swap(None if size == 0 else old.greatest(), size, file)
    log.guard_path = tmp_path / "old.db"
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.size) == ("guard", "missing", 700)


def test_a_damaged_file_in_the_guard_is_the_guards_fault(log: Log, tmp_path: Path) -> None:
    with closing(Guard(log.guard_path)) as guard, closing(Guard(tmp_path / "bad.db")) as bad:
        for size, file in guard.files(1000):
            wrong = change(file, len(file) - 40, 1) if size == 300 else file
            bad.swap(None if size == 0 else bad.greatest(), size, wrong)
    log.guard_path = tmp_path / "bad.db"
    fault = only(log.audit())
    assert (fault.kind, fault.state, fault.size) == ("guard", "wrong", 300)


@pytest.mark.parametrize("step", ["after commit", "after swap"])
def test_what_a_crash_left_between_two_steps_is_unchecked_and_no_fault(log: Log, step: str) -> None:
    if step == "after commit":
        with closing(SqliteStore(log.path)) as store:
            extend(store, entries(700, 710))
    else:
        log.run("DELETE FROM attachments WHERE size = 700")
    found = log.audit()
    assert not found.first
    assert len(found.unchecked) == 1
    assert "yet" in found.unchecked[0]


def test_a_ledger_with_other_keys_is_refuted(log: Log) -> None:
    with closing(SqliteStore(log.path)) as store:
        found = audit(store, None, PUBLIC[:1])
    assert found.first[0].kind == "checkpoint"


# In memory too


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[tuple[MemoryStore, Guard]]:
    store = MemoryStore()
    with closing(Guard(tmp_path / "guard.db")) as guard:
        fill(store, guard, 10, 300, 700)
        yield store, guard


def break_entry(store: MemoryStore) -> None:
    store._entries[5] = bytes(64)
    store._first[bytes(64)] = 5


@pytest.mark.parametrize(
    ("damage", "kind", "state"),
    [
        (break_entry, "entry", "wrong"),
        (lambda store: store._entries.append(bytes(64)), "entry", "extra"),
        (lambda store: store._tiles.pop((0, 1)), "tile", "missing"),
        (lambda store: store._tiles.update({(1, 7): bytes(32)}), "tile", "extra"),
        (lambda store: store._first.pop(entry(5)), "lookup", "missing"),
    ],
)
def test_damage_to_a_store_in_memory_is_found(
    memory: tuple[MemoryStore, Guard],
    damage: Callable[[MemoryStore], object],
    kind: str,
    state: str,
) -> None:
    store, guard = memory
    damage(store)
    assert (audit(store, guard, PUBLIC).first[0].kind, state) == (kind, state)
    assert audit(store, guard, PUBLIC).first[0].state == state


def test_one_wrong_byte_is_mended_and_two_are_not() -> None:
    assert mended(b"abd", lambda trial: trial == b"abc", range(1, 256)) == (2, ord("c"))
    assert mended(b"xbd", lambda trial: trial == b"abc", range(1, 256)) is None
