import base64
import hashlib
import re
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from asn1crypto import pem
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ledger.errors import MalformedError, VerificationError
from ledger.proof.roots import default_trust, format_pem, parse_pem, read_roots
from ledger.proof.trust import TrustedTsa, parse_trust
from ledger.timestamp.path import check_path
from ledger.timestamp.token import check_strength, check_token, parse_token

SHARED = Path(__file__).parents[3].parent / "shared" / "timestamps" / "tokens"
DOC = Path(__file__).parents[3] / "docs" / "tsa-roots.md"
FOLDER = files("ledger.proof").joinpath("roots")
FILES = {file.name: file.read_bytes() for file in FOLDER.iterdir() if file.name.endswith(".pem")}
TSAS = parse_trust(default_trust()).tsas

REAL = {
    "TimeStampToken.p7s": "globalsign",
    "sigstore-rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail.tsr": "freetsa",
}
"""The tokens of ../shared/timestamps that public TSAs made and that pass every check."""


def der_of(content: bytes) -> bytes:
    kind, _, der = pem.unarmor(content)
    assert kind == "CERTIFICATE"
    return bytes(der)


def comment_above(tsa: TrustedTsa) -> str:
    """What the default trust file says before the table of this TSA."""
    before = default_trust().decode().split(f'anchor = "{tsa.anchor.hex()}"')[0]
    return before.rpartition("\n\n")[2]


def reviewed() -> datetime:
    found = re.search(r"^# Reviewed (\d{4}-\d\d-\d\d):", default_trust().decode(), re.MULTILINE)
    assert found
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC)


def own_signature_is_good(certificate: x509.Certificate) -> bool:
    """Check it with the key alone: cryptography's check of issuers refuses the SHA-1 of 2006."""
    key, body = certificate.public_key(), certificate.tbs_certificate_bytes
    digest = certificate.signature_hash_algorithm
    assert digest
    if isinstance(key, rsa.RSAPublicKey):
        scheme = certificate.signature_algorithm_parameters
        assert isinstance(scheme, padding.PKCS1v15 | padding.PSS)
        key.verify(certificate.signature, body, scheme, digest)
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(certificate.signature, body, ec.ECDSA(digest))
    return certificate.subject == certificate.issuer


def test_every_file_is_pinned_and_every_pin_has_its_file() -> None:
    expected = {f"{tsa.name}-{tsa.anchor.hex()[:16]}.pem": tsa.anchor for tsa in TSAS}
    assert {n: hashlib.sha256(der_of(b)).digest() for n, b in FILES.items()} == expected


def test_the_roots_read_are_the_files_in_the_order_of_their_names() -> None:
    assert read_roots() == tuple(der_of(FILES[name]) for name in sorted(FILES))
    assert len(set(read_roots())) == len(FILES) >= 2


def test_the_default_trust_file_wants_two_and_limits_nothing_else() -> None:
    trust = parse_trust(default_trust())
    assert trust.k == 2
    assert (trust.require, trust.weak, trust.authors, trust.policy) == ((), (), (), None)


def test_no_development_tsa_and_no_test_root_is_in_it() -> None:
    assert not any(tsa.development for tsa in TSAS)
    for tsa, subject in ((tsa, subject_of(tsa)) for tsa in TSAS):
        assert not re.search(r"(?i)\b(development|test|demo|staging|mock|lab)\b", subject), tsa


