"""Digests and signature schemes a token may use, by OID (RFC 5652 §5, RFC 5754, RFC 8419).

What is not in these tables is not guessed at: it shows nothing false, and the error then begins
with ``UNCHECKED``. Whether a scheme is strong enough today is asked apart (``weakness``), because a
weak token is not a forged one: that error begins with ``WEAK``. Whoever asks a token decides by
these two words, so that one algorithm has one outcome everywhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ledger.errors import MalformedError, VerificationError
from ledger.timestamp.der import PARSER_ERRORS, reading
from ledger.timestamp.request import DIGEST_NAMES

UNCHECKED = "unchecked: "
"""How an error begins that says that nothing was shown false."""

WEAK = "weak: "
"""How an error begins that says that what is true is below the floor, and does not count."""

MIN_RSA_BITS = 2048
MIN_CURVE_BITS = 256
"""Floors of ETSI TS 119 312 and NIST SP 800-131A; below them a token is not counted.

That of RSA is a DSA modulus's as well.
"""

WEAK_DIGESTS = frozenset({"md5", "sha1"})

WEAK_CERTIFICATE_DIGESTS = frozenset({"md2", *WEAK_DIGESTS})
"""Those under which a certificate's signature is below the floor, as asn1crypto names them."""

MAX_SALT_BYTES = 2_048
"""A PSS salt is shorter than the modulus (RFC 8017 §9.1.1); openssl reads none over 16384 bits."""

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "md5": hashes.MD5,  # this and the next to tell a weak token from a forged one
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sm3": hashes.SM3,
}

_SCHEMES: dict[str, tuple[str, str | None]] = {
    "1.2.840.113549.1.1.1": ("rsa-pkcs1", None),  # rsaEncryption: digest from digestAlgorithm
    "1.2.840.113549.1.1.4": ("rsa-pkcs1", "md5"),
    "1.2.840.113549.1.1.5": ("rsa-pkcs1", "sha1"),
    "1.2.840.113549.1.1.11": ("rsa-pkcs1", "sha256"),
    "1.2.840.113549.1.1.12": ("rsa-pkcs1", "sha384"),
    "1.2.840.113549.1.1.13": ("rsa-pkcs1", "sha512"),
    "1.2.840.113549.1.1.10": ("rsa-pss", None),
    "1.2.840.10045.4.1": ("ecdsa", "sha1"),
    "1.2.840.10045.4.3.2": ("ecdsa", "sha256"),
    "1.2.840.10045.4.3.3": ("ecdsa", "sha384"),
    "1.2.840.10045.4.3.4": ("ecdsa", "sha512"),
    "1.3.101.112": ("ed25519", "sha512"),  # RFC 8419 §3.1: digestAlgorithm is SHA-512
    "1.2.156.10197.1.301": ("sm2", "sm3"),
    "1.2.156.10197.1.301.1": ("sm2", "sm3"),
    "1.2.156.10197.1.501": ("sm2", "sm3"),
}

SM2_OIDS = frozenset(oid for oid, (kind, _) in _SCHEMES.items() if kind == "sm2")
"""Signature algorithms that ``cryptography`` cannot check."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A signature scheme. ``kind``: rsa-pkcs1, rsa-pss, ecdsa, ed25519, sm2 or ``unknown``."""

    kind: str
    digest: str
    oid: str
    salt_bytes: int = 0

    @property
    def name(self) -> str:
        """For people: ``ecdsa-sha256``, ``ed25519``, ``sm2-sm3``, or the OID if unknown."""
        if self.kind == "unknown":
            return self.oid
        return self.kind if self.kind == "ed25519" else f"{self.kind}-{self.digest}"


def digest(algorithm: str, message: bytes) -> bytes:
    """The digest of message under an algorithm of ``DIGEST_BYTES``.

    VerificationError for any other name, as ``check_computable`` says.
    """
    return digest_blocks(algorithm, (message,))


def digest_blocks(algorithm: str, blocks: Iterable[bytes]) -> bytes:
    """As ``digest``, of a message that comes in blocks."""
    check_computable(algorithm)
    hasher = hashes.Hash(_HASHES[algorithm]())
    for block in blocks:
        hasher.update(block)
    return hasher.finalize()


def check_computable(algorithm: str, what: str = "digest") -> None:
    """Raise VerificationError (UNCHECKED) unless algorithm is one of ``DIGEST_BYTES``.

    ``what``: whose digest it is, for the message.
    """
    if algorithm not in _HASHES:
        reason = f"{what} algorithm {algorithm} is not one we can compute"
        raise VerificationError(f"{UNCHECKED}{reason}")


