"""filippo.io/torchwood as a process, on our tiles, checkpoints, cosignatures and proof files."""

import hashlib
import itertools
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.errors import LedgerError
from ledger.tlog.checkpoint import (
    Checkpoint,
    check_signatures,
    cosign_ed25519,
    cosign_ml_dsa_44,
    cosignature_time,
    parse_checkpoint,
    sign_checkpoint,
)
from ledger.tlog.merkle import (
    InclusionProof,
    TreeHead,
    check_inclusion,
    leaf_hash,
    prove_inclusion,
)
from ledger.tlog.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    ED25519,
    NoteKey,
    NoteSignature,
    SignedNote,
    format_note,
    format_vkey,
    parse_note,
    parse_vkey,
)
from ledger.tlog.policy import parse_policy, quorum_met
from ledger.tlog.proof import ProofFile, format_proof_file, parse_proof_file
from ledger.tlog.tile import (
    MAX_ENTRY_BYTES,
    format_entries_path,
    format_tile_path,
    parse_tile_path,
    tiles_of,
)
from tests.interop.log import FolderLog, entry
from tests.interop.peer import Peer, unbase64

pytestmark = pytest.mark.slow

ORIGIN = "example.com/log"
LOG = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
LOG_SECOND = MLDSA44PrivateKey.from_seed_bytes(b"\x08" * 32)
WITNESS = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
WITNESS_SECOND = MLDSA44PrivateKey.from_seed_bytes(b"\x0a" * 32)
TIME = 1_750_000_000

