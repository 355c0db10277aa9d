from collections.abc import Callable
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError, VerificationError
from ledger.tlog.checkpoint import (
    MAX_TIME,
    Checkpoint,
    check_signatures,
    cosign_ed25519,
    cosign_ml_dsa_44,
    cosignature_time,
    ed25519_cosignature_message,
    format_checkpoint,
    ml_dsa_44_cosignature_message,
    parse_checkpoint,
    self_certifying_origin,
    sign_checkpoint,
)
from ledger.tlog.merkle import EMPTY_ROOT, MAX_SIZE, TreeHead, leaf_hash
from ledger.tlog.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    ED25519,
    NoteKey,
    NoteSignature,
    SignedNote,
    format_note,
    parse_note,
)
from ledger.tlog.signature import check_ed25519, check_ml_dsa_44
from tests.ledger.tlog.mutations import one_byte_changes, require_one_to_one, truncations

ED = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ML = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
ED_PUBLIC = ED.public_key().public_bytes_raw()
ML_PUBLIC = ML.public_key().public_bytes_raw()
WITNESS_ED = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
WITNESS_ML = MLDSA44PrivateKey.from_seed_bytes(bytes([7] * 32))

ORIGIN = self_certifying_origin(ED_PUBLIC, ML_PUBLIC)
CHECKPOINT = Checkpoint(ORIGIN, 3, leaf_hash(b"root"))
TEXT = format_checkpoint(CHECKPOINT)
SIGNED = sign_checkpoint(CHECKPOINT, ED, ML)
NOTE = parse_note(SIGNED)
LOG_ED = NoteKey(ORIGIN, ED25519, ED_PUBLIC)
LOG_ML = NoteKey(ORIGIN, COSIGNATURE_ML_DSA_44, ML_PUBLIC)
WITNESS = NoteKey(
    "example.com/witness", COSIGNATURE_ED25519, WITNESS_ED.public_key().public_bytes_raw()
)
WITNESS_PQ = NoteKey(
    "example.com/witness", COSIGNATURE_ML_DSA_44, WITNESS_ML.public_key().public_bytes_raw()
)
TIME = 1_679_315_147
COSIGNED = SignedNote(
    TEXT,
    (
        *NOTE.signatures,
        cosign_ed25519(CHECKPOINT, WITNESS.name, TIME, WITNESS_ED),
        cosign_ml_dsa_44(CHECKPOINT, WITNESS.name, TIME + 1, WITNESS_ML),
    ),
)
ALL_KEYS = (LOG_ED, LOG_ML, WITNESS, WITNESS_PQ)


# The text


def test_a_checkpoint_is_three_lines() -> None:
    root = bytes.fromhex("0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62")
    checkpoint = Checkpoint("example.com/behind-the-sofa", 20852163, root)
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert format_checkpoint(checkpoint) == text
    assert parse_checkpoint(text) == checkpoint
    assert checkpoint.head == TreeHead(20852163, root)


def test_cut_or_changed_checkpoints_are_other_checkpoints_or_none() -> None:
    def parse(content: bytes) -> Checkpoint:
        return parse_checkpoint(content.decode("latin-1"))

    def format_(checkpoint: Checkpoint) -> bytes:
        return format_checkpoint(checkpoint).encode("latin-1")

    content = TEXT.encode()
    assert require_one_to_one(truncations(content), parse, format_) == 0
    require_one_to_one(one_byte_changes(content), parse, format_, never=CHECKPOINT)


ORIGINS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32)))),
    min_size=1,
    max_size=60,
)


