"""Two forged proofs that merkletools 1.0.3 accepts, and that are refused here.

In a tree without domain separation an inner node can pass as a leaf, and a verifier that takes
the proof's length as it comes believes the root itself with no proof at all. The hashes below are
of the tree over the entries a, b, c, d (RFC 6962), and of merkletools' own tree over the same.
"""

import importlib.util
import warnings
from types import ModuleType

import pytest

from ledger.errors import VerificationError
from ledger.tlog.merkle import (
    InclusionProof,
    TreeHead,
    check_inclusion,
    leaf_hash,
    leaf_reader,
    node_hash,
    prove_inclusion,
    root_of_leaves,
)

LEFT = bytes.fromhex("b137985ff484fb600db93107c77b0365c80d78f5b429ded0fd97361d077999eb")
RIGHT = bytes.fromhex("dbbd68c325614a73dacb4e7a87a2b7b4ae9724b489e5629ee83151fe8f0eafd7")
ROOT = bytes.fromhex("33376a3bd63e9993708a84ddfe6c28ae58b83505dd1fed711bd924ec5a6239f0")

THEIR_LEFT = "e5a01fee14e0ed5c48714f22180f25ad8365b53f9779f79dc4a3d7e93963f94a"
THEIR_RIGHT = "bffe0b34dba16bc6fac17c08bac55d676cded5a4ade41fe2c9924a5dde8f3e5b"
THEIR_ROOT = "14ede5e8e97ad9372327728f5099b95604a39593cac3bd38a343ad76205213e7"

ENTRIES = [b"a", b"b", b"c", b"d"]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
HEAD = TreeHead(4, ROOT)


@pytest.fixture(scope="module")
def merkletools() -> ModuleType:
    """The peer, if somebody put it on the path; it does not install on today's Pythons."""
    if importlib.util.find_spec("merkletools") is None:
        pytest.skip("merkletools is not here: pip install --no-deps --target=… merkletools==1.0.3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that sha3 is missing, which SHA-256 is not
        return importlib.import_module("merkletools")


def test_the_forged_hashes_are_nodes_of_the_tree() -> None:
    assert (node_hash(*LEAVES[:2]), node_hash(*LEAVES[2:])) == (LEFT, RIGHT)
    assert root_of_leaves(LEAVES) == ROOT == node_hash(LEFT, RIGHT)
    for index in range(4):
        check_inclusion(prove_inclusion(index, 4, leaf_reader(LEAVES)), LEAVES[index], HEAD)


@pytest.mark.parametrize("index", range(4))
def test_an_inner_node_presented_as_a_leaf_is_refused(index: int) -> None:
    for node, path in [(LEFT, (RIGHT,)), (RIGHT, (LEFT,))]:
        with pytest.raises(VerificationError, match="proof has 1 hashes, want 2"):
            check_inclusion(InclusionProof(index, 4, path), node, HEAD)
        # Nor does it help to say that the tree has two leaves: the head says four.
        with pytest.raises(VerificationError, match="proof is for size 2, want 4"):
            check_inclusion(InclusionProof(index, 2, path), node, HEAD)


@pytest.mark.parametrize("index", range(4))
def test_the_children_of_a_node_presented_as_an_entry_are_refused(index: int) -> None:
    # 64 bytes, as long as an entry of the ledger: only the 0x00 before it tells them apart.
    for entry, path in [(LEAVES[0] + LEAVES[1], (RIGHT,)), (LEFT + RIGHT, ())]:
        for size in (1, 2, 4):
            with pytest.raises(VerificationError):
                check_inclusion(InclusionProof(index, size, path), leaf_hash(entry), HEAD)
        # Even where the size is a lie that the verifier swallowed, the leaf leads elsewhere.
        size = 1 << len(path)
        with pytest.raises(VerificationError, match="leads to another root"):
            check_inclusion(InclusionProof(0, size, path), leaf_hash(entry), TreeHead(size, ROOT))


@pytest.mark.parametrize("index", range(4))
def test_the_root_with_an_empty_proof_is_refused(index: int) -> None:
    with pytest.raises(VerificationError, match="proof has 0 hashes, want 2"):
        check_inclusion(InclusionProof(index, 4, ()), ROOT, HEAD)
    with pytest.raises(VerificationError, match="proof is for size 1, want 4"):
        check_inclusion(InclusionProof(index, 1, ()), ROOT, HEAD)


def test_merkletools_accepts_both(merkletools: ModuleType) -> None:
    theirs = merkletools.MerkleTools()
    theirs.add_leaf([entry.decode() for entry in ENTRIES], True)
    theirs.make_tree()
    assert theirs.get_merkle_root() == THEIR_ROOT
    assert theirs.validate_proof([{"right": THEIR_RIGHT}], THEIR_LEFT, THEIR_ROOT) is True
    assert theirs.validate_proof([{"left": THEIR_LEFT}], THEIR_RIGHT, THEIR_ROOT) is True
    assert theirs.validate_proof([], THEIR_ROOT, THEIR_ROOT) is True
    # And its own proof of entry 0 says neither which entry it is of nor how many there are.
    proof = theirs.get_proof(0)
    assert theirs.validate_proof(proof, theirs.get_leaf(0), THEIR_ROOT) is True
    assert {key for step in proof for key in step} == {"right"}
