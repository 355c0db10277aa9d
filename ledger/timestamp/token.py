"""An RFC 3161 token: read it, and check everything but its chain.

A token is kept exactly as received; it is read from a TimeStampResp or bare. Three questions are
asked apart, because they have different answers in a verdict: ``check_token`` (is it what it
says, over these bytes? no: refuted), ``check_strength`` (are its algorithms still good enough?
no: not counted) and ``ledger.timestamp.path.check_path`` (is its signer trusted? no: not
counted).

>>> from ledger.timestamp.token import parse_token
>>> parse_token(b"0")
Traceback (most recent call last):
ledger.errors.MalformedError: timestamp token has 1 bytes, want 2 to 262144
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from asn1crypto import tsp, x509

from ledger.errors import MalformedError, VerificationError
from ledger.timestamp.algorithms import (
    UNCHECKED,
    WEAK,
    WEAK_DIGESTS,
    check_checkable,
    check_computable,
    digest_name,
    load_public_key,
    weakness,
)
from ledger.timestamp.cms import (
    MAX_TOKEN_BYTES,
    Fault,
    SignedContent,
    Signer,
    check_identified,
    check_message_digest,
    check_signature_value,
    find_signer,
    parse_signed,
    refuse,
)
from ledger.timestamp.der import SEQUENCE, check_nesting, load, load_certificate, reading, split
from ledger.timestamp.request import DIGEST_BYTES, MAX_NONCE_BYTES

DEVELOPMENT_POLICY = "2.25.143755115051719501668397212831025778040"
"""Policy of every development TSA: 2.25 and a UUID drawn once (X.667). It proves nothing."""

MAX_SERIAL_BYTES = 32
"""RFC 3161 §2.4.2 asks for 20 (160 bits) to be read; some TSAs send a few more."""

MAX_ACCURACY_SECONDS = 86_400 * 366
"""A year: more says nothing about time, and keeps the sum inside what datetime can hold."""

TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
P = ParamSpec("P")
T = TypeVar("T")

GRANTED = (0, 1)  # granted, grantedWithMods
SIGNING_USES = frozenset({"digital_signature", "non_repudiation"})

_GEN_TIME = re.compile(rb"([0-9]{14})(?:\.([0-9]{1,9}))?Z")


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says. Nothing in it is believed before ``check_token``.

    ``raw``: the bare ContentInfo exactly as received. ``gen_time``: aware UTC; digits past the
    microsecond are rounded up, so that it is never before what the TSA signed. ``imprint`` is a
    digest under ``imprint_algorithm`` (a name such as sha256, or a dotted OID if unknown).
    ``signer``: DER of the signer's certificate if embedded. ``signed``: the envelope.
    ``tsa_name_matches``: the TSTInfo's tsa field names the embedded signer, or is absent.
    """

    raw: bytes
    gen_time: datetime
    accuracy: timedelta | None
    serial: int
    policy: str
    imprint_algorithm: str
    imprint: bytes
    nonce: int | None
    signer: bytes | None
    tsa_name_matches: bool
    signed: SignedContent

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER of every embedded certificate, in the order received."""
        return self.signed.certificates

    @property
    def signature_algorithm(self) -> str:
        """For people: ``ecdsa-sha256``, ``rsa-pkcs1-sha512``, ``ed25519``, ``sm2-sm3``."""
        return self.signed.scheme.name

    @property
    def is_development(self) -> bool:
        """Whether a development TSA made it: then its time proves nothing."""
        return self.policy == DEVELOPMENT_POLICY

    @property
    def is_sm2(self) -> bool:
        """Whether it is signed with SM2, which nothing here can check: unchecked, not refuted."""
        return self.signed.scheme.kind == "sm2"


@dataclass(frozen=True, slots=True)
class Response:
    """What a TSA sent: ``status`` (None: the token came bare) and ``token``, as received or None.

    ``failures``: the names of RFC 3161 §2.4.2 for why it refused.
    """

    status: int | None
    failures: tuple[str, ...]
    token: bytes | None


def parse_token(b: bytes) -> Token:
    """Parse a TimeStampResp or a bare token; the whole of b, at most ``MAX_TOKEN_BYTES``.

    MalformedError if it is neither; VerificationError if the TSA's status is not granted (0) or
    granted with modifications (1), even with a token beside it (RFC 3161 §2.4.2), or if the signer
    info and the signing-certificate attribute name different embedded certificates.
    """
    raw = granted_token(parse_response(b))
    signed = parse_signed(raw)
    # What is unchecked here is asked again, and said, by ``check_token``.
    signer = _ask([], find_signer, signed, signed.certificates)
    return read_content(raw, signed, signer)


def parse_response(b: bytes) -> Response:
    """The envelope that a token came in, if any; MalformedError if b is neither. Judges nothing."""
    check_nesting(b, "timestamp token", MAX_TOKEN_BYTES)
    parts = split(b)
    if b[0] != SEQUENCE or not parts:
        raise MalformedError("timestamp token is not a sequence")
    if parts[0][0] != SEQUENCE:
        return Response(None, (), b)
    if len(parts) > 2:
        raise MalformedError("timestamp response has more than a status and a token")
    with reading("timestamp response"):
        status = tsp.PKIStatusInfo.load(parts[0], strict=True)
        failures = tuple(sorted(map(str, status.native["fail_info"] or ())))
        return Response(int(status["status"]), failures, parts[1] if len(parts) == 2 else None)


def granted_token(response: Response) -> bytes:
    """The token of response, if its status lets it count (RFC 3161 §2.4.2).

    VerificationError: the status is neither 0 nor 1. MalformedError: it is, but no token is there.
    """
    if response.status is not None and response.status not in GRANTED:
        failures = ", ".join(response.failures) or "no reason given"
        raise VerificationError(
            f"the TSA answered with status {response.status} ({failures}), want 0 or 1"
        )
    if response.token is None:
        raise MalformedError("timestamp response is granted but has no token")
    return response.token


def read_content(
    raw: bytes, signed: SignedContent, signer: Signer | None, fault: Fault = refuse
) -> Token:
    """The Token of raw, whose envelope is signed; signer: its certificate, if embedded.

    MalformedError if the TSTInfo is not exactly one. ``fault`` as in ``parse_signed``.
    """
    info = load(tsp.TSTInfo, signed.content, "TSTInfo", MAX_TOKEN_BYTES)
    with reading("TSTInfo"):
        info.native  # noqa: B018 — forces the parse of every field
        return _token(raw, signed, info, signer, fault)


def _token(
    raw: bytes,
    signed: SignedContent,
    info: Any,  # noqa: ANN401 — an asn1crypto TSTInfo
    signer: Signer | None,
    fault: Fault,
) -> Token:
    version = int(info["version"])
    if version != 1:
        raise MalformedError(f"TSTInfo has version {version}, want 1")
    for extension in info["extensions"] or ():
        if extension["critical"].native:
            raise MalformedError("TSTInfo has a critical extension nobody here understands")
    algorithm = digest_name(info["message_imprint"]["hash_algorithm"])
    imprint = bytes(info["message_imprint"]["hashed_message"])
    wanted = DIGEST_BYTES.get(algorithm)
    if wanted is not None and len(imprint) != wanted:
        fault("imprint.algorithm", f"imprint has {len(imprint)} bytes, want {wanted}")
    return Token(
        raw=raw,
        gen_time=_gen_time(info["gen_time"].contents),
        accuracy=_accuracy(info["accuracy"]),
        serial=_integer(info["serial_number"], "serial number", MAX_SERIAL_BYTES) or 0,
        policy=info["policy"].dotted,
        imprint_algorithm=algorithm,
        imprint=imprint,
        nonce=_integer(info["nonce"], "nonce", MAX_NONCE_BYTES),
        signer=signer.der if signer else None,
        tsa_name_matches=_names_tsa(info["tsa"], signer),
        signed=signed,
    )


def _integer(value: Any, what: str, limit_bytes: int) -> int | None:  # noqa: ANN401
    if not value:
        return None
    if len(value.contents) > limit_bytes:
        raise MalformedError(f"{what} has {len(value.contents)} bytes, want at most {limit_bytes}")
    return int(value)


def _gen_time(contents: bytes) -> datetime:
    """RFC 3161 §2.4.2: GeneralizedTime, seconds included, Z; fractions optional.

    Trailing zeros in the fraction are forbidden there but sent by some TSAs; they change nothing.
    """
    match = _GEN_TIME.fullmatch(contents)
    if match is None:
        raise MalformedError("genTime is not YYYYMMDDhhmmss[.f]Z")
    whole = datetime.strptime(match[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    nanoseconds = int((match[2] or b"0").ljust(9, b"0"))
    return whole + timedelta(microseconds=-(-nanoseconds // 1000))


def _accuracy(value: Any) -> timedelta | None:  # noqa: ANN401
    """RFC 3161 §2.4.2: seconds, milliseconds and microseconds; an absent one is zero."""
    if not value:
        return None
    seconds, millis, micros = (value[name].native or 0 for name in ("seconds", "millis", "micros"))
    if not (0 <= seconds <= MAX_ACCURACY_SECONDS and 0 <= millis < 1000 and 0 <= micros < 1000):
        raise MalformedError("accuracy is out of range")
    return timedelta(seconds=seconds, milliseconds=millis, microseconds=micros)


def _names_tsa(name: Any, signer: Signer | None) -> bool:  # noqa: ANN401
    """RFC 3161 §2.4.2: tsa, if present, is one of the names in the signer's certificate."""
    if not name or signer is None:
        return True
    alternatives = signer.certificate.subject_alt_name_value or ()
    if name.name == "directory_name" and name.chosen == signer.certificate.subject:
        return True
    return any(name == alternative for alternative in alternatives)


