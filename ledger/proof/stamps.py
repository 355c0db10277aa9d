"""Which tokens count, and the bounds on time that they give.

A token that is malformed, forged or over other bytes is refuted. One that is good in itself but
fails the verifier's trust (unknown TSA, revoked, weak, outside its window), or that nothing here
can check (SM2), is *not counted*: one authority going bad years later must not sink a bundle that k
others carry.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.errors import MalformedError, VerificationError
from ledger.proof.bundle import Bundle
from ledger.proof.revocation import (
    Answer,
    about,
    issuers_above,
    read_all,
    read_answers,
    why_not,
)
from ledger.proof.roots import format_pem, parse_pem
from ledger.proof.trust import Trust, TrustedTsa, algorithm_words
from ledger.proof.verdict import Finding, Outcome, TokenReport
from ledger.timestamp.algorithms import UNCHECKED, WEAK, digest, load_public_key
from ledger.timestamp.der import load_certificate, reading
from ledger.timestamp.path import TrustedPath, check_path, check_revocation
from ledger.timestamp.request import DIGEST_BYTES
from ledger.timestamp.token import (
    Token,
    check_strength,
    check_token,
    openssl_verifiable,
    parse_token,
)

MAX_CERTIFICATES = 256
"""Certificates in a bundle: TSAs need 2 to 5 each, and every token is tried with all of them."""

FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LAST_TIME = datetime(9990, 1, 1, tzinfo=UTC)
"""Times outside are nobody's; between them no accuracy leads out of what datetime can hold."""


@dataclass(frozen=True, slots=True)
class CountedTime:
    """A token that counts: whose it is, and its time with the uncertainty on both sides."""

    tsa: str
    signer_spki: bytes
    path: str
    size: int | None
    gen_time: datetime
    accuracy: timedelta
    development: bool

    @property
    def latest(self) -> datetime:
        """The stamped bytes existed at this moment: genTime + accuracy."""
        return self.gen_time + self.accuracy

    @property
    def earliest(self) -> datetime:
        """The token did not exist before this moment: genTime - accuracy."""
        return self.gen_time - self.accuracy


@dataclass(frozen=True, slots=True)
class Judged:
    """One token's finding, its report, and its counted time (None if it does not count)."""

    findings: tuple[Finding, ...]
    report: TokenReport | None
    counted: CountedTime | None


def read_certificates(bundle: Bundle) -> tuple[bytes, ...]:
    """DER of the certificates under ``material/``; MalformedError names the bad file.

    Whether they can be read as certificates is asked where one is needed.
    """
    found = []
    placed = bundle.of_kind("certificate")
    if len(placed) > MAX_CERTIFICATES:
        raise MalformedError(f"{len(placed)} certificates, want at most {MAX_CERTIFICATES}")
    for path, _ in placed:
        der = parse_pem(path, bundle.files[path])
        if format_certificate(der)[0] != path:
            raise MalformedError(f"{path} is not named after its certificate")
        found.append(der)
    return tuple(found)


def format_certificate(der: bytes) -> tuple[str, bytes]:
    """Path in the bundle and PEM bytes of a certificate."""
    return f"material/{hashlib.sha256(der).hexdigest()[:16]}.pem", format_pem(der)


def make_judge(bundle: Bundle, trust: Trust) -> tuple["Judge", list[Finding]]:
    """A judge with the bundle's material, and a finding for each part of it that is malformed."""
    findings = []
    certificates: tuple[bytes, ...] = ()
    try:
        certificates = read_certificates(bundle)
    except MalformedError as error:
        values = {"path": "material/", "reason": str(error)}
        findings.append(Finding("stamp", Outcome.REFUTED, "malformed", values))
    answers, faults = read_answers(bundle)
    for path, reason in faults:
        values = {"path": path, "reason": reason}
        findings.append(Finding("revocation", Outcome.REFUTED, "malformed", values))
    return Judge(trust, certificates, answers), findings


