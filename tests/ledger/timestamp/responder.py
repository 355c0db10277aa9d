"""`openssl ts -reply` and `openssl cms -sign` as makers of tokens, `openssl ts -verify` as a judge.

openssl does not stamp with a certificate that is not for time stamping; such tokens are made with
``openssl cms`` over the TSTInfo of a token that ``openssl ts`` made. Keys are made once.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asn1crypto import cms, pem, tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.ledger.timestamp.authority import (
    BEGIN,
    DER,
    POLICY,
    STAMPING,
    Authority,
    Signer,
    _usage,
    name,
)

FAR = datetime(2099, 1, 1, tzinfo=UTC)
MESSAGE = b"message"
OTHER_POLICY = "1.3.6.1.4.1.99999.2"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONFIG = {
    "signer_digest": "sha256",
    "default_policy": POLICY,
    "other_policies": OTHER_POLICY,
    "digests": "md5, sha1, sha224, sha256, sha384, sha512, sm3, sha3-256",
    "accuracy": "secs:1, millisecs:500, microsecs:100",
    "clock_precision_digits": "0",
    "ordering": "no",
    "tsa_name": "no",
    "ess_cert_id_chain": "no",
    "ess_cert_id_alg": "sha256",
}


@dataclass(frozen=True)
class Question:
    """What both are asked: is received good, over message or in answer to query, at moment?

    ``moment``: the token's genTime; None for now, where there is no token to take it from.
    ``options``: what openssl is told besides.
    """

    received: bytes
    moment: datetime | None
    roots: tuple[bytes, ...]
    message: bytes = MESSAGE
    query: bytes | None = None
    untrusted: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    options: tuple[str, ...] = ()


@dataclass
class Lab:
    """A folder, one root, an intermediate, signers of several kinds, and one good response.

    ``content``: the TSTInfo of that response; ``now``: its genTime.
    """

    folder: Path
    count: int = 0
    queries: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    root: Authority = field(default_factory=lambda: make_root("Test Root"))

    def __post_init__(self) -> None:
        self.ec = self.signer()
        self.rsa = self.signer(rsa.generate_private_key(65537, 2048))
        self.rsa_1024 = self.signer(rsa.generate_private_key(65537, 1024))
        self.p224 = self.signer(ec.generate_private_key(ec.SECP224R1()))
        self.ed25519 = self.signer(ed25519.Ed25519PrivateKey.generate())
        self.middle = self.root.child("Test Intermediate", end=FAR)
        self.under_middle = self.signer(authority=self.middle)
        self.base = self.reply(self.ec)
        self.content = content_of(self.base)
        self.now: datetime = tsp.TSTInfo.load(self.content)["gen_time"].native

    def signer(
        self, key: Any = None, *, authority: Authority | None = None, **options: Any
    ) -> Signer:
        """A signer of the root's or another authority's, valid for a long time."""
        return (authority or self.root).signer(key, **{"end": FAR, **options})

    def certify(
        self,
        issuer: Authority,
        key: Any,
        *extensions: tuple[x509.ExtensionType, bool],
        common_name: str = "Test TSA",
    ) -> x509.Certificate:
        """A certificate with exactly these extensions, each with whether it is critical."""
        issuer.serial += 1
        builder = (
            x509.CertificateBuilder()
            .issuer_name(name(issuer.common_name))
            .subject_name(name(common_name))
            .public_key(key.public_key())
            .serial_number(issuer.serial)
            .not_valid_before(BEGIN)
            .not_valid_after(FAR)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(issuer.key, hashes.SHA256())

    def extended(self, *extensions: tuple[x509.ExtensionType, bool]) -> Signer:
        """A signer whose certificate has these extensions beside its purpose."""
        purpose = (x509.ExtendedKeyUsage(STAMPING), True)
        certificate = self.certify(self.root, self.ec.key, purpose, *extensions)
        return Signer(self.ec.key, certificate.public_bytes(DER))

    def subordinate(
        self,
        issuer: Authority,
        *extensions: tuple[x509.ExtensionType, bool],
        key: Any = None,
        path_length: int | None = None,
    ) -> Authority:
        """A CA under issuer, with these extensions beside a CA's own."""
        key = key or self.middle.key
        own = [(x509.BasicConstraints(True, path_length), True), (_usage("ca"), True)]
        common_name = f"CA {issuer.serial} of {issuer.common_name}"
        certificate = self.certify(issuer, key, *own, *extensions, common_name=common_name)
        return Authority(common_name, key, certificate)

    def write(self, content: bytes) -> str:
        """The path of a new file holding content."""
        self.count += 1
        path = self.folder / f"{self.count}"
        path.write_bytes(content)
        return str(path)

    def query(self, *options: str) -> bytes:
        """`openssl ts -query` over MESSAGE; by default no nonce, and the certificate wanted."""
        given = options or ("-sha256", "-cert", "-no_nonce")
        if given not in self.queries or "-no_nonce" not in given:
            self.queries[given] = run("ts", "-query", "-data", self.write(MESSAGE), *given).stdout
        return self.queries[given]

    def reply(
        self,
        signer: Signer,
        query: bytes | None = None,
        chain: Sequence[bytes] = (),
        options: Sequence[str] = (),
        **config: str,
    ) -> bytes:
        """`openssl ts -reply` to query; config changes CONFIG, an empty value takes a line out."""
        settings = {**CONFIG, "serial": str(self.folder / "serial"), **config}
        lines = [f"{key} = {value}" for key, value in settings.items() if value]
        text = "\n".join(["[tsa]", "default_tsa = it", "[it]", *lines, ""])
        words = ["-config", self.write(text.encode()), "-queryfile"]
        words += [self.write(query or self.query()), "-inkey", self.key(signer.key)]
        words += ["-signer", self.write(armor(signer.certificate))]
        words += ["-chain", self.write(armor(*chain))] if chain else []
        return run("ts", "-reply", *words, *options).stdout

    def cms(
        self,
        signer: Signer,
        *options: str,
        content: bytes | None = None,
        content_type: str = TST_INFO,
    ) -> bytes:
        """A bare token by `openssl cms -sign`: any certificate, any content.

        With ``-cades`` in options it has a signing-certificate attribute, otherwise none.
        """
        words = ["-sign", "-binary", "-nodetach", "-outform", "DER", "-nosmimecap"]
        words += ["-econtent_type", content_type, "-in", self.write(content or self.content)]
        words += ["-signer", self.write(armor(signer.certificate))]
        words += ["-inkey", self.key(signer.key)]
        return run("cms", *words, *options).stdout

    def key(self, key: Any) -> str:
        """The path of a private key."""
        form, sealed = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self.write(key.private_bytes(serialization.Encoding.PEM, form, sealed))

    def ask(self, received: bytes, **changes: Any) -> Question:
        """A question about received under the lab's root, at the genTime of the lab's response.

        Tokens of `openssl ts -reply` carry the clock of this machine: theirs is read from them.
        """
        moment = self.now
        if is_token_of_ts(received):
            moment = tsp.TSTInfo.load(content_of(received))["gen_time"].native
        return Question(received, **{"moment": moment, "roots": (self.root.der,), **changes})

    def openssl(self, question: Question) -> str:
        """Empty if `openssl ts -verify` accepts, otherwise what it says."""
        trusted = armor(*question.roots) + armor(*question.crls, label="X509 CRL")
        words = ["-in", self.write(question.received), "-CAfile", self.write(trusted)]
        words += [] if is_response(question.received) else ["-token_in"]
        if question.moment is not None:
            words += ["-attime", str(int(question.moment.timestamp()))]
        if question.untrusted:
            words += ["-untrusted", self.write(armor(*question.untrusted))]
        if question.crls:
            words += ["-crl_check_all"]
        if question.query is not None:
            words += ["-queryfile", self.write(question.query)]
        else:
            words += ["-data", self.write(question.message)]
        done = run("ts", "-verify", *words, *question.options, check=False)
        return "" if done.returncode == 0 else done.stderr.decode() or "no reason given"


