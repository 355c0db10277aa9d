"""The development TSA, and openssl as a second responder and a second verifier."""

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import pem, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ledger.errors import MalformedError, VerificationError
from ledger.operator.devtsa import MAX_NAME_CHARACTERS, WARNING, DevelopmentTsa
from ledger.operator.second_reader import read_again
from ledger.timestamp.path import check_path
from ledger.timestamp.request import IMPRINT_ALGORITHMS, format_request
from ledger.timestamp.token import (
    DEVELOPMENT_POLICY,
    Token,
    check_strength,
    check_token,
    openssl_verifiable,
    parse_token,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
MESSAGE = b"tallystick/0\n0\n\n"
IMPRINT = hashlib.sha256(MESSAGE).digest()

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)


@pytest.fixture(scope="module")
def tsa() -> DevelopmentTsa:
    return DevelopmentTsa.create("one", lambda: NOW)


def check(response: bytes, root: bytes, imprint: bytes = IMPRINT, nonce: int = 99) -> Token:
    token = parse_token(response)
    signer = check_token(token, imprint=imprint, nonce=nonce)
    check_strength(token, signer)
    check_path(signer, token.certificates, [root], token.gen_time)
    read_again(response, token)
    return token


def openssl(*arguments: str | Path, succeed: bool = True) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == succeed, done.stdout + done.stderr
    return done.stdout


def armored(path: Path, der: bytes) -> Path:
    path.write_bytes(pem.armor("CERTIFICATE", der))
    return path


def test_answer_is_a_token_over_the_imprint_at_the_clocks_time(tsa: DevelopmentTsa) -> None:
    token = check(tsa.answer(format_request(IMPRINT, 99)), tsa.root)
    assert token.gen_time == NOW
    assert token.accuracy == timedelta(seconds=1)
    assert token.policy == DEVELOPMENT_POLICY
    assert token.is_development
    assert token.signer == tsa.certificate
    assert openssl_verifiable(token)
    assert tsa.ask(format_request(IMPRINT, 99, policy=DEVELOPMENT_POLICY))


def test_names_say_that_it_proves_nothing(tsa: DevelopmentTsa) -> None:
    for der in (tsa.root, tsa.certificate):
        subject = asn1_x509.Certificate.load(der).subject.native
        assert subject["common_name"].startswith(WARNING)
        assert subject["organizational_unit_name"] == "one"


@pytest.mark.parametrize("algorithm", IMPRINT_ALGORITHMS)
def test_every_imprint_algorithm_is_answered(tsa: DevelopmentTsa, algorithm: str) -> None:
    imprint = hashlib.new(algorithm, MESSAGE).digest()
    token = check(tsa.answer(format_request(imprint, 99, algorithm)), tsa.root, imprint)
    assert token.imprint_algorithm == algorithm


def test_serial_numbers_come_from_the_random_bytes_given() -> None:
    tsa = DevelopmentTsa.create("one", lambda: NOW, lambda size: b"\x01" * size)
    request = format_request(IMPRINT, 99)
    assert parse_token(tsa.answer(request)).serial == 1 + int.from_bytes(b"\x01" * 8)


def test_certificate_is_left_out_when_not_asked_for(tsa: DevelopmentTsa) -> None:
    fields = tsp.TimeStampReq.load(format_request(IMPRINT, 99))
    fields["cert_req"] = False
    token = parse_token(tsa.answer(fields.dump(force=True)))
    assert token.certificates == ()
    assert check_token(token, imprint=IMPRINT, certificates=[tsa.certificate])


def test_request_it_cannot_answer_is_rejected_with_the_reason(tsa: DevelopmentTsa) -> None:
    sha1 = tsp.TimeStampReq(
        {
            "version": 1,
            "message_imprint": {
                "hash_algorithm": {"algorithm": "sha1"},
                "hashed_message": bytes(20),
            },
        }
    )
    extended = tsp.TimeStampReq.load(format_request(IMPRINT, 99))
    extended["extensions"] = [{"extn_id": "1.2.3", "extn_value": b""}]
    for request, reason in (
        (b"", "bad_data_format"),
        (b"hello", "bad_data_format"),
        (sha1.dump(), "bad_alg"),
        (format_request(IMPRINT, 99, policy="1.2.3"), "unaccepted_policy"),
        (extended.dump(force=True), "unaccepted_extensions"),
    ):
        with pytest.raises(VerificationError, match=f"status 2 .{reason}"):
            parse_token(tsa.answer(request))


def test_pem_keeps_it_between_runs(tsa: DevelopmentTsa) -> None:
    later = NOW + timedelta(days=400)
    kept = DevelopmentTsa.from_pem(tsa.to_pem(), lambda: later)
    assert (kept.name, kept.root, kept.certificate) == (tsa.name, tsa.root, tsa.certificate)
    token = check(kept.answer(format_request(IMPRINT, 99)), tsa.root)
    assert token.gen_time == later
    assert kept.to_pem() == tsa.to_pem()


def test_other_pem_files_are_malformed(tsa: DevelopmentTsa) -> None:
    def split(pem_file: bytes) -> tuple[bytes, ...]:
        key, first, second = pem_file.split(b"-----BEGIN CERTIFICATE")
        return key, b"-----BEGIN CERTIFICATE" + first, b"-----BEGIN CERTIFICATE" + second

    key, certificate, root = split(tsa.to_pem())
    other_key, _, other_root = split(DevelopmentTsa.create("two", lambda: NOW).to_pem())
    rsa_key = rsa_pem()
    assert DevelopmentTsa.from_pem(key + certificate + root, lambda: NOW)
    for wrong in (
        b"",
        b"junk",
        key,
        certificate + root,
        key + certificate,
        key + root + certificate,
        key + certificate + other_root,
        other_key + certificate + root,
        rsa_key + certificate + root,
        tsa.to_pem() * 2,
    ):
        with pytest.raises(MalformedError):
            DevelopmentTsa.from_pem(wrong, lambda: NOW)