class Judge:
    """Judges tokens under one trust file, with one bundle's material and the verifier's own roots.

    ``answers``: CRLs and OCSP answers, beside those that a token embeds.
    """

    def __init__(
        self, trust: Trust, certificates: Sequence[bytes], answers: Sequence[Answer] = ()
    ) -> None:
        self._trust = trust
        self._certificates = (*certificates, *trust.roots)
        self._answers = tuple(answers)
        self._pinned = {tsa.anchor for tsa in trust.tsas}

    def judge_stamp(self, path: str, tsa: str, size: int, response: bytes, over: bytes) -> Judged:
        """The token in ``response`` as a stamp over the signed file ``over`` of tree ``size``."""
        return self._judge(path, tsa, size, response, over)

    def judge_not_before(self, path: str, content: bytes) -> Judged:
        """A token as proof that what names its hash was made later; its imprint is not used."""
        return self._judge(path, "", None, content, None)

    def _judge(
        self, path: str, tsa: str, size: int | None, content: bytes, over: bytes | None
    ) -> Judged:
        step = "stamp" if size is not None else "time.not-before"
        token: Token | None = None
        try:
            token = parse_token(content)
            signer = self._check(token, over)
        except (MalformedError, VerificationError) as error:
            reason = str(error)
            if isinstance(error, VerificationError) and reason.startswith(UNCHECKED):
                report = _report(path, tsa, size, token, None, reason) if token else None
                return _not_counted(step, path, tsa, reason.removeprefix(UNCHECKED), report)
            code = "malformed" if isinstance(error, MalformedError) else "forged"
            values = {"path": path, "tsa": tsa, "reason": reason}
            finding = Finding(step, Outcome.REFUTED, code, values, tsa=tsa or None)
            return Judged((finding,), None, None)
        try:
            believed, trusted = self._trusted(token, signer)
            counted = _counted(path, size, token, signer, believed)
        except (MalformedError, VerificationError) as error:
            report = _report(path, tsa, size, token, None, str(error))
            return _not_counted(step, path, tsa, str(error), report)
        report = _report(path, believed.name, size, token, counted, None)
        revocation = self._revocation(token, counted.tsa, trusted)
        if size is None:
            return Judged((revocation,), report, counted)
        return Judged((_counted_finding(path, counted), revocation), report, counted)

    def _check(self, token: Token, over: bytes | None) -> bytes:
        """The signer's certificate of a good token over these bytes; else what ``_judge`` sorts."""
        known = token.imprint_algorithm in DIGEST_BYTES
        imprint = digest(token.imprint_algorithm, over) if known and over is not None else None
        return check_token(token, imprint=imprint, certificates=self._certificates)

    def _trusted(self, token: Token, signer: bytes) -> tuple[TrustedTsa, TrustedPath]:
        """The TSA this token is of; VerificationError says why the verifier does not count it."""
        check_strength(token, signer)
        if not FIRST_TIME <= token.gen_time <= LAST_TIME:
            raise VerificationError("its time is out of range")
        known = (*token.certificates, *self._certificates)
        # Pinned certificates inside a token are anchors as well: else a bundle could hide one that
        # has limits there, and be judged by the anchor above it.
        anchors = [
            der for der in dict.fromkeys(known) if hashlib.sha256(der).digest() in self._pinned
        ]
        # What the token embeds of revocation is looked at, so that a bad word is never missed.
        answers = about(self._answers, issuers_above(signer, known)) if self._answers else ()
        crls, ocsps = _material(token, answers)
        path = check_path(signer, known, anchors, token.gen_time, crls, ocsps)
        tsa = self._trust.tsa_of(path.anchor)
        if tsa is None:
            raise VerificationError("no path to a pinned anchor")
        _check_limits(tsa, token, signer)
        weak = {one.algorithm for one in self._trust.weak if token.gen_time >= one.moment}
        if weak and (used := weak & _algorithms(token, path)):
            raise VerificationError(f"{WEAK}{min(used)} by the trust file")
        return tsa, path

    def _revocation(self, token: Token, tsa: str, path: TrustedPath) -> Finding:
        """Whether every certificate of the path is shown not revoked; else the first that is not.

        A certificate that is shown revoked does not get here: its token is not counted.
        """
        if path.revocation == "good":
            return Finding("revocation", Outcome.PROVEN, "good", {"tsa": tsa}, tsa=tsa)
        if not (self._answers or token.signed.crls or token.signed.ocsps):
            return Finding("revocation", Outcome.UNCHECKED, "no-material", {"tsa": tsa}, tsa=tsa)
        embedded = read_all(token.signed.crls, token.signed.ocsps)
        answers = about((*self._answers, *embedded), path.certificates)
        shown = check_revocation(path, token.gen_time, *_material(token, answers))
        number = shown.index(False)
        code = why_not(path.certificates[number], answers, token.gen_time)
        values: dict[str, str | int] = {"tsa": tsa, "number": number + 1, "total": len(shown)}
        return Finding("revocation", Outcome.UNCHECKED, code, values, tsa=tsa)