def check_token(
    token: Token,
    *,
    imprint: bytes | None,
    nonce: int | None = None,
    certificates: Sequence[bytes] = (),
) -> bytes:
    """Return the DER of the certificate that signed token, or raise.

    ``imprint``: the digest the token has to be over, under ``token.imprint_algorithm``; None only
    to look at a token whose original is not at hand. ``nonce``: the request's, if there was one.
    ``certificates``: DER, where to look for the signer if the token does not embed it.

    VerificationError: over other bytes, another nonce, a signature, message digest or
    signing-certificate attribute that does not match, or a signer that is not an end entity for
    time stamping alone (RFC 3161 §2.3). If its message begins with UNCHECKED (SM2, another
    algorithm that we do not know, or no certificate is embedded and the signer's is not among
    certificates) everything that could be asked was, and nothing was shown false.
    MalformedError: a certificate that cannot be read. NOT checked: strength, chain, revocation,
    and the certificates after the first in a signing-certificate attribute.
    """
    if imprint is not None:
        check_imprint(token, imprint)
    if nonce is not None and nonce != token.nonce:
        raise VerificationError("the token answers another request: nonce does not match")
    signed = token.signed
    unchecked: list[VerificationError] = []
    _ask(unchecked, check_computable, token.imprint_algorithm, "imprint")
    _ask(unchecked, check_checkable, signed.scheme)
    signer = _ask(unchecked, _find_signer, token, certificates)
    if signer is not None:
        check_identified(signed, signer)
    _ask(unchecked, check_message_digest, signed)
    if signer is not None:
        _ask(unchecked, check_signature_value, signed, signer)
        with reading("certificate"):
            check_end_entity(signer.certificate)
            check_purpose(signer.certificate)
    if signer is None or unchecked:
        raise unchecked[0]
    return signer.der


