"""Private keys on disk, made on first use: PKCS #8 in PEM, and age identities.

Files are readable by their owner only (mode 0600) and not encrypted: whoever can read the folder
can sign. A key is never overwritten.
"""

from pathlib import Path

import pyrage
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ledger.doors.files import read_limited, write_durably
from ledger.errors import MalformedError

MAX_KEY_BYTES = 1 << 16
_END = b"-----END PRIVATE KEY-----\n"


def make_ledger_keys(path: Path) -> None:
    """Make a ledger's two keys, Ed25519 and ML-DSA-44; ConflictError if ``path`` exists."""
    pair: tuple[Ed25519PrivateKey, MLDSA44PrivateKey]
    pair = (Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate())
    write_durably(path, b"".join(_to_pem(key) for key in pair))


def load_ledger_keys(path: Path) -> tuple[Ed25519PrivateKey, MLDSA44PrivateKey]:
    """The ledger's keys; NotFoundError, MalformedError."""
    keys = [_from_pem(block + _END, path) for block in _read(path).split(_END)[:-1]]
    match keys:
        case [Ed25519PrivateKey() as ed25519, MLDSA44PrivateKey() as ml_dsa_44]:
            return ed25519, ml_dsa_44
    raise MalformedError(f"{path} does not hold an Ed25519 and an ML-DSA-44 key")


def make_signing_key(path: Path) -> None:
    """Make a key that signs records (Ed25519); ConflictError if ``path`` exists."""
    write_durably(path, _to_pem(Ed25519PrivateKey.generate()))


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """The key that signs records; NotFoundError, MalformedError."""
    key = _from_pem(_read(path), path)
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedError(f"{path} does not hold an Ed25519 key")
    return key


def make_identity(path: Path) -> None:
    """Make the age identity that kept carriers are encrypted to; ConflictError if it exists."""
    identity = pyrage.x25519.Identity.generate()
    text = f"# public key: {identity.to_public()}\n{identity}\n"
    write_durably(path, text.encode("ascii"))


def load_identity(path: Path) -> pyrage.x25519.Identity:
    """The age identity; NotFoundError, MalformedError."""
    lines = _read(path).decode("utf-8", "replace").splitlines()
    for line in lines:
        if line.startswith("AGE-SECRET-KEY-1"):
            try:
                return pyrage.x25519.Identity.from_str(line)
            except pyrage.IdentityError as error:
                raise MalformedError(f"{path} holds a damaged age identity") from error
    raise MalformedError(f"{path} holds no age identity")


def load_recipient(text: str) -> pyrage.x25519.Recipient:
    """The age recipient ``text`` (``age1…``); MalformedError, which never repeats a secret key."""
    if text.upper().startswith("AGE-SECRET-KEY"):
        hint = "give its public half: the line that begins with age1"
        raise MalformedError("this is a secret age key, want a recipient", hint=hint)
    try:
        if text == text.lower():
            return pyrage.x25519.Recipient.from_str(text)
        reason = "it is not in lower case"
    except pyrage.RecipientError as error:
        reason = str(error)
    hint = "`age-keygen` prints one for a key of your own; other kinds are not taken"
    raise MalformedError(f"{text[:80]!r} is no age recipient: {reason}", hint=hint)


def _read(path: Path) -> bytes:
    return read_limited(path, MAX_KEY_BYTES)


def _to_pem(key: Ed25519PrivateKey | MLDSA44PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _from_pem(pem: bytes, path: Path) -> object:
    try:
        return load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError(f"{path} holds no readable private key") from error
