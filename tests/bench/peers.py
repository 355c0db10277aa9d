"""Other people's RFC 3161 verifiers, each in a virtual environment of its own, asked one question.

The question (``Case``) is the same for all: a response, the bytes it should be over, roots,
intermediates, CRLs; judged at the token's own genTime. Each judge below gives its package the best
use that its documentation or its own command line makes of it, and the comment says which that is.

This file runs in two places: imported by corpus.py and timestamps.py, and, as a script, inside a
peer's environment (``python peers.py NAME judge|time``, cases as JSON on stdin), where nothing of
ours is installed. Only the standard library may be imported outside the judges.
"""

import base64
import hashlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

PINNED = {
    "rfc3161ng": ("rfc3161ng==2.1.3",),
    "rfc3161-client": ("rfc3161-client==1.0.9",),
    "pyHanko": ("pyHanko==0.38.0",),
    "gpa-verify": ("gpa-verify==1.7.0",),
    # Its extra [anchors] is what reads RFC 3161; pinned, so that both peers have one reader.
    "proofbundle": ("proofbundle[anchors]==6.3.1", "rfc3161-client==1.0.9"),
}
ROOT = Path(__file__).resolve().parents[2]


class RefusedError(Exception):
    """The package says the token is not good: its own error, or False, or a bad status."""


class NotAskedError(Exception):
    """The package has no way to be asked this question."""


@dataclass(frozen=True)
class Case:
    """One question. Bytes are base64, so that the whole can be sent as JSON.

    ``received``: the file as it came, a response or a bare token. ``response``: a TimeStampResp (a
    bare token is wrapped in one that says granted). ``token``: the bare token, None if there is
    none. Readers of both forms get what came. ``message``: what should have been stamped, or None
    where only the ``imprint`` (under ``algorithm``) is known. Certificates and CRLs are DER.
    """

    name: str
    received: str
    response: str
    token: "str | None"
    message: "str | None"
    imprint: str
    algorithm: str
    roots: "list[str]"
    untrusted: "list[str]"
    crls: "list[str]"
    gen_time: int

    def many(self, field: str) -> "list[bytes]":
        """A field of several values, as bytes."""
        return [base64.b64decode(value) for value in getattr(self, field)]

    def one(self, field: str) -> bytes:
        """A field of one value, as bytes; NotAskedError if the case does not have it."""
        value = getattr(self, field)
        if value is None:
            raise NotAskedError(f"needs the {field}")
        return base64.b64decode(value)


def tallystick(case: Case) -> None:
    """As ``tallystick_again``, but with nothing kept from the check before."""
    importlib.import_module("ledger.timestamp.der").load_certificate.cache_clear()
    tallystick_again(case)


def tallystick_again(case: Case) -> None:
    """The four calls behind ``tally verify``, in its order.

    Certificates once read are kept by ``ledger.timestamp.der``: the next token of a TSA costs less.
    """
    errors = importlib.import_module("ledger.errors")
    path = importlib.import_module("ledger.timestamp.path")
    tokens = importlib.import_module("ledger.timestamp.token")
    untrusted = case.many("untrusted")
    try:
        token = tokens.parse_token(case.one("received"))
        imprint = case.one("imprint")
        if case.message is not None:
            imprint = hashlib.new(token.imprint_algorithm, case.one("message")).digest()
        signer = tokens.check_token(token, imprint=imprint, certificates=untrusted)
        tokens.check_strength(token, signer)
        helpers = [*token.certificates, *untrusted]
        path.check_path(signer, helpers, case.many("roots"), token.gen_time, case.many("crls"))
    except errors.LedgerError as error:
        raise RefusedError(str(error)) from error


def rfc3161ng(case: Case) -> None:
    """README: ``check(tst, data=…)``, which is ``check_timestamp`` with a certificate.

    It takes the signer's certificate and follows no chain, so roots, intermediates, CRLs and the
    moment cannot be given. The digest's name is the caller's duty: the one the token names. Where
    several are at hand (embedded or given), each is tried, as its caller would have to.
    """
    library = importlib.import_module("rfc3161ng")
    encoder = importlib.import_module("pyasn1.codec.der.encoder")
    token = library.decode_timestamp_response(case.one("response")).time_stamp_token
    oid = token.tst_info.message_imprint.hash_algorithm[0]
    hashname = library.api.get_hash_from_oid(oid)
    digest = case.one("imprint")
    if case.message is not None:
        digest = hashlib.new(hashname, case.one("message")).digest()
    embedded = token.content["certificates"]
    certificates = [encoder.encode(choice[0]) for choice in embedded] if len(embedded) else []
    fault: Exception = RefusedError("no certificate to check with")
    for certificate in [*certificates, *case.many("untrusted")]:
        try:
            if library.check_timestamp(token, certificate, digest=digest, hashname=hashname):
                return
        except Exception as error:  # noqa: BLE001 — whatever it raises, it does not accept
            fault = error
    raise fault


