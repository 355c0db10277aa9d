"""Signed notes and verifier keys (c2sp.org/signed-note).

>>> key = parse_vkey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
>>> key.name, key.type, key.key_id.hex()
('example.com/foo', 1, '530d903a')

A note is a text, a blank line, and signature lines. Reading one checks its form only: the text
means nothing until ``ledger.tlog.checkpoint.check_signatures`` has found a signature by a key
that the reader already trusted.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from ledger.errors import MalformedError, VerificationError
from ledger.tlog.signature import ED25519_KEY_SIZE, ML_DSA_44_KEY_SIZE, check_ed25519_key
from ledger.tlog.text import format_base64, parse_base64

ED25519 = 0x01
COSIGNATURE_ED25519 = 0x04
COSIGNATURE_ML_DSA_44 = 0x06
"""The signature types read and written here; a vkey of another type is refused."""

KEY_SIZES = {
    ED25519: ED25519_KEY_SIZE,
    COSIGNATURE_ED25519: ED25519_KEY_SIZE,
    COSIGNATURE_ML_DSA_44: ML_DSA_44_KEY_SIZE,
}

MAX_NOTE_BYTES = 1 << 20
"""100 ML-DSA-44 lines are 330 kB; a megabyte leaves room for the text and bounds the work."""

MAX_SIGNATURES = 100
"""The specification wants 16 at least; more than 100 is an attempt to make readers work."""

MAX_NAME_BYTES = 255
"""An ML-DSA-44 cosignature writes its cosigner's name behind a length of one byte."""

MAX_VKEY_CHARACTERS = MAX_NAME_BYTES + 1 + 8 + 1 + 1752
"""The longest name, the key ID, and base64 of a type byte and an ML-DSA-44 key."""

KEY_ID_SIZE = 4

_FORBIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_NAME = re.compile(r"[^+\s\x00-\x1f\ud800-\udfff]+")
_KEY_ID = re.compile(r"[0-9a-f]{8}")
_DASH = "\u2014 "
"""Em dash and space: what every signature line begins with."""


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under a name. ``type`` is one of the three signature types of this module.

    ValueError for a name that is empty, too long, or has a space or a plus sign, for another
    type, and for a public key of the wrong length or, for Ed25519, one that is not canonical or of
    small order. That the bytes are a point at all is found only when a signature is checked.
    """

    name: str
    type: int
    public_key: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.name.encode()) > MAX_NAME_BYTES:
            raise ValueError(f"key name is longer than {MAX_NAME_BYTES} bytes")
        if self.type not in KEY_SIZES:
            raise ValueError(f"signature type is {self.type:#04x}, want 0x01, 0x04 or 0x06")
        if len(self.public_key) != KEY_SIZES[self.type]:
            raise ValueError(
                f"public key has {len(self.public_key)} bytes, want {KEY_SIZES[self.type]}"
            )
        if self.type != COSIGNATURE_ML_DSA_44:
            try:
                check_ed25519_key(self.public_key)
            except VerificationError as error:
                raise ValueError(str(error)) from error

    @property
    def key_id(self) -> bytes:
        """4 bytes: SHA-256(name || 0x0A || type || public key)[:4]."""
        encoded = self.name.encode() + b"\n" + bytes([self.type]) + self.public_key
        return sha256(encoded).digest()[:KEY_ID_SIZE]


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who says it signed, and the bytes. Nothing about it is checked.

    ``key_id``: 4 bytes. ``signature``: at least one byte. ValueError otherwise, or for a bad name.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.key_id) != KEY_ID_SIZE or not self.signature:
            raise ValueError("a signature line has a key ID of 4 bytes and a signature")


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends in a newline, and 1 to 100 signature lines.

    ValueError otherwise, or if the text has a control character other than newline. The note's
    size is limited where it is read, not here.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        if not self.text.endswith("\n"):
            raise ValueError("note text does not end in a newline")
        if _FORBIDDEN.search(self.text):
            raise ValueError("note text has a control character or a lone surrogate")
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise ValueError(
                f"note has {len(self.signatures)} signatures, want 1 to {MAX_SIGNATURES}"
            )


def parse_vkey(text: str) -> NoteKey:
    """The key in ``text``: ``<name>+<8 hex of key ID>+<base64 of type || public key>``.

    Raises MalformedError, also if the key ID is not the one computed from the rest.
    """
    if len(text) > MAX_VKEY_CHARACTERS:
        raise MalformedError(f"vkey has {len(text)} characters, want at most {MAX_VKEY_CHARACTERS}")
    parts = text.split("+", 2)  # base64 has plus signs of its own
    if len(parts) != 3 or _KEY_ID.fullmatch(parts[1]) is None:
        raise MalformedError("vkey is not <name>+<8 hex digits>+<base64>")
    encoded = parse_base64(parts[2], "vkey")
    if not encoded:
        raise MalformedError("vkey has no signature type")
    try:
        key = NoteKey(parts[0], encoded[0], encoded[1:])
    except ValueError as error:
        raise MalformedError(f"vkey: {error}") from error
    if key.key_id.hex() != parts[1]:
        raise MalformedError(f"vkey has key ID {parts[1]}, want {key.key_id.hex()}")
    return key


def format_vkey(key: NoteKey) -> str:
    """``key`` as a vkey."""
    return f"{key.name}+{key.key_id.hex()}+{format_base64(bytes([key.type]) + key.public_key)}"


def parse_note(content: bytes) -> SignedNote:
    """The note in ``content``; no signature is checked. Raises MalformedError."""
    if len(content) > MAX_NOTE_BYTES:
        raise MalformedError(f"note has {len(content)} bytes, want at most {MAX_NOTE_BYTES}")
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("note is not UTF-8") from error
    if _FORBIDDEN.search(whole):
        raise MalformedError("note has a control character")
    # The text may have blank lines of its own: the last one parts it from the signatures.
    text, blank, block = whole.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise MalformedError("note has no signature lines after a blank line")
    lines = block[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedError(f"note has {len(lines)} signatures, want at most {MAX_SIGNATURES}")
    return SignedNote(text + "\n", tuple(_parse_line(line) for line in lines))


def format_note(note: SignedNote) -> bytes:
    """``note`` as it is signed, served and stored."""
    lines = (
        f"{_DASH}{line.name} {format_base64(line.key_id + line.signature)}\n"
        for line in note.signatures
    )
    return "".join([note.text, "\n", *lines]).encode("utf-8")


def _parse_line(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise MalformedError("signature line is not an em dash, a name and a signature")
    content = parse_base64(encoded, "signature line")
    try:
        return NoteSignature(name, content[:KEY_ID_SIZE], content[KEY_ID_SIZE:])
    except ValueError as error:
        raise MalformedError(f"signature line: {error}") from error


def _require_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ValueError("key name is empty or has a space, a plus sign or a control character")