def _ask(
    unchecked: list[VerificationError],
    question: Callable[P, T],
    *arguments: P.args,
    **named: P.kwargs,
) -> T | None:
    """The answer; None if it is UNCHECKED: the error is put aside until all else is asked."""
    try:
        return question(*arguments, **named)
    except VerificationError as error:
        if not str(error).startswith(UNCHECKED):
            raise
        unchecked.append(error)
        return None


def _find_signer(token: Token, certificates: Sequence[bytes]) -> Signer:
    signer = find_signer(token.signed, (*token.certificates, *certificates))
    if signer is None and token.certificates:
        # RFC 3161 §2.4.1: certificates are there if asked for, and the signer's then is too.
        raise VerificationError("none of the embedded certificates is the signer's")
    if signer is None:
        raise VerificationError(f"{UNCHECKED}the signer's certificate is not at hand")
    return signer


def check_imprint(token: Token, imprint: bytes) -> None:
    """Raise VerificationError unless token is over imprint, a digest under its algorithm."""
    if imprint != token.imprint:
        raise VerificationError("the token is over other bytes: imprint does not match")


def check_end_entity(certificate: x509.Certificate) -> None:
    """Raise VerificationError if the signer's certificate is a CA's (RFC 3161 §2.3)."""
    if certificate.ca:
        raise VerificationError("the signer's certificate is a CA's, want an end entity's")


