"""Third parties' cases for the tree, read from beside the checkout."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import VerificationError
from ledger.tlog.merkle import (
    EMPTY_ROOT,
    ConsistencyProof,
    InclusionProof,
    TreeHead,
    check_consistency,
    check_inclusion,
    leaf_hash,
    leaf_reader,
    prove_consistency,
    prove_inclusion,
    root_of_leaves,
    tree_root,
)
from ledger.tlog.subtree import Subtree, check_subtree_consistency, check_subtree_inclusion

OF_NO_TREE = (
    "additional/subtree-is-empty-sizes-are-equal-zero-"
    "subtree-root-valid-tree-root-random-proof-is-empty"
)
"""To be accepted, whatever the log's root, of a log of size 0 with another root than the empty one.
The draft's procedure is given a tree's root (§4.4.3), and no tree of size 0 has this one (RFC 9162
§2.1.1), so here there is no such head to ask about. The other 321 cases come out as stated."""


def cases(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(folder.rglob("*.json")):
        case = json.loads(file.read_text())
        case["proof"] = tuple(map(base64.b64decode, case["proof"] or ()))
        for name in {"root", "root1", "root2", "leafHash"} & case.keys():
            value = base64.b64decode(case[name])
            # "don't care 1" stands for some root; with a hash in its place the case still asks
            # what it means to ask, and is not refused for its length alone.
            case[name] = leaf_hash(value) if value.startswith(b"don't care") else value
        yield file.relative_to(folder).with_suffix("").as_posix(), case


def accepts_inclusion(case: dict[str, Any], index: int, size: int) -> bool:
    try:
        proof = InclusionProof(index, size, case["proof"])
        check_inclusion(proof, case["leafHash"], TreeHead(size, case["root"]))
    except (VerificationError, ValueError):  # ValueError: what is no hash or no size at all
        return False
    return True


def accepts_consistency(case: dict[str, Any], old: int, new: int) -> bool:
    try:
        proof = ConsistencyProof(old, new, case["proof"])
        check_consistency(proof, TreeHead(old, case["root1"]), TreeHead(new, case["root2"]))
    except (VerificationError, ValueError):
        return False
    return True


def test_all_98_inclusion_cases_come_out_as_stated(vectors: Path) -> None:
    found = dict(cases(vectors / "rfc6962-merkle/testdata/inclusion"))
    wrong = [
        name
        for name, case in found.items()
        if accepts_inclusion(case, case["leafIdx"], case["treeSize"]) == case["wantErr"]
    ]
    assert wrong == []
    assert len(found) == 98


def test_all_98_consistency_cases_come_out_as_stated(vectors: Path) -> None:
    found = dict(cases(vectors / "rfc6962-merkle/testdata/consistency"))
    wrong = [
        name
        for name, case in found.items()
        if accepts_consistency(case, case["size1"], case["size2"]) == case["wantErr"]
    ]
    assert wrong == []
    assert len(found) == 98


def test_size_zero_cases_are_refused_also_when_their_roots_are_put_right(vectors: Path) -> None:
    for name, case in cases(vectors / "rfc6962-merkle/testdata/consistency/additional"):
        if case["size1"] == 0:
            case["root1"] = root_of_leaves([])
            case["root2"] = root_of_leaves([leaf_hash(b"")] * case["size2"])
            case["proof"] = ()
            assert not accepts_consistency(case, 0, case["size2"]), name


def accepts_subtree_inclusion(case: dict[str, Any]) -> bool:
    try:
        subtree = Subtree(case["start"], case["end"], case["root"])
        check_subtree_inclusion(case["leafIdx"], case["proof"], case["leafHash"], subtree)
    except (VerificationError, ValueError):  # ValueError: what is no hash or no subtree at all
        return False
    return True


def accepts_subtree_consistency(case: dict[str, Any]) -> bool:
    try:
        subtree = Subtree(case["start"], case["end"], case["root1"])
        check_subtree_consistency(subtree, case["proof"], TreeHead(case["size"], case["root2"]))
    except (VerificationError, ValueError):
        return False
    return True


def test_all_204_subtree_inclusion_cases_come_out_as_stated(vectors: Path) -> None:
    found = dict(cases(vectors / "rfc6962-merkle/testdata/subtreeinclusion"))
    wrong = [n for n, case in found.items() if accepts_subtree_inclusion(case) == case["wantErr"]]
    assert wrong == []
    assert len(found) == 204


def test_all_118_subtree_consistency_cases_come_out_as_stated(vectors: Path) -> None:
    # Those about empty ranges (start = end) follow the draft's text after version 05, as
    # ledger.tlog.subtree does.
    found = dict(cases(vectors / "rfc6962-merkle/testdata/subtreeconsistency"))
    wrong = {n for n, case in found.items() if accepts_subtree_consistency(case) == case["wantErr"]}
    assert wrong == {OF_NO_TREE}
    assert len(found) == 118
    # The question can be put with the one root that an empty log has.
    case = found[OF_NO_TREE]
    with pytest.raises(ValueError, match="a tree of size 0 has the empty root only"):
        TreeHead(case["size"], case["root2"])
    assert accepts_subtree_consistency(case | {"root2": EMPTY_ROOT})


def test_the_nine_roots_are_ours(vectors: Path) -> None:
    known = json.loads((vectors / "rfc6962-merkle/roots.json").read_text())
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in known["leaf_inputs_hex"]]
    for size, root in enumerate(known["root_hashes_hex_by_size"]):
        assert root_of_leaves(leaves[:size]).hex() == root
        assert tree_root(size, leaf_reader(leaves)).hex() == root


def test_the_proofs_of_a_second_implementation_are_ours(vectors: Path) -> None:
    file = vectors / "rfc6962-merkle/proofbundle-rfc6962_vectors.json"
    known = json.loads(file.read_text())
    entries = known["inclusion"][0]["leaves_hex"]
    read = leaf_reader([leaf_hash(bytes.fromhex(entry)) for entry in entries])
    for case in known["inclusion"]:
        size = case["tree_size"]
        proof = prove_inclusion(case["leaf_index"], size, read)
        assert [value.hex() for value in proof.path] == case["proof_hex"]
        leaf = leaf_hash(bytes.fromhex(case["leaves_hex"][case["leaf_index"]]))
        check_inclusion(proof, leaf, TreeHead(size, bytes.fromhex(case["root_hex"])))
    for case in known["consistency"]:
        proof = prove_consistency(case["first"], case["second"], read)
        assert [value.hex() for value in proof.path] == case["proof_hex"]
        old = TreeHead(case["first"], bytes.fromhex(case["first_root_hex"]))
        check_consistency(
            proof, old, TreeHead(case["second"], bytes.fromhex(case["second_root_hex"]))
        )