@given(ORIGINS, st.integers(1, MAX_SIZE), st.binary(min_size=32, max_size=32))
def test_every_checkpoint_survives(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "three lines"),
        (f"log\n1\n{ROOT}", "three lines"),
        (f"log\n1\n{ROOT}\nextension\n", "three lines"),
        (f"log\n1\n{ROOT}\n\n", "three lines"),
        (f"\n1\n{ROOT}\n", "origin is empty"),
        (f"l\tog\n1\n{ROOT}\n", "control character"),
        (f"log\r\n1\n{ROOT}\n", "control character"),
        (f"{'l' * 256}\n1\n{ROOT}\n", "longer than 255 bytes"),
        (f"{'ж' * 128}\n1\n{ROOT}\n", "longer than 255 bytes"),
        (f"log\n\n{ROOT}\n", "tree size is"),
        (f"log\n01\n{ROOT}\n", "tree size is"),
        (f"log\n-1\n{ROOT}\n", "tree size is"),
        (f"log\n 1\n{ROOT}\n", "tree size is"),
        (f"log\n9223372036854775808\n{ROOT}\n", "tree size is"),
        (f"log\n1\n{ROOT[:-1]}\n", "root is not base64"),
        (f"log\n1\n{ROOT} \n", "root is not base64"),
        (f"log\n1\n{ROOT[:-2]}J=\n", "root is not canonical"),
        ("log\n1\nAAAA\n", "root has 3 bytes, want 32"),
        (f"log\n1\n{ROOT[:-2]}IA\n", "root has 33 bytes, want 32"),
        (f"log\n0\n{ROOT}\n", "empty root only"),
    ],
)
def test_bad_checkpoints_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_checkpoint(text)


def test_impossible_checkpoints_are_a_mistake_of_the_caller() -> None:
    for origin, size, root in [
        ("", 1, bytes(32)),
        ("a\nb", 1, bytes(32)),
        ("\ud800", 1, bytes(32)),
        ("log", -1, bytes(32)),
        ("log", MAX_SIZE + 1, bytes(32)),
        ("log", 1, bytes(31)),
        ("log", 0, bytes(32)),
    ]:
        with pytest.raises(ValueError, match=r"origin|want|empty root"):
            Checkpoint(origin, size, root)


# What is signed


def test_the_origin_of_an_embedded_ledger_is_the_hash_of_its_keys() -> None:
    digest = sha256(ED_PUBLIC + ML_PUBLIC).hexdigest()
    assert f"tallystick/{digest}" == self_certifying_origin(ED_PUBLIC, ML_PUBLIC)
    for ed, ml in [
        (ED_PUBLIC[:-1], ML_PUBLIC),
        (ED_PUBLIC, ML_PUBLIC[:-1]),
        (ML_PUBLIC, ED_PUBLIC),
    ]:
        with pytest.raises(ValueError, match="32 bytes"):
            self_certifying_origin(ed, ml)


def test_the_ed25519_cosignature_message_is_that_of_the_specification() -> None:
    assert ed25519_cosignature_message(f"example.com/log\n1\n{ROOT}\n", TIME) == (
        f"cosignature/v1\ntime 1679315147\nexample.com/log\n1\n{ROOT}\n".encode()
    )


def test_the_ml_dsa_44_message_is_that_of_the_specification() -> None:
    checkpoint = Checkpoint("ab", 258, bytes(range(32)))
    assert ml_dsa_44_cosignature_message(checkpoint, "witness", 1).hex() == (
        "737562747265652f76310a00"  # subtree/v1\n\0
        "077769746e657373"  # witness
        "0000000000000001"  # time
        "026162"  # origin
        "0000000000000000"  # start
        "0000000000000102"  # end
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    )  # fmt: skip


def test_a_ledger_signs_with_both_keys_and_no_clock() -> None:
    assert [line.name for line in NOTE.signatures] == [ORIGIN, ORIGIN]
    assert [line.key_id for line in NOTE.signatures] == [LOG_ED.key_id, LOG_ML.key_id]
    ed, ml = (line.signature for line in NOTE.signatures)
    check_ed25519(ED_PUBLIC, ed, TEXT.encode())
    assert ml[:8] == bytes(8)
    check_ml_dsa_44(ML_PUBLIC, ml[8:], ml_dsa_44_cosignature_message(CHECKPOINT, ORIGIN, 0))
    assert cosignature_time(NOTE.signatures[1]) == 0
    assert format_note(NOTE) == SIGNED


def test_the_empty_log_can_be_signed() -> None:
    note = parse_note(sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), ED, ML))
    assert check_signatures(note, [LOG_ED, LOG_ML]) == (LOG_ED, LOG_ML)
    assert parse_checkpoint(note.text).head == TreeHead(0, EMPTY_ROOT)