def rfc3161_client(case: Case) -> None:
    """README: ``VerifierBuilder`` with roots and intermediates, then ``verify_message``.

    ``verify`` with a digest where the message is unknown. It wants the TSA's certificate where the
    token embeds none: each one given that is no CA is tried. CRLs cannot be given.
    """
    library = importlib.import_module("rfc3161_client")
    x509 = importlib.import_module("cryptography.x509")
    response = library.decode_timestamp_response(case.one("response"))
    load = x509.load_der_x509_certificate
    # Certificates go to the constructor: the builder's methods share one list between calls.
    given = {
        "roots": [load(der) for der in case.many("roots")],
        "intermediates": [load(der) for der in case.many("untrusted")],
    }
    candidates = [None] if response.signed_data.certificates else given["intermediates"]
    fault: Exception = RefusedError("no certificate to verify with")
    for candidate in candidates:
        verifier = library.VerifierBuilder(tsa_certificate=candidate, **given).build()
        try:
            if case.message is not None:
                verifier.verify_message(response, case.one("message"))
            else:
                verifier.verify(response, case.one("imprint"))
        except library.VerificationError as error:
            fault = error
            continue
        return
    raise fault


def pyhanko(case: Case) -> None:
    """``handle_tsp_response`` for the status, ``validate_tst_signed_data`` for the token.

    CRLs make the revocation mode ``require`` with ``retroactive_revinfo``; without CRLs it stays
    at the default (what cannot be fetched is passed over). Certificates given count as embedded.
    """
    asyncio = importlib.import_module("asyncio")
    cms = importlib.import_module("asn1crypto.cms")
    tsp = importlib.import_module("asn1crypto.tsp")
    x509 = importlib.import_module("asn1crypto.x509")
    common = importlib.import_module("pyhanko.sign.timestamps.common_utils")
    generic = importlib.import_module("pyhanko.sign.validation.generic_cms")
    status = importlib.import_module("pyhanko.sign.validation.status")
    validator = importlib.import_module("pyhanko_certvalidator")
    common.handle_tsp_response(tsp.TimeStampResp.load(case.one("response")), None)
    signed = cms.ContentInfo.load(case.one("token"))["content"]
    untrusted = [x509.Certificate.load(der) for der in case.many("untrusted")]
    context = validator.ValidationContext(
        trust_roots=[x509.Certificate.load(der) for der in case.many("roots")],
        other_certs=untrusted,
        crls=case.many("crls"),
        moment=datetime.fromtimestamp(case.gen_time, timezone.utc),  # noqa: UP017 — old Pythons
        allow_fetching=False,
        revocation_mode="require" if case.crls else "soft-fail",
        retroactive_revinfo=True,
    )
    message = case.one("message") if case.message is not None else None

    def wanted(algorithm: str) -> bytes:
        return case.one("imprint") if message is None else hashlib.new(algorithm, message).digest()

    found = asyncio.run(generic.validate_tst_signed_data(signed, context, wanted))
    said = status.TimestampSignatureStatus(**found)
    if not (said.intact and said.valid and said.trusted):
        raise RefusedError(said.summary())


def gpa_verify(case: Case) -> None:
    """What its command line does with a token inside a package: token, chain, pinned root.

    The command reads only its vendor's ZIP and PDF files, whose stamped bytes have a form of their
    own; so the two functions it calls for those are called here, with the roots where
    ``--trust-root`` puts them and the intermediates where ``--certs`` does. CRLs cannot be given.
    """
    token = importlib.import_module("gpa_verify.tsp_verify")
    trust = importlib.import_module("gpa_verify.trust")
    message = case.one("message") if case.message is not None else None
    extra = case.many("untrusted")
    with trust.extra_roots(case.many("roots")):
        read = token.verify_token(case.one("received"), message, extra_cert_ders=extra)
        checks = token.token_checks(read, pool_ders=extra, tsl_files=[])
    failed = [check for check in checks if not check.passed and not check.skipped]
    if failed:
        raise RefusedError("; ".join(f"{check.name}: {check.detail}" for check in failed))


def proofbundle(case: Case) -> None:
    """The function behind its anchor type ``rfc3161-tsa``, the roots as the relying party's.

    Intermediates are frozen material, as its ``create_rfc3161_anchor`` stores them; a TSA's own
    certificate, which it wants where the token embeds none, is each given one in turn. It needs
    the message itself; CRLs cannot be given.
    """
    anchors = importlib.import_module("proofbundle.anchors_rfc3161")
    message = case.one("message")
    trust = {"trusted_tsa_roots": case.roots}
    frozen = {"intermediateCertsDerB64": case.untrusted}
    for extra in ({}, *({"tsaCertDerB64": der} for der in case.untrusted)):
        found = anchors.verify_rfc3161(
            case.one("response"), message, frozen={**frozen, **extra}, rp_trust=trust
        )
        if found["ok"]:
            return
    raise RefusedError(found["detail"])