def check_checkable(scheme: Scheme) -> None:
    """Raise VerificationError (UNCHECKED) if no signature under scheme can be checked here."""
    if scheme.kind == "sm2":
        raise VerificationError(f"{UNCHECKED}sm2 signatures cannot be checked here")
    check_computable(scheme.digest)
    if scheme.kind == "unknown":
        raise VerificationError(f"{UNCHECKED}signature algorithm {scheme.oid} is not known here")


def digest_name(identifier: Any) -> str:  # noqa: ANN401 — an asn1crypto DigestAlgorithm
    """The name of a digest AlgorithmIdentifier, or its dotted OID if we do not know it.

    RFC 5754 §2: parameters are absent or NULL; anything else is MalformedError.
    """
    if identifier["parameters"].native is not None:
        raise MalformedError("a digest algorithm has parameters")
    oid: str = identifier["algorithm"].dotted
    return DIGEST_NAMES.get(oid, oid)


def parse_scheme(identifier: Any, message_digest: str) -> Scheme:  # noqa: ANN401
    """The scheme of an asn1crypto SignedDigestAlgorithm beside a digestAlgorithm.

    The digest inside the scheme equals digestAlgorithm: where they differ, readers differ on
    what was signed (openssl takes digestAlgorithm, others the scheme's), so it is refused.
    """
    oid: str = identifier["algorithm"].dotted
    kind, wanted = _SCHEMES.get(oid, ("unknown", None))
    salt_bytes = 0
    if kind == "rsa-pss":
        wanted, salt_bytes = _pss(identifier["parameters"])
    elif kind != "unknown" and identifier["parameters"].native is not None:
        raise MalformedError(f"signature algorithm {oid} has parameters")
    if wanted is not None and wanted != message_digest:
        raise MalformedError(f"signature is over {wanted}, digest algorithm is {message_digest}")
    return Scheme(kind, message_digest, oid, salt_bytes)


def _pss(parameters: Any) -> tuple[str, int]:  # noqa: ANN401
    """RFC 4055 §3.1 and RFC 4056 §3: one digest for message and mask, trailer field 1.

    Whether the key can hold the salt is asked with the signature.
    """
    name = digest_name(parameters["hash_algorithm"])
    mask = parameters["mask_gen_algorithm"]
    if mask["algorithm"].native != "mgf1" or digest_name(mask["parameters"]) != name:
        raise MalformedError("the PSS mask is not MGF1 with the message's digest")
    if parameters["trailer_field"].native != "trailer_field_bc":
        raise MalformedError("the PSS trailer field is not 1")
    salt_bytes = int(parameters["salt_length"])
    if not 0 <= salt_bytes <= MAX_SALT_BYTES:
        raise MalformedError(f"a PSS salt of {salt_bytes} bytes")
    return name, salt_bytes


def load_public_key(subject_public_key_info: bytes) -> PublicKeyTypes:
    """The key of a DER SubjectPublicKeyInfo; MalformedError if cryptography cannot read it."""
    with reading("public key"):
        return load_der_public_key(subject_public_key_info)


def check_signature(scheme: Scheme, key: PublicKeyTypes, signature: bytes, message: bytes) -> None:
    """Raise VerificationError unless signature over message is good under key and scheme.

    It begins with UNCHECKED if the scheme cannot be checked here (``check_checkable``).
    """
    check_checkable(scheme)
    algorithm = _HASHES[scheme.digest]()
    try:
        if scheme.kind == "rsa-pkcs1" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), algorithm)
        elif scheme.kind == "rsa-pss" and isinstance(key, rsa.RSAPublicKey):
            mask = padding.PSS(padding.MGF1(algorithm), scheme.salt_bytes)
            key.verify(signature, message, mask, algorithm)
        elif scheme.kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(algorithm))
        elif scheme.kind == "ed25519" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            raise VerificationError(f"signature algorithm {scheme.name} does not fit the key")
    except (InvalidSignature, *PARSER_ERRORS) as error:
        raise VerificationError(f"{scheme.name} signature does not match") from error


def weakness(scheme: Scheme, key: PublicKeyTypes) -> str | None:
    """Why scheme under key is below the floor, or None."""
    if scheme.digest in WEAK_DIGESTS:
        return f"{scheme.digest} signature"
    return key_weakness(key)


def key_weakness(key: PublicKeyTypes) -> str | None:
    """Why key is below the floor, or None."""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return f"rsa key of {key.key_size} bits"
    if isinstance(key, dsa.DSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return f"dsa key of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < MIN_CURVE_BITS:
        return f"elliptic curve of {key.curve.key_size} bits"
    return None
