"""The ledger in process: turns between processes, crashes, and ledgers that must not go on."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.operator.capture import Capture
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.guard import Guard
from ledger.operator.local import LOW_DISK_BYTES, LocalLedger
from ledger.operator.stamper import Stamper
from ledger.operator.store.sqlite import SqliteStore
from ledger.tlog.checkpoint import check_signatures, parse_checkpoint
from ledger.tlog.merkle import check_inclusion, leaf_hash, prove_inclusion
from ledger.tlog.note import parse_note
from ledger.tlog.tile import tile_hash_reader
from tests.sequencer_checks import KEYS, entries

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TSA = DevelopmentTsa.create("one", lambda: NOW)


@dataclass
class Opener:
    """Opens the ledger in ``folder`` as one process after another would."""

    folder: Path
    closing: list[Callable[[], None]]
    free: Callable[[], int] | None = None

    def __call__(
        self, store: str = "store.sqlite", guard: str = "guard.sqlite", *, capture: bool = False
    ) -> LocalLedger:
        kept, watched = SqliteStore(self.folder / store), Guard(self.folder / guard)
        self.closing += [kept.close, watched.close]
        watching = Capture(kept, [TSA.root], clock=lambda: NOW) if capture else None
        stamper = Stamper(
            kept,
            [TSA],
            wanted=1,
            minimum_interval=timedelta(0),
            clock=lambda: NOW,
            random_bytes=lambda size: bytes(range(1, size + 1)),
            after=watching.after if watching else None,
        )
        return LocalLedger(kept, watched, KEYS, stamper, [TSA.root], watching, self.free)

    def copy(self, old: str, new: str) -> None:
        """A backup or a restore: the database file as it is, with what is not yet merged in."""
        for tail in ("", "-wal"):
            if (self.folder / (old + tail)).exists():
                shutil.copy(self.folder / (old + tail), self.folder / (new + tail))


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    made = Opener(tmp_path, [])
    yield made
    for close in made.closing:
        close()


def size(ledger: LocalLedger) -> int:
    note = parse_note(ledger.checkpoint())
    assert len(check_signatures(note, ledger.keys)) == 2
    return parse_checkpoint(note.text).size


def test_entries_get_indexes_a_checkpoint_and_proofs(opener: Opener) -> None:
    ledger = opener()
    assert ledger.append(entries(0, 3)) == (0, 1, 2)
    assert ledger.append([*entries(1, 2), *entries(3, 4)]) == (1, 3)
    head = parse_checkpoint(parse_note(ledger.checkpoint()).text).head
    for index, one in enumerate(entries(0, 4)):
        proof = prove_inclusion(index, 4, tile_hash_reader(4, ledger.tiles))
        check_inclusion(proof, leaf_hash(one), head)
    assert ledger.origin == KEYS.origin
    assert ledger.certificates() == (TSA.root,)
    assert ledger.closed is None


def test_new_ledger_has_no_checkpoint_and_no_stamp(opener: Opener) -> None:
    ledger = opener()
    with pytest.raises(NotFoundError, match="nothing was appended yet"):
        ledger.checkpoint()
    assert ledger.stamp() is None
    assert ledger.stamps() == ()
    with pytest.raises(NotFoundError, match="no checkpoint of size 7"):
        ledger.signed_file(7)


def test_stamp_is_over_the_newest_file(opener: Opener) -> None:
    ledger = opener()
    ledger.append(entries(0, 2))
    report = ledger.stamp()
    assert report is not None
    assert (report.size, report.answered) == (2, ("one",))
    assert [stamp.size for stamp in ledger.stamps()] == [2]


def test_what_is_captured_belongs_to_the_ledger(opener: Opener) -> None:
    ledger = opener()
    assert (ledger.recapture(), ledger.material()) == ((), ())
    assert opener(capture=True).certificates() == (TSA.root,)
    ledger = opener(capture=True)
    ledger.append(entries(0, 2))
    report = ledger.stamp()
    assert report is not None
    # The certificates of a development TSA name neither a CRL nor a responder.
    assert (report.complete, report.material) == (True, ())
    assert (ledger.recapture(), ledger.material()) == ((), ())


def test_two_that_have_it_open_append_in_turns(opener: Opener) -> None:
    one, other = opener(), opener()
    assert one.append(entries(0, 1)) == (0,)
    assert other.append(entries(1, 2)) == (1,)
    assert one.append(entries(1, 3)) == (1, 2)
    assert other.append(entries(0, 4)) == (0, 1, 2, 3)
    assert size(one) == size(other) == 4
    assert one.signed_file(3) == other.signed_file(3)
    report = one.stamp()
    assert report is not None
    assert report.size == 4


@pytest.mark.parametrize("step", ["swap", "commit", "attach"])
def test_append_that_failed_is_done_again(
    opener: Opener, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ledger = opener()
    ledger.append(entries(0, 1))

    def full(*_: object, **__: object) -> None:
        raise UnavailableError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Guard if step == "swap" else SqliteStore, step, full)
        with pytest.raises(UnavailableError, match="disk full"):
            ledger.append(entries(1, 2))
    assert ledger.append(entries(1, 3)) == (1, 2)
    assert size(ledger) == 3


def test_checkpoint_between_commit_and_publication_is_the_one_before(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, reader = opener(), opener()
    ledger.append(entries(0, 1))

    def die(*_: object) -> None:
        raise UnavailableError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Guard, "swap", die)
        with pytest.raises(UnavailableError):
            ledger.append(entries(1, 2))
    assert size(reader) == 1
    assert size(opener()) == 2


def make_restored(opener: Opener) -> None:
    """A store of one entry beside a guard that has signed two."""
    ledger = opener()
    ledger.append(entries(0, 1))
    ledger.stamp()
    opener.copy("store.sqlite", "restored.sqlite")
    ledger.append(entries(1, 2))


@pytest.mark.parametrize("case", ["restored", "guard lost"])
def test_ledger_that_must_not_go_on_can_be_read_but_not_written(opener: Opener, case: str) -> None:
    make_restored(opener)
    if case == "restored":
        ledger, want = opener(store="restored.sqlite"), 1
    else:
        ledger, want = opener(guard="new.sqlite"), 2
    assert ledger.closed is not None
    assert ledger.closed.hint is not None
    for forbidden in (lambda: ledger.append(entries(5, 6)), ledger.stamp, ledger.recapture):
        with pytest.raises(ConflictError) as caught:
            forbidden()
        assert caught.value is ledger.closed
    assert size(ledger) == want
    assert [stamp.size for stamp in ledger.stamps()] == [1]
    head = parse_checkpoint(parse_note(ledger.signed_file(want)).text).head
    proof = prove_inclusion(0, want, tile_hash_reader(want, ledger.tiles))
    check_inclusion(proof, leaf_hash(entries(0, 1)[0]), head)


def test_closed_ledger_signs_nothing(opener: Opener) -> None:
    make_restored(opener)
    before = Guard(opener.folder / "guard.sqlite")
    latest = before.latest()
    opener(store="restored.sqlite")
    assert before.latest() == latest
    before.close()


def test_ledger_that_another_restored_meanwhile_is_not_appended_to(opener: Opener) -> None:
    make_restored(opener)
    ledger = opener()
    for closing in opener.closing:
        closing()
    opener.closing.clear()
    opener.copy("restored.sqlite", "store.sqlite")
    for tail in ("-wal", "-shm"):
        (opener.folder / f"store.sqlite{tail}").unlink(missing_ok=True)
    assert ledger.closed is None
    with pytest.raises(ConflictError, match="guard signed 2"):
        opener().append(entries(7, 8))


def test_low_disk_refuses_appends_before_anything_is_written_and_goes_on_reading(
    opener: Opener,
) -> None:
    free = [LOW_DISK_BYTES]
    opener.free = lambda: free[0]
    ledger = opener()
    assert ledger.append(entries(0, 3)) == (0, 1, 2)
    free[0] -= 1
    with pytest.raises(UnavailableError, match="the disk has 31 MiB free, want 32 to append"):
        ledger.append(entries(3, 5))
    assert size(ledger) == size(opener()) == 3
    free[0] += 1
    assert ledger.append(entries(3, 5)) == (3, 4)
