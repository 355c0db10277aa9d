"""What a bundle holds of revocation: CRLs and OCSP answers, beside the tokens they are about.

    material/<hash16>.crl     one CRL, DER (RFC 5280 §5)
    material/<hash16>.ocsp    one OCSP response, DER (RFC 6960 §4.2)

``hash16``: the first 16 hex digits of the SHA-256 of the file's bytes. Whether a certificate was
revoked is decided in ``ledger.timestamp.path``, signatures and times included. Here is which
answers are about which certificates, so that a token is asked with those alone, and why none does.

>>> format_answer("crl", b"0")[0]
'material/5feceb66ffc86f38.crl'
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from asn1crypto import ocsp, x509
from cryptography.x509.ocsp import load_der_ocsp_response

from ledger.errors import MalformedError
from ledger.proof.bundle import Bundle
from ledger.timestamp.der import load, load_certificate, reading
from ledger.timestamp.path import MAX_MATERIAL_BYTES, MAX_PATH, load_crl
from ledger.timestamp.token import parse_token

MAX_ANSWERS = 128
"""CRLs and OCSP answers in a bundle: two for each CA above the tokens' signers do."""
MAX_ANSWERS_BYTES = 16 << 20
"""All of them together: reading a megabyte takes about a second."""

Kind = Literal["crl", "ocsp"]

_DIGESTS = ("sha1", "sha256", "sha384", "sha512")
"""What an OCSP CertID may name a certificate's issuer by. It identifies, and protects nothing."""


@dataclass(frozen=True, slots=True)
class Named:
    """A certificate as an OCSP answer names it (RFC 6960 §4.1.1): by its issuer and its serial."""

    algorithm: str
    issuer_hash: bytes
    serial: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A CRL or an OCSP answer, as far as it says what it is about; its signature is not checked.

    ``issued``: its thisUpdate. ``until``: its nextUpdate, if it has one. ``issuer``: comparable
    form of a CRL's issuer; ``named``: the certificates an OCSP answer speaks of.
    """

    kind: Kind
    der: bytes
    issued: datetime
    until: datetime | None
    issuer: str | None = None
    named: frozenset[Named] = frozenset()

    def concerns(self, certificate: x509.Certificate) -> bool:
        """Whether it is about certificates of this one's issuer (CRL), or about this one (OCSP)."""
        if self.kind == "crl":
            return bool(certificate.issuer.hashable == self.issuer)
        issuer, serial = certificate.issuer.dump(), certificate.serial_number
        return any(
            Named(algorithm, hashlib.new(algorithm, issuer).digest(), serial) in self.named
            for algorithm in _DIGESTS
        )


def read_crl(der: bytes) -> Answer:
    """The CRL in ``der``, DER and nothing after it; MalformedError."""
    value = load_crl(der)
    with reading("CRL"):
        listed = value["tbs_cert_list"]
        until = listed["next_update"].native
        return Answer(
            "crl", der, listed["this_update"].native, until, issuer=listed["issuer"].hashable
        )


def read_ocsp(der: bytes) -> Answer:
    """The successful OCSP response in ``der``, DER and nothing after it; MalformedError."""
    value = load(ocsp.OCSPResponse, der, "OCSP response", MAX_MATERIAL_BYTES)
    with reading("OCSP response"):
        load_der_ocsp_response(der)
        if value["response_status"].native != "successful":
            raise MalformedError(f"OCSP response says {value['response_status'].native}")
        singles = list(value.response_data["responses"])
        untils = [single["next_update"].native for single in singles]
        return Answer(
            "ocsp",
            der,
            min(single["this_update"].native for single in singles),
            min((until for until in untils if until), default=None),
            named=frozenset(map(_named, singles)),
        )


def _named(single: ocsp.SingleResponse) -> Named:
    cert_id = single["cert_id"]
    algorithm = cert_id["hash_algorithm"]["algorithm"].native
    return Named(algorithm, cert_id["issuer_name_hash"].native, cert_id["serial_number"].native)


READERS = {"crl": read_crl, "ocsp": read_ocsp}


def format_answer(kind: Kind, der: bytes) -> tuple[str, bytes]:
    """Path in the bundle and bytes of a CRL or an OCSP answer."""
    return f"material/{hashlib.sha256(der).hexdigest()[:16]}.{kind}", der


def read_answers(bundle: Bundle) -> tuple[tuple[Answer, ...], tuple[tuple[str, str], ...]]:
    """The CRLs and OCSP answers of a bundle; and path and reason for each that is malformed."""
    kinds: tuple[Kind, ...] = ("crl", "ocsp")
    placed = [(kind, path) for kind in kinds for path, _ in bundle.of_kind(kind)]
    total = sum(len(bundle.files[path]) for _, path in placed)
    if len(placed) > MAX_ANSWERS or total > MAX_ANSWERS_BYTES:
        limits = f"want at most {MAX_ANSWERS} of {MAX_ANSWERS_BYTES} bytes"
        return (), (
            ("material/", f"{len(placed)} CRLs and OCSP answers of {total} bytes, {limits}"),
        )
    found, faults = [], []
    for kind, path in placed:
        try:
            if format_answer(kind, bundle.files[path])[0] != path:
                raise MalformedError("its name is not the hash of its bytes")
            found.append(READERS[kind](bundle.files[path]))
        except MalformedError as error:
            faults.append((path, str(error)))
    return tuple(found), tuple(faults)


