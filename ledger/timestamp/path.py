"""From a signer to a pinned anchor, judged at the token's own time (RFC 5280 §6).

pyhanko-certvalidator validates; which certificates form a path is searched here, within a bound,
so that hostile certificates cannot make the search long. Every key and signature above the signer
is held to the floor of ``ledger.timestamp.algorithms``. Nothing is fetched: its coroutine then
never waits, and one ``send`` runs it to its end without an event loop.

Revocation (RFC 3161 §4): every CRL and OCSP answer is asked by itself, so that an older one
cannot hide a newer one.
"""

from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from asn1crypto import crl, ocsp, x509
from cryptography.x509 import load_der_x509_crl
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import (
    ExpiredError,
    NotYetValidError,
    OCSPValidationError,
    PathError,
    RevokedError,
    ValidationError,
)
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo, ValidationTimingParams
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response
from pyhanko_certvalidator.validate import async_validate_path

from ledger.errors import MalformedError, VerificationError
from ledger.timestamp.algorithms import (
    WEAK,
    WEAK_CERTIFICATE_DIGESTS,
    key_weakness,
    load_public_key,
)
from ledger.timestamp.der import PARSER_ERRORS, brief, load, load_certificate, reading

MAX_PATH = 8
"""Certificates below the anchor. Real chains have 1 to 4."""

MAX_STEPS = 256
"""Steps of the search for paths: real sets need under 10, hostile ones could need factorials."""

MAX_MATERIAL_BYTES = 2_097_152
"""One CRL or OCSP answer. A megabyte takes about 0.2 s to ask; a larger one is passed over."""

TIME_STAMPING_OR_ANY = frozenset({"time_stamping", "any_extended_key_usage"})

NO_PATH = "no path to a pinned anchor"
"""Why a signer is not trusted that nothing was found wrong with: a certificate may be missing."""

HARMLESS_REASONS = frozenset(
    {"unspecified", "affiliation_changed", "superseded", "cessation_of_operation"}
)
"""RFC 3161 §4.1: after a revocation for one of these, tokens made before it stay valid."""


@dataclass(frozen=True, slots=True)
class TrustedPath:
    """A valid path. ``certificates``: DER, the signer first, the anchor not among them.

    ``revocation``: good if each of the certificates is shown not revoked, otherwise unchecked.
    """

    anchor: bytes
    certificates: tuple[bytes, ...]
    revocation: Literal["good", "unchecked"]


_Chain = tuple[x509.Certificate, ...]


def check_path(
    signer: bytes,
    intermediates: Sequence[bytes],
    anchors: Sequence[bytes],
    moment: datetime,
    crls: Sequence[bytes] = (),
    ocsps: Sequence[bytes] = (),
) -> TrustedPath:
    """Return a path from signer to one of anchors that was valid at moment, or raise.

    All DER. ``anchors``: pinned by the trust file, roots or intermediates; the signer itself does
    not count as one. ``intermediates``: believed in nothing; unreadable ones are passed over, as
    are unreadable or inapplicable ``crls`` and ``ocsps``. ``moment``: aware; the genTime.

    VerificationError ("no path to a pinned anchor", "expired at …", "not valid before …",
    "revoked at …", "weak: …", or what RFC 5280 rule is broken): the signer is not trusted. Weak
    is a key above the signer, the anchor's too, or a certificate's signature below the anchor that
    is under the floor of ``ledger.timestamp.algorithms``; the signer's own key is asked about by
    ``ledger.timestamp.token.check_strength``. MalformedError:
    the signer or an anchor cannot be read. ValueError: moment is naive. Costs about 1 ms per
    path and 1 ms per certificate and piece of revocation material.
    """
    if moment.tzinfo is None:
        raise ValueError("moment must be aware")
    leaf = load_certificate(signer)
    trusted = [load_certificate(anchor) for anchor in anchors if anchor != signer]
    helpers = _readable(intermediates)
    fault: VerificationError | None = None
    for anchor, chain in _paths(leaf, helpers, trusted):
        try:
            _check_chain(anchor, chain, moment)
        except VerificationError as error:
            fault = fault or error
            continue
        shown = _shown_good(anchor, chain, moment, _material(crls, ocsps))
        return TrustedPath(
            anchor.dump(),
            tuple(certificate.dump() for certificate in chain),
            "good" if all(shown) else "unchecked",
        )
    raise fault or VerificationError(NO_PATH)


def check_revocation(
    path: TrustedPath,
    moment: datetime,
    crls: Sequence[bytes] = (),
    ocsps: Sequence[bytes] = (),
) -> tuple[bool, ...]:
    """For each of path's certificates, signer first: whether it is shown not revoked at moment.

    VerificationError ("revoked at …") if one is shown revoked; arguments as in ``check_path``.
    """
    chain = tuple(load_certificate(der) for der in path.certificates)
    return _shown_good(load_certificate(path.anchor), chain, moment, _material(crls, ocsps))