def subject_of(tsa: TrustedTsa) -> str:
    der = next(der for der in read_roots() if hashlib.sha256(der).digest() == tsa.anchor)
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_is_a_self_signed_ca_in_the_one_pem_form(name: str) -> None:
    der = der_of(FILES[name])
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    form = ["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]
    assert FILES[name] == "\n".join(form).encode()
    certificate = x509.load_der_x509_certificate(der)
    assert own_signature_is_good(certificate)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.value.ca


@pytest.mark.parametrize("tsa", TSAS, ids=lambda tsa: tsa.name)
def test_a_root_s_dates_are_in_its_comment_and_an_expired_one_says_so(tsa: TrustedTsa) -> None:
    der = next(der for der in read_roots() if hashlib.sha256(der).digest() == tsa.anchor)
    certificate = x509.load_der_x509_certificate(der)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    comment = comment_above(tsa)
    assert f"# Valid {begin:%Y-%m-%d} to {end:%Y-%m-%d}" in comment
    assert (end < reviewed()) == ("expired" in comment)


@pytest.mark.parametrize("tsa", TSAS, ids=lambda tsa: tsa.name)
def test_a_root_has_subject_source_and_test_in_its_comment(tsa: TrustedTsa) -> None:
    for word in ("# Subject: ", "# From: ", "# Tested: "):
        assert word in comment_above(tsa)


def test_the_documentation_has_the_same_roots() -> None:
    pinned = DOC.read_text(encoding="utf-8").partition("## Pinned\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z0-9.-]+)` .*?\| `([0-9a-f]{64})` \|", pinned, re.MULTILINE)
    assert rows == [(tsa.name, tsa.anchor.hex()) for tsa in TSAS]
    for tsa in TSAS:
        assert tsa.url is None or f"`{tsa.url}`" in pinned


def test_what_the_documentation_leaves_out_is_not_pinned() -> None:
    others = DOC.read_text(encoding="utf-8").partition("## Checked, not pinned\n")[2]
    digests = set(re.findall(r"`([0-9a-f]{64})`", others))
    assert digests
    assert digests.isdisjoint(tsa.anchor.hex() for tsa in TSAS)


@pytest.mark.parametrize("file", sorted(REAL))
def test_a_real_token_leads_to_its_root_with_no_help(file: str) -> None:
    if not SHARED.exists():
        pytest.skip("no third-party tokens beside the project")
    token = parse_token((SHARED / file).read_bytes())
    signer = check_token(token, imprint=None)
    check_strength(token, signer)
    path = check_path(signer, token.certificates, read_roots(), token.gen_time)
    found = {tsa.name for tsa in TSAS if tsa.anchor == hashlib.sha256(path.anchor).digest()}
    assert found == {REAL[file]}


def test_no_other_token_beside_the_project_leads_to_a_root() -> None:
    if not SHARED.exists():
        pytest.skip("no third-party tokens beside the project")
    trusted = set()
    for file in sorted(SHARED.iterdir()):
        try:
            token = parse_token(file.read_bytes())
            signer = check_token(token, imprint=None)
            check_strength(token, signer)
            check_path(signer, token.certificates, read_roots(), token.gen_time)
        except (MalformedError, VerificationError):
            continue
        trusted.add(file.name)
    assert trusted == set(REAL)


GOOD = FILES[min(FILES)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\n",
        b"# note\n" + GOOD,
        GOOD + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
        GOOD.replace(b"\nMII", b"\n MI", 1),
    ],
)
def test_a_file_that_is_not_one_certificate_in_pem_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(MalformedError, match=r"one\.pem is not one PEM certificate"):
        parse_pem("one.pem", content)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 47, 48, 49, 96, 1000])
def test_what_is_formatted_is_parsed_and_only_in_that_form(length: int) -> None:
    der = bytes(range(256))[:length] or b""
    content = format_pem(der)
    assert parse_pem("one.pem", content) == der
    for position in range(len(content)):
        with pytest.raises(MalformedError, match=r"^one\.pem is not "):
            parse_pem("one.pem", content[:position])
        changed = bytearray(content)
        changed[position] ^= 1
        try:
            other = parse_pem("one.pem", bytes(changed))
        except MalformedError:
            continue
        assert other != der
        assert format_pem(other) == bytes(changed)


@pytest.mark.parametrize(
    ("lines", "der"),
    [(b"MA==", b"0"), (b"MB==", None), (b"MA==\n", None), (b"M\nA==", None), (b"MA", None)],
)
def test_spare_bits_and_line_lengths_are_not_let_vary(lines: bytes, der: bytes | None) -> None:
    content = b"-----BEGIN CERTIFICATE-----\n" + lines + b"\n-----END CERTIFICATE-----\n"
    if der is not None:
        assert parse_pem("one.pem", content) == der
        return
    with pytest.raises(MalformedError, match=r"^one\.pem is not "):
        parse_pem("one.pem", content)


def test_a_file_whose_base64_is_broken_is_refused_by_name() -> None:
    with pytest.raises(MalformedError, match=r"one\.pem is not base64"):
        parse_pem("one.pem", b"-----BEGIN CERTIFICATE-----\nMIIA=A\n-----END CERTIFICATE-----\n")
