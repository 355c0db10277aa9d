import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import (
    ConflictError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from ledger.operator import sequencer as sequencer_module
from ledger.operator.guard import Guard
from ledger.operator.sequencer import CHECKPOINT, LedgerKeys, Sequencer
from ledger.operator.store.memory import MemoryStore
from ledger.operator.store.protocol import Attachment, Store
from ledger.operator.store.sqlite import SqliteStore
from ledger.tlog.checkpoint import (
    Checkpoint,
    sign_checkpoint,
)
from ledger.tlog.merkle import EMPTY_ROOT, TreeHead
from ledger.tlog.tile import Tile
from tests.sequencer_checks import KEYS, check_whole, entries, opened, published
from tests.store_contract import entry, extend


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store's database lies."""
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path)) as store:
        yield store


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    with closing(Guard(tmp_path / "state" / "guard.db")) as guard:
        yield guard


# Appending


def test_indexes_follow_the_order_of_the_entries(store: Store, guard: Guard) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    assert sequencer.append(entries(0, 3)) == (0, 1, 2)
    assert sequencer.append(entries(3, 600)) == tuple(range(3, 600))
    check_whole(store, guard, sequencer)


def test_each_append_is_one_commit_with_one_published_checkpoint(
    store: Store, guard: Guard
) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    for stop in (1, 5, 300):
        sequencer.append(entries(store.head().size, stop))
    assert [row.size for row in published(store)] == [0, 1, 5, 300]
    check_whole(store, guard, sequencer)


def test_an_entry_already_there_gets_its_first_index(store: Store, guard: Guard) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    sequencer.append(entries(0, 10))
    before = sequencer.checkpoint()
    assert sequencer.append([entry(7), entry(2), entry(7)]) == (7, 2, 7)
    assert sequencer.checkpoint() == before
    assert sequencer.append([entry(3), entry(50), entry(9), entry(51)]) == (3, 10, 9, 11)
    assert store.head().size == 12
    check_whole(store, guard, sequencer)


def test_an_entry_twice_in_one_call_is_appended_once(store: Store, guard: Guard) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    assert sequencer.append([entry(1), entry(2), entry(1), entry(2)]) == (0, 1, 0, 1)
    assert store.head().size == 2


def test_no_entries_append_nothing(store: Store, guard: Guard) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    assert sequencer.append([]) == ()
    with pytest.raises(NotFoundError):
        sequencer.checkpoint()


@pytest.mark.parametrize("length", [0, 63, 65])
def test_an_entry_that_is_not_64_bytes_is_refused(store: Store, guard: Guard, length: int) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    with pytest.raises(ValueError, match=f"entry has {length} bytes, want 64"):
        sequencer.append([entry(1), bytes(length)])
    assert sequencer.append([entry(2)]) == (0,)


def test_repeats_are_found_in_bulk_too(
    store: Store, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer_module, "BULK_ENTRIES", 10)
    monkeypatch.setattr(sequencer_module, "READ_ENTRIES", 7)
    sequencer = Sequencer(store, guard, KEYS)
    sequencer.append(entries(0, 20))
    alike = entry(5)[:8] + b"another entry of the same first bytes" + bytes(19)
    assert sequencer.append([entry(5), alike, entry(20), entry(19)]) == (5, 20, 21, 19)
    assert sequencer.append([alike, entry(20), entry(22), entry(0)]) == (20, 21, 22, 0)
    check_whole(store, guard, sequencer)


def test_repeats_are_found_when_the_log_outgrows_the_table(
    store: Store, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer_module, "BULK_ENTRIES", 1)
    monkeypatch.setattr(sequencer_module, "MAX_ENTRIES", 40)
    sequencer = Sequencer(store, guard, KEYS)
    for start in range(0, 60, 6):
        assert sequencer.append(entries(0, start + 6)) == tuple(range(start + 6))
    check_whole(store, guard, sequencer)


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=8), st.booleans())
def test_indexes_are_those_of_a_list_without_repeats(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[int]], again: bool
) -> None:
    store, model = MemoryStore(), dict[int, int]()
    with closing(Guard(tmp_path_factory.mktemp("state") / "guard.db")) as guard:
        sequencer = Sequencer(store, guard, KEYS)
        for numbers in calls:
            for number in numbers:
                model.setdefault(number, len(model))
            if again:
                sequencer = Sequencer(store, guard, KEYS)
            assert sequencer.append(list(map(entry, numbers))) == tuple(map(model.get, numbers))
    assert store.entries(0, len(model)) == tuple(map(entry, model))