def read_all(crls: Iterable[bytes], ocsps: Iterable[bytes]) -> tuple[Answer, ...]:
    """Those of ``crls`` and of ``ocsps`` (DER) that can be read; the others are passed over."""
    found = []
    for reader, given in ((read_crl, crls), (read_ocsp, ocsps)):
        for der in given:
            try:
                found.append(reader(der))
            except MalformedError:
                continue
    return tuple(found)


def issuers_above(signer: bytes, known: Iterable[bytes]) -> tuple[bytes, ...]:
    """``signer`` and, of the certificates ``known``, all that can stand above it by their names.

    DER, each once, nearest first, at most MAX_PATH levels; unreadable ones are passed over, and
    nothing is believed. MalformedError: the signer cannot be read.
    """
    readable = []
    for der in dict.fromkeys(known):
        try:
            readable.append(load_certificate(der))
        except MalformedError:
            continue
    found = {signer: load_certificate(signer)}
    level = [found[signer]]
    for _ in range(MAX_PATH):
        wanted = {one.issuer.hashable for one in level}
        level = [one for one in readable if one.subject.hashable in wanted]
        level = [one for one in level if one.dump() not in found]
        found |= {one.dump(): one for one in level}
    return tuple(found)


def about(answers: Iterable[Answer], certificates: Iterable[bytes]) -> tuple[Answer, ...]:
    """Those of ``answers`` that concern one of ``certificates`` (DER, readable)."""
    below = [load_certificate(der) for der in certificates]
    return tuple(one for one in answers if any(map(one.concerns, below)))


Lack = Literal["unrelated", "stale", "too-late", "unusable"]


def why_not(certificate: bytes, answers: Sequence[Answer], moment: datetime) -> Lack:
    """Why none of ``answers`` shows that ``certificate`` (DER) was not revoked at ``moment``.

    ``unrelated``: none is about it. ``stale``: they had all expired before. ``too-late``: or were
    issued after the certificate had expired, when a CA may have forgotten it. ``unusable``: one
    at least has the right time, but not the issuer's signature, or leaves this certificate out.
    """
    mine = about(answers, [certificate])
    end = load_certificate(certificate).not_valid_after.astimezone(UTC)
    if not mine:
        return "unrelated"
    in_time = [one for one in mine if one.until is not None and one.until >= moment]
    if not in_time:
        return "stale"
    return "too-late" if all(one.issued > end for one in in_time) else "unusable"


Word = Literal["complete", "so-far", "partly", "none", "development"]


@dataclass(frozen=True, slots=True)
class Captured:
    """What is at hand to judge a kept token's revocation by, and what is lacking.

    ``complete``: for each certificate below a root, an answer issued after the token. ``so-far``:
    for each an answer, but one at least from before the token, so that a later one is awaited.
    ``partly``, ``none``: for some of them, for none. ``development``: nothing is needed.
    ``lacking``: the DER of each certificate without an answer, and why.
    """

    word: Word
    lacking: tuple[tuple[bytes, Lack], ...] = ()


def find_captured(
    response: bytes, certificates: Iterable[bytes], answers: Sequence[Answer]
) -> Captured:
    """What of ``certificates`` (DER) and ``answers`` was captured for the token in ``response``.

    Signatures are not checked, so it says what there is and not what it is worth. MalformedError,
    VerificationError: there is no token in response.
    """
    token = parse_token(response)
    if token.is_development:
        return Captured("development")
    known = (*token.certificates, *certificates)
    path = () if token.signer is None else issuers_above(token.signer, known)
    below = [der for der in path if not load_certificate(der).self_issued]
    lacking, later = [], True
    for der in below:
        lack = why_not(der, answers, token.gen_time)
        if lack != "unusable":
            lacking.append((der, lack))
        later = later and any(one.issued > token.gen_time for one in about(answers, [der]))
    if len(lacking) == len(below):
        return Captured("none", tuple(lacking))
    if lacking:
        return Captured("partly", tuple(lacking))
    return Captured("complete" if later else "so-far")


def choose_answers(
    certificate: bytes, answers: Iterable[Answer], moment: datetime
) -> tuple[Answer, ...]:
    """Of ``answers`` about ``certificate`` (DER), what a token of ``moment`` needs: at most two.

    The newest that was in force then, which ``openssl ts -verify -attime`` can use; and the newest
    from before the certificate expired, which tells of revocations that came after.
    """
    end = load_certificate(certificate).not_valid_after
    mine = sorted(about(answers, [certificate]), key=lambda one: one.issued)
    before = [one for one in mine if one.issued <= end]
    in_force = [
        one for one in before if one.until is not None and one.issued <= moment <= one.until
    ]
    return tuple(dict.fromkeys((*in_force[-1:], *before[-1:])))