def check_purpose(certificate: x509.Certificate) -> None:
    """Raise VerificationError unless its only, critical extended key usage is timeStamping."""
    usage = certificate.extended_key_usage_value
    purposes = [purpose.dotted for purpose in usage] if usage is not None else []
    if purposes != [TIME_STAMPING]:
        raise VerificationError("the signer's certificate is not for time stamping alone")
    if "extended_key_usage" not in certificate.critical_extensions:
        raise VerificationError("the signer's extended key usage is not critical")
    keys = certificate.key_usage_value
    if keys is not None and (not keys.native or not keys.native <= SIGNING_USES):
        # RFC 5280 §4.2.1.12 names these two as consistent with timeStamping.
        raise VerificationError("the signer's key usage is not signing alone")


def check_strength(token: Token, signer: bytes) -> None:
    """Raise VerificationError("weak: …") if an algorithm or key is below today's floor.

    ``signer``: as ``check_token`` returned it. Imprints and signatures with MD5 or SHA-1, RSA under
    2048 bits and curves under 256 bits are weak. An ESSCertID of SHA-1 is not (RFC 2634 has no
    other): it adds to the signature, it does not carry it; one of MD5 is. What is above the signer
    is asked about by ``check_path``.
    MalformedError: a certificate that cannot be read.
    """
    check_imprint_strength(token)
    check_signature_strength(token, signer)


def check_imprint_strength(token: Token) -> None:
    """Raise VerificationError("weak: …") if the imprint is under a digest below the floor."""
    if token.imprint_algorithm in WEAK_DIGESTS:
        raise VerificationError(f"{WEAK}{token.imprint_algorithm} imprint")


def check_signature_strength(token: Token, signer: bytes) -> None:
    """Raise VerificationError("weak: …") if digest or key of the signature is below the floor."""
    with reading("public key"):
        key = load_public_key(load_certificate(signer).public_key.dump())
    reason = weakness(token.signed.scheme, key)
    if reason is not None:
        raise VerificationError(f"{WEAK}{reason}")
    if any(one.algorithm == "md5" for one in token.signed.certificate_ids):
        raise VerificationError(f"{WEAK}md5 signing-certificate attribute")


def openssl_verifiable(token: Token) -> bool:
    """Whether ``openssl ts -verify`` (3.0) can check such a token, the signer given if need be.

    It cannot read RSA-PSS, Ed25519 or SM2 signatures here, nor a signer named by key identifier,
    nor OCSP answers or attribute certificates inside the token, and refuses a tsa field that is
    not a name of the signer.
    """
    signed = token.signed
    readable = signed.scheme.kind in ("rsa-pkcs1", "ecdsa") and not signed.foreign
    return readable and signed.key_id is None and token.tsa_name_matches
