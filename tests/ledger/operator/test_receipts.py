"""What a ledger says of one entry: under which tree it proves it, and by whose stamps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.errors import NotFoundError, VerificationError
from ledger.operator.hosted import HostedLedger, read_settings
from ledger.operator.receipts import Receipt, find_receipt, first_from
from ledger.operator.sequencer import CHECKPOINT
from ledger.operator.stamper import KIND
from ledger.operator.store.memory import MemoryStore
from ledger.operator.store.protocol import Attachment
from ledger.tlog.checkpoint import check_signatures, parse_checkpoint
from ledger.tlog.merkle import InclusionProof, TreeHead, check_inclusion, leaf_hash
from ledger.tlog.note import parse_note
from ledger.tlog.proof import parse_proof_file
from tests.hosting import Clock, entries


@pytest.fixture
def hosted(home: Path) -> Iterator[HostedLedger]:
    with HostedLedger(home, read_settings(home, {}), clock=Clock()) as opened:
        yield opened


def receipt(hosted: HostedLedger, entry: bytes) -> Receipt:
    """The receipt of ``entry``, checked as a stranger does."""
    found = find_receipt(hosted.ledger, hosted.store, entry)
    file = parse_proof_file(found.proof)
    note = parse_note(file.checkpoint)
    assert len(check_signatures(note, hosted.ledger.keys)) == 2
    head = parse_checkpoint(note.text).head
    assert (file.index, head.size) == (found.index, found.size)
    check_inclusion(InclusionProof(file.index, head.size, file.path), leaf_hash(entry), head)
    return found


def places(hosted: HostedLedger, wanted: Sequence[bytes]) -> list[tuple[int, int, list[str]]]:
    """Index, size and stamps of each receipt; stamps by name, for TSAs answer in any order."""
    found = [receipt(hosted, entry) for entry in wanted]
    return [(one.index, one.size, sorted(row.name for row in one.stamps)) for one in found]


BOTH = ["development-1", "development-2"]


def test_without_a_stamp_it_is_the_smallest_signed_tree(hosted: HostedLedger) -> None:
    for start in (0, 3, 6):
        hosted.ledger.append(entries(3, start))
    wanted = entries(9)
    assert places(hosted, [wanted[0], wanted[2], wanted[3], wanted[8]]) == [
        (0, 3, []),
        (2, 3, []),
        (3, 6, []),
        (8, 9, []),
    ]


def test_with_stamps_it_is_the_smallest_stamped_tree(hosted: HostedLedger) -> None:
    for start in range(8):
        hosted.ledger.append(entries(1, start))
        if start in (2, 5):
            hosted.ledger.stamp()
    wanted = entries(8)
    assert places(hosted, wanted) == [
        *((index, 3, BOTH) for index in (0, 1, 2)),
        *((index, 6, BOTH) for index in (3, 4, 5)),
        *((index, index + 1, []) for index in (6, 7)),
    ]


def test_stamps_are_those_of_one_tree_only(hosted: HostedLedger) -> None:
    hosted.ledger.append(entries(1))
    hosted.ledger.append(entries(1, 1))
    hosted.ledger.stamp()
    (stamp, _) = receipt(hosted, entries(1)[0]).stamps
    # A tree just before, stamped by one alone: complete or not, it is the smallest with a stamp.
    hosted.store.attach(Attachment(1, KIND, stamp.name, stamp.content))
    assert places(hosted, entries(2)) == [(0, 1, [stamp.name]), (1, 2, BOTH)]


def test_entry_sent_twice_has_its_lowest_index(hosted: HostedLedger) -> None:
    hosted.ledger.append(entries(3))
    hosted.ledger.append([*entries(1, 3), *entries(2)])
    assert places(hosted, entries(1)) == [(0, 3, [])]


def test_what_the_ledger_never_had_has_no_receipt(hosted: HostedLedger) -> None:
    with pytest.raises(NotFoundError, match="nothing was appended yet"):
        find_receipt(hosted.ledger, hosted.store, entries(1)[0])
    hosted.ledger.append(entries(2))
    with pytest.raises(NotFoundError, match="the ledger has no such entry"):
        find_receipt(hosted.ledger, hosted.store, entries(1, 2)[0])


@dataclass
class Signed:
    """A ledger as ``find_receipt`` sees it whose newest signed file is an older one."""

    ledger: object
    newest: bytes

    def checkpoint(self) -> bytes:
        return self.newest

    def __getattr__(self, name: str) -> object:
        return getattr(self.ledger, name)


def test_entry_that_is_committed_and_not_signed_for_has_none_yet(hosted: HostedLedger) -> None:
    hosted.ledger.append(entries(2))
    older = Signed(hosted.ledger, hosted.ledger.checkpoint())
    hosted.ledger.append(entries(1, 2))
    wanted = entries(3)
    assert find_receipt(older, hosted.store, wanted[1]).size == 2  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="no such entry"):
        find_receipt(older, hosted.store, wanted[2])  # type: ignore[arg-type]


def test_store_that_no_longer_leads_to_what_was_signed_gives_no_receipt(
    hosted: HostedLedger,
) -> None:
    hosted.ledger.append(entries(3))
    connection = hosted.store._database.conn
    connection.execute("UPDATE tiles SET content = zeroblob(length(content)) WHERE place = 0")
    with pytest.raises(VerificationError):
        find_receipt(hosted.ledger, hosted.store, entries(1)[0])


def stored(*rows: tuple[str, int, str]) -> MemoryStore:
    """A store with a row of each kind, size and name, in this order."""
    store = MemoryStore()
    size = max(size for _, size, _ in rows)
    store.commit(store.head(), TreeHead(size, bytes(32)), [bytes(64)] * size, {})
    for kind, at, name in rows:
        store.attach(Attachment(at, kind, name, name.encode()))
    return store


def test_first_rows_are_found_over_gaps_of_any_length() -> None:
    sizes = (1, 2, 3, 10, 11, 100, 400, 401, 5000)
    store = stored(*((KIND, size, "a") for size in sizes), (CHECKPOINT, 50, "b"))
    for start in range(1, 5001):
        (row,) = first_from(store, KIND, start, 5000)
        assert row.size == min(size for size in sizes if size >= start)


def test_first_rows_are_all_of_their_size_and_in_the_order_they_came() -> None:
    store = stored((KIND, 7, "b"), (KIND, 6, "z"), (KIND, 6, "a"), (CHECKPOINT, 5, "c"))
    assert [(row.size, row.name) for row in first_from(store, KIND, 1, 7)] == [(6, "z"), (6, "a")]


def test_what_lies_outside_of_the_range_is_not_found() -> None:
    store = stored((KIND, 10, "a"), (KIND, 20, "a"))
    assert first_from(store, KIND, 11, 19) == ()
    assert first_from(store, KIND, 21, 20) == ()
    assert first_from(store, "another", 1, 20) == ()
    for start, stop in ((10, 10), (1, 10), (11, 20), (20, 20)):
        (row,) = first_from(store, KIND, start, stop)
        assert row.size == stop
