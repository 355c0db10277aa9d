"""A token and its appraisal as ``--json`` gives them: keys are stable, times RFC 3339."""

import hashlib
from datetime import timedelta
from typing import Any

from ledger.errors import MalformedError
from ledger.proof.appraise import Appraisal
from ledger.proof.verdict import Outcome, format_lower, format_upper
from ledger.report.timestamp import Source, format_time, headline, label, proves, say
from ledger.timestamp.examine import Check
from ledger.timestamp.material import describe
from ledger.timestamp.opened import OpenedToken
from ledger.timestamp.token import Token, openssl_verifiable

Json = dict[str, Any]
"""A JSON document; Any: what it holds is its own description."""


def format_json(appraisal: Appraisal, source: Source) -> Json:
    """The appraisal: every check by name in its fixed order, and what the token says."""
    proven = appraisal.outcome is Outcome.PROVEN
    bounds = appraisal.bounds if proven else None
    return {
        "outcome": appraisal.outcome.value,
        "exit_code": appraisal.exit_code,
        "headline": {"en": headline(appraisal, "en"), "zh": headline(appraisal, "zh")},
        "development": appraisal.development,
        "tsa": appraisal.tsa,
        "not_after": format_time(bounds[1]) if bounds else None,
        "not_before": format_time(bounds[0]) if bounds else None,
        "displayed": {
            "not_after": format_upper(bounds[1]) if bounds else None,
            "not_before": format_lower(bounds[0]) if bounds else None,
        },
        "unchecked": [check.name for check in appraisal.checks if check.outcome == "unchecked"],
        "checks": [_check(check, appraisal) for check in appraisal.checks],
        "token": _token(appraisal.opened),
        "file": _file(source),
        "against": source.against,
        "accuracy_counted_seconds": appraisal.accuracy / timedelta(seconds=1),
        "chain": _chain(appraisal),
        "openssl": _openssl(appraisal.opened, source),
        "trust_sha256": source.trust_sha256,
        "checked_at": format_time(source.checked_at),
        "tool": source.tool,
    }


def format_shown_json(opened: OpenedToken, source: Source) -> Json:
    """What a token says; nothing of it is checked."""
    return {
        "checked": False,
        "token": _token(opened),
        "file": _file(source),
        "faults": dict(opened.faults),
    }


def _check(check: Check, appraisal: Appraisal) -> Json:
    return {
        "name": check.name,
        "outcome": check.outcome,
        "code": check.code,
        "required": check.name in appraisal.required,
        "values": dict(check.values),
        "label": {"en": label(check, "en"), "zh": label(check, "zh")},
        "sentence": {"en": say(check, "en"), "zh": say(check, "zh")},
        "proves": {"en": proves(check, "en"), "zh": proves(check, "zh")},
    }


def _file(source: Source) -> Json:
    return {
        "name": source.name,
        "size": len(source.content),
        "sha256": hashlib.sha256(source.content).hexdigest(),
    }


def _token(opened: OpenedToken) -> Json | None:
    response, token = opened.response, opened.token
    said: Json = {
        "form": "token" if response.status is None else "response",
        "status": response.status,
        "failures": list(response.failures),
        "present": response.token is not None,
        "readable": token is not None,
    }
    return said if token is None else {**said, **_content(token)}


def _content(token: Token) -> Json:
    signed = token.signed
    return {
        "gen_time": format_time(token.gen_time),
        "accuracy_seconds": None
        if token.accuracy is None
        else token.accuracy / timedelta(seconds=1),
        "serial": str(token.serial),
        "serial_hex": f"{token.serial:x}",
        "policy": token.policy,
        "imprint": {"algorithm": token.imprint_algorithm, "value": token.imprint.hex()},
        "nonce": None if token.nonce is None else f"{token.nonce:x}",
        "signature_algorithm": token.signature_algorithm,
        "digest_algorithm": signed.digest_algorithm,
        "signing_certificate_versions": [one.version for one in signed.certificate_ids],
        "tsa_name_matches": token.tsa_name_matches,
        "development": token.is_development,
        "openssl_verifiable": openssl_verifiable(token),
        "sha256": hashlib.sha256(token.raw).hexdigest(),
        "certificates": [certificate_json(der, None) for der in token.certificates],
        "embedded_crls": len(signed.crls),
        "embedded_ocsps": len(signed.ocsps),
    }


def certificate_json(der: bytes, role: str | None) -> Json:
    """What a certificate says; one that cannot be read has its digest and nothing else."""
    found: Json = {"role": role, "sha256": hashlib.sha256(der).hexdigest()}
    try:
        said = describe(der)
    except MalformedError as error:
        return {**found, "unreadable": str(error)}
    return {
        **found,
        "subject": said.subject,
        "issuer": said.issuer,
        "serial": str(said.serial),
        "serial_hex": f"{said.serial:x}",
        "not_before": format_time(said.not_before),
        "not_after": format_time(said.not_after),
        "key": said.key,
        "signature_algorithm": said.signature,
        "ca": said.is_ca,
    }


def _chain(appraisal: Appraisal) -> list[Json]:
    """The path, signer first and anchor last; without one, the signer alone if it is known."""
    if appraisal.path is None:
        return [] if appraisal.signer is None else [certificate_json(appraisal.signer, "signer")]
    first, *rest = appraisal.path.certificates
    return [
        certificate_json(first, "signer"),
        *(certificate_json(der, "intermediate") for der in rest),
        certificate_json(appraisal.path.anchor, "anchor"),
    ]


def _openssl(opened: OpenedToken, source: Source) -> Json:
    verifiable = opened.token is not None and openssl_verifiable(opened.token)
    return {"verifiable": verifiable, "commands": list(source.commands) if verifiable else []}