def load_crl(b: bytes) -> crl.CertificateList:
    """The DER CRL b, of at most MAX_MATERIAL_BYTES; MalformedError. Its signature is not checked.

    Its entries stay unread in the value, for a long list takes asn1crypto a second to read.
    """
    listed = load(crl.CertificateList, b, "CRL", MAX_MATERIAL_BYTES)
    with reading("CRL"):
        load_der_x509_crl(b)  # reads every entry, a hundred times as fast
    return listed


def _readable(certificates: Sequence[bytes]) -> list[x509.Certificate]:
    """Each certificate that can be read, once."""
    found = []
    for der in dict.fromkeys(certificates):
        try:
            found.append(load_certificate(der))
        except MalformedError:
            continue
    return found


def _paths(
    leaf: x509.Certificate, helpers: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> Iterator[tuple[x509.Certificate, _Chain]]:
    """Anchor and chain (signer first) for each way up by names, shortest first, bounded."""
    waiting: list[_Chain] = [(leaf,)]
    for _ in range(MAX_STEPS):
        if not waiting:
            return
        chain = waiting.pop(0)
        top = chain[-1]
        for anchor in anchors:
            if anchor.subject == top.issuer:
                yield anchor, chain
        if len(chain) < MAX_PATH:
            waiting += [
                (*chain, helper)
                for helper in helpers
                if helper.subject == top.issuer and helper not in chain
            ]


def _check_chain(anchor: x509.Certificate, chain: _Chain, moment: datetime) -> None:
    """RFC 5280 §6.1 for one path, revocation apart; the anchor's own dates count as well."""
    try:
        if moment < anchor.not_valid_before:
            raise VerificationError(f"anchor not valid before {_second(anchor.not_valid_before)}")
        if moment > anchor.not_valid_after:
            raise VerificationError(f"anchor expired at {_second(anchor.not_valid_after)}")
        for certificate in chain[1:]:
            usage = certificate.extended_key_usage_value
            if usage is not None and TIME_STAMPING_OR_ANY.isdisjoint(usage.native):
                raise VerificationError("an intermediate CA is not for time stamping")
        _check_floor(anchor, chain)
        _validate(anchor, chain, moment, RevocationCheckingRule.NO_CHECK)
    except ExpiredError as error:
        raise VerificationError(f"expired at {_second(error.expired_dt)}") from error
    except NotYetValidError as error:
        raise VerificationError(f"not valid before {_second(error.valid_from)}") from error
    except (ValidationError, PathError, *PARSER_ERRORS) as error:
        raise VerificationError(f"no trusted path: {brief(error)}") from error


def _check_floor(anchor: x509.Certificate, chain: _Chain) -> None:
    """Raise VerificationError("weak: …") if a CA's key, or what one has signed, is too weak.

    An anchor is believed because it is pinned, so its own signature is not looked at. What cannot
    be read here is not judged: validation needs it and refuses it.
    """
    for certificate in (anchor, *chain[1:]):
        try:
            reason = key_weakness(load_public_key(certificate.public_key.dump()))
        except MalformedError:
            continue
        if reason is not None:
            raise VerificationError(f"{WEAK}{reason} in the chain")
    for certificate in chain:
        try:
            digest = certificate["signature_algorithm"].hash_algo
        except ValueError:  # a scheme asn1crypto does not know
            continue
        if digest in WEAK_CERTIFICATE_DIGESTS:
            raise VerificationError(f"{WEAK}{digest} signature in the chain")


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


_Material = tuple[list[crl.CertificateList], list[ocsp.OCSPResponse]]


def _material(crls: Sequence[bytes], ocsps: Sequence[bytes]) -> list[_Material]:
    """Each piece of revocation material that can be read, by itself."""
    pieces: list[_Material] = []
    for der in dict.fromkeys(crls):
        with suppress(MalformedError):
            pieces.append(([load_crl(der)], []))
    for der in dict.fromkeys(ocsps):
        with suppress(MalformedError), reading("OCSP response"):
            answer = load(ocsp.OCSPResponse, der, "OCSP response", MAX_MATERIAL_BYTES)
            answer.native  # noqa: B018 — forces the parse
            pieces.append(([], [answer]))
    return pieces


def _shown_good(
    anchor: x509.Certificate, chain: _Chain, moment: datetime, pieces: Sequence[_Material]
) -> tuple[bool, ...]:
    """Ask every piece about every certificate; VerificationError if one says revoked."""
    shown = [
        [_is_good(anchor, chain[i:], moment, piece) for piece in pieces] for i in range(len(chain))
    ]
    return tuple(any(answers) for answers in shown)


def _is_good(anchor: x509.Certificate, chain: _Chain, moment: datetime, piece: _Material) -> bool:
    """Whether piece shows the first of chain to be good at moment; False: it cannot tell.

    FORMATS "a revocation at genTime exactly, or for key compromise: refuted".
    """
    try:
        if piece[1]:
            _ask_ocsp(anchor, chain, moment, piece)
        else:
            rule = RevocationCheckingRule.CRL_OR_OCSP_REQUIRED
            _validate(_as_root(anchor), chain, moment, rule, piece)
    except RevokedError as error:
        reason, at = str(error.reason.native), error.revocation_dt
        if at <= moment or reason not in HARMLESS_REASONS or _lacks_reason(chain[0], piece):
            raise VerificationError(f"revoked at {_second(at)} ({reason})") from error
        return True
    except (ValidationError, PathError, OCSPValidationError, *PARSER_ERRORS):
        return False
    return bool(_issued_at(piece) <= chain[0].not_valid_after)


def _as_root(anchor: x509.Certificate) -> x509.Certificate:
    """The anchor as if it were its own issuer, if it is not.

    A CRL counts only if its issuer has a path to an anchor, and the validator finds none for an
    anchor that names an issuer above it. Nobody above is let in: name and key stay the anchor's,
    and an anchor's own signature is not looked at. For CRLs alone: an OCSP answer may hold the
    certificate of its signer, which is then compared with the anchor by issuer and serial.
    """
    if anchor.self_signed == "maybe":
        return anchor
    root = x509.Certificate.load(anchor.dump())
    body = root["tbs_certificate"]
    body["issuer"] = body["subject"]
    body["extensions"] = [
        extension
        for extension in body["extensions"]
        if extension["extn_id"].native != "authority_key_identifier"
    ]
    return x509.Certificate.load(root.dump(force=True))


def _lacks_reason(certificate: x509.Certificate, piece: _Material) -> bool:
    """RFC 3161 §4.1: revoked with no reason given, so every token of the key is invalid."""
    for revocations in piece[0]:
        for entry in revocations["tbs_cert_list"]["revoked_certificates"] or ():
            if entry["user_certificate"].native == certificate.serial_number:
                return entry.crl_reason_value is None
    for answer in piece[1]:
        for single in answer.response_data["responses"]:
            status = single["cert_status"]
            if status.name == "revoked" and not status.chosen["revocation_reason"]:
                return True
    return False


def _issued_at(piece: _Material) -> datetime:
    """When the piece was issued.

    A CA may forget certificates that have expired by then: its silence says nothing about them.
    """
    if piece[0]:
        issued: datetime = piece[0][0]["tbs_cert_list"]["this_update"].native
    else:
        issued = piece[1][0].response_data["produced_at"].native
    return issued


def _validate(
    anchor: x509.Certificate,
    chain: _Chain,
    moment: datetime,
    signer_rule: RevocationCheckingRule,
    material: _Material = ([], []),
) -> None:
    """RFC 5280 §6.1 over one path; revocation of the first of chain alone, by signer_rule.

    A revocation is reported whatever its date, as RevokedError, for the caller to judge.
    """
    context = _context(anchor, chain, moment, signer_rule, material)
    _finish(async_validate_path(context, _path(anchor, chain)))


def _ask_ocsp(
    anchor: x509.Certificate, chain: _Chain, moment: datetime, material: _Material
) -> None:
    """RFC 6960 §3.2 for the first of chain, whose path is known to be valid; errors as above.

    Asked apart, because path validation looks at an answer only where the certificate names a
    responder, and a bad word is a bad word wherever it was found.
    """
    rule = RevocationCheckingRule.OCSP_REQUIRED
    context = _context(anchor, chain, moment, rule, material)
    _finish(verify_ocsp_response(chain[0], _path(anchor, chain), context))


def _path(anchor: x509.Certificate, chain: _Chain) -> ValidationPath:
    return ValidationPath(CertTrustAnchor(anchor), reversed(chain[1:]), chain[0])


def _context(
    anchor: x509.Certificate,
    chain: _Chain,
    moment: datetime,
    signer_rule: RevocationCheckingRule,
    material: _Material,
) -> ValidationContext:
    context = ValidationContext(
        trust_roots=[anchor],
        other_certs=list(chain),
        moment=moment,
        allow_fetching=False,
        crls=material[0],
        ocsps=material[1],
        revinfo_policy=CertRevTrustPolicy(
            RevocationCheckingPolicy(signer_rule, RevocationCheckingRule.NO_CHECK),
            retroactive_revinfo=True,
        ),
        time_tolerance=timedelta(0),
    )
    context.timing_params = ValidationTimingParams(
        ValidationTimingInfo(
            validation_time=moment, best_signature_time=moment, point_in_time_validation=False
        ),
        time_tolerance=timedelta(0),
    )
    return context


def _finish(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that never waits; RuntimeError if it does, for then something was fetched."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("path validation tried to wait for something")