def test_an_origin_that_is_no_key_name_cannot_be_signed() -> None:
    with pytest.raises(ValueError, match="key name"):
        sign_checkpoint(Checkpoint("two words", 1, bytes(32)), ED, ML)


@pytest.mark.parametrize("time", [-1, MAX_TIME + 1])
def test_times_out_of_range_are_a_mistake_of_the_caller(time: int) -> None:
    for make in (
        lambda: cosign_ed25519(CHECKPOINT, "w", time, WITNESS_ED),
        lambda: cosign_ml_dsa_44(CHECKPOINT, "w", time, WITNESS_ML),
        lambda: ed25519_cosignature_message(TEXT, time),
        lambda: ml_dsa_44_cosignature_message(CHECKPOINT, "w", time),
    ):
        with pytest.raises(ValueError, match="time is"):
            make()


def test_names_that_do_not_fit_one_byte_of_length_are_a_mistake_of_the_caller() -> None:
    for name in ("", "n" * 256):
        with pytest.raises(ValueError, match="length of one byte"):
            ml_dsa_44_cosignature_message(CHECKPOINT, name, 0)
    ml_dsa_44_cosignature_message(CHECKPOINT, "n" * 255, MAX_TIME)


# Who signed


def test_all_four_kinds_of_signature_are_found_in_the_order_of_their_lines() -> None:
    assert check_signatures(COSIGNED, ALL_KEYS) == ALL_KEYS
    assert check_signatures(COSIGNED, set(ALL_KEYS)) == ALL_KEYS
    assert check_signatures(COSIGNED, ALL_KEYS[::-1]) == ALL_KEYS
    assert [cosignature_time(line) for line in COSIGNED.signatures[1:]] == [0, TIME, TIME + 1]
    assert parse_note(format_note(COSIGNED)) == COSIGNED


def test_unknown_keys_are_ignored_also_when_name_or_key_id_is_shared() -> None:
    assert check_signatures(COSIGNED, []) == ()
    assert check_signatures(COSIGNED, [LOG_ML]) == (LOG_ML,)
    bad = bytes(64)
    lines = (
        NoteSignature(ORIGIN, b"\x00\x00\x00\x00", bad),  # the name of a known key
        NoteSignature("other", LOG_ED.key_id, bad),  # the key ID of a known key
        *NOTE.signatures,
    )
    assert check_signatures(SignedNote(TEXT, lines), [LOG_ED]) == (LOG_ED,)


def test_a_key_that_signed_twice_is_named_once() -> None:
    note = SignedNote(TEXT, NOTE.signatures * 2)
    assert check_signatures(note, [LOG_ED, LOG_ML]) == (LOG_ED, LOG_ML)


@pytest.mark.parametrize(
    ("number", "key", "kind"),
    [
        (0, LOG_ED, "Ed25519 signature by tallystick/"),
        (1, LOG_ML, "ML-DSA-44 signature by tallystick/"),
        (2, WITNESS, "Ed25519 cosignature signature by example.com/witness"),
        (3, WITNESS_PQ, "ML-DSA-44 signature by example.com/witness"),
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        lambda signature: signature[:-1] + bytes([signature[-1] ^ 1]),
        lambda signature: bytes([signature[0] ^ 0x40]) + signature[1:],
        lambda signature: signature[:7] + bytes([signature[7] ^ 1]) + signature[8:],
        lambda signature: b"\xff" * 8 + signature[8:],
        lambda signature: signature[:-1],
        lambda signature: signature + b"\x00",
        lambda signature: signature[:1],
        lambda signature: bytes(len(signature)),
        lambda signature: signature[8:] or b"x",
        lambda signature: bytes(72),
        lambda signature: bytes(2428),
    ],
)
def test_a_wrong_signature_by_a_known_key_refuses_the_note(
    number: int, key: NoteKey, kind: str, change: Callable[[bytes], bytes]
) -> None:
    lines = list(COSIGNED.signatures)
    line = lines[number]
    lines[number] = NoteSignature(line.name, line.key_id, change(line.signature))
    note = SignedNote(TEXT, tuple(lines))
    with pytest.raises(VerificationError, match=f"^{kind}"):
        check_signatures(note, ALL_KEYS)
    # One good line by the same key does not help.
    with pytest.raises(VerificationError, match=f"^{kind}"):
        check_signatures(SignedNote(TEXT, (line, *lines)), [key])
    others = [other for other in ALL_KEYS if other != key]
    assert check_signatures(note, others) == tuple(others)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(ORIGIN, 4, CHECKPOINT.root),
        Checkpoint(ORIGIN, 3, leaf_hash(b"other root")),
        Checkpoint("example.com/other", 3, CHECKPOINT.root),
    ],
)
def test_signatures_do_not_hold_for_another_checkpoint(checkpoint: Checkpoint) -> None:
    note = SignedNote(format_checkpoint(checkpoint), COSIGNED.signatures)
    for key in ALL_KEYS:
        with pytest.raises(VerificationError):
            check_signatures(note, [key])


