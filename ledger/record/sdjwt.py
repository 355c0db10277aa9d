"""SD-JWT, compact serialization (RFC 9901), under the one header this project allows.

    J ~ D1 ~ D2 ~ … ~          J: the issuer-signed JWT; D: disclosures; ASCII
    J  = base64url(header) . base64url(payload) . base64url(signature)        (RFC 7515 §7.1)
    D  = base64url([salt, name, value])                                        (RFC 9901 §4.2.1)

The header is exactly ``{"alg", "typ", "jwk"}``: the signer's public key stands in it, so that a
record is checked without asking anyone; whose key it is, is another question. ``alg`` is
``Ed25519`` (RFC 9864) or ``ES256`` with low S, so that one message has one signature per key.

>>> disclosure = make_disclosure("kind", "carrier", bytes(16))
>>> parse_disclosure(disclosure.text) == disclosure
True

Which digests stand where, and what claims mean, is left to ``record`` and ``claims``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from ledger.errors import MalformedError, VerificationError
from ledger.record.rfc4648 import decode_base64url, encode_base64url
from ledger.record.strict_json import JsonValue, format_json, parse_json
from ledger.tlog.signature import check_ed25519

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Draws that many random bytes; ``secrets.token_bytes`` outside of tests."""

SigningKey: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey

HEADER_TYPE: Final = "tallystick+sd-jwt"
SALT_BYTES: Final = 16  # RFC 9901 §9.3 recommends 128 bits; this format wants exactly these
MAX_JWT_BYTES: Final = 16 * 1024
"""J with 32 digests has 2.5 KB; the rest is room for more digests and for white space."""
MAX_SDJWT_BYTES: Final = 1024 * 1024
"""J and all disclosures: the largest claim has 64 KiB, and no reader has to hold more than this."""
KEPT_HEADERS: Final = 64
"""Headers whose key is kept: a bundle's records are signed by few, each with one header."""
MAX_DISCLOSURES: Final = 128
"""Four times the claims there are, so that a hostile SD-JWT is refused before it is hashed."""

RESERVED_NAMES: Final = frozenset({"_sd", "..."})  # RFC 9901 §4.2.1
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SALT = re.compile("[A-Za-z0-9_-]{21}[AQgw]")  # 16 bytes; the last four bits are spare and zero
_KEY_SHAPES: Final = {
    "Ed25519": ({"kty": "OKP", "crv": "Ed25519"}, ("x",)),  # RFC 8037 §2
    "ES256": ({"kty": "EC", "crv": "P-256"}, ("x", "y")),  # RFC 7518 §6.2.1
}


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One opened claim: ``text`` as it stands in the SD-JWT, and what it says.

    ``salt``: 22 characters, base64url of 16 bytes; never to be printed.
    """

    text: str
    salt: str
    name: str
    value: JsonValue

    @property
    def digest(self) -> str:
        """base64url of SHA-256 of ``text`` (RFC 9901 §4.2.3)."""
        return encode_base64url(sha256(self.text.encode("ascii")).digest())


@dataclass(frozen=True, slots=True)
class SdJwt:
    """An SD-JWT: ``jwt`` (J) and its disclosures, in the order found."""

    jwt: str
    disclosures: tuple[Disclosure, ...]


@dataclass(frozen=True, slots=True)
class JwtKey:
    """The key that signed a JWT. ``thumbprint``: RFC 7638, base64url of SHA-256."""

    thumbprint: str
    jwk: Mapping[str, str]
    alg: str


@dataclass(frozen=True, slots=True)
class Jwt:
    """J as read: its ``text``, the ``key`` in its header, and its 64 bytes of ``signature``."""

    text: str
    key: JwtKey
    payload: dict[str, JsonValue]
    signature: bytes


def make_disclosure(name: str, value: JsonValue, salt: bytes) -> Disclosure:
    """The disclosure of the claim ``name`` with ``value``; ``salt``: 16 fresh random bytes.

    Raises ValueError for another salt, a reserved name, or a value strict JSON cannot say.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"salt has {len(salt)} bytes, want {SALT_BYTES}")
    if name in RESERVED_NAMES:
        raise ValueError(f"claim name {name} is reserved")
    salt_text = encode_base64url(salt)
    text = encode_base64url(format_json([salt_text, name, value]))
    return Disclosure(text, salt_text, name, value)