def rsa_pem() -> bytes:
    return rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_private_key_is_not_in_its_representation(tsa: DevelopmentTsa) -> None:
    secret = tsa.key.private_numbers().private_value
    assert str(secret) not in repr(tsa)
    assert "PrivateKey" not in repr(tsa)
    assert serialization.load_pem_private_key(tsa.to_pem(), None)


@pytest.mark.parametrize("name", ["", "x" * (MAX_NAME_CHARACTERS + 1), "a\nb"])
def test_name_that_fits_no_certificate_is_the_callers_mistake(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        DevelopmentTsa.create(name, lambda: NOW)


def test_naive_clock_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="aware"):
        DevelopmentTsa.create("one", lambda: NOW.replace(tzinfo=None))


@needs_openssl
@pytest.mark.parametrize("algorithm", IMPRINT_ALGORITHMS)
def test_openssl_verifies_its_tokens(tsa: DevelopmentTsa, algorithm: str, tmp_path: Path) -> None:
    imprint = hashlib.new(algorithm, MESSAGE).digest()
    request, response, data = (tmp_path / name for name in ("request", "response", "data"))
    request.write_bytes(format_request(imprint, 99, algorithm))
    response.write_bytes(tsa.answer(request.read_bytes()))
    data.write_bytes(MESSAGE)
    root = armored(tmp_path / "root.pem", tsa.root)
    at = str(int(NOW.timestamp()))
    base = ("ts", "-verify", "-in", response, "-CAfile", root, "-attime", at)
    assert "OK" in openssl(*base, "-queryfile", request)
    assert "OK" in openssl(*base, "-data", data)
    data.write_bytes(MESSAGE + b"!")
    openssl(*base, "-data", data, succeed=False)
    long_after = str(int((NOW + timedelta(days=365 * 40)).timestamp()))
    openssl(*base[:-1], long_after, "-queryfile", request, succeed=False)


CONFIG = """
[tsa]
default_tsa = stamper
[stamper]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
certs = {folder}/root.pem
signer_digest = {digest}
default_policy = 1.3.6.1.4.1.99999.7
digests = sha256, sha384, sha512, sm3
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_chain = {chain}
ess_cert_id_alg = {ess}
[signer]
basicConstraints = critical, CA:false
extendedKeyUsage = critical, timeStamping
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[req]
distinguished_name = empty
[empty]
"""


def responder(folder: Path, key: str, digest: str, ess: str, chain: str) -> Path:
    """A TSA made of openssl alone: keys, certificates, configuration."""
    config = folder / "openssl.cnf"
    config.write_text(CONFIG.format(folder=folder, digest=digest, ess=ess, chain=chain))
    (folder / "serial").write_text("01")
    kind = ("rsa_keygen_bits:2048",) if key == "RSA" else ("ec_paramgen_curve:P-384",)
    for name in ("root", "signer"):
        made = ("genpkey", "-algorithm", key, "-pkeyopt", *kind, "-out", folder / f"{name}.key")
        openssl(*made)
    common = ("-config", config, "-days", "30", "-sha256")
    root = ("-key", folder / "root.key", "-subj", "/CN=Second Root", "-extensions", "root")
    openssl("req", "-x509", "-new", *common, *root, "-out", folder / "root.pem")
    authority = ("-CA", folder / "root.pem", "-CAkey", folder / "root.key")
    leaf = ("-key", folder / "signer.key", "-subj", "/CN=Second TSA", "-extensions", "signer")
    openssl("req", "-x509", "-new", *common, *leaf, *authority, "-out", folder / "signer.pem")
    return config


@needs_openssl
@pytest.mark.parametrize(
    ("key", "digest", "ess", "chain"),
    [("RSA", "sha256", "sha1", "no"), ("EC", "sha384", "sha256", "yes")],
)
def test_openssl_tokens_are_accepted_by_us_and_by_openssl(
    key: str, digest: str, ess: str, chain: str, tmp_path: Path
) -> None:
    config = responder(tmp_path, key, digest, ess, chain)
    request, response = tmp_path / "request", tmp_path / "response"
    root = pem.unarmor((tmp_path / "root.pem").read_bytes())[2]
    for number, algorithm in enumerate(IMPRINT_ALGORITHMS):
        imprint = hashlib.new(algorithm, MESSAGE).digest()
        request.write_bytes(format_request(imprint, 99 + number, algorithm))
        openssl("ts", "-reply", "-config", config, "-queryfile", request, "-out", response)
        token = check(response.read_bytes(), root, imprint, 99 + number)
        assert openssl_verifiable(token)
        assert token.policy == "1.3.6.1.4.1.99999.7"
        assert token.accuracy == timedelta(seconds=1, microseconds=500_100)
        assert [found.version for found in token.signed.certificate_ids] == [
            1 if ess == "sha1" else 2
        ]
        at = str(int(token.gen_time.timestamp()))
        given = ("-queryfile", request, "-in", response, "-CAfile", tmp_path / "root.pem")
        assert "OK" in openssl("ts", "-verify", *given, "-attime", at)