def test_an_ml_dsa_44_signature_binds_the_signers_name_and_time() -> None:
    line = cosign_ml_dsa_44(CHECKPOINT, "another", TIME, WITNESS_ML)
    renamed = NoteSignature(WITNESS_PQ.name, WITNESS_PQ.key_id, line.signature)
    with pytest.raises(VerificationError, match="ML-DSA-44"):
        check_signatures(SignedNote(TEXT, (renamed,)), [WITNESS_PQ])


def test_a_log_signature_is_not_a_cosignature_nor_the_reverse() -> None:
    ed = NOTE.signatures[0].signature
    as_witness = NoteKey("log", COSIGNATURE_ED25519, ED_PUBLIC)
    for signature in (ed, bytes(8) + ed):
        line = NoteSignature("log", as_witness.key_id, signature)
        with pytest.raises(VerificationError, match="Ed25519 cosignature"):
            check_signatures(SignedNote(TEXT, (line,)), [as_witness])
    cosigned = cosign_ed25519(CHECKPOINT, ORIGIN, TIME, ED).signature
    for signature in (cosigned, cosigned[8:]):
        line = NoteSignature(ORIGIN, LOG_ED.key_id, signature)
        with pytest.raises(VerificationError, match="Ed25519 signature"):
            check_signatures(SignedNote(TEXT, (line,)), [LOG_ED])


def test_an_ed25519_signature_stands_under_any_text_a_cosignature_under_checkpoints_only() -> None:
    text = TEXT + "extension\n"
    line = NoteSignature(ORIGIN, LOG_ED.key_id, ED.sign(text.encode()))
    assert check_signatures(SignedNote(text, (line,)), [LOG_ED]) == (LOG_ED,)
    for witness, line in [(WITNESS, COSIGNED.signatures[2]), (WITNESS_PQ, COSIGNED.signatures[3])]:
        with pytest.raises(MalformedError, match="three lines"):
            check_signatures(SignedNote(text, (line,)), [witness])


def test_two_keys_of_one_name_and_key_id_are_a_mistake_of_the_caller() -> None:
    class Colliding(NoteKey):
        @property
        def key_id(self) -> bytes:
            return LOG_ED.key_id

    other = Colliding(ORIGIN, ED25519, WITNESS.public_key)
    with pytest.raises(ValueError, match="one name and one key ID"):
        check_signatures(NOTE, [LOG_ED, other])
    assert check_signatures(NOTE, [LOG_ED, LOG_ED]) == (LOG_ED,)


@pytest.mark.parametrize("length", [1, 8, 64, 71, 73, 2420, 2427, 2429])
def test_a_cosignature_of_another_length_has_no_time(length: int) -> None:
    with pytest.raises(MalformedError, match=f"cosignature has {length} bytes"):
        cosignature_time(NoteSignature("w", b"1234", bytes(length)))


def test_a_cosignature_time_from_two_to_the_63_is_refused() -> None:
    late = (2**63).to_bytes(8, "big") + bytes(64)
    with pytest.raises(MalformedError, match="beyond"):
        cosignature_time(NoteSignature("w", b"1234", late))
    latest = MAX_TIME.to_bytes(8, "big") + bytes(64)
    assert cosignature_time(NoteSignature("w", b"1234", latest)) == MAX_TIME
