import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ledger.errors import VerificationError
from ledger.tlog.frontier import Frontier
from ledger.tlog.merkle import (
    EMPTY_ROOT,
    MAX_PATH,
    MAX_SIZE,
    ConsistencyProof,
    Hash,
    HashReader,
    InclusionProof,
    Node,
    TreeHead,
    check_consistency,
    check_inclusion,
    leaf_hash,
    leaf_hashes,
    leaf_reader,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_of_leaves,
    tree_root,
)
from tests import reference

LARGEST = 130
ENTRIES = [b"entry %d" % i for i in range(LARGEST)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
READ = leaf_reader(LEAVES)
MTH = reference.mth_of(ENTRIES)
HEADS = [TreeHead(size, MTH(0, size)) for size in range(LARGEST + 1)]
OTHER = leaf_hash(b"another")


class Counting:
    """A reader that remembers how often it was called."""

    def __init__(self, read: HashReader) -> None:
        self.read = read
        self.calls = 0

    def __call__(self, nodes: Sequence[Node]) -> Sequence[Hash]:
        self.calls += 1
        return self.read(nodes)


def included(proof: InclusionProof, leaf: Hash, head: TreeHead) -> bool:
    try:
        check_inclusion(proof, leaf, head)
    except VerificationError:
        return False
    return True


def consistent(proof: ConsistencyProof, old: TreeHead, new: TreeHead) -> bool:
    try:
        check_consistency(proof, old, new)
    except VerificationError:
        return False
    return True


def test_hashes_are_those_of_the_standard() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hashes([b"", b"one"]) == [leaf_hash(b""), leaf_hash(b"one")]
    assert leaf_hash(b"").hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    assert node_hash(leaf_hash(b""), leaf_hash(b"\x00")).hex() == (
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    )


def test_every_root_to_130_is_the_reference_root() -> None:
    frontier = Frontier()
    for size in range(LARGEST + 1):
        want = MTH(0, size)
        assert tree_root(size, READ) == want
        assert root_of_leaves(LEAVES[:size]) == want
        assert frontier.root() == want
        if size < LARGEST:
            for more in range(min(LARGEST - size, 70)):
                extended = frontier.extend(LEAVES[size : size + more])
                assert extended.head() == TreeHead(size + more, MTH(0, size + more))
            frontier = frontier.append(LEAVES[size])
            assert frontier == Frontier().extend(LEAVES[: size + 1])


def test_every_inclusion_proof_to_130_is_the_reference_proof_and_verifies() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = prove_inclusion(index, size, READ)
            assert list(proof.path) == reference.path(index, 0, size, MTH)
            check_inclusion(proof, LEAVES[index], HEADS[size])


def test_every_consistency_proof_to_130_is_the_reference_proof_and_verifies() -> None:
    for new in range(1, LARGEST + 1):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, READ)
            assert list(proof.path) == reference.proof(old, new, MTH)
            check_consistency(proof, HEADS[old], HEADS[new])


