"""Every check of one token, each by its name and with its own outcome: for who has to explain it.

``check_token``, ``check_strength`` and ``check_path`` stop at the first fault; here each check is
asked by itself, with the same code, in the order of CHECKS. A check that cannot be asked, because
something is not at hand or an earlier fault left nothing to ask about, is unchecked and says why.

>>> from ledger.timestamp.examine import Asked, CHECKS, examine
>>> from ledger.timestamp.opened import open_token
>>> examination = examine(open_token(bytes.fromhex("30053003020102")), Asked())
>>> [check.outcome for check in examination.checks][:3]
['unchecked', 'refuted', 'unchecked']
>>> [check.name for check in examination.checks] == list(CHECKS)
True
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ledger.errors import MalformedError, VerificationError
from ledger.timestamp.algorithms import SM2_OIDS, WEAK
from ledger.timestamp.cms import (
    Signer,
    check_identified,
    check_message_digest,
    check_signature_value,
    find_signer,
)
from ledger.timestamp.der import load_certificate, reading
from ledger.timestamp.opened import OpenedToken
from ledger.timestamp.path import NO_PATH, TrustedPath, check_path, check_revocation
from ledger.timestamp.request import DIGEST_BYTES, TimestampRequest
from ledger.timestamp.token import (
    Token,
    check_end_entity,
    check_imprint,
    check_imprint_strength,
    check_purpose,
    check_signature_strength,
    granted_token,
)

CHECKS = (
    "format",
    "status",
    "signers",
    "content-type",
    "signed-attributes",
    "signing-certificate",
    "message-digest",
    "signature",
    "imprint.algorithm",
    "imprint",
    "nonce",
    "request",
    "signer.end-entity",
    "signer.purpose",
    "strength",
    "chain",
    "revocation",
)
"""The names, in the order in which they are asked and reported."""

Answer = Literal["proven", "refuted", "unchecked"]
Values = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Check:
    """One check's outcome.

    ``code``: ``proven``, ``refuted``, or why it is unchecked: no-token, not-reached, bare, no-data,
    no-request, no-nonce, no-certificate, no-anchor, no-path, no-material, partly,
    unknown-algorithm, sm2; or ``weak``: nothing was shown false, but what is true is too weak to
    count. ``values``: what was found; a refuted check and a weak one have ``reason``.
    """

    name: str
    outcome: Answer
    code: str
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a token is to be checked against; None or empty: not at hand.

    ``imprint``: a digest under the token's imprint algorithm. ``certificates``, ``anchors``: DER,
    as in ``check_path``; anchors None: nobody said whom to trust; empty: nobody is trusted.
    """

    imprint: bytes | None = None
    request: TimestampRequest | None = None
    certificates: Sequence[bytes] = ()
    anchors: Sequence[bytes] | None = None
    crls: Sequence[bytes] = ()
    ocsps: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Examination:
    """All checks in order; ``signer``: DER of the certificate that the token names, if found."""

    opened: OpenedToken
    checks: tuple[Check, ...]
    signer: bytes | None
    path: TrustedPath | None


def examine(opened: OpenedToken, asked: Asked) -> Examination:
    """Run every check of an opened token; never raises for what token or material hold."""
    return _Examiner(opened, asked).run()