def test_threads_get_one_index_for_one_entry(store: Store, guard: Guard) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    answers: list[dict[bytes, int]] = []

    def work(step: int) -> None:
        own: dict[bytes, int] = {}
        for start in range(0, 40, step):
            batch = entries(start, start + step)
            own.update(zip(batch, sequencer.append(batch), strict=True))
        answers.append(own)

    threads = [threading.Thread(target=work, args=(step,)) for step in (2, 4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers[0] == answers[1] == answers[2]
    assert store.head().size == 40
    check_whole(store, guard, sequencer)


# Starting


def test_a_new_ledger_signs_its_empty_head_but_has_no_checkpoint_to_stamp(
    store: Store, guard: Guard
) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    assert opened(guard.latest() or b"").head == TreeHead(0, EMPTY_ROOT)
    with pytest.raises(NotFoundError):
        sequencer.checkpoint()


def test_starting_again_changes_nothing(store: Store, guard: Guard) -> None:
    first = Sequencer(store, guard, KEYS)
    first.append(entries(0, 5))
    again = Sequencer(store, guard, KEYS)
    assert again.checkpoint() == first.checkpoint()
    assert len(published(store)) == 2
    assert again.append([entry(4), entry(5)]) == (4, 5)
    check_whole(store, guard, again)


def refused(store: Store, guard: Guard) -> ConflictError:
    """The error with which a restored or copied ledger is refused, with nothing signed."""
    before = guard.latest()
    with pytest.raises(ConflictError) as caught:
        Sequencer(store, guard, KEYS)
    assert "never continued" in (caught.value.hint or "")
    assert guard.latest() == before
    return caught.value


def test_a_restored_old_store_is_refused(path: Path, guard: Guard) -> None:
    with closing(SqliteStore(path)) as store:
        Sequencer(store, guard, KEYS).append(entries(0, 3))
    backup = path.with_name("backup.db")
    shutil.copy(path, backup)
    with closing(SqliteStore(path)) as store:
        Sequencer(store, guard, KEYS).append(entries(3, 5))
    shutil.copy(backup, path)
    with closing(SqliteStore(path)) as store:
        assert "has 3 entries, the guard signed 5" in str(refused(store, guard))


def test_a_restored_old_guard_is_refused(store: Store, tmp_path: Path) -> None:
    with closing(Guard(tmp_path / "guard.db")) as guard:
        Sequencer(store, guard, KEYS).append(entries(0, 3))
    shutil.copy(tmp_path / "guard.db", tmp_path / "old.db")
    with closing(Guard(tmp_path / "guard.db")) as guard:
        Sequencer(store, guard, KEYS).append(entries(3, 5))
    with closing(Guard(tmp_path / "old.db")) as guard:
        assert "size 5 is published, the guard never signed it" in str(refused(store, guard))


def test_a_lost_guard_or_a_copy_on_another_machine_is_refused(
    store: Store, guard: Guard, tmp_path: Path
) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    with closing(Guard(tmp_path / "empty.db")) as empty:
        refused(store, empty)  # even before the first append
        sequencer.append(entries(0, 3))
        assert "the guard never signed anything" in str(refused(store, empty))


def test_a_store_beside_the_guard_is_refused(store: Store, guard: Guard) -> None:
    Sequencer(store, guard, KEYS).append(entries(0, 3))
    for size in (3, 4, 300):
        beside = MemoryStore()
        extend(beside, entries(100, 100 + size))
        assert "another tree of size 3" in str(refused(beside, guard))


def test_a_published_checkpoint_of_another_tree_is_refused(store: Store, guard: Guard) -> None:
    Sequencer(store, guard, KEYS).append(entries(0, 3))
    other = sign_checkpoint(Checkpoint(KEYS.origin, 3, bytes(32)), KEYS.ed25519, KEYS.ml_dsa_44)
    store.attach(Attachment(3, CHECKPOINT, KEYS.origin, other))
    assert "another tree of size 3 is published" in str(refused(store, guard))


def test_beside_another_signature_of_the_same_tree_the_guards_bytes_are_published(
    store: Store, tmp_path: Path
) -> None:
    source, copy = MemoryStore(), MemoryStore()
    with closing(Guard(tmp_path / "guard.db")) as guard:
        Sequencer(source, guard, KEYS).append(entries(0, 3))
        head = extend(copy, entries(0, 3))
        other = sign_checkpoint(Checkpoint(KEYS.origin, 3, head.root), KEYS.ed25519, KEYS.ml_dsa_44)
        assert other != guard.latest()
        copy.attach(Attachment(3, CHECKPOINT, KEYS.origin, other))
        sequencer = Sequencer(copy, guard, KEYS)
        assert sequencer.checkpoint() == guard.latest() == published(copy)[-1].content


def test_a_guard_of_another_ledger_is_refused(store: Store, guard: Guard) -> None:
    Sequencer(MemoryStore(), guard, KEYS)
    other = LedgerKeys("example.org/other", KEYS.ed25519, KEYS.ml_dsa_44)
    with pytest.raises(ConflictError, match=r"guard is of example.org/log"):
        Sequencer(store, guard, other)


def test_other_keys_under_the_same_name_are_refused(store: Store, guard: Guard) -> None:
    Sequencer(store, guard, KEYS).append(entries(0, 3))
    other = MLDSA44PrivateKey.from_seed_bytes(b"\x01" * 32)
    with pytest.raises(VerificationError, match="not signed by both keys"):
        Sequencer(store, guard, LedgerKeys(KEYS.origin, KEYS.ed25519, other))


# Two writers


def test_a_second_sequencer_on_the_same_store_conflicts(
    store: SqliteStore, guard: Guard, path: Path
) -> None:
    first = Sequencer(store, guard, KEYS)
    with closing(SqliteStore(path)) as other:
        second = Sequencer(other, guard, KEYS)
        first.append(entries(0, 3))
        for _ in range(2):
            with pytest.raises(ConflictError, match="another writer moved the store to size 3"):
                second.append(entries(5, 6))
        third = Sequencer(other, guard, KEYS)
        assert third.append(entries(5, 6)) == (3,)
        check_whole(other, guard, third)


class Racing(SqliteStore):
    """A store in which another sequencer appends between two calls of ours."""

    race: Callable[[], object] | None = None

    def commit(
        self,
        expected: TreeHead,
        new: TreeHead,
        entries: Sequence[bytes],
        tiles: Mapping[Tile, bytes],
    ) -> None:
        race, self.race = self.race, None
        if race is not None:
            race()
        super().commit(expected, new, entries, tiles)


def test_a_writer_that_loses_the_commit_conflicts_and_stays_closed(
    guard: Guard, path: Path
) -> None:
    with closing(Racing(path)) as store, closing(SqliteStore(path)) as other:
        loser, winner = Sequencer(store, guard, KEYS), Sequencer(other, guard, KEYS)
        store.race = lambda: winner.append(entries(0, 2))
        with pytest.raises(ConflictError, match="head is at 2, want 0"):
            loser.append(entries(10, 12))
        with pytest.raises(UnavailableError, match="closed"):
            loser.append(entries(10, 12))
        check_whole(other, guard, winner)


def test_two_copies_of_a_store_under_one_guard_never_sign_two_trees(
    store: Store, guard: Guard
) -> None:
    copy = MemoryStore()
    first, second = Sequencer(store, guard, KEYS), Sequencer(copy, guard, KEYS)
    first.append(entries(0, 3))
    for numbers in (entries(10, 13), entries(10, 14)):
        with pytest.raises((ConflictError, UnavailableError)):
            second.append(numbers)
        assert guard.latest() == first.checkpoint()
        assert [row.size for row in published(copy)] == [0]
    refused(copy, guard)


def test_two_starts_after_one_crash_publish_the_same_bytes(
    store: SqliteStore, guard: Guard, path: Path
) -> None:
    Sequencer(store, guard, KEYS)
    extend(store, entries(0, 3))
    files: list[bytes] = []
    barrier = threading.Barrier(3)

    def start() -> None:
        with closing(SqliteStore(path)) as own:
            barrier.wait(timeout=60)
            files.append(Sequencer(own, guard, KEYS).checkpoint())

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(files) == {guard.file(3)}
    assert len(files) == 3
    assert [row.size for row in published(store)] == [0, 3]
