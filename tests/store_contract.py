"""The store contract: every store keeps these promises. A test file subclasses and gives a store.

``store`` is a new, empty store; ``open_again()`` opens the same database once more, as another
process would. Stores without a database answer with the same object.
"""

import hashlib
import threading
from collections.abc import Callable

import pytest

from ledger.errors import ConflictError, NotFoundError
from ledger.operator.store.protocol import Attached, Attachment, Store
from ledger.tlog.frontier import read_frontier
from ledger.tlog.merkle import EMPTY_ROOT, TreeHead, leaf_hash, root_of_leaves
from ledger.tlog.tile import Tile, extend_tiles, tile_hash_reader, tiles_of


def entry(number: int) -> bytes:
    """Entry ``number`` of the tests: 64 bytes, another for each number."""
    return number.to_bytes(8, "big") * 8


def extend(store: Store, entries: list[bytes]) -> TreeHead:
    """Commit ``entries`` to ``store`` as the sequencer does; the new head."""
    old = store.head()
    tiles, new = extended(store, entries)
    store.commit(old, new, entries, tiles)
    return new


def extended(store: Store, entries: list[bytes]) -> tuple[dict[Tile, bytes], TreeHead]:
    """What a commit of ``entries`` would write, and the head it would give."""
    size = store.head().size
    old = read_frontier(size, tile_hash_reader(size, store.tiles))
    tiles, new = extend_tiles(old, [leaf_hash(e) for e in entries], store.tiles)
    return tiles, new.head()