def test_each_question_reads_at_most_once() -> None:
    for size in range(1, LARGEST + 1):
        for ask in (
            lambda read, size=size: tree_root(size, read),
            lambda read, size=size: prove_inclusion(size // 2, size, read),
            lambda read, size=size: prove_consistency(size // 2 + 1, size, read),
        ):
            read = Counting(READ)
            ask(read)
            assert read.calls <= 1


def test_nothing_is_read_where_nothing_is_needed() -> None:
    read = Counting(READ)
    assert tree_root(0, read) == EMPTY_ROOT
    assert prove_inclusion(0, 1, read).path == ()
    assert prove_consistency(7, 7, read).path == ()
    assert read.calls == 0


def changes(path: tuple[Hash, ...]) -> list[tuple[Hash, ...]]:
    """Every way to drop, add, repeat, flip or swap a hash of ``path``."""
    changed = [path[:i] + path[i + 1 :] for i in range(len(path))]
    changed += [(*path[:i], OTHER, *path[i:]) for i in range(len(path) + 1)]
    changed += [(*path[:i], path[i], *path[i:]) for i in range(len(path))]
    for i, value in enumerate(path):
        for position in (0, 31):
            flipped = bytearray(value)
            flipped[position] ^= 1
            changed.append((*path[:i], bytes(flipped), *path[i + 1 :]))
    for i in range(len(path) - 1):
        if path[i] != path[i + 1]:
            changed.append((*path[:i], path[i + 1], path[i], *path[i + 2 :]))
    return changed


def test_any_change_of_an_inclusion_path_is_refused() -> None:
    for size in (1, 2, 3, 4, 5, 7, 8, 21, 33, 64, 127, 130):
        for index in range(0, size, 3):
            for path in changes(prove_inclusion(index, size, READ).path):
                proof = InclusionProof(index, size, path)
                assert not included(proof, LEAVES[index], HEADS[size])


def test_any_change_of_a_consistency_path_is_refused() -> None:
    for new in (1, 2, 3, 4, 5, 7, 8, 21, 33, 64, 127, 130):
        for old in range(1, new + 1, 3):
            for path in changes(prove_consistency(old, new, READ).path):
                assert not consistent(ConsistencyProof(old, new, path), HEADS[old], HEADS[new])


def test_inclusion_holds_for_its_own_index_only() -> None:
    for size in range(1, 34):
        for index in range(size):
            path = prove_inclusion(index, size, READ).path
            for claimed in range(size + 2):
                proof = InclusionProof(claimed, size, path)
                assert included(proof, LEAVES[index], HEADS[size]) == (claimed == index)


def test_verdicts_equal_the_reference_verifier_for_every_claimed_position() -> None:
    for size in range(1, 18):
        for index in range(size):
            path = prove_inclusion(index, size, READ).path
            for claimed_size in range(1, 20):
                for claimed in range(claimed_size + 1):
                    head = TreeHead(claimed_size, HEADS[size].root)
                    ours = included(
                        InclusionProof(claimed, claimed_size, path), LEAVES[index], head
                    )
                    theirs = reference.includes(
                        claimed, claimed_size, path, LEAVES[index], head.root
                    )
                    assert ours == theirs


def test_verdicts_equal_the_reference_verifier_for_every_claimed_pair_of_sizes() -> None:
    for new in range(1, 14):
        for old in range(1, new + 1):
            path = prove_consistency(old, new, READ).path
            for claimed_new in range(1, 16):
                for claimed_old in range(1, 16):
                    a = TreeHead(claimed_old, HEADS[old].root)
                    b = TreeHead(claimed_new, HEADS[new].root)
                    ours = consistent(ConsistencyProof(claimed_old, claimed_new, path), a, b)
                    theirs = reference.extends(claimed_old, claimed_new, path, a.root, b.root)
                    assert ours == theirs


SMALL = st.integers(1, 40)
SOME_HASH = st.sampled_from([*LEAVES[:6], MTH(0, 2), MTH(0, 4), MTH(4, 8), MTH(0, 8), OTHER])


@given(SMALL, SMALL, st.lists(SOME_HASH, max_size=8), SOME_HASH, SOME_HASH)
def test_verdicts_equal_the_reference_verifiers_for_any_hashes(
    first: int, second: int, path: list[Hash], a: Hash, b: Hash
) -> None:
    ours = included(InclusionProof(first, second, tuple(path)), a, TreeHead(second, b))
    assert ours == reference.includes(first, second, path, a, b)
    ours = consistent(
        ConsistencyProof(first, second, tuple(path)), TreeHead(first, a), TreeHead(second, b)
    )
    assert ours == reference.extends(first, second, path, a, b)


@st.composite
def large_trees(draw: st.DrawFn) -> tuple[int, int, reference.Mth]:
    """Two sizes up to MAX_SIZE, and the hashes of a log with entries near both."""
    limit = draw(st.sampled_from([1000, 10**6, 2**32, MAX_SIZE]))
    near_power = st.builds(
        lambda bits, off: min(max((1 << bits) + off, 1), limit),
        st.integers(0, limit.bit_length()),
        st.integers(-2, 2),
    )
    sizes = st.one_of(st.integers(1, limit), near_power)
    old, new = sorted((draw(sizes), draw(sizes)))
    near = {max(0, size + off) for size in (old, new) for off in (-3, -2, -1, 0)}
    marked = near | draw(st.sets(st.integers(0, new - 1), max_size=6))
    return old, new, reference.sparse_mth(marked)


def reader_of(mth: reference.Mth) -> HashReader:
    """Answers from the reference: no leaf is held."""
    return lambda nodes: [mth(index << level, (index + 1) << level) for level, index in nodes]


@settings(max_examples=200)
@given(large_trees(), st.data())
def test_proofs_in_large_trees_are_those_of_the_reference(
    tree: tuple[int, int, reference.Mth], draws: st.DataObject
) -> None:
    old_size, new_size, mth = tree
    read = Counting(reader_of(mth))
    old = TreeHead(old_size, tree_root(old_size, read))
    new = TreeHead(new_size, tree_root(new_size, read))
    assert (old.root, new.root) == (mth(0, old_size), mth(0, new_size))
    read.calls = 0
    proof = prove_consistency(old_size, new_size, read)
    assert list(proof.path) == reference.proof(old_size, new_size, mth)
    assert read.calls <= 1
    check_consistency(proof, old, new)
    index = draws.draw(st.one_of(st.just(old_size - 1), st.integers(0, new_size - 1)))
    inclusion = prove_inclusion(index, new_size, read)
    assert list(inclusion.path) == reference.path(index, 0, new_size, mth)
    check_inclusion(inclusion, mth(index, index + 1), new)
    assert not included(inclusion, OTHER, new)


@settings(max_examples=200)
@given(large_trees(), st.data())
def test_a_changed_proof_in_a_large_tree_is_refused(
    tree: tuple[int, int, reference.Mth], draws: st.DataObject
) -> None:
    old_size, new_size, mth = tree
    old, new = TreeHead(old_size, mth(0, old_size)), TreeHead(new_size, mth(0, new_size))
    proof = prove_consistency(old_size, new_size, reader_of(mth))
    path = draws.draw(st.sampled_from([*changes(proof.path), (*proof.path, OTHER)]))
    assert not consistent(ConsistencyProof(old_size, new_size, path), old, new)


@given(st.integers(1, MAX_SIZE - 1), st.lists(st.binary(max_size=2), min_size=1, max_size=9))
def test_a_frontier_of_any_size_grows_to_the_reference_root(size: int, more: list[bytes]) -> None:
    assume(size + len(more) <= MAX_SIZE)
    mth = reference.sparse_mth(range(size, size + len(more)))
    nodes = []
    start = 0
    for bit in range(63, -1, -1):
        if size >> bit & 1:
            nodes.append(mth(start, start + (1 << bit)))
            start += 1 << bit
    frontier = Frontier(size, tuple(nodes))
    assert frontier.root() == mth(0, size)
    extended = frontier.extend([mth(at, at + 1) for at in range(size, size + len(more))])
    for position in range(size, size + len(more)):
        frontier = frontier.append(mth(position, position + 1))
    assert frontier.root() == mth(0, size + len(more))
    assert extended == frontier


def test_the_longest_proofs_fit_the_named_limit() -> None:
    mth = reference.sparse_mth([2])
    read = reader_of(mth)
    assert len(prove_consistency(3, MAX_SIZE, read).path) == MAX_PATH
    assert len(prove_inclusion(2, MAX_SIZE, read).path) == MAX_PATH - 1


@pytest.mark.slow
def test_a_million_random_leaves_give_the_reference_root_and_proofs() -> None:
    generator = random.Random(6962)
    leaves = [generator.randbytes(32) for _ in range(1_000_003)]
    read = leaf_reader(leaves)
    sizes = [1, 2, 65_536, 999_999, 1_000_003]
    heads = {size: TreeHead(size, tree_root(size, read)) for size in sizes}
    assert heads[1_000_003].root == root_of_leaves(leaves)
    for old, new in pairwise(sizes):
        check_consistency(prove_consistency(old, new, read), heads[old], heads[new])
    for index in (0, 1, 65_535, 524_288, 999_999, 1_000_002):
        proof = prove_inclusion(index, 1_000_003, read)
        assert reference.includes(
            index, 1_000_003, proof.path, leaves[index], heads[1_000_003].root
        )


def test_a_proof_from_size_zero_is_refused_because_it_shows_nothing() -> None:
    empty = TreeHead(0, EMPTY_ROOT)
    for new in (empty, HEADS[1], HEADS[5]):
        with pytest.raises(VerificationError, match="old size is 0, want at least 1"):
            check_consistency(ConsistencyProof(0, new.size, ()), empty, new)
    with pytest.raises(ValueError, match="want at least 1"):
        prove_consistency(0, 5, READ)


def test_nothing_is_in_the_empty_tree() -> None:
    with pytest.raises(VerificationError, match="want below the size 0"):
        check_inclusion(InclusionProof(0, 0, ()), EMPTY_ROOT, TreeHead(0, EMPTY_ROOT))
    with pytest.raises(ValueError, match="below the size 0"):
        prove_inclusion(0, 0, READ)


def test_a_proof_for_another_size_than_the_head_is_refused() -> None:
    proof = prove_inclusion(3, 8, READ)
    with pytest.raises(VerificationError, match="proof is for size 8, want 7"):
        check_inclusion(proof, LEAVES[3], HEADS[7])
    with pytest.raises(VerificationError, match="sizes 3 and 8, want 3 and 7"):
        check_consistency(prove_consistency(3, 8, READ), HEADS[3], HEADS[7])


def test_a_shrinking_tree_is_refused() -> None:
    with pytest.raises(VerificationError, match="old size is 8, want at least 1 and at most 7"):
        check_consistency(ConsistencyProof(8, 7, ()), HEADS[8], HEADS[7])


def test_two_roots_of_one_size_are_refused() -> None:
    with pytest.raises(VerificationError, match="one size has two roots"):
        check_consistency(ConsistencyProof(5, 5, ()), HEADS[5], TreeHead(5, OTHER))


def test_messages_name_the_length_wanted_and_the_root_missed() -> None:
    with pytest.raises(VerificationError, match="proof has 0 hashes, want 3"):
        check_inclusion(InclusionProof(3, 8, ()), LEAVES[3], HEADS[8])
    with pytest.raises(VerificationError, match="proof has 1 hashes, want 0"):
        check_consistency(ConsistencyProof(5, 5, (OTHER,)), HEADS[5], HEADS[5])
    with pytest.raises(VerificationError, match="leads to another root"):
        check_inclusion(prove_inclusion(3, 8, READ), OTHER, HEADS[8])
    proof = prove_consistency(3, 8, READ)
    with pytest.raises(VerificationError, match="another old root"):
        check_consistency(proof, TreeHead(3, OTHER), HEADS[8])
    with pytest.raises(VerificationError, match="another new root"):
        check_consistency(proof, HEADS[3], TreeHead(8, OTHER))


@pytest.mark.parametrize("size", [-1, MAX_SIZE + 1])
def test_sizes_out_of_range_are_a_mistake_of_the_caller(size: int) -> None:
    for make in (
        lambda: TreeHead(size, OTHER),
        lambda: InclusionProof(0, size, ()),
        lambda: InclusionProof(size, 1, ()),
        lambda: ConsistencyProof(size, 1, ()),
        lambda: ConsistencyProof(1, size, ()),
        lambda: Frontier(size, ()),
        lambda: tree_root(size, READ),
        lambda: prove_inclusion(0, size, READ),
        lambda: prove_consistency(1, size, READ),
    ):
        with pytest.raises(ValueError, match="want 0 to"):
            make()


def test_indexes_out_of_range_are_a_mistake_of_the_caller() -> None:
    for index in (-1, 8):
        with pytest.raises(ValueError, match=f"index is {index}"):
            prove_inclusion(index, 8, READ)
    with pytest.raises(ValueError, match="old size is 9"):
        prove_consistency(9, 8, READ)


@pytest.mark.parametrize("value", [b"", b"\x00" * 31, b"\x00" * 33])
def test_hashes_of_another_length_are_a_mistake_of_the_caller(value: bytes) -> None:
    for make in (
        lambda: TreeHead(1, value),
        lambda: InclusionProof(0, 2, (value,)),
        lambda: ConsistencyProof(1, 2, (value,)),
        lambda: Frontier(1, (value,)),
        lambda: check_inclusion(InclusionProof(0, 1, ()), value, HEADS[1]),
        lambda: tree_root(3, lambda nodes: [value for _ in nodes]),
    ):
        with pytest.raises(ValueError, match="want 32"):
            make()


def test_the_empty_tree_has_one_root() -> None:
    with pytest.raises(ValueError, match="empty root only"):
        TreeHead(0, OTHER)


def test_a_frontier_with_the_wrong_number_of_nodes_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="frontier has 1 nodes, want 2"):
        Frontier(3, (OTHER,))


def test_a_reader_that_answers_too_little_or_too_much_is_found() -> None:
    for answer in ([], [OTHER] * 4):
        with pytest.raises(ValueError, match=f"reader gave {len(answer)} hashes, want 2"):
            tree_root(3, lambda nodes, answer=answer: answer)


def test_a_leaf_reader_refuses_what_its_leaves_do_not_fill() -> None:
    for node in ((0, LARGEST), (7, 1), (8, 0), (1 << 99, 0), (-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="do not fill"):
            READ([node])


def test_readers_errors_pass_through() -> None:
    def read(nodes: Sequence[Node]) -> Sequence[Hash]:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        tree_root(3, read)
