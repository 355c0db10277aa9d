"""Ed25519 and ML-DSA-44 signatures, checked strictly; nothing here signs.

Which Ed25519 signatures are good is not one question with one answer: libraries differ on keys of
small order, on encodings that are not canonical, and on the cofactor. A verdict must not depend
on the library, so this is fixed:

- the public key is a canonical encoding (y < p) of a point that is not of small order. With the
  identity as key one signature is good for every message;
- S < L, so that a signature cannot be changed into another one (RFC 8032 §5.1.7);
- the equation without cofactor, R compared as encoded bytes: [S]B = R + [k]A.

Of the twelve speccheck cases ("Taming the many EdDSAs", eprint 2020/1244) this accepts 2 and 3
and refuses 0, 1 and 4 to 11. Case 2 has an R of small order under a key that is not: only the
holder of that key can make such a signature, so it deceives nobody else, and RFC 8032 and OpenSSL
accept it; libsodium does not.

ML-DSA-44 is FIPS 204, pure, with the empty context.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from ledger.errors import VerificationError

ED25519_KEY_SIZE = 32
ED25519_SIGNATURE_SIZE = 64
ML_DSA_44_KEY_SIZE = 1312
ML_DSA_44_SIGNATURE_SIZE = 2420
"""Sizes in bytes: RFC 8032 §5.1 and FIPS 204 table 2."""

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
"""The y coordinate of two of the four points of order 8; the other two have p - y."""

_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})
"""The y coordinates of the eight points of small order: orders 4, 1, 2, 8 and 8."""


def check_ed25519_key(public_key: bytes) -> None:
    """Raise VerificationError if no signature under ``public_key`` can mean anything.

    That is: not 32 bytes, not canonical, or of small order. That the bytes decode to a point at
    all is NOT checked here, but by ``check_ed25519``.
    """
    _require_length(public_key, ED25519_KEY_SIZE, "Ed25519 public key")
    y = int.from_bytes(public_key, "little") & (1 << 255) - 1
    if y >= _P:
        raise VerificationError("Ed25519 public key is not canonical")
    if y in _SMALL_ORDER_Y:
        raise VerificationError("Ed25519 public key is of small order")


def check_ed25519(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raise VerificationError unless ``signature`` is good for ``message`` under ``public_key``.

    ``public_key`` 32 bytes, ``signature`` 64 bytes R || S; other lengths are a VerificationError
    too. RFC 8032 §5.1.7 without cofactor, with the module's limits on keys.
    """
    check_ed25519_key(public_key)
    _require_length(signature, ED25519_SIGNATURE_SIZE, "Ed25519 signature")
    if int.from_bytes(signature[32:], "little") >= _L:
        raise VerificationError("Ed25519 signature has S out of range")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise VerificationError("Ed25519 signature is wrong") from error


def check_ml_dsa_44(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raise VerificationError unless ``signature`` is good for ``message`` under ``public_key``.

    ``public_key`` 1312 bytes, ``signature`` 2420 bytes; other lengths are a VerificationError
    too. FIPS 204 ML-DSA.Verify with the empty context.
    """
    _require_length(public_key, ML_DSA_44_KEY_SIZE, "ML-DSA-44 public key")
    _require_length(signature, ML_DSA_44_SIGNATURE_SIZE, "ML-DSA-44 signature")
    try:
        MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise VerificationError("ML-DSA-44 signature is wrong") from error


def _require_length(content: bytes, want: int, name: str) -> None:
    if len(content) != want:
        raise VerificationError(f"{name} has {len(content)} bytes, want {want}")