class StoreContract:
    """Subclasses define the fixtures ``store`` and ``open_again``."""

    def test_a_new_store_is_empty(self, store: Store) -> None:
        assert store.head() == TreeHead(0, EMPTY_ROOT)
        assert store.entries(0, 0) == ()
        assert store.tiles([]) == ()
        assert store.find(entry(1)) is None
        assert store.attachments("checkpoint", 0, 1 << 62) == ()

    def test_what_was_committed_is_read_back(self, store: Store) -> None:
        entries = [entry(i) for i in range(700)]
        head = extend(store, entries)
        assert store.head() == head
        assert head.root == root_of_leaves([leaf_hash(e) for e in entries])
        assert store.entries(0, 700) == tuple(entries)

    def test_every_range_of_entries_across_commits_is_answered(self, store: Store) -> None:
        entries = [entry(i) for i in range(12)]
        for start, stop in ((0, 1), (1, 2), (2, 7), (7, 12)):
            extend(store, entries[start:stop])
        for start in range(13):
            for stop in range(start, 13):
                assert store.entries(start, stop) == tuple(entries[start:stop])

    def test_entries_of_any_length_are_kept(self, store: Store) -> None:
        entries = [b"", b"a", b"\x00" * 300, b"\x01\x02", b"x" * 65535]
        extend(store, entries)
        assert store.entries(0, 5) == tuple(entries)
        assert store.find(b"") == 0

    def test_entries_beyond_the_head_are_not_found(self, store: Store) -> None:
        extend(store, [entry(1)])
        for start, stop in ((0, 2), (1, 2), (5, 6)):
            with pytest.raises(NotFoundError):
                store.entries(start, stop)

    def test_a_backward_or_negative_range_is_a_callers_mistake(self, store: Store) -> None:
        for start, stop in ((1, 0), (-1, 0)):
            with pytest.raises(ValueError, match="range"):
                store.entries(start, stop)

    def test_a_commit_on_a_moved_head_conflicts_and_leaves_nothing(self, store: Store) -> None:
        old = store.head()
        tiles, new = extended(store, [entry(2)])
        head = extend(store, [entry(1)])
        with pytest.raises(ConflictError):
            store.commit(old, new, [entry(2)], tiles)
        assert store.head() == head
        assert store.entries(0, 1) == (entry(1),)
        assert store.find(entry(2)) is None

    def test_a_commit_on_a_head_of_same_size_and_other_root_conflicts(self, store: Store) -> None:
        head = extend(store, [entry(1)])
        other = TreeHead(1, bytes(32))
        with pytest.raises(ConflictError):
            store.commit(other, TreeHead(2, bytes(32)), [entry(2)], {})
        assert store.head() == head

    def test_a_commit_whose_entries_do_not_fill_the_sizes_is_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="1 entries, want 2"):
            store.commit(store.head(), TreeHead(2, bytes(32)), [entry(1)], {})
        assert store.head().size == 0

    def test_a_commit_with_an_entry_too_long_for_a_bundle_is_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="65535"):
            store.commit(store.head(), TreeHead(1, bytes(32)), [bytes(65536)], {})

    def test_a_commit_with_a_tile_of_another_length_is_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="want 32"):
            store.commit(store.head(), TreeHead(1, bytes(32)), [b"e"], {Tile(0, 0, 1): b"short"})

    def test_every_tile_of_the_log_is_there(self, store: Store) -> None:
        leaves = [leaf_hash(entry(i)) for i in range(600)]
        extend(store, [entry(i) for i in range(300)])
        extend(store, [entry(i) for i in range(300, 600)])
        wanted = list(tiles_of(600))
        contents = dict(zip(wanted, store.tiles(wanted), strict=True))
        assert contents[Tile(0, 0, 256)] == b"".join(leaves[:256])
        assert contents[Tile(0, 2, 88)] == b"".join(leaves[512:])
        assert contents[Tile(1, 0, 2)] == root_of_leaves(leaves[:256]) + root_of_leaves(
            leaves[256:512]
        )

    def test_tiles_come_in_the_order_asked_and_repeats_too(self, store: Store) -> None:
        extend(store, [entry(i) for i in range(600)])
        one, two = Tile(0, 1, 256), Tile(0, 0, 256)
        first, second, third = store.tiles([one, two, one])
        assert first == third != second
        assert store.tiles([two]) == (second,)

    def test_a_partial_tile_is_answered_from_a_wider_one(self, store: Store) -> None:
        for number in range(5):
            extend(store, [entry(number)])
        leaves = [leaf_hash(entry(i)) for i in range(5)]
        for width in range(1, 6):
            assert store.tiles([Tile(0, 0, width)]) == (b"".join(leaves[:width]),)

    def test_a_missing_or_narrower_tile_is_not_found(self, store: Store) -> None:
        extend(store, [entry(1), entry(2)])
        for tile in (Tile(0, 0, 3), Tile(0, 1, 1), Tile(1, 0, 1)):
            with pytest.raises(NotFoundError):
                store.tiles([Tile(0, 0, 1), tile])

    def test_find_answers_the_lowest_index(self, store: Store) -> None:
        extend(store, [entry(1), entry(2), entry(1)])
        assert (store.find(entry(1)), store.find(entry(2))) == (0, 1)
        extend(store, [entry(2), entry(3)])
        assert (store.find(entry(2)), store.find(entry(3))) == (1, 4)

    def test_find_each_answers_in_the_order_asked(self, store: Store) -> None:
        extend(store, [entry(i) for i in range(400)])
        wanted = [entry(399), entry(7), entry(999), entry(7)]
        assert store.find_each(wanted) == (399, 7, None, 7)
        assert store.find_each([]) == ()

    def test_two_entries_that_share_their_first_bytes_are_told_apart(self, store: Store) -> None:
        alike = [b"\xff" * 63 + bytes([i]) for i in range(5)]
        extend(store, alike[:4])
        assert store.find_each(alike) == (0, 1, 2, 3, None)

    @pytest.mark.parametrize(
        "prefix", [b"\x00" * 8, b"\x80" + b"\x00" * 7, b"\x7f" + b"\xff" * 7, b"\xff" * 8, b"short"]
    )
    def test_find_knows_entries_of_every_prefix(self, store: Store, prefix: bytes) -> None:
        extend(store, [entry(5), prefix + b"rest"])
        assert store.find(prefix + b"rest") == 1
        assert store.find(prefix + b"else") is None

    def test_attachments_come_by_size_then_as_attached(self, store: Store) -> None:
        rows = [
            Attachment(5, "token", "a", b"1"),
            Attachment(3, "token", "z", b"2"),
            Attachment(5, "token", "a", b"0"),
            Attachment(3, "token", "b", b"3"),
        ]
        for row in rows:
            store.attach(row)
        store.attach(Attachment(4, "checkpoint", "a", b"other kind"))
        assert store.attachments("token", 0, 9) == (rows[1], rows[3], rows[0], rows[2])
        assert store.attachments("token", 3, 5) == (rows[1], rows[3])
        assert store.attachments("token", 6, 9) == ()
        assert [row.size for row in store.attachments("checkpoint", 0, 2**63 - 1)] == [4]

    def test_the_same_attachment_twice_is_kept_once(self, store: Store) -> None:
        first, second = Attachment(1, "token", "a", b"x"), Attachment(1, "token", "a", b"y")
        for row in (first, second, first, second):
            store.attach(row)
        assert store.attachments("token", 0, 2) == (first, second)

    def test_what_was_committed_is_there_after_opening_again(
        self, store: Store, open_again: Callable[[], Store]
    ) -> None:
        head = extend(store, [entry(i) for i in range(300)])
        row = Attachment(300, "token", "a", b"x")
        store.attach(row)
        assert store.find(entry(1)) == 1
        again = open_again()
        assert again.head() == head
        assert again.entries(299, 300) == (entry(299),)
        assert again.tiles([Tile(1, 0, 1)]) == store.tiles([Tile(1, 0, 1)])
        assert again.attachments("token", 0, 301) == (row,)
        assert again.find(entry(299)) == 299

    def test_another_opener_sees_each_commit_at_once(
        self, store: Store, open_again: Callable[[], Store]
    ) -> None:
        again = open_again()
        assert again.find(entry(0)) is None
        extend(store, [entry(0)])
        assert again.find(entry(0)) == 0
        extend(again, [entry(1)])
        assert store.find_each([entry(0), entry(1)]) == (0, 1)

    def test_what_is_attached_is_listed_without_its_content(self, store: Store) -> None:
        rows = [Attachment(size, "crl", "one", bytes([size])) for size in (3, 1, 2)]
        for row in (*rows, rows[0], Attachment(1, "ocsp", "one", b"other")):
            store.attach(row)
        digests = {row.size: hashlib.sha256(row.content).digest() for row in rows}
        want = tuple(Attached(size, "crl", "one", digests[size]) for size in (1, 2, 3))
        assert store.attached("crl") == want
        assert store.attached("none") == ()

    def test_what_is_attached_undurably_is_seen_and_kept_once(
        self, store: Store, open_again: Callable[[], Store]
    ) -> None:
        row = Attachment(1, "checkpoint", "one", b"signed")
        store.attach(row, durable=False)
        store.attach(row)
        assert open_again().attachments("checkpoint", 0, 9) == (row,)

    def test_of_two_writers_at_once_exactly_one_wins_each_size(
        self, store: Store, open_again: Callable[[], Store]
    ) -> None:
        rounds, writers = 20, (store, open_again())
        barrier = threading.Barrier(len(writers))
        conflicts = []

        def write(writer: Store, first: int) -> None:
            for number in range(first, first + rounds):
                head = writer.head()
                tiles, new = extended(writer, [entry(number)])
                barrier.wait(timeout=60)
                try:
                    writer.commit(head, new, [entry(number)], tiles)
                except ConflictError:
                    conflicts.append(number)
                barrier.wait(timeout=60)

        threads = [
            threading.Thread(target=write, args=(writer, 1000 * number))
            for number, writer in enumerate(writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(conflicts) == rounds
        kept = store.entries(0, rounds)
        assert store.head() == TreeHead(rounds, root_of_leaves([leaf_hash(e) for e in kept]))
        assert set(map(entry, conflicts)).isdisjoint(kept)

    def test_readers_in_threads_see_whole_commits_only(self, store: Store) -> None:
        done = threading.Event()
        faults: list[str] = []

        def read() -> None:
            while not done.is_set():
                size = store.head().size
                if len(store.entries(0, size)) != size:
                    faults.append("entries")
                list(store.tiles(list(tiles_of(size))))

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(40):
            extend(store, [entry(7 * number + i) for i in range(7)])
        done.set()
        for thread in threads:
            thread.join()
        assert faults == []