class _Examiner:
    """One examination. Each method named after a check answers it, or raises what is wrong."""

    def __init__(self, opened: OpenedToken, asked: Asked) -> None:
        self.opened, self.asked = opened, asked
        self.signer: Signer | None = None
        self.signer_fault: str | None = None
        self.path: TrustedPath | None = None

    def run(self) -> Examination:
        self.find_signer()
        asks: Mapping[str, Callable[[], Check]] = {
            "status": self.status,
            "signing-certificate": self.signing_certificate,
            "message-digest": self.message_digest,
            "signature": self.signature,
            "imprint.algorithm": self.imprint_algorithm,
            "imprint": self.imprint,
            "nonce": self.nonce,
            "request": self.request,
            "signer.end-entity": self.end_entity,
            "signer.purpose": self.purpose,
            "strength": self.strength,
            "chain": self.chain,
            "revocation": self.revocation,
        }
        checks = tuple(self.ask(name, asks.get(name)) for name in CHECKS)
        signer = None if self.signer is None else self.signer.der
        return Examination(self.opened, checks, signer, self.path)

    def ask(self, name: str, question: Callable[[], Check] | None) -> Check:
        """The answer to one check; without a question it was answered by parsing."""
        faults = self.opened.faults
        if name in faults:
            return Check(name, "refuted", "refuted", {"reason": faults[name]})
        if name != "status" and self.opened.response.token is None:
            return Check(name, "unchecked", "no-token")
        if name != "status" and self.opened.token is None:
            return Check(name, "unchecked", "not-reached")
        try:
            return _proven(name) if question is None else question()
        except (MalformedError, VerificationError) as error:
            return faulted(name, str(error))

    @property
    def token(self) -> Token:
        assert self.opened.token is not None  # noqa: S101 — `ask` comes here only with one
        return self.opened.token

    def find_signer(self) -> None:
        """Which certificate the token is signed by: embedded, or among those given."""
        signed = self.opened.signed
        if signed is None or self.opened.token is None or "signers" in self.opened.faults:
            return
        if not self.knows_attested_digest():
            return
        try:
            self.signer = find_signer(signed, (*signed.certificates, *self.asked.certificates))
        except (MalformedError, VerificationError) as error:
            self.signer_fault = str(error)

    def knows_attested_digest(self) -> bool:
        signed = self.opened.signed
        ids = () if signed is None else signed.certificate_ids
        return all(one.algorithm in DIGEST_BYTES for one in ids)

    def signerless(self, name: str) -> Check:
        """Why a check that needs the signer's certificate cannot be asked."""
        faults = self.opened.faults
        if "signers" in faults or "signed-attributes" in faults or self.signer_fault:
            return _unchecked(name, "not-reached")
        if not self.knows_attested_digest():
            return _unchecked(name, "unknown-algorithm")
        return _unchecked(name, "not-reached" if self.token.certificates else "no-certificate")

    def status(self) -> Check:
        response = self.opened.response
        if response.status is None:
            return _unchecked("status", "bare")
        granted_token(response)
        return _proven("status", status=response.status)

    def signing_certificate(self) -> Check:
        signed, faults = self.token.signed, self.opened.faults
        if self.signer_fault is not None:
            raise VerificationError(self.signer_fault)
        if self.signer is None:
            found = self.token.certificates and "signers" not in faults
            if found and self.knows_attested_digest():
                # RFC 3161 §2.4.1: certificates are there if asked for, the signer's among them.
                raise VerificationError("none of the embedded certificates is the signer's")
            return self.signerless("signing-certificate")
        if not signed.certificate_ids:
            return _unchecked("signing-certificate", "not-reached")
        check_identified(signed, self.signer)
        versions = "".join(f"v{one.version}" for one in signed.certificate_ids)
        return _proven("signing-certificate", version=versions.replace("1v", "1, v"))

    def message_digest(self) -> Check:
        signed = self.token.signed
        if not signed.message_digest or "signers" in self.opened.faults:
            return _unchecked("message-digest", "not-reached")
        if signed.digest_algorithm not in DIGEST_BYTES:
            return _unchecked("message-digest", "unknown-algorithm", signed.digest_algorithm)
        check_message_digest(signed)
        return _proven("message-digest", algorithm=signed.digest_algorithm)

    def unreadable(self, name: str) -> Check | None:
        """That the signature is of a kind nothing here can check, if so."""
        scheme = self.token.signed.scheme
        if scheme.kind == "sm2":
            return _unchecked(name, "sm2", scheme.name)
        if scheme.kind == "unknown" or scheme.digest not in DIGEST_BYTES:
            return _unchecked(name, "unknown-algorithm", scheme.name)
        return None

    def signature(self) -> Check:
        signed = self.token.signed
        if not signed.signed_attributes:
            return _unchecked("signature", "not-reached")
        if (odd := self.unreadable("signature")) is not None:
            return odd
        if self.signer is None:
            return self.signerless("signature")
        check_signature_value(signed, self.signer)
        return _proven("signature", algorithm=self.token.signature_algorithm)

    def imprint_algorithm(self) -> Check:
        algorithm = self.token.imprint_algorithm
        if algorithm not in DIGEST_BYTES:
            return _unchecked("imprint.algorithm", "unknown-algorithm", algorithm)
        check_imprint_strength(self.token)
        return _proven("imprint.algorithm", algorithm=algorithm)

    def imprint(self) -> Check:
        algorithm = self.token.imprint_algorithm
        if self.asked.imprint is None and algorithm not in DIGEST_BYTES:
            return _unchecked("imprint", "unknown-algorithm", algorithm)
        if self.asked.imprint is None:
            return _unchecked("imprint", "no-data")
        check_imprint(self.token, self.asked.imprint)
        return _proven("imprint", algorithm=algorithm)

    def nonce(self) -> Check:
        request = self.asked.request
        if request is None:
            return _unchecked("nonce", "no-request")
        if request.nonce is None:
            return _unchecked("nonce", "no-nonce")
        if request.nonce != self.token.nonce:
            raise VerificationError("the token answers another request: nonce does not match")
        return _proven("nonce", nonce=f"{request.nonce:x}")

    def request(self) -> Check:
        """RFC 3161 §2.4.2: imprint as in the request; policy too, unless granted with changes."""
        request, token = self.asked.request, self.token
        if request is None:
            return _unchecked("request", "no-request")
        if (request.algorithm, request.imprint) != (token.imprint_algorithm, token.imprint):
            raise VerificationError("the token answers another request: imprint does not match")
        changed = request.policy not in (None, token.policy)
        if changed and self.opened.response.status != 1:
            raise VerificationError(f"policy is {token.policy}, {request.policy} was asked for")
        return _proven("request")

    def end_entity(self) -> Check:
        if self.signer is None:
            return self.signerless("signer.end-entity")
        with reading("certificate"):
            check_end_entity(self.signer.certificate)
        return _proven("signer.end-entity")

    def purpose(self) -> Check:
        if self.signer is None:
            return self.signerless("signer.purpose")
        with reading("certificate"):
            check_purpose(self.signer.certificate)
        return _proven("signer.purpose")

    def strength(self) -> Check:
        if (odd := self.unreadable("strength")) is not None:
            return odd
        if self.signer is None:
            return self.signerless("strength")
        check_signature_strength(self.token, self.signer.der)
        return _proven("strength", algorithm=self.token.signature_algorithm)

    def chain(self) -> Check:
        anchors = self.asked.anchors
        if self.signer is None:
            return self.signerless("chain")
        if anchors is None:
            return _unchecked("chain", "no-anchor")
        known = (*self.token.certificates, *self.asked.certificates)
        try:
            self.path = check_path(self.signer.der, known, anchors, self.token.gen_time)
        except VerificationError as error:
            if _signed_with_sm2((self.signer.der, *anchors)):
                return _unchecked("chain", "sm2", "sm2")
            if str(error) == NO_PATH:
                return _unchecked("chain", "no-path")
            raise
        return _proven("chain", certificates=len(self.path.certificates))

    def revocation(self) -> Check:
        signed = self.token.signed
        crls = (*self.asked.crls, *signed.crls)
        ocsps = (*self.asked.ocsps, *signed.ocsps)
        if self.path is None:
            return _unchecked("revocation", "not-reached")
        if not crls and not ocsps:
            return _unchecked("revocation", "no-material")
        shown = check_revocation(self.path, self.token.gen_time, crls, ocsps)
        if not all(shown):
            values = {"shown": sum(shown), "certificates": len(shown)}
            return Check("revocation", "unchecked", "partly", values)
        return _proven("revocation", certificates=len(shown))


def faulted(name: str, reason: str) -> Check:
    """The check that raised ``reason``: refuted, but unchecked if that is only weak."""
    if reason.startswith(WEAK):
        return Check(name, "unchecked", "weak", {"reason": reason.removeprefix(WEAK)})
    return Check(name, "refuted", "refuted", {"reason": reason})


def _proven(name: str, **values: str | int) -> Check:
    return Check(name, "proven", "proven", values)


def _unchecked(name: str, code: str, algorithm: str | None = None) -> Check:
    return Check(name, "unchecked", code, {} if algorithm is None else {"algorithm": algorithm})


def _signed_with_sm2(certificates: Sequence[bytes]) -> bool:
    """Whether one of the certificates is signed in a way nothing here can check."""
    for der in certificates:
        certificate = load_certificate(der)
        with reading("certificate"):
            if certificate["signature_algorithm"]["algorithm"].dotted in SM2_OIDS:
                return True
    return False