def parse_disclosure(text: str) -> Disclosure:
    """The disclosure of an object property, read from its ``text``, which is kept as found.

    Raises MalformedError unless it is base64url of exactly ``[salt, name, value]`` with a 128-bit
    salt and a name that is not reserved (RFC 9901 §7.1 step 3.c.ii).
    """
    disclosure = parse_salted(text)
    if disclosure.name in RESERVED_NAMES:
        raise MalformedError(f"disclosure has the reserved name {disclosure.name}")
    return disclosure


def parse_salted(text: str) -> Disclosure:
    """As ``parse_disclosure``, but any name is good: a file may be called ``...`` or ``_sd``.

    Raises MalformedError unless ``text`` is base64url of ``[salt, name, value]``.
    """
    salt, name, value = parse_triple(text)
    if not isinstance(name, str):
        raise MalformedError("disclosure has a name that is no string")
    return Disclosure(text, salt, name, value)


def parse_triple(text: str) -> tuple[str, JsonValue, JsonValue]:
    """Salt, second and third element of ``text``, whatever the second is: parts have numbers.

    Raises MalformedError unless ``text`` is base64url of an array of three with a 128-bit salt.
    """
    array = parse_json(decode_base64url(text), limit_bytes=MAX_SDJWT_BYTES)
    if not isinstance(array, list) or len(array) != 3:
        raise MalformedError("disclosure is no array of three")
    salt, name, value = array
    if not isinstance(salt, str) or not _SALT.fullmatch(salt):
        raise MalformedError("disclosure has a salt that is not of 128 bits")
    return salt, name, value


def parse_sdjwt(b: bytes) -> SdJwt:
    """The SD-JWT in ``b``: J, its disclosures, and a ``~`` at the end.

    J is only cut out here (``parse_jwt`` reads it), and digests are not compared (``record`` does).
    Raises MalformedError for anything else, a key-binding JWT (RFC 9901 §4.3) included.
    """
    if len(b) > MAX_SDJWT_BYTES:
        raise MalformedError(f"SD-JWT has {len(b)} bytes, want at most {MAX_SDJWT_BYTES}")
    try:
        jwt, *texts, last = b.decode("ascii").split("~")
    except UnicodeDecodeError:
        raise MalformedError("SD-JWT is not ASCII") from None
    except ValueError:
        raise MalformedError("SD-JWT has no ~") from None
    if last:
        raise MalformedError("SD-JWT does not end in ~")
    if len(texts) > MAX_DISCLOSURES:
        raise MalformedError(f"SD-JWT has {len(texts)} disclosures, want {MAX_DISCLOSURES} at most")
    if not _JWT.fullmatch(jwt):
        raise MalformedError("JWT is not three parts of base64url")
    return SdJwt(jwt, tuple(parse_disclosure(text) for text in texts))


def format_sdjwt(sdjwt: SdJwt) -> bytes:
    """``sdjwt`` as it was read or made: ``format_sdjwt(parse_sdjwt(b)) == b``."""
    parts = [sdjwt.jwt, *(disclosure.text for disclosure in sdjwt.disclosures), ""]
    return "~".join(parts).encode("ascii")


def sign_jwt(payload: dict[str, JsonValue], key: SigningKey) -> str:
    """J over ``payload`` under ``key``, in canonical JSON; the same arguments give the same J.

    Ed25519 is deterministic by itself, ES256 is signed as RFC 6979 says, with low S.
    Raises ValueError for a key that is neither Ed25519 nor P-256.
    """
    jwk = public_jwk(key)
    alg = "Ed25519" if jwk["kty"] == "OKP" else "ES256"
    header = format_json({"alg": alg, "jwk": {**jwk}, "typ": HEADER_TYPE})
    signing_input = f"{encode_base64url(header)}.{encode_base64url(format_json(payload))}"
    signature = _sign(key, signing_input.encode("ascii"))
    return f"{signing_input}.{encode_base64url(signature)}"