def openssl(case: Case) -> None:
    """``openssl ts -verify -attime genTime``; CRLs, if any, in the CA file and -crl_check_all."""
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            openssl_command(case, Path(name)), capture_output=True, text=True, check=False
        )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        raise RefusedError(lines[-1] if lines else done.stderr)


def openssl_command(case: Case, folder: Path) -> "list[str]":
    """The command for case; its files are written into folder."""
    (folder / "received").write_bytes(case.one("received"))
    (folder / "roots.pem").write_text(_pem(case.roots, "CERTIFICATE") + _pem(case.crls, "X509 CRL"))
    command = ["openssl", "ts", "-verify", "-in", str(folder / "received")]
    command += ["-token_in"] if case.received == case.token else []
    command += ["-CAfile", str(folder / "roots.pem"), "-attime", str(case.gen_time)]
    if case.untrusted:
        (folder / "untrusted.pem").write_text(_pem(case.untrusted, "CERTIFICATE"))
        command += ["-untrusted", str(folder / "untrusted.pem")]
    if case.crls:
        command += ["-crl_check_all"]
    if case.message is not None:
        (folder / "message").write_bytes(case.one("message"))
        return [*command, "-data", str(folder / "message")]
    return [*command, "-digest", case.one("imprint").hex()]


def _pem(ders: Sequence[str], label: str) -> str:
    return "".join(
        f"-----BEGIN {label}-----\n{base64.encodebytes(base64.b64decode(der)).decode()}"
        f"-----END {label}-----\n"
        for der in ders
    )


OPENSSL = "openssl ts -verify"
AGAIN = "Tallystick, next token of a TSA"

JUDGES: "dict[str, Callable[[Case], None]]" = {
    "Tallystick": tallystick,
    AGAIN: tallystick_again,
    OPENSSL: openssl,
    "rfc3161ng": rfc3161ng,
    "rfc3161-client": rfc3161_client,
    "pyHanko": pyhanko,
    "gpa-verify": gpa_verify,
    "proofbundle": proofbundle,
}


def answer(name: str, case: Case) -> str:
    """``accepted``, ``refused: …`` or ``not asked: …``; any error of a package is a refusal."""
    try:
        JUDGES[name](case)
    except NotAskedError as reason:
        return f"not asked: {reason}"
    except Exception as error:  # noqa: BLE001 — a judge that breaks has not accepted
        return f"refused: {type(error).__name__}: {error}"[:300]
    return "accepted"


def checks_per_second(name: str, case: Case, seconds: float) -> float:
    """Checks of case per second of CPU: this process's, or openssl's own where that is asked."""
    if name != OPENSSL:
        return _rate(lambda: JUDGES[name](case), time.process_time, seconds)
    with tempfile.TemporaryDirectory() as folder:
        command = openssl_command(case, Path(folder))
        return _rate(
            lambda: subprocess.run(command, capture_output=True, check=True), _children, seconds
        )


def _rate(check: "Callable[[], object]", clock: "Callable[[], float]", seconds: float) -> float:
    """Runs of check per second of clock; one to warm up is not counted."""
    check()
    count, begun = 0, clock()
    while clock() - begun < seconds:
        check()
        count += 1
    return count / (clock() - begun)


def _children() -> float:
    return sum(os.times()[2:4])


def python_of(name: str, cache: Path) -> str:
    """The interpreter that has the package called name; makes its environment the first time.

    An environment is finished when its file ``ready`` holds the pinned versions.
    """
    if name not in PINNED:
        return sys.executable
    folder = cache / name
    ready, python = folder / "ready", folder / "bin" / "python"
    pinned = "\n".join(PINNED[name])
    if not ready.exists() or ready.read_text() != pinned:
        print(f"installing {' '.join(PINNED[name])}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED[name]], check=True)
        ready.write_text(pinned)
    return str(python)


def ask(name: str, act: str, cases: Sequence[Case], cache: Path) -> "list[str]":
    """What name answers to each of cases: a verdict (``judge``) or a rate (``time``)."""
    done = subprocess.run(
        [python_of(name, cache), "-W", "ignore", __file__, name, act],
        input=json.dumps([asdict(case) for case in cases]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} did not answer: {done.stderr}")
    answers: list[str] = json.loads(done.stdout)
    return answers


def default_cache() -> Path:
    """Where the environments are kept unless the caller says otherwise."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tallystick-bench"


def main() -> None:
    """Inside an environment: read cases from stdin, print the answers."""
    name, act = sys.argv[1:]
    if name not in PINNED:
        sys.path.insert(0, str(ROOT))
    cases = [Case(**fields) for fields in json.load(sys.stdin)]
    if act == "judge":
        print(json.dumps([answer(name, case) for case in cases]))
    else:
        print(json.dumps([str(checks_per_second(name, case, 1.0)) for case in cases]))


if __name__ == "__main__":
    main()
