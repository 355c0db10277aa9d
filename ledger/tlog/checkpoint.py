"""Checkpoints, and who signed them (c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature).

>>> from ledger.tlog.merkle import EMPTY_ROOT
>>> format_checkpoint(Checkpoint("example.com/log", 0, EMPTY_ROOT)).splitlines()[:2]
['example.com/log', '0']

A checkpoint is a note whose text is origin, tree size and root. The ledger signs it twice under
its origin as key name: Ed25519 (type 0x01) over the text, and ML-DSA-44 (0x06) over a binary form
of the same three facts, with the time 0 so that no clock of the operator's enters the evidence.
Witnesses add cosignatures (0x04, 0x06), which do carry a time: when they say it, and no more.

Extension lines are refused: nothing audits them, and the ML-DSA-44 message does not cover them.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.errors import MalformedError, VerificationError
from ledger.tlog.merkle import HASH_SIZE, Hash, TreeHead
from ledger.tlog.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    ED25519,
    NoteKey,
    NoteSignature,
    SignedNote,
    format_note,
)
from ledger.tlog.signature import (
    ED25519_KEY_SIZE,
    ED25519_SIGNATURE_SIZE,
    ML_DSA_44_KEY_SIZE,
    ML_DSA_44_SIGNATURE_SIZE,
    check_ed25519,
    check_ml_dsa_44,
)
from ledger.tlog.text import format_base64, parse_base64, parse_decimal

MAX_ORIGIN_BYTES = 255
"""An ML-DSA-44 cosignature writes the origin behind a length of one byte."""

MAX_TIME = 2**63 - 1
"""The latest POSIX time a cosignature may carry."""

TYPE_NAMES = {
    ED25519: "Ed25519",
    COSIGNATURE_ED25519: "Ed25519 cosignature",
    COSIGNATURE_ML_DSA_44: "ML-DSA-44",
}
"""How messages name the signature types."""

_TIME_SIZE = 8
_ORIGIN = re.compile(r"[^\x00-\x1f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's claim about itself: the log ``origin`` has ``size`` entries under ``root``.

    ValueError for an origin that is empty, longer than 255 bytes or has a control character, and
    for a size and root that no tree has.
    """

    origin: str
    size: int
    root: Hash

    def __post_init__(self) -> None:
        if _ORIGIN.fullmatch(self.origin) is None:
            raise ValueError("origin is empty or has a control character")
        if len(self.origin.encode()) > MAX_ORIGIN_BYTES:
            raise ValueError(f"origin is longer than {MAX_ORIGIN_BYTES} bytes")
        TreeHead(self.size, self.root)

    @property
    def head(self) -> TreeHead:
        """Size and root as a tree head."""
        return TreeHead(self.size, self.root)


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in ``text``, a note's text. Raises MalformedError, also for extensions."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise MalformedError("checkpoint is not three lines: origin, size, root")
    size = parse_decimal(lines[1], "tree size")
    root = parse_base64(lines[2], "root")
    if len(root) != HASH_SIZE:
        raise MalformedError(f"root has {len(root)} bytes, want {HASH_SIZE}")
    try:
        return Checkpoint(lines[0], size, root)
    except ValueError as error:
        raise MalformedError(f"checkpoint: {error}") from error


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """``checkpoint`` as a note's text: three lines, each with its newline."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{format_base64(checkpoint.root)}\n"


def self_certifying_origin(ed25519_public: bytes, ml_dsa_44_public: bytes) -> str:
    """``tallystick/`` and the hex SHA-256 of both raw keys: the origin of an embedded ledger.

    Who holds a checkpoint with this origin can tell whether given keys are the log's, without
    having been told before. ValueError for keys of the wrong length.
    """
    if len(ed25519_public) != ED25519_KEY_SIZE or len(ml_dsa_44_public) != ML_DSA_44_KEY_SIZE:
        raise ValueError("want an Ed25519 key of 32 bytes and an ML-DSA-44 key of 1312 bytes")
    return "tallystick/" + sha256(ed25519_public + ml_dsa_44_public).hexdigest()


def sign_checkpoint(
    checkpoint: Checkpoint, ed25519: Ed25519PrivateKey, ml_dsa_44: MLDSA44PrivateKey
) -> bytes:
    """The signed note of ``checkpoint``: an Ed25519 line (0x01), then an ML-DSA-44 line (0x06).

    The key name is the origin, so an origin with a space or a plus sign is a ValueError. ML-DSA
    signing is randomised: signing twice gives two files, and the caller must keep one.
    """
    text = format_checkpoint(checkpoint)
    key = NoteKey(checkpoint.origin, ED25519, ed25519.public_key().public_bytes_raw())
    line = NoteSignature(key.name, key.key_id, ed25519.sign(text.encode()))
    second = cosign_ml_dsa_44(checkpoint, checkpoint.origin, 0, ml_dsa_44)
    return format_note(SignedNote(text, (line, second)))


def cosign_ed25519(
    checkpoint: Checkpoint, name: str, time: int, key: Ed25519PrivateKey
) -> NoteSignature:
    """The signature line (0x04) with which ``name`` says it saw ``checkpoint`` at ``time``.

    ``time``: POSIX seconds. The message does not bind the name, so one key serves one cosigner
    only. ValueError for a bad name or time.
    """
    message = ed25519_cosignature_message(format_checkpoint(checkpoint), time)
    public = NoteKey(name, COSIGNATURE_ED25519, key.public_key().public_bytes_raw())
    return NoteSignature(name, public.key_id, _time_bytes(time) + key.sign(message))


def cosign_ml_dsa_44(
    checkpoint: Checkpoint, name: str, time: int, key: MLDSA44PrivateKey
) -> NoteSignature:
    """The signature line (0x06) of ``name`` over ``checkpoint``; ``time`` 0 makes no claim of time.

    ``time``: POSIX seconds. ValueError for a bad name or time.
    """
    message = ml_dsa_44_cosignature_message(checkpoint, name, time)
    public = NoteKey(name, COSIGNATURE_ML_DSA_44, key.public_key().public_bytes_raw())
    return NoteSignature(name, public.key_id, _time_bytes(time) + key.sign(message))


def ed25519_cosignature_message(text: str, time: int) -> bytes:
    """What an Ed25519 cosignature (0x04) signs: a header, the time, and the whole note text."""
    _time_bytes(time)
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def ml_dsa_44_cosignature_message(checkpoint: Checkpoint, name: str, time: int) -> bytes:
    """What an ML-DSA-44 signature (0x06) by ``name`` signs, ``cosigned_message`` of the spec.

    label[12]  name<1..255>  u64 time  origin<1..255>  u64 start = 0  u64 end = size  root[32]
    """
    return b"".join(
        (
            b"subtree/v1\n\0",
            _short(name),
            _time_bytes(time),
            _short(checkpoint.origin),
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def cosignature_time(signature: NoteSignature) -> int:
    """The POSIX time that a cosignature (0x04 or 0x06) carries, 0 if it claims none.

    It means something only after ``check_signatures`` accepted the signature. MalformedError if
    the bytes have the length of neither type or the time is out of range.
    """
    sizes = (_TIME_SIZE + ED25519_SIGNATURE_SIZE, _TIME_SIZE + ML_DSA_44_SIGNATURE_SIZE)
    if len(signature.signature) not in sizes:
        raise MalformedError(
            f"cosignature has {len(signature.signature)} bytes, want one of {sizes}"
        )
    time = int.from_bytes(signature.signature[:_TIME_SIZE], "big")
    if time > MAX_TIME:
        raise MalformedError("cosignature time is beyond 2^63 - 1")
    return time


def check_signatures(note: SignedNote, keys: Collection[NoteKey]) -> tuple[NoteKey, ...]:
    """Those of ``keys`` that signed ``note`` well, each once, in the order of the note's lines.

    Lines by other keys are ignored, also if only the name or only the key ID is a given one. A
    wrong signature by a given key is a VerificationError that names its type, whatever the other
    lines say; MalformedError if a cosignature stands under a text that is no checkpoint. An empty
    answer means that nobody you know signed. ValueError if two of ``keys`` share name and key ID.
    """
    known = {(key.name, key.key_id): key for key in keys}
    if len(known) != len(set(keys)):
        raise ValueError("two different keys have one name and one key ID")
    good: dict[NoteKey, None] = {}
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is not None:
            _check_line(note.text, line, key)
            good[key] = None
    return tuple(good)


def _check_line(text: str, line: NoteSignature, key: NoteKey) -> None:
    checkpoint = None if key.type == ED25519 else parse_checkpoint(text)
    try:
        if checkpoint is None:
            check_ed25519(key.public_key, line.signature, text.encode())
        else:
            _check_cosignature(text, checkpoint, line, key)
    except (MalformedError, VerificationError) as error:
        raise VerificationError(
            f"{TYPE_NAMES[key.type]} signature by {key.name}: {error}"
        ) from error


def _check_cosignature(
    text: str, checkpoint: Checkpoint, line: NoteSignature, key: NoteKey
) -> None:
    time = cosignature_time(line)
    signature = line.signature[_TIME_SIZE:]
    if key.type == COSIGNATURE_ED25519:
        check_ed25519(key.public_key, signature, ed25519_cosignature_message(text, time))
    else:
        message = ml_dsa_44_cosignature_message(checkpoint, key.name, time)
        check_ml_dsa_44(key.public_key, signature, message)


def _time_bytes(time: int) -> bytes:
    if not 0 <= time <= MAX_TIME:
        raise ValueError(f"time is {time}, want 0 to 2^63 - 1")
    return time.to_bytes(_TIME_SIZE, "big")


def _short(text: str) -> bytes:
    # opaque <1..2^8-1>: one byte of length, then the bytes.
    encoded = text.encode()
    if not 1 <= len(encoded) <= 255:
        raise ValueError(f"{len(encoded)} bytes do not fit a length of one byte")
    return bytes([len(encoded)]) + encoded
