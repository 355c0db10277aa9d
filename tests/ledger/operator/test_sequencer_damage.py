import contextlib
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import LedgerError, UnavailableError, VerificationError
from ledger.operator import sequencer as sequencer_module
from ledger.operator.guard import Guard
from ledger.operator.sequencer import Sequencer
from ledger.operator.store.memory import MemoryStore
from ledger.operator.store.protocol import Attachment, Store
from ledger.operator.store.sqlite import SqliteStore
from ledger.tlog.checkpoint import sign_checkpoint
from ledger.tlog.frontier import Frontier
from ledger.tlog.merkle import TreeHead
from ledger.tlog.tile import Tile, TileReader, extend_tiles
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


def run(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute(statement).rowcount == 1
        database.commit()


FLIP = "UPDATE tiles SET content = CAST(x'ff' || substr(content, 2) AS BLOB) WHERE place = {place}"
FLIP_ENTRY = (
    "UPDATE bundles SET content ="
    " CAST(substr(content, 1, 99) || x'ff' || substr(content, 101) AS BLOB) WHERE start = 266"
)
LEVEL_1 = 1 << 56


class Damaged(SqliteStore):
    """A store whose file is damaged right after a commit."""

    statement: str | None = None
    file: Path

    def commit(
        self,
        expected: TreeHead,
        new: TreeHead,
        entries: Sequence[bytes],
        tiles: Mapping[Tile, bytes],
    ) -> None:
        super().commit(expected, new, entries, tiles)
        if self.statement is not None:
            run(self.file, self.statement)


def assert_refuses(sequencer: Sequencer, guard: Guard, numbers: list[bytes]) -> None:
    """The append is refused as untrue, nothing is signed, and the sequencer stays closed."""
    before = guard.latest()
    with pytest.raises(VerificationError):
        sequencer.append(numbers)
    with pytest.raises(UnavailableError, match="closed"):
        sequencer.append([entry(1)])
    assert guard.latest() == before
    assert sequencer.checkpoint() == before


@pytest.mark.parametrize(
    "statement",
    [
        FLIP.format(place=0),  # a full tile just written, left of the edge
        FLIP.format(place=2),  # the partial tile
        FLIP.format(place=LEVEL_1),
        "DELETE FROM tiles WHERE place = 2",
        f"DELETE FROM tiles WHERE place = {LEVEL_1}",
        "DELETE FROM bundles WHERE start = 10",
        "DELETE FROM bundles WHERE start = 522",
        FLIP_ENTRY,
        "UPDATE head SET size = 599",
        "UPDATE head SET root = zeroblob(32)",
    ],
)
def test_damage_between_commit_and_signing_is_not_signed(
    path: Path, guard: Guard, statement: str
) -> None:
    with closing(Damaged(path)) as store:
        store.file = path
        sequencer = Sequencer(store, guard, KEYS)
        sequencer.append(entries(0, 10))
        store.statement = statement
        assert_refuses(sequencer, guard, entries(10, 600))


def test_damage_to_an_edge_tile_that_the_commit_left_alone_is_not_signed(
    path: Path, guard: Guard
) -> None:
    with closing(Damaged(path)) as store:
        store.file = path
        sequencer = Sequencer(store, guard, KEYS)
        sequencer.append(entries(0, 600))
        store.statement = FLIP.format(place=LEVEL_1)
        assert_refuses(sequencer, guard, entries(600, 601))


def test_a_root_computed_wrongly_before_the_commit_is_not_signed(
    store: Store, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(
        old: Frontier, leaves: Sequence[bytes], read: TileReader
    ) -> tuple[dict[Tile, bytes], Frontier]:
        tiles, new = extend_tiles(old, leaves, read)
        return tiles, Frontier(new.size, (*new.nodes[:-1], bytes(32)))

    sequencer = Sequencer(store, guard, KEYS)
    sequencer.append(entries(0, 10))
    monkeypatch.setattr(sequencer_module, "extend_tiles", wrong)
    assert_refuses(sequencer, guard, entries(10, 20))


@pytest.mark.parametrize(
    "statement",
    [FLIP.format(place=2), FLIP.format(place=LEVEL_1), "DELETE FROM tiles WHERE place = 2"],
)
def test_a_damaged_edge_is_noticed_before_it_is_extended(
    store: SqliteStore, path: Path, guard: Guard, statement: str
) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    sequencer.append(entries(0, 600))
    run(path, statement)
    assert_refuses(sequencer, guard, entries(600, 700))
    assert store.head().size == 600
    with pytest.raises(VerificationError):
        Sequencer(store, guard, KEYS)


@pytest.mark.parametrize(
    "statement",
    [
        FLIP.format(place=0),
        "DELETE FROM bundles",
        "UPDATE bundles SET content = zeroblob(length(content))",
    ],
)
def test_a_crash_with_damage_is_not_signed_at_the_next_start(
    store: SqliteStore, path: Path, guard: Guard, statement: str
) -> None:
    Sequencer(store, guard, KEYS)
    extend(store, entries(0, 5))
    run(path, statement)
    with pytest.raises(LedgerError):
        Sequencer(store, guard, KEYS)
    assert opened(guard.latest() or b"").size == 0


def test_a_damaged_file_in_the_guard_is_noticed_at_start(
    store: Store, guard: Guard, tmp_path: Path
) -> None:
    signed = Sequencer(store, guard, KEYS)
    signed.append(entries(0, 3))
    file = bytearray(signed.checkpoint())
    file[-40] ^= 1
    with closing(Guard(tmp_path / "damaged.db")) as damaged:
        damaged.swap(None, 3, bytes(file))
        with pytest.raises(LedgerError):
            Sequencer(store, damaged, KEYS)


def test_a_signer_that_signs_wrongly_never_reaches_the_guard(
    store: Store, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequencer = Sequencer(store, guard, KEYS)
    other = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    monkeypatch.setattr(
        sequencer_module,
        "sign_checkpoint",
        lambda checkpoint, _, ml_dsa_44: sign_checkpoint(checkpoint, other, ml_dsa_44),
    )
    with pytest.raises(VerificationError, match="both keys"):
        sequencer.append(entries(0, 1))
    assert opened(guard.latest() or b"").size == 0


class Failing(MemoryStore):
    """A store whose disk is full from the given call on."""

    full = ""

    def attach(self, attachment: Attachment, *, durable: bool = True) -> None:
        if self.full == "attach":
            raise UnavailableError("disk full")
        super().attach(attachment, durable=durable)

    def commit(
        self,
        expected: TreeHead,
        new: TreeHead,
        entries: Sequence[bytes],
        tiles: Mapping[Tile, bytes],
    ) -> None:
        if self.full == "commit":
            raise UnavailableError("disk full")
        super().commit(expected, new, entries, tiles)


@pytest.mark.parametrize("call", ["commit", "attach"])
def test_a_full_disk_closes_the_sequencer_and_the_next_start_goes_on(
    guard: Guard, call: str
) -> None:
    store = Failing()
    sequencer = Sequencer(store, guard, KEYS)
    sequencer.append(entries(0, 2))
    store.full = call
    with pytest.raises(UnavailableError, match="disk full"):
        sequencer.append(entries(2, 4))
    store.full = ""
    with pytest.raises(UnavailableError, match="closed"):
        sequencer.append(entries(2, 4))
    again = Sequencer(store, guard, KEYS)
    assert again.append(entries(2, 4)) == (2, 3)
    check_whole(store, guard, again)


# Dying


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(SqliteStore):
    """Dies at the step named ``at``."""

    at = ""

    def commit(
        self,
        expected: TreeHead,
        new: TreeHead,
        entries: Sequence[bytes],
        tiles: Mapping[Tile, bytes],
    ) -> None:
        if self.at == "before commit":
            die()
        super().commit(expected, new, entries, tiles)
        if self.at == "after commit":
            die()

    @contextlib.contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        with super()._writing(durable=durable) as connection:
            yield connection
            if self.at == "inside commit":
                die()  # everything is written, nothing committed

    def attach(self, attachment: Attachment, *, durable: bool = True) -> None:
        if self.at == "before publication":
            die()
        super().attach(attachment, durable=durable)
        if self.at == "after publication":
            die()


class DyingGuard(Guard):
    """Dies at the step named ``at``."""

    at = ""

    def swap(self, expected_size: int | None, size: int, signed_file: bytes) -> bytes:
        if self.at == "before swap":
            die()
        kept = super().swap(expected_size, size, signed_file)
        if self.at == "after swap":
            die()
        return kept


def append_and_die(folder: Path, at: str, first: bool) -> None:
    store, guard = DyingStore(folder / "store.db"), DyingGuard(folder / "guard.db")
    sequencer = Sequencer(store, guard, KEYS)
    if not first:
        sequencer.append(entries(0, 300))
        assert store.find(entry(299)) == 299
    store.at = guard.at = at
    sequencer.append(entries(300, 700))


@pytest.mark.parametrize("first", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("at", "size_there", "signed", "shown"),
    [
        ("before commit", False, False, False),
        ("inside commit", False, False, False),
        ("after commit", True, False, False),
        ("before swap", True, False, False),
        ("after swap", True, True, False),
        ("before publication", True, True, False),
        ("after publication", True, True, True),
    ],
)
def test_a_process_killed_between_steps_is_gone_on_from(
    tmp_path: Path, at: str, size_there: bool, signed: bool, shown: bool, first: bool
) -> None:
    child = multiprocessing.get_context("spawn").Process(
        target=append_and_die, args=(tmp_path, at, first)
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    old = 0 if first else 300
    new = old + 400
    with (
        closing(SqliteStore(tmp_path / "store.db")) as store,
        closing(Guard(tmp_path / "guard.db")) as guard,
    ):
        left = guard.latest()
        assert store.head().size == (new if size_there else old)
        assert opened(left or b"").size == (new if signed else old)
        assert bool(published(store, new)) is shown

        sequencer = Sequencer(store, guard, KEYS)
        if signed:
            assert sequencer.checkpoint() == left
        assert sequencer.append(entries(300, 700)) == tuple(range(old, new))
        assert store.head().size == new
        sequencer.append(entries(700, 710))
        check_whole(store, guard, sequencer)
        assert [row.size for row in published(store)] == sorted({0, old, new, new + 10})