def make_root(common_name: str, key: Any = None, end: datetime = FAR) -> Authority:
    """A root valid from BEGIN to end."""
    root = Authority(common_name, key or ec.generate_private_key(ec.SECP256R1()))
    root.certificate = root._sign(common_name, root.key.public_key(), ca=True, end=end)
    return root


def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    """One openssl command, its stdout and stderr kept."""
    return subprocess.run(["openssl", *words], capture_output=True, check=check)


def armor(*ders: bytes, label: str = "CERTIFICATE") -> bytes:
    """DER values as PEM."""
    return b"".join(pem.armor(label, der) for der in ders)


def is_response(received: bytes) -> bool:
    """Whether received begins as a response does, with a status; a token with its type."""
    start = 2 + (received[1] & 0x7F if received[1] >= 0x80 else 0)
    return received[start] == 0x30


def is_token_of_ts(received: bytes) -> bool:
    """Whether received is a granted response of `openssl ts -reply`, unspoiled."""
    try:
        return is_response(received) and content_of(received)[:1] == b"\x30"
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def content_of(received: bytes) -> bytes:
    """The TSTInfo in a response, as it stands there."""
    token: cms.ContentInfo = tsp.TimeStampResp.load(received, strict=True)["time_stamp_token"]
    content: bytes = token["content"]["encap_content_info"]["content"].contents
    return content
