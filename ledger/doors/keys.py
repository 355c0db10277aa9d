"""Private keys on disk, made on first use: PKCS #8 in PEM, and age identities.

Files are readable by their owner only (mode 0600). A ledger's keys are never encrypted. Keys that
sign records and the age identity are as they were written: in the clear, or sealed:

    keys/identity.txt      age file sealed with a passphrase (scrypt), inside it the age identity
    keys/<key>.pem         age file sealed to that identity, inside it the PEM

So one passphrase opens one file, and that opens the rest; to change it is to replace one file.
``age -d identity.txt`` and ``age -d -i … key.pem`` open them without us.
"""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pyrage
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ledger.doors.files import read_limited, write_durably
from ledger.errors import MalformedError, UnavailableError
from ledger.record.rfc4648 import decode_base64url
from ledger.record.sdjwt import SigningKey

MAX_KEY_BYTES = 1 << 16
KEY_TYPES = ("ed25519", "es256")
"""Kinds of keys that sign records; the first is the default."""

RECIPIENT_FILE = "recipient.txt"
"""Beside a sealed identity: its public half, in the clear."""

Identity: TypeAlias = Any  # pyrage.x25519.Identity: pyrage publishes no types
_END = b"-----END PRIVATE KEY-----\n"
_SEALED = b"age-encryption.org/v1\n"


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


def generate_key(kind: str) -> SigningKey:
    """A new key that signs records, of a kind of KEY_TYPES; ValueError for another."""
    if kind == "ed25519":
        return Ed25519PrivateKey.generate()
    if kind == "es256":
        return ec.generate_private_key(ec.SECP256R1())
    raise ValueError(f"key type is {kind!r}, want one of {', '.join(KEY_TYPES)}")


def make_signing_key(
    path: Path, kind: str = KEY_TYPES[0], recipient: str | None = None
) -> SigningKey:
    """Make a key that signs records; ConflictError if ``path`` exists.

    ``recipient``: the age recipient it is sealed to, None to leave it in the clear.
    """
    key = generate_key(kind)
    write_signing_key(path, key, recipient)
    return key


def write_signing_key(
    path: Path, key: SigningKey, recipient: str | None, *, overwrite: bool = False
) -> None:
    """Write ``key`` durably, sealed to ``recipient`` unless that is None; ConflictError."""
    pem = _to_pem(key)
    if recipient is not None:
        pem = pyrage.encrypt(pem, [load_recipient(recipient)])
    write_durably(path, pem, overwrite=overwrite)


def load_signing_key(path: Path, identity: Identity | None = None) -> SigningKey:
    """The key that signs records; NotFoundError, MalformedError.

    ``identity``: opens it if it is sealed. UnavailableError if it is, and nothing or something else
    was given.
    """
    content = _read(path)
    if content.startswith(_SEALED):
        content = _open_sealed(content, path, identity)
    key = _from_pem(content, path)
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise MalformedError(f"{path} does not hold an Ed25519 or P-256 key")


def seal_key(key: SigningKey, passphrase: str) -> bytes:
    """``key`` as PEM in an age file that ``passphrase`` opens."""
    return seal_with(_to_pem(key), passphrase)


def public_pem(jwk: Mapping[str, str]) -> str:
    """The public key in ``jwk`` (as ``public_jwk`` makes it) as PEM (RFC 5280 §4.1.2.7)."""
    public: Ed25519PublicKey | ec.EllipticCurvePublicKey
    if jwk["kty"] == "OKP":
        public = Ed25519PublicKey.from_public_bytes(decode_base64url(jwk["x"]))
    else:
        x, y = (int.from_bytes(decode_base64url(jwk[name]), "big") for name in ("x", "y"))
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode("ascii")


def is_sealed(path: Path) -> bool:
    """Whether the key at ``path`` is sealed; NotFoundError, MalformedError if far too long."""
    return _read(path).startswith(_SEALED)


def make_identity(path: Path, passphrase: str | None = None) -> Identity:
    """Make the age identity that kept carriers are encrypted to; ConflictError if it exists.

    With a passphrase its public half is written beside it first.
    """
    identity = pyrage.x25519.Identity.generate()
    if passphrase is not None:
        public = f"{identity.to_public()}\n".encode("ascii")
        write_durably(path.with_name(RECIPIENT_FILE), public, overwrite=True)
    write_identity(path, identity, passphrase)
    return identity


def write_identity(
    path: Path, identity: Identity, passphrase: str | None, *, overwrite: bool = False
) -> None:
    """Write ``identity`` durably, sealed with ``passphrase`` unless that is None; ConflictError.

    Sealing takes a second or two, as does every guess at the passphrase. If we die at any point,
    the old file or the new one is there, whole.
    """
    content = f"# public key: {identity.to_public()}\n{identity}\n".encode("ascii")
    write_durably(path, seal_with(content, passphrase), overwrite=overwrite)


def seal_with(content: bytes, passphrase: str | None) -> bytes:
    """``content`` as an age file that ``passphrase`` opens; as it is if that is None."""
    if passphrase is None:
        return content
    sealed: bytes = pyrage.passphrase.encrypt(content, _normal(passphrase))
    return sealed


def load_identity(path: Path, passphrase: str | None = None) -> Identity:
    """The age identity; NotFoundError, MalformedError.

    UnavailableError if it is sealed, and ``passphrase`` is None or does not open it.
    """
    content = _read(path)
    if content.startswith(_SEALED):
        content = _open_with(content, path, passphrase)
    for line in content.decode("utf-8", "replace").splitlines():
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


def _to_pem(key: SigningKey | MLDSA44PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _from_pem(pem: bytes, path: Path) -> object:
    try:
        return load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError(f"{path} holds no readable private key") from error


def _open_sealed(content: bytes, path: Path, identity: Identity | None) -> bytes:
    if identity is None:
        raise UnavailableError(f"{path} is sealed: it wants the vault's identity")
    try:
        opened: bytes = pyrage.decrypt(content, [identity])
    except pyrage.DecryptError as error:
        raise UnavailableError(f"the vault's identity does not open {path}") from error
    return opened


def _open_with(content: bytes, path: Path, passphrase: str | None) -> bytes:
    if passphrase is None:
        raise UnavailableError(f"{path} is sealed: it wants a passphrase")
    try:
        opened: bytes = pyrage.passphrase.decrypt(content, _normal(passphrase))
    except pyrage.DecryptError as error:
        raise UnavailableError(f"this passphrase does not open {path}") from error
    return opened


def _normal(passphrase: str) -> str:
    """The same passphrase whichever system it was typed on: in NFC."""
    return unicodedata.normalize("NFC", passphrase)
