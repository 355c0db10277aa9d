"""golang.org/x/mod/sumdb as a process: its tlog on our tiles and proofs, its note on our notes."""

import base64
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.errors import LedgerError, VerificationError
from ledger.tlog.checkpoint import (
    Checkpoint,
    check_signatures,
    format_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from ledger.tlog.merkle import (
    ConsistencyProof,
    Hash,
    InclusionProof,
    TreeHead,
    check_consistency,
    check_inclusion,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
)
from ledger.tlog.note import ED25519, NoteKey, format_note, format_vkey, parse_note, parse_vkey
from tests.interop.log import FolderLog, entry
from tests.interop.peer import Peer, unbase64

pytestmark = pytest.mark.slow

LARGEST = 300
LARGER = (511, 512, 513, 65_535, 65_536, 65_537, 70_001, 131_073)
"""Around the edges of tiles at levels 0, 1 and 2."""

SAMPLE = 40
"""Indexes and old sizes asked about in each of the larger logs."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> FolderLog:
    """A log grown one entry at a time to LARGEST."""
    log = FolderLog(tmp_path_factory.mktemp("small"))
    for number in range(LARGEST):
        log.append([entry(number)])
    return log


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> FolderLog:
    """A log grown in leaps, to each of LARGER."""
    log = FolderLog(tmp_path_factory.mktemp("large"))
    for size in LARGER:
        log.append([entry(number) for number in range(log.size, size)])
    return log


def compare(log: FolderLog, size: int, asked: dict[str, Any], answer: dict[str, Any]) -> None:
    """Go's root and proofs at ``size`` are ours, and our checks accept them."""
    head = log.heads[size]
    assert unbase64([answer["Root"]]) == (head.root,)
    read = log.reader(size)
    records = answer.get("Records", ())
    for index, path in zip(asked["Indexes"], map(unbase64, records), strict=True):
        assert path == prove_inclusion(index, size, read).path
        check_inclusion(InclusionProof(index, size, path), log.leaves[index], head)
    trees = answer.get("Trees", ())
    for old, path in zip(asked["Olds"], map(unbase64, trees), strict=True):
        assert path == prove_consistency(old, size, read).path
        check_consistency(ConsistencyProof(old, size, path), log.heads[old], head)


def test_go_reads_our_tiles_of_every_size_to_300_and_makes_our_proofs(
    sumdb: Peer, small: FolderLog
) -> None:
    for size in range(1, LARGEST + 1):
        asked = {"Indexes": list(range(size)), "Olds": list(range(1, size + 1))}
        root = small.heads[size].root
        folder = str(small.folder)
        answer = sumdb.ask("prove from tiles", Folder=folder, Size=size, Root=root, **asked)
        compare(small, size, asked, answer)


def test_go_makes_our_roots_and_proofs_from_the_entries_alone(
    sumdb: Peer, small: FolderLog
) -> None:
    sumdb.ask("build", Entries=small.entries)
    for size in range(1, LARGEST + 1):
        asked = {"Indexes": list(range(0, size, 7)), "Olds": list(range(1, size + 1, 7))}
        compare(small, size, asked, sumdb.ask("prove from entries", Size=size, **asked))


def test_go_reads_our_tiles_of_larger_logs_and_makes_our_proofs(
    sumdb: Peer, large: FolderLog
) -> None:
    dice = random.Random(6962)
    sumdb.ask("build", Entries=large.entries)
    for size in LARGER:
        indexes = {0, size // 2, size - 1, *(dice.randrange(size) for _ in range(SAMPLE))}
        olds = [old for old in LARGER if old <= size]
        asked = {"Indexes": sorted(indexes), "Olds": olds, "Size": size}
        compare(large, size, asked, sumdb.ask("prove from entries", **asked))
        asked |= {"Folder": str(large.folder), "Root": large.heads[size].root}
        compare(large, size, asked, sumdb.ask("prove from tiles", **asked))


def test_go_refuses_our_tiles_under_another_root(sumdb: Peer, small: FolderLog) -> None:
    for size in (1, 2, 255, 256, 257, 300):
        fields = {"Folder": str(small.folder), "Size": size, "Indexes": [0]}
        assert sumdb.refuses("prove from tiles", Root=leaf_hash(b"another"), **fields)


def changes(path: Sequence[Hash]) -> Iterator[tuple[Hash, ...]]:
    """``path`` itself, and with a hash dropped, added, flipped or swapped."""
    other = leaf_hash(b"another")
    yield tuple(path)
    yield (*path, other)
    yield (other, *path)
    for i, value in enumerate(path):
        yield (*path[:i], *path[i + 1 :])
        yield (*path[:i], bytes([value[0] ^ 1]) + value[1:], *path[i + 1 :])
        if i:
            yield (*path[: i - 1], value, path[i - 1], *path[i + 1 :])


def test_go_accepts_all_our_inclusion_proofs_and_refuses_each_changed_one_as_we_do(
    sumdb: Peer, small: FolderLog
) -> None:
    for size in (*range(1, 34), 64, 100, 255, 256, 257, 300):
        head = small.heads[size]
        records = []
        for index in range(0, size, 1 + size // 16):
            path = prove_inclusion(index, size, small.reader(size)).path
            for claimed in {index, index ^ 1, size - 1 - index, size}:
                records += [(claimed, small.leaves[index], p) for p in changes(path)]
        asked = [{"Index": i, "Leaf": leaf, "Path": path} for i, leaf, path in records]
        theirs = sumdb.ask("check", Size=size, Root=head.root, Records=asked)["Held"]
        assert theirs == [includes(i, head, leaf, path) for i, leaf, path in records]
        assert sum(theirs) >= len(range(0, size, 1 + size // 16))


def test_go_accepts_all_our_consistency_proofs_and_refuses_each_changed_one_as_we_do(
    sumdb: Peer, small: FolderLog
) -> None:
    for size in (*range(1, 34), 64, 100, 255, 256, 257, 300):
        head = small.heads[size]
        trees = []
        for old in range(1, size + 1, 1 + size // 16):
            path = prove_consistency(old, size, small.reader(size)).path
            for claimed in {old, old ^ 1, size + 1 - old, size} - {0}:
                claim = TreeHead(claimed, small.heads[old].root)
                trees += [(claim, p) for p in changes(path)]
        asked = [{"Old": old.size, "Root": old.root, "Path": path} for old, path in trees]
        theirs = sumdb.ask("check", Size=size, Root=head.root, Trees=asked)["Held"]
        assert theirs == [extends(old, head, path) for old, path in trees]
        assert sum(theirs) >= len(range(1, size + 1, 1 + size // 16))


def includes(index: int, head: TreeHead, leaf: Hash, path: tuple[Hash, ...]) -> bool:
    try:
        check_inclusion(InclusionProof(index, head.size, path), leaf, head)
    except VerificationError:
        return False
    return True


def extends(old: TreeHead, new: TreeHead, path: tuple[Hash, ...]) -> bool:
    try:
        check_consistency(ConsistencyProof(old.size, new.size, path), old, new)
    except VerificationError:
        return False
    return True


def signed_checkpoint(origin: str, head: TreeHead) -> tuple[bytes, NoteKey]:
    """A checkpoint that ours signed twice, and its Ed25519 key."""
    key = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    second = MLDSA44PrivateKey.from_seed_bytes(b"\x08" * 32)
    signed = sign_checkpoint(Checkpoint(origin, head.size, head.root), key, second)
    return signed, NoteKey(origin, ED25519, key.public_key().public_bytes_raw())


def test_go_opens_our_checkpoints_of_every_size(sumdb: Peer, small: FolderLog) -> None:
    for head in small.heads.values():
        signed, key = signed_checkpoint("example.com/log", head)
        opened = sumdb.ask("open", Note=signed, Vkeys=[format_vkey(key)])
        # It knows no ML-DSA-44: that line is another's to it, and the note opens all the same.
        assert opened["Names"] == [f"{key.name}+{key.key_id.hex()}"]
        assert parse_checkpoint(opened["Text"]).head == head


@pytest.mark.parametrize("text", ["a\n", "\n", "a\n\nb\n\n", "密\n— x y\n", "x" * 5000 + "\n"])
def test_we_open_gos_notes(sumdb: Peer, text: str) -> None:
    keys = [sumdb.ask("key", Name=name) for name in ("example.com/a", "b", "日志")]
    signed = unbase64([sumdb.ask("sign", Text=text, Skeys=[key["Skey"] for key in keys])["Note"]])[
        0
    ]
    note = parse_note(signed)
    assert note.text == text
    assert format_note(note) == signed
    known = [parse_vkey(key["Vkey"]) for key in keys]
    assert [format_vkey(key) for key in known] == [key["Vkey"] for key in keys]
    assert check_signatures(note, known) == tuple(known)
    assert check_signatures(note, known[1:2]) == (known[1],)


def test_we_read_gos_signed_checkpoint(sumdb: Peer, small: FolderLog) -> None:
    key = sumdb.ask("key", Name="example.com/log")
    checkpoint = Checkpoint("example.com/log", 300, small.heads[300].root)
    answer = sumdb.ask("sign", Text=format_checkpoint(checkpoint), Skeys=[key["Skey"]])
    note = parse_note(unbase64([answer["Note"]])[0])
    assert check_signatures(note, [parse_vkey(key["Vkey"])])
    assert parse_checkpoint(note.text) == checkpoint


def test_go_and_we_refuse_each_changed_byte_of_a_signed_note(sumdb: Peer, small: FolderLog) -> None:
    key = sumdb.ask("key", Name="example.com/log")
    text = format_checkpoint(Checkpoint("example.com/log", 5, small.heads[5].root))
    signed = unbase64([sumdb.ask("sign", Text=text, Skeys=[key["Skey"]])["Note"]])[0]
    known = [parse_vkey(key["Vkey"])]
    for position in range(len(signed)):
        for bit in (1, 4, 128):
            changed = bytearray(signed)
            changed[position] ^= bit
            assert not opens(bytes(changed), known)
            if not same_when_read_laxly(signed, bytes(changed)):
                assert sumdb.refuses("open", Note=bytes(changed), Vkeys=[key["Vkey"]])


def same_when_read_laxly(signed: bytes, changed: bytes) -> bool:
    """Whether only unused bits of the last base64 letter differ, which Go's decoder passes over."""
    start = signed.rindex(b" ") + 1
    if changed[:start] != signed[:start]:
        return False
    try:
        return base64.b64decode(changed[start:-1], validate=True) == base64.b64decode(
            signed[start:-1]
        )
    except ValueError:
        return False


def opens(signed: bytes, known: list[NoteKey]) -> bool:
    try:
        return bool(check_signatures(parse_note(signed), known))
    except LedgerError:
        return False
