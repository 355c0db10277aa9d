import hashlib
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import VerificationError
from ledger.tlog.merkle import (
    EMPTY_ROOT,
    MAX_PATH,
    MAX_SIZE,
    Hash,
    HashReader,
    Node,
    TreeHead,
    leaf_hash,
    leaf_reader,
)
from ledger.tlog.subtree import (
    Subtree,
    check_subtree_consistency,
    check_subtree_inclusion,
    prove_subtree_consistency,
    prove_subtree_inclusion,
    require_subtree,
    subtree_root,
)
from tests import reference

LARGEST = 130
"""The bound of the draft's own test vectors."""

ENTRIES = [bytes([number]) for number in range(LARGEST)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
READ = leaf_reader(LEAVES)
MTH = reference.mth_of(ENTRIES)
HEADS = [TreeHead(size, MTH(0, size)) for size in range(LARGEST + 1)]
OTHER = leaf_hash(b"another")


def ranges(size: int) -> Iterator[tuple[int, int]]:
    """Every subtree range of a log of ``size``, in the order of the draft's test vectors."""
    for stop in range(size + 1):
        for start in range(stop + 1):
            if reference.is_subtree(start, stop):
                yield start, stop


def included(index: int, path: Sequence[Hash], leaf: Hash, subtree: Subtree) -> bool:
    try:
        check_subtree_inclusion(index, path, leaf, subtree)
    except VerificationError:
        return False
    return True


def consistent(subtree: Subtree, path: Sequence[Hash], head: TreeHead) -> bool:
    try:
        check_subtree_consistency(subtree, path, head)
    except VerificationError:
        return False
    return True


def test_exactly_the_aligned_ranges_are_subtrees() -> None:
    for stop in range(LARGEST + 1):
        for start in range(LARGEST + 1):
            root = EMPTY_ROOT if start == stop else OTHER
            if reference.is_subtree(start, stop):
                assert Subtree(start, stop, root).stop == stop
                require_subtree(start, stop)
            else:
                with pytest.raises(ValueError, match=r"no subtree|want 0 <= start <= stop"):
                    Subtree(start, stop, root)


def test_every_root_to_130_is_the_drafts() -> None:
    rolling = hashlib.sha256()
    for start, stop in ranges(LARGEST):
        root = subtree_root(start, stop, READ)
        assert root == MTH(start, stop)
        rolling.update(f"[{start}, {stop}) {root.hex()}\n".encode())
    assert rolling.hexdigest() == (
        "b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81"
    )


def test_every_inclusion_proof_to_130_is_the_drafts_and_verifies() -> None:
    rolling = hashlib.sha256()
    for start, stop in ranges(LARGEST):
        subtree = Subtree(start, stop, MTH(start, stop))
        for index in range(start, stop):
            path = prove_subtree_inclusion(index, start, stop, READ)
            check_subtree_inclusion(index, path, LEAVES[index], subtree)
            words = [f"{index} [{start}, {stop})", *(value.hex() for value in path)]
            rolling.update((" ".join(words) + "\n").encode())
    assert rolling.hexdigest() == (
        "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f"
    )


def test_every_consistency_proof_to_130_is_the_drafts_and_verifies() -> None:
    rolling = hashlib.sha256()
    for size in range(LARGEST + 1):
        for start, stop in ranges(size):
            path = prove_subtree_consistency(start, stop, size, READ)
            check_subtree_consistency(Subtree(start, stop, MTH(start, stop)), path, HEADS[size])
            words = [f"[{start}, {stop}) {size}", *(value.hex() for value in path)]
            rolling.update((" ".join(words) + "\n").encode())
    assert rolling.hexdigest() == (
        "10fa99b37bf9bf9ffa26b412fbd98bd75363256d0b75d61bc4538b9c9c5a0a74"
    )


def test_proofs_are_those_of_the_reference() -> None:
    for size in range(40):
        for start, stop in ranges(size):
            path = prove_subtree_consistency(start, stop, size, READ)
            assert list(path) == reference.subtree_proof(start, stop, size, MTH)
            for index in range(start, stop):
                path = prove_subtree_inclusion(index, start, stop, READ)
                assert list(path) == reference.path(index - start, start, stop, MTH)


def test_each_question_reads_once_at_most() -> None:
    calls = []

    def read(nodes: Sequence[Node]) -> Sequence[Hash]:
        calls.append(nodes)
        return READ(nodes)

    for start, stop in ranges(40):
        prove_subtree_consistency(start, stop, 40, read)
        assert len(calls) <= 1
        calls.clear()
        subtree_root(start, stop, read)
        assert len(calls) <= 1
        calls.clear()


def test_an_inclusion_path_holds_for_its_own_place_only() -> None:
    for start, stop in ranges(24):
        for index in range(start, stop):
            path = prove_subtree_inclusion(index, start, stop, READ)
            for other_start, other_stop in ranges(26):
                if other_start == other_stop:
                    continue
                subtree = Subtree(other_start, other_stop, MTH(start, stop))
                claimed = start + (other_start - start) + (index - start)
                ours = included(claimed, path, LEAVES[index], subtree)
                place = (claimed - other_start, other_stop - other_start)
                assert ours == reference.includes(*place, path, LEAVES[index], subtree.root)


def test_verdicts_equal_the_reference_verifier_for_every_claimed_range_and_size() -> None:
    for size in range(1, 12):
        for start, stop in ranges(size):
            path = prove_subtree_consistency(start, stop, size, READ)
            root = MTH(start, stop)
            for claimed_start, claimed_stop in ranges(14):
                if (claimed_start == claimed_stop) != (start == stop):
                    continue
                subtree = Subtree(claimed_start, claimed_stop, root)
                for claimed_size in range(1, 15):
                    head = TreeHead(claimed_size, HEADS[size].root)
                    ours = consistent(subtree, path, head)
                    theirs = reference.subtree_extends(
                        claimed_start, claimed_stop, claimed_size, path, root, head.root
                    )
                    assert ours == theirs


SOME_HASH = st.sampled_from([*LEAVES[:4], MTH(0, 2), MTH(2, 4), MTH(0, 4), MTH(4, 7), OTHER])


@given(
    st.sampled_from([r for r in ranges(40) if r[0] < r[1]]),
    st.integers(1, 44),
    st.lists(SOME_HASH, max_size=8),
    SOME_HASH,
    SOME_HASH,
)
def test_verdicts_equal_the_reference_verifier_for_any_hashes(
    bounds: tuple[int, int], size: int, path: list[Hash], node: Hash, root: Hash
) -> None:
    ours = consistent(Subtree(*bounds, node), path, TreeHead(size, root))
    assert ours == reference.subtree_extends(*bounds, size, path, node, root)


def changes(path: tuple[Hash, ...]) -> Iterator[tuple[Hash, ...]]:
    """Every way to drop, add, replace or swap a hash of ``path``."""
    yield (*path, OTHER)
    for i, value in enumerate(path):
        yield (*path[:i], *path[i + 1 :])
        yield (*path[:i], OTHER, *path[i:])
        yield (*path[:i], OTHER, *path[i + 1 :])
        if i and path[i - 1] != value:
            yield (*path[: i - 1], value, path[i - 1], *path[i + 1 :])


def test_any_change_of_a_consistency_path_is_refused() -> None:
    for size in (1, 2, 3, 8, 13, 14, 33, 64):
        for start, stop in ranges(size):
            subtree = Subtree(start, stop, MTH(start, stop))
            for path in changes(prove_subtree_consistency(start, stop, size, READ)):
                assert not consistent(subtree, path, HEADS[size])


def test_any_change_of_an_inclusion_path_is_refused() -> None:
    for start, stop in ranges(33):
        subtree = Subtree(start, stop, MTH(start, stop))
        for index in range(start, stop):
            for path in changes(prove_subtree_inclusion(index, start, stop, READ)):
                assert not included(index, path, LEAVES[index], subtree)


@st.composite
def large_subtrees(draw: st.DrawFn) -> tuple[int, int, int, reference.Mth]:
    """A subtree range of at least one leaf in a log of up to MAX_SIZE, and the log's hashes."""
    size = draw(st.one_of(st.integers(1, MAX_SIZE), st.integers(1, 10**6)))
    height = draw(st.integers(0, size.bit_length()))
    start = draw(st.integers(0, size - 1)) >> height << height
    stop = draw(st.integers(start + 1, min(size, start + (1 << height))))
    marked = {start, stop - 1, size - 1} | draw(st.sets(st.integers(0, size - 1), max_size=4))
    return start, stop, size, reference.sparse_mth(marked)


def reader_of(mth: reference.Mth) -> HashReader:
    return lambda nodes: [mth(index << level, (index + 1) << level) for level, index in nodes]


@settings(max_examples=200)
@given(large_subtrees(), st.data())
def test_proofs_in_large_logs_are_those_of_the_reference(
    place: tuple[int, int, int, reference.Mth], draws: st.DataObject
) -> None:
    start, stop, size, mth = place
    read = reader_of(mth)
    subtree = Subtree(start, stop, subtree_root(start, stop, read))
    assert subtree.root == mth(start, stop)
    path = prove_subtree_consistency(start, stop, size, read)
    assert list(path) == reference.subtree_proof(start, stop, size, mth)
    head = TreeHead(size, mth(0, size))
    check_subtree_consistency(subtree, path, head)
    changed = draws.draw(st.sampled_from(list(changes(path))))
    assert not consistent(subtree, changed, head)
    index = draws.draw(st.integers(start, stop - 1))
    path = prove_subtree_inclusion(index, start, stop, read)
    check_subtree_inclusion(index, path, mth(index, index + 1), subtree)
    assert not included(index, path, OTHER, subtree)


def test_the_longest_proofs_fit_the_named_limit() -> None:
    read = reader_of(reference.sparse_mth([2]))
    assert len(prove_subtree_consistency(0, 3, MAX_SIZE, read)) == MAX_PATH
    assert len(prove_subtree_inclusion(2, 0, MAX_SIZE, read)) == MAX_PATH - 1


def test_an_empty_subtree_is_consistent_with_any_log_that_reaches_it() -> None:
    for size in range(5):
        for place in range(size + 1):
            empty = Subtree(place, place, EMPTY_ROOT)
            assert prove_subtree_consistency(place, place, size, READ) == ()
            check_subtree_consistency(empty, (), HEADS[size])
            with pytest.raises(VerificationError, match="proof has 1 hashes, want 0"):
                check_subtree_consistency(empty, (OTHER,), HEADS[size])
        with pytest.raises(VerificationError, match=f"subtree ends at {size + 1}, want at most"):
            check_subtree_consistency(Subtree(size + 1, size + 1, EMPTY_ROOT), (), HEADS[size])


def test_nothing_is_in_an_empty_subtree() -> None:
    with pytest.raises(VerificationError, match=r"index is 3, want it in \[3, 3\)"):
        check_subtree_inclusion(3, (), EMPTY_ROOT, Subtree(3, 3, EMPTY_ROOT))
    with pytest.raises(ValueError, match=r"want it in \[3, 3\)"):
        prove_subtree_inclusion(3, 3, 3, READ)


def test_messages_say_what_was_wanted() -> None:
    subtree = Subtree(8, 13, MTH(8, 13))
    path = prove_subtree_consistency(8, 13, 14, READ)
    with pytest.raises(VerificationError, match="proof has 3 hashes, want 4"):
        check_subtree_consistency(subtree, path[1:], HEADS[14])
    with pytest.raises(VerificationError, match="leads to another subtree root"):
        check_subtree_consistency(Subtree(8, 13, OTHER), path, HEADS[14])
    with pytest.raises(VerificationError, match="leads to another root"):
        check_subtree_consistency(subtree, path, TreeHead(14, OTHER))
    with pytest.raises(VerificationError, match="subtree ends at 13, want at most 12"):
        check_subtree_consistency(subtree, path, HEADS[12])
    inclusion = prove_subtree_inclusion(9, 8, 13, READ)
    for index in (7, 13):
        with pytest.raises(VerificationError, match=rf"index is {index}, want it in \[8, 13\)"):
            check_subtree_inclusion(index, inclusion, LEAVES[9], subtree)
    with pytest.raises(VerificationError, match="proof has 2 hashes, want 3"):
        check_subtree_inclusion(9, inclusion[1:], LEAVES[9], subtree)
    with pytest.raises(VerificationError, match="leads to another root"):
        check_subtree_inclusion(9, inclusion, OTHER, subtree)


def test_a_callers_mistakes_are_value_errors() -> None:
    for make in (
        lambda: Subtree(-1, 1, OTHER),
        lambda: Subtree(2, 1, OTHER),
        lambda: Subtree(0, MAX_SIZE + 1, OTHER),
        lambda: Subtree(1, 3, OTHER),
        lambda: Subtree(0, 0, OTHER),
        lambda: Subtree(0, 1, b"short"),
        lambda: subtree_root(1, 3, READ),
        lambda: subtree_root(0, 3, lambda nodes: []),
        lambda: prove_subtree_inclusion(7, 8, 13, READ),
        lambda: prove_subtree_inclusion(13, 8, 13, READ),
        lambda: prove_subtree_inclusion(2, 1, 3, READ),
        lambda: prove_subtree_consistency(8, 13, 12, READ),
        lambda: prove_subtree_consistency(8, 13, MAX_SIZE + 1, READ),
        lambda: prove_subtree_consistency(1, 3, 8, READ),
        lambda: prove_subtree_consistency(8, 13, 14, lambda nodes: []),
        lambda: check_subtree_inclusion(0, (b"short",), OTHER, Subtree(0, 2, OTHER)),
        lambda: check_subtree_inclusion(0, (), b"short", Subtree(0, 1, OTHER)),
        lambda: check_subtree_consistency(Subtree(0, 1, OTHER), (b"short",), HEADS[2]),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 — each is another mistake
            make()