LOG_KEY = NoteKey(ORIGIN, ED25519, LOG.public_key().public_bytes_raw())
LOG_SECOND_KEY = NoteKey(ORIGIN, COSIGNATURE_ML_DSA_44, LOG_SECOND.public_key().public_bytes_raw())
WITNESS_KEY = NoteKey(
    "witness.example/w", COSIGNATURE_ED25519, WITNESS.public_key().public_bytes_raw()
)
WITNESS_SECOND_KEY = NoteKey(
    "witness.example/w", COSIGNATURE_ML_DSA_44, WITNESS_SECOND.public_key().public_bytes_raw()
)
POLICY = (
    f"log {format_vkey(LOG_KEY)}\n"
    f"witness w {format_vkey(WITNESS_KEY)}\n"
    "group all-of-them all w\n"
    "quorum all-of-them\n"
)
"""The words that torchwood and c2sp.org/tlog-policy share."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> FolderLog:
    """Entries of every length, the longest included; grown one at a time to 300, then in leaps."""
    log = FolderLog(tmp_path_factory.mktemp("log"))
    lengths = itertools.cycle((64, 0, 1, 255, 256, 31))
    for number, length in zip(range(300), lengths, strict=False):
        log.append([bytes([number % 256]) * length])
    log.append([b"x" * MAX_ENTRY_BYTES])
    for size in (512, 513, 65_536, 65_537):
        log.append([entry(number) for number in range(log.size, size)])
    return log


def signed(head: TreeHead, *more: NoteSignature) -> bytes:
    """A checkpoint signed twice by our log, with ``more`` lines after."""
    note = parse_note(sign_checkpoint(Checkpoint(ORIGIN, head.size, head.root), LOG, LOG_SECOND))
    return format_note(SignedNote(note.text, (*note.signatures, *more)))


def cosigned(head: TreeHead) -> bytes:
    """The same with the cosignature of our witness."""
    checkpoint = Checkpoint(ORIGIN, head.size, head.root)
    return signed(head, cosign_ed25519(checkpoint, WITNESS_KEY.name, TIME, WITNESS))


def digest(entries: Sequence[bytes]) -> bytes:
    return hashlib.sha256(
        b"".join(len(each).to_bytes(4, "big") + each for each in entries)
    ).digest()


def test_torchwood_reads_every_entry_of_logs_of_all_sizes(torchwood: Peer, log: FolderLog) -> None:
    for size, head in log.heads.items():
        fields = {"Folder": str(log.folder), "Size": size}
        answer = torchwood.ask("entries", Root=head.root, **fields)
        assert answer["Count"] == size
        assert unbase64([answer["Digest"]]) == (digest(log.entries[:size]),)
        if size < 300:
            assert torchwood.refuses("entries", Root=leaf_hash(b"another"), **fields)


def test_torchwood_opens_our_cosigned_checkpoints_under_our_policy(
    torchwood: Peer, log: FolderLog
) -> None:
    for size, head in log.heads.items():
        answer = torchwood.ask("checkpoint", Note=cosigned(head), Policy=POLICY)
        assert (answer["Origin"], answer["Size"]) == (ORIGIN, size)
        assert unbase64([answer["Root"]]) == (head.root,)
        assert sorted(answer["Names"]) == [ORIGIN, WITNESS_KEY.name]
    assert torchwood.refuses("checkpoint", Note=signed(log.heads[5]), Policy=POLICY)


def test_torchwood_and_we_read_one_policy_alike(torchwood: Peer, log: FolderLog) -> None:
    policy = parse_policy(POLICY)
    assert quorum_met(policy, ["w"])
    assert not quorum_met(policy, [])
    for wrong in ("quorum none\nquorum none\n", POLICY + "quorum none\n", "frog x\n"):
        assert torchwood.refuses("checkpoint", Note=cosigned(log.heads[5]), Policy=wrong)
        with pytest.raises(LedgerError):
            parse_policy(wrong)


def test_torchwood_verifies_our_proof_files(torchwood: Peer, log: FolderLog) -> None:
    for size in (*range(1, 301, 13), 256, 257, 301, 65_537):
        read = log.reader(size)
        checkpoint = cosigned(log.heads[size])
        for index in {0, size // 2, size - 1}:
            path = prove_inclusion(index, size, read).path
            file = format_proof_file(ProofFile(index, path, checkpoint))
            fields = {"Policy": POLICY, "Entry": log.entries[index]}
            assert torchwood.ask("verify", Proof=file, **fields) == {}
            assert unbase64(
                [torchwood.ask("format", Index=index, Path=path, Note=checkpoint)["Proof"]]
            ) == (file,)
            wrong = format_proof_file(ProofFile(index + 1, path, checkpoint))
            assert torchwood.refuses("verify", Proof=wrong, **fields)
            wrong = format_proof_file(ProofFile(index, (*path, bytes(32)), checkpoint))
            assert torchwood.refuses("verify", Proof=wrong, **fields)
            assert torchwood.refuses("verify", Policy=POLICY, Entry=b"another", Proof=file)


def test_we_verify_torchwoods_proof_files(torchwood: Peer, log: FolderLog) -> None:
    for size in (1, 2, 77, 256, 300):
        read = log.reader(size)
        for index in range(0, size, 1 + size // 8):
            path = prove_inclusion(index, size, read).path
            made = torchwood.ask("format", Index=index, Path=path, Note=cosigned(log.heads[size]))
            file = parse_proof_file(unbase64([made["Proof"]])[0])
            note = parse_note(file.checkpoint)
            assert check_signatures(note, [LOG_KEY, WITNESS_KEY]) == (LOG_KEY, WITNESS_KEY)
            head = parse_checkpoint(note.text).head
            proof = InclusionProof(file.index, head.size, file.path)
            check_inclusion(proof, log.leaves[index], head)


def test_torchwood_opens_both_of_our_signatures_and_both_cosignatures(
    torchwood: Peer, log: FolderLog
) -> None:
    keys = (LOG_KEY, LOG_SECOND_KEY, WITNESS_KEY, WITNESS_SECOND_KEY)
    for size in range(1, 301, 9):
        checkpoint = Checkpoint(ORIGIN, size, log.heads[size].root)
        lines = (
            cosign_ed25519(checkpoint, WITNESS_KEY.name, TIME, WITNESS),
            cosign_ml_dsa_44(checkpoint, WITNESS_KEY.name, TIME + 1, WITNESS_SECOND),
        )
        note = signed(checkpoint.head, *lines)
        answer = torchwood.ask("open", Note=note, Vkeys=list(map(format_vkey, keys)))
        assert answer["Names"] == [f"{key.name}+{key.key_id.hex()}" for key in keys]
        assert answer["Times"][1:] == [0, TIME, TIME + 1]


def test_torchwood_and_we_refuse_each_kind_of_wrong_signature(
    torchwood: Peer, log: FolderLog
) -> None:
    keys = (LOG_KEY, LOG_SECOND_KEY, WITNESS_KEY, WITNESS_SECOND_KEY)
    checkpoint = Checkpoint(ORIGIN, 300, log.heads[300].root)
    right = parse_note(
        signed(
            checkpoint.head,
            cosign_ed25519(checkpoint, WITNESS_KEY.name, TIME, WITNESS),
            cosign_ml_dsa_44(checkpoint, WITNESS_KEY.name, TIME, WITNESS_SECOND),
        )
    )
    for number, line in enumerate(right.signatures):
        for position in (0, 7, 8, len(line.signature) // 2, len(line.signature) - 1):
            changed = bytearray(line.signature)
            changed[position] ^= 1
            lines = list(right.signatures)
            lines[number] = NoteSignature(line.name, line.key_id, bytes(changed))
            wrong = SignedNote(right.text, tuple(lines))
            assert torchwood.refuses(
                "open", Note=format_note(wrong), Vkeys=list(map(format_vkey, keys))
            )
            with pytest.raises(LedgerError):
                check_signatures(wrong, keys)


def test_we_check_torchwoods_cosignatures(torchwood: Peer, log: FolderLog) -> None:
    for size in (1, 2, 255, 256, 300, 65_537):
        fields = {"Vkeys": [format_vkey(LOG_KEY), format_vkey(LOG_SECOND_KEY)], "Name": "w/1"}
        made = torchwood.ask("cosign", Note=signed(log.heads[size]), Seed=b"\x21" * 32, **fields)
        seconds = torchwood.ask(
            "cosign ML-DSA-44",
            Note=unbase64([made["Note"]])[0],
            Seed=b"\x22" * 32,
            Time=TIME,
            **fields,
        )
        keys = (parse_vkey(made["Vkey"]), parse_vkey(seconds["Vkey"]))
        assert [format_vkey(key) for key in keys] == [made["Vkey"], seconds["Vkey"]]
        seed = MLDSA44PrivateKey.from_seed_bytes(b"\x22" * 32)
        assert keys[1].public_key == seed.public_key().public_bytes_raw()
        note = parse_note(unbase64([seconds["Note"]])[0])
        assert parse_checkpoint(note.text).size == size
        good = check_signatures(note, (*keys, LOG_KEY, LOG_SECOND_KEY))
        assert set(good) == {*keys, LOG_KEY, LOG_SECOND_KEY}
        times = {line.key_id: cosignature_time(line) for line in note.signatures[-2:]}
        assert times[keys[0].key_id] > TIME
        assert times[keys[1].key_id] == TIME


def test_torchwood_and_we_write_the_same_paths(torchwood: Peer) -> None:
    ours = [format_tile_path(tile) for size in (1, 255, 256, 70_001) for tile in tiles_of(size)]
    ours += [format_entries_path(i, w) for i in (0, 999, 1000, 1_234_067) for w in (1, 255, 256)]
    assert torchwood.ask("paths", Paths=ours)["Paths"] == ours
    wrong = [f"{path}{end}" for path in ours[:3] for end in ("/", ".p/0", ".p/257", "x")]
    wrong += ["tile/0/1", "tile/0/x000/001", "tile/00/001", "tile/0/x001/x002", "/tile/0/001"]
    assert torchwood.ask("paths", Paths=wrong)["Paths"] == [""] * len(wrong)
    for path in wrong:
        with pytest.raises(LedgerError):
            parse_tile_path(path)
