import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.tlog.merkle import (
    MAX_PATH,
    MAX_SIZE,
    InclusionProof,
    TreeHead,
    check_inclusion,
    leaf_hash,
    leaf_reader,
    prove_inclusion,
    tree_root,
)
from ledger.tlog.note import MAX_NOTE_BYTES
from ledger.tlog.proof import (
    MAX_EXTRA_BYTES,
    MAX_PROOF_FILE_BYTES,
    ProofFile,
    format_proof_file,
    parse_proof_file,
)
from tests.ledger.tlog.mutations import one_byte_changes, require_one_to_one, truncations

HASH = "rzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm4="
PROOF = ProofFile(5, (base64.b64decode(HASH),) * 2, b"log\n8\nroot\n\n\xe2\x80\x94 log AAAA\n")
CONTENT = (
    f"c2sp.org/tlog-proof@v1\nindex 5\n{HASH}\n{HASH}\n\nlog\n8\nroot\n\n— log AAAA\n".encode()
)
WITH_EXTRA = CONTENT.replace(b"index", b"extra ZXh0cmE=\nindex")


def test_a_proof_file_is_written_and_read() -> None:
    assert format_proof_file(PROOF) == CONTENT
    assert parse_proof_file(CONTENT) == PROOF
    assert parse_proof_file(WITH_EXTRA).extra == b"extra"
    assert format_proof_file(parse_proof_file(WITH_EXTRA)) == WITH_EXTRA


@pytest.mark.parametrize("content", [CONTENT, WITH_EXTRA])
def test_cut_or_changed_proof_files_are_other_proof_files_or_none(content: bytes) -> None:
    # The checkpoint is kept verbatim and not read here, so a change in it is another proof file.
    for changed in (truncations(content), one_byte_changes(content)):
        require_one_to_one(
            changed, parse_proof_file, format_proof_file, never=parse_proof_file(content)
        )


@given(st.binary(max_size=60))
def test_any_bytes_are_one_proof_file_or_none(content: bytes) -> None:
    for whole in (content, b"c2sp.org/tlog-proof@v1\n" + content, CONTENT + content):
        require_one_to_one(iter([whole]), parse_proof_file, format_proof_file)


@given(
    st.integers(0, MAX_SIZE - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=MAX_PATH).map(tuple),
    st.binary(min_size=1, max_size=90),
    st.none() | st.binary(min_size=1, max_size=90),
)
def test_every_proof_file_survives(
    index: int, path: tuple[bytes, ...], checkpoint: bytes, extra: bytes | None
) -> None:
    proof = ProofFile(index, path, checkpoint, extra)
    assert parse_proof_file(format_proof_file(proof)) == proof


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no blank line"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n", "no blank line"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n\n", "checkpoint has 0 bytes"),
        (b"c2sp.org/tlog-proof@v2\nindex 0\n\nx\n", "does not begin"),
        (b" c2sp.org/tlog-proof@v1\nindex 0\n\nx\n", "does not begin"),
        (b"c2sp.org/tlog-proof@v1\r\nindex 0\r\n\r\n\n\nx\n", "does not begin"),
        (b"c2sp.org/tlog-proof@v1\n\nx\n", "no index line"),
        (b"c2sp.org/tlog-proof@v1\nextra eA==\n\nx\n", "no index line"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\nextra eA==\n\nx\n", "hash is not base64"),
        (b"c2sp.org/tlog-proof@v1\nextra eA==\nextra eA==\nindex 0\n\nx\n", "no index line"),
        (b"c2sp.org/tlog-proof@v1\nextra \nindex 0\n\nx\n", "extra has 0 bytes"),
        (b"c2sp.org/tlog-proof@v1\nextra\nindex 0\n\nx\n", "no index line"),
        (b"c2sp.org/tlog-proof@v1\nextra eB==\nindex 0\n\nx\n", "extra is not canonical"),
        (b"c2sp.org/tlog-proof@v1\nindex  0\n\nx\n", "index is"),
        (b"c2sp.org/tlog-proof@v1\nindex 00\n\nx\n", "index is"),
        (b"c2sp.org/tlog-proof@v1\nindex 9223372036854775807\n\nx\n", "index is"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\nindex 0\n\nx\n", "hash is not base64"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx\n", "not of 32 bytes"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n\xff\n\nx\n", "not ASCII"),
    ],
)
def test_bad_proof_files_are_refused_with_the_reason(content: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_proof_file(content)


def test_a_proof_file_at_every_limit_is_read_and_nothing_larger() -> None:
    proof = ProofFile(
        MAX_SIZE - 1, (bytes(32),) * MAX_PATH, b"x" * MAX_NOTE_BYTES, bytes(MAX_EXTRA_BYTES)
    )
    content = format_proof_file(proof)
    assert len(content) <= MAX_PROOF_FILE_BYTES
    assert parse_proof_file(content) == proof
    with pytest.raises(MalformedError, match="checkpoint has 1048577 bytes"):
        parse_proof_file(content + b"x")
    with pytest.raises(MalformedError, match=r"proof file has .* bytes, want at most"):
        parse_proof_file(content + b"x" * 1000)
    line = b"%s\n" % base64.b64encode(bytes(32))
    with pytest.raises(MalformedError, match="has 65 hashes, want at most 64"):
        parse_proof_file(b"c2sp.org/tlog-proof@v1\nindex 0\n" + line * 65 + b"\nx\n")


def test_impossible_proof_files_are_a_mistake_of_the_caller() -> None:
    for make in (
        lambda: ProofFile(-1, (), b"x"),
        lambda: ProofFile(MAX_SIZE, (), b"x"),
        lambda: ProofFile(0, (bytes(31),), b"x"),
        lambda: ProofFile(0, (bytes(32),) * 65, b"x"),
        lambda: ProofFile(0, (), b""),
        lambda: ProofFile(0, (), b"x" * (MAX_NOTE_BYTES + 1)),
        lambda: ProofFile(0, (), b"x", b""),
        lambda: ProofFile(0, (), b"x", bytes(MAX_EXTRA_BYTES + 1)),
    ):
        with pytest.raises(ValueError, match=r"index|path|checkpoint|extra"):
            make()


def test_a_path_that_went_through_a_proof_file_verifies() -> None:
    leaves = [leaf_hash(bytes([i])) for i in range(11)]
    read = leaf_reader(leaves)
    path = prove_inclusion(7, 11, read).path
    proof = parse_proof_file(format_proof_file(ProofFile(7, path, b"checkpoint\n")))
    head = TreeHead(11, tree_root(11, read))
    check_inclusion(InclusionProof(proof.index, head.size, proof.path), leaves[7], head)


def test_all_parse_cases_come_out_as_stated(vectors: Path) -> None:
    known = json.loads((vectors / "tlog-proof/parse_cases.json").read_text())
    for case in known["marshal"]:
        content = case["text"].encode()
        proof = parse_proof_file(content)
        assert proof.index == case["index"], case["name"]
        assert [base64.b64encode(value).decode() for value in proof.path] == case["hashes"]
        extra = case.get("extra")
        assert proof.extra == (None if extra is None else base64.b64decode(extra))
        assert format_proof_file(proof) == content
    for case in known["reject"]:
        with pytest.raises(MalformedError):
            parse_proof_file(case["text"].encode())
    assert (len(known["marshal"]), len(known["reject"])) == (3, 7)