def _material(
    token: Token, answers: Sequence[Answer]
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """CRLs and OCSP answers: those the token embeds, then ``answers``."""
    crls = (one.der for one in answers if one.kind == "crl")
    ocsps = (one.der for one in answers if one.kind == "ocsp")
    return (*token.signed.crls, *crls), (*token.signed.ocsps, *ocsps)


def _not_counted(step: str, path: str, tsa: str, reason: str, report: TokenReport | None) -> Judged:
    values = {"path": path, "tsa": tsa, "reason": reason}
    finding = Finding(step, Outcome.UNCHECKED, "not-counted", values, tsa=tsa or None)
    return Judged((finding,), report, None)


def _algorithms(token: Token, path: TrustedPath) -> frozenset[str]:
    """What the token rests on: its imprint, its signature, and those of the certificates."""
    names = [token.imprint_algorithm, token.signed.digest_algorithm, token.signature_algorithm]
    with reading("certificate"):
        certificates = [load_certificate(der) for der in path.certificates]
        names += [one["signature_algorithm"]["algorithm"].native for one in certificates]
    return algorithm_words(names)


def _check_limits(tsa: TrustedTsa, token: Token, signer: bytes) -> None:
    """The trust file's own limits on a TSA."""
    if tsa.policy_oid is not None and token.policy != tsa.policy_oid:
        raise VerificationError(f"policy {token.policy}, want {tsa.policy_oid}")
    if tsa.signer_spki is not None and _spki(signer) != tsa.signer_spki:
        raise VerificationError("signer key is not the pinned one")
    if tsa.valid_from is not None and token.gen_time < tsa.valid_from:
        raise VerificationError(f"time before the trusted window of {tsa.name}")
    if tsa.valid_to is not None and token.gen_time > tsa.valid_to:
        raise VerificationError(f"time after the trusted window of {tsa.name}")
    if token.is_development and not tsa.development:
        raise VerificationError("development TSA: proves nothing")


def upper_bounds(times: Iterable[CountedTime]) -> list[CountedTime]:
    """For each TSA its earliest ``latest``, ascending; a signer key counts once."""
    return _one_per_tsa(sorted(times, key=lambda time: time.latest))


def lower_bounds(times: Iterable[CountedTime]) -> list[CountedTime]:
    """For each TSA its latest ``earliest``, descending; a signer key counts once."""
    return _one_per_tsa(sorted(times, key=lambda time: time.earliest, reverse=True))


def _one_per_tsa(ordered: Sequence[CountedTime]) -> list[CountedTime]:
    names: set[str] = set()
    keys: set[bytes] = set()
    kept = []
    for time in ordered:
        if time.tsa not in names and time.signer_spki not in keys:
            kept.append(time)
            names.add(time.tsa)
            keys.add(time.signer_spki)
    return kept


def _counted(
    path: str, size: int | None, token: Token, signer: bytes, tsa: TrustedTsa
) -> CountedTime:
    accuracy = token.accuracy if token.accuracy is not None else tsa.accuracy_default
    return CountedTime(
        tsa=tsa.name,
        signer_spki=_spki(signer),
        path=path,
        size=size,
        gen_time=token.gen_time,
        accuracy=accuracy,
        development=token.is_development or tsa.development,
    )


def _counted_finding(path: str, counted: CountedTime) -> Finding:
    code = "development" if counted.development else "counted"
    return Finding(
        "stamp", Outcome.PROVEN, code, {"path": path, "tsa": counted.tsa}, tsa=counted.tsa
    )


def _report(
    path: str,
    tsa: str,
    size: int | None,
    token: Token,
    counted: CountedTime | None,
    reason: str | None,
) -> TokenReport:
    accuracy = counted.accuracy if counted else token.accuracy or timedelta()
    return TokenReport(
        path=path,
        tsa=tsa,
        size=size or 0,
        gen_time=token.gen_time,
        accuracy=accuracy,
        serial=str(token.serial),
        policy=token.policy,
        counted=counted is not None,
        development=token.is_development or (counted is not None and counted.development),
        openssl_verifiable=openssl_verifiable(token),
        reason=reason,
    )


def _spki(certificate: bytes) -> bytes:
    """SHA-256 of the key's one encoding: a key counts once, however a certificate writes it."""
    with reading("public key"):
        key = load_public_key(load_certificate(certificate).public_key.dump())
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()
