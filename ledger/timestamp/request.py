"""The question to a TSA: TimeStampReq (RFC 3161 §2.4.1).

>>> from ledger.timestamp.request import format_request, parse_request
>>> request = parse_request(format_request(bytes(32), nonce=7))
>>> request.algorithm, request.nonce, request.certificate_wanted
('sha256', 7, True)

Sending it is left to ``ledger.operator.tsa``; drawing the nonce too.
"""

from dataclasses import dataclass

from asn1crypto import tsp

from ledger.errors import MalformedError
from ledger.timestamp.der import load, reading

IMPRINT_ALGORITHMS = {"sha256": 32, "sha384": 48, "sha512": 64, "sm3": 32}
"""Digest algorithms we ask to have stamped, and their length in bytes."""

DIGEST_OIDS = {
    "md5": "1.2.840.113549.2.5",
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
    "sm3": "1.2.156.10197.1.401",
}
"""Digest algorithms we can compute. MD5 and SHA-1 only to tell a weak token from a forged one."""

DIGEST_BYTES = {"md5": 16, "sha1": 20, **IMPRINT_ALGORITHMS}
DIGEST_NAMES = {oid: name for name, oid in DIGEST_OIDS.items()}

MAX_REQUEST_BYTES = 4_096
"""A request is about 60 to 100 bytes; extensions and a policy fit in this many times over."""

MAX_NONCE_BYTES = 64
"""A nonce is 8 to 20 bytes in practice; an unbounded one would be a free parking space."""


@dataclass(frozen=True, slots=True)
class TimestampRequest:
    """What is asked of a TSA.

    ``imprint`` is a digest under ``algorithm``: a name such as sha256 or, if unknown, a dotted
    OID. ``policy``: dotted OID or None. ``extensions``: whether the request carries any.
    """

    imprint: bytes
    algorithm: str
    nonce: int | None
    certificate_wanted: bool
    policy: str | None
    extensions: bool = False


def format_request(
    imprint: bytes, nonce: int, algorithm: str = "sha256", policy: str | None = None
) -> bytes:
    """The DER request to stamp imprint (a digest under algorithm), with certReq true.

    ``nonce``: at least 64 random bits by the caller, 0 < nonce < 2**504. ValueError if the length
    of imprint is not the algorithm's, or a value is out of range.
    """
    wanted = IMPRINT_ALGORITHMS.get(algorithm)
    if wanted is None:
        raise ValueError(f"imprint algorithm {algorithm!r} is not one of {[*IMPRINT_ALGORITHMS]}")
    if len(imprint) != wanted:
        raise ValueError(f"imprint has {len(imprint)} bytes, want {wanted}")
    if not 0 < nonce < 1 << 8 * (MAX_NONCE_BYTES - 1):
        raise ValueError("nonce is out of range")
    fields = {
        "version": 1,
        "message_imprint": {
            "hash_algorithm": {"algorithm": DIGEST_OIDS[algorithm]},
            "hashed_message": imprint,
        },
        "nonce": nonce,
        "cert_req": True,
    }
    if policy is not None:
        fields["req_policy"] = policy
    encoded: bytes = tsp.TimeStampReq(fields).dump()
    return encoded


def parse_request(b: bytes) -> TimestampRequest:
    """Parse a DER request of anyone's making; MalformedError if it is not exactly one.

    The imprint's length is checked for the algorithms we know. Not checked: whether the policy
    or the extensions can be obliged.
    """
    request = load(tsp.TimeStampReq, b, "timestamp request", MAX_REQUEST_BYTES)
    with reading("timestamp request"):
        request.native  # noqa: B018 — forces the parse of every field
        if request.dump(force=True) != b:
            raise MalformedError("timestamp request is not DER")
        version = int(request["version"])
        nonce = request["nonce"]
        imprint = request["message_imprint"]
        oid = imprint["hash_algorithm"]["algorithm"].dotted
        parsed = TimestampRequest(
            imprint=bytes(imprint["hashed_message"]),
            algorithm=DIGEST_NAMES.get(oid, oid),
            nonce=nonce.native,
            certificate_wanted=bool(request["cert_req"].native),
            policy=request["req_policy"].dotted if request["req_policy"] else None,
            extensions=bool(request["extensions"]),
        )
        nonce_bytes = len(nonce.contents or b"")
    if version != 1:
        raise MalformedError(f"timestamp request has version {version}, want 1")
    if nonce_bytes > MAX_NONCE_BYTES:
        raise MalformedError(f"nonce has {nonce_bytes} bytes, want at most {MAX_NONCE_BYTES}")
    wanted = DIGEST_BYTES.get(parsed.algorithm)
    if wanted is not None and len(parsed.imprint) != wanted:
        raise MalformedError(f"imprint has {len(parsed.imprint)} bytes, want {wanted}")
    return parsed
