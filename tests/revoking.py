"""A time-stamping CA that publishes CRLs and answers OCSP over loopback HTTP, its clock set."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from ledger.timestamp.request import parse_request
from tests.ledger.timestamp.authority import (
    DER,
    GEN_TIME,
    Authority,
    Signer,
    make_content,
    make_token,
    respond,
)

DAY = timedelta(days=1)
CRL_TYPE = "application/pkix-crl"
CERTIFICATE_TYPE = "application/pkix-cert"
OCSP_TYPE = "application/ocsp-response"

Reason = x509.ReasonFlags


@dataclass
class Site:
    """What a server on this machine has: path to media type and bytes, or to what answers a POST.

    ``slow``: paths that answer only once ``hurry`` is set. ``asked``: every path, as asked for.
    """

    url: str = ""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    posts: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    hurry: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            if self.path in site.slow:
                site.hurry.wait(10)
            if self.path in site.moved:
                self.send_response(302)
                self.send_header("Location", site.moved[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.answer(*site.files.get(self.path, ("", b"")))

        def do_POST(self) -> None:
            site.asked.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = site.posts.get(self.path)
            self.answer(OCSP_TYPE, reply(body) if reply else b"")

        def answer(self, kind: str, content: bytes) -> None:
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            with suppress(OSError):  # whoever asked may have gone
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield site
    finally:
        site.hurry.set()
        server.shutdown()
        thread.join()
        server.server_close()


def naming(
    authority: Authority,
    certificate: x509.Certificate,
    *,
    crl: str | None = None,
    ocsp_url: str | None = None,
    issuer: str | None = None,
) -> x509.Certificate:
    """The certificate with these URLs in it, signed again by its authority."""
    builder = (
        x509.CertificateBuilder()
        .issuer_name(certificate.issuer)
        .subject_name(certificate.subject)
        .public_key(certificate.public_key())
        .serial_number(certificate.serial_number)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
    )
    for extension in certificate.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    if crl is not None:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    places = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (AuthorityInformationAccessOID.OCSP, ocsp_url),
            (AuthorityInformationAccessOID.CA_ISSUERS, issuer),
        )
        if url is not None
    ]
    if places:
        builder = builder.add_extension(x509.AuthorityInformationAccess(places), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


@dataclass
class RevokingTsa:
    """A TSA: root, issuing CA and signer. Certificates name ``site``; tokens embed the signer.

    ``with_crl``: the signer's certificate names a CRL; else only an OCSP responder.
    """

    name: str
    site: Site
    clock: Callable[[], datetime] = lambda: GEN_TIME
    with_crl: bool = True

    def __post_init__(self) -> None:
        self.root = Authority(f"{self.name} Root")
        self.middle = self.root.child(f"{self.name} Issuing")
        self.middle.certificate = naming(
            self.root, self.middle.certificate, crl=self.at("root.crl")
        )
        plain = self.middle.signer(common_name=f"{self.name} Signer")
        certificate = naming(
            self.middle,
            x509.load_der_x509_certificate(plain.certificate),
            crl=self.at("issuing.crl") if self.with_crl else None,
            ocsp_url=None if self.with_crl else self.at("ocsp"),
            issuer=self.at("issuing.cer"),
        )
        self.signer = Signer(plain.key, certificate.public_bytes(DER))
        self.serve("issuing.cer", CERTIFICATE_TYPE, self.middle.der)
        self.publish(self.clock() - DAY)
        self.site.posts[f"/{self.name}/ocsp"] = self.answer_ocsp
        self.status: tuple[datetime, x509.ReasonFlags | None] | None = None

    def at(self, path: str) -> str:
        return f"{self.site.url}/{self.name}/{path}"

    def serve(self, path: str, kind: str, content: bytes) -> None:
        self.site.files[f"/{self.name}/{path}"] = (kind, content)

    def publish(
        self,
        issued: datetime,
        revoked: tuple[datetime, x509.ReasonFlags | None] | None = None,
        until: datetime | None = None,
    ) -> None:
        """New CRLs of both CAs; ``revoked``: when and why the signer was."""
        until = until or issued + 30 * DAY
        listed = {} if revoked is None else {self.signer.serial: revoked}
        self.serve("root.crl", CRL_TYPE, self.root.crl(None, issued, until))
        self.serve("issuing.crl", CRL_TYPE, self.middle.crl(listed, issued, until))

    def answer_ocsp(self, request: bytes) -> bytes:
        asked = ocsp.load_der_ocsp_request(request)
        assert asked.serial_number == self.signer.serial
        return self.middle.ocsp(self.signer.certificate, self.status, self.clock())

    def ask(self, request: bytes) -> bytes:
        """A token at the clock's time."""
        asked = parse_request(request)
        return self.token(asked.imprint, asked.nonce)

    def token(self, imprint: bytes = bytes(32), nonce: int | None = None, **options: Any) -> bytes:
        content = make_content(
            imprint=imprint,
            nonce=nonce,
            gen_time=self.clock(),
            accuracy={"seconds": 1},
        )
        return respond(make_token(self.signer, content, **options))