def parse_jwt(text: str) -> Jwt:
    """The JWT in ``text``, its structure checked, its signature not (``check_jwt``).

    Raises MalformedError unless it is three canonical parts, the header exactly as the module says,
    the payload an object and the signature 64 bytes.
    """
    if len(text) > MAX_JWT_BYTES:
        raise MalformedError(f"JWT has {len(text)} characters, want at most {MAX_JWT_BYTES}")
    parts = text.split(".")
    if len(parts) != 3:
        raise MalformedError("JWT is not three parts of base64url")
    key = _parse_header(parts[0])
    payload = parse_json(decode_base64url(parts[1]), limit_bytes=MAX_JWT_BYTES)
    if not isinstance(payload, dict):
        raise MalformedError("JWT has a payload that is no object")
    signature = decode_base64url(parts[2])
    if len(signature) != 64:  # RFC 8037 §3.1, RFC 7518 §3.4
        raise MalformedError(f"JWT signature has {len(signature)} bytes, want 64")
    return Jwt(text, key, payload, signature)


def check_jwt(jwt: Jwt) -> None:
    """Returns when the key in the header of ``jwt`` has signed it. Whose key it is, is not asked.

    Raises VerificationError when the key is no sound public key or the signature is not its own
    (RFC 8032 §5.1.7 strictly, see ``ledger.tlog.signature``; FIPS 186-5 §6.4.2 with S at most half
    the order).
    """
    message = jwt.text.rpartition(".")[0].encode("ascii")
    if jwt.key.alg == "Ed25519":
        check_ed25519(decode_base64url(jwt.key.jwk["x"]), jwt.signature, message)
    else:
        _check_es256(jwt.key.jwk, jwt.signature, message)


def public_jwk(key: SigningKey) -> dict[str, str]:
    """The public half of ``key`` as a JWK with its required members only.

    Raises ValueError for a key that is neither Ed25519 nor P-256.
    """
    if isinstance(key, Ed25519PrivateKey):
        x = encode_base64url(key.public_key().public_bytes_raw())
        return {"kty": "OKP", "crv": "Ed25519", "x": x}
    if not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"key is on {key.curve.name}, want P-256")
    numbers = key.public_key().public_numbers()
    x, y = (encode_base64url(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638 thumbprint of a ``jwk`` with its required members only: base64url of SHA-256."""
    return encode_base64url(sha256(format_json({**jwk})).digest())


@lru_cache(maxsize=KEPT_HEADERS)
def _parse_header(text: str) -> JwtKey:
    """The key in a JWT's header, ``text`` as it stands in the JWT.

    Raises MalformedError unless the header is exactly ``{"alg", "typ", "jwk"}``, its type ours and
    its key of the algorithm's kind, with coordinates of 32 bytes. ``crit`` is refused with the rest
    (RFC 7515 §4.1.11 allows that: no extension is understood here).
    """
    header = parse_json(decode_base64url(text), limit_bytes=MAX_JWT_BYTES)
    if not isinstance(header, dict) or header.keys() != {"alg", "typ", "jwk"}:
        raise MalformedError('JWT header is not exactly {"alg", "typ", "jwk"}')
    alg, jwk = header["alg"], header["jwk"]
    if header["typ"] != HEADER_TYPE:
        raise MalformedError(f"JWT header has another typ, want {HEADER_TYPE}")
    if not isinstance(alg, str) or alg not in _KEY_SHAPES:
        raise MalformedError("JWT header has another alg, want Ed25519 or ES256")
    fixed, coordinates = _KEY_SHAPES[alg]
    if not isinstance(jwk, dict) or jwk.keys() != {*fixed, *coordinates}:
        raise MalformedError(f"jwk is not exactly the members of a key for {alg}")
    key = {name: value for name, value in jwk.items() if isinstance(value, str)}
    if any(key.get(name) != value for name, value in fixed.items()):
        raise MalformedError(f"jwk is no key for {alg}")
    for name in coordinates:
        if len(decode_base64url(key.get(name, ""))) != 32:
            raise MalformedError(f"jwk member {name} is not 32 bytes")
    return JwtKey(thumbprint(key), MappingProxyType(key), alg)


def _sign(key: SigningKey, message: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    der = key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    low_s = min(s, _P256_ORDER - s)
    return r.to_bytes(32, "big") + low_s.to_bytes(32, "big")


def _check_es256(jwk: Mapping[str, str], signature: bytes, message: bytes) -> None:
    x, y = (int.from_bytes(decode_base64url(jwk[name]), "big") for name in ("x", "y"))
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    if not (0 < r < _P256_ORDER and 0 < s <= _P256_ORDER // 2):
        raise VerificationError("ES256 signature is out of range or has a high S")
    try:
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError:
        raise VerificationError("ES256 key is no point on P-256") from None
    try:
        public.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise VerificationError("ES256 signature does not verify") from None
