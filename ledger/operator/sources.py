"""Where a certificate says that its CRL, its OCSP responder and its issuer are, and asking there.

All of it is strangers' word: URLs go through ``ledger.doors.foreign``, and what comes back is
parsed here and believed in nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from asn1crypto import cms, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import load_der_x509_certificate, ocsp

from ledger.doors.foreign import fetch
from ledger.errors import MalformedError, UnavailableError
from ledger.proof.revocation import Answer, read_crl, read_ocsp
from ledger.timestamp.der import load, load_certificate, reading
from ledger.timestamp.material import is_pem, parse_certificates, parse_crls
from ledger.timestamp.path import MAX_MATERIAL_BYTES

MAX_URLS = 4
"""Of each kind in one certificate. Real ones name one or two."""

MAX_ISSUER_BYTES = 65_536
"""What a caIssuers URL gives: one certificate, or a few in a certs-only CMS (RFC 5280 §4.2.2.1)."""

MAX_ISSUERS = 16
"""Certificates taken from one such answer."""

FETCH_SECONDS = 10.0
"""For one answer: CRL servers are content delivery networks, and answer within one."""

OCSP_REQUEST = "application/ocsp-request"

_BINARY = ("application/octet-stream", "binary/octet-stream")
CRL_TYPES = ("application/pkix-crl", "application/x-pkcs7-crl", *_BINARY)
OCSP_TYPES = ("application/ocsp-response",)
CERTIFICATE_TYPES = (
    "application/pkix-cert",
    "application/x-x509-ca-cert",
    "application/pkcs7-mime",
    "application/x-pkcs7-certificates",
    *_BINARY,
)
"""What RFC 2585, RFC 6960 and RFC 5280 name, and what servers send for files they do not know."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The http and https URLs in a certificate, in its order, at most MAX_URLS of each kind."""

    crls: tuple[str, ...]
    ocsps: tuple[str, ...]
    issuers: tuple[str, ...]


def sources_of(certificate: x509.Certificate) -> Sources:
    """Where its CRLs, OCSP responders and issuers are; MalformedError if its extensions are not."""
    crls: list[str] = []
    named: dict[str, list[str]] = {"ocsp": [], "ca_issuers": []}
    with reading("certificate"):
        for point in certificate.crl_distribution_points_value or ():
            place = point["distribution_point"]
            if place and place.name == "full_name":
                crls += [url for name in place.chosen for url in _urls(name)]
        for access in certificate.authority_information_access_value or ():
            named.get(access["access_method"].native, []).extend(_urls(access["access_location"]))
    return Sources(_few(crls), _few(named["ocsp"]), _few(named["ca_issuers"]))


def _urls(name: x509.GeneralName) -> list[str]:
    if name.name != "uniform_resource_identifier":
        return []
    url = name.chosen.contents.decode("latin-1")
    return [url] if url.lower().startswith(("http://", "https://")) else []


def _few(urls: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(urls))[:MAX_URLS]


@dataclass(slots=True)
class Asker:
    """Asks each URL once, until ``deadline`` (of time.monotonic); for one run, then thrown away."""

    deadline: float
    allow_private: bool
    _answers: dict[tuple[str, bytes | None], bytes | UnavailableError] = field(default_factory=dict)

    def issuers(self, url: str) -> tuple[bytes, ...]:
        """DER of the certificates at a caIssuers URL; MalformedError, UnavailableError."""
        return parse_issuers(self._get(url, CERTIFICATE_TYPES, MAX_ISSUER_BYTES))

    def crl(self, url: str) -> Answer:
        """The CRL at a distribution point; MalformedError, UnavailableError."""
        [der] = parse_crls(self._get(url, CRL_TYPES, MAX_MATERIAL_BYTES))[:1]
        return read_crl(der)

    def ocsp(self, url: str, certificate: bytes, issuer: bytes) -> Answer:
        """A responder's answer about a certificate (DER); MalformedError, UnavailableError."""
        request = format_ocsp_request(certificate, issuer)
        return read_ocsp(self._get(url, OCSP_TYPES, MAX_MATERIAL_BYTES, request))

    def _get(
        self, url: str, accept: tuple[str, ...], limit_bytes: int, body: bytes | None = None
    ) -> bytes:
        if (url, body) not in self._answers:
            self._answers[url, body] = self._ask(url, accept, limit_bytes, body)
        answer = self._answers[url, body]
        if isinstance(answer, UnavailableError):
            raise answer
        return answer

    def _ask(
        self, url: str, accept: tuple[str, ...], limit_bytes: int, body: bytes | None
    ) -> bytes | UnavailableError:
        left_seconds = self.deadline - time.monotonic()
        if left_seconds <= 0:
            return UnavailableError("not asked: others took all the time there was")
        try:
            return fetch(
                url,
                accept=accept,
                limit_bytes=limit_bytes,
                timeout_seconds=min(FETCH_SECONDS, left_seconds),
                body=body,
                content_type=OCSP_REQUEST,
                allow_private=self.allow_private,
            )
        except UnavailableError as error:
            return error


def parse_issuers(content: bytes) -> tuple[bytes, ...]:
    """DER of the certificates in a DER or PEM file or a certs-only CMS; MalformedError."""
    readers: tuple[Callable[[bytes], tuple[bytes, ...]], ...] = (parse_certificates,)
    if not is_pem(content):
        readers = (parse_certificates, _certificates_of_cms)
    for reader in readers:
        try:
            return reader(content)[:MAX_ISSUERS]
        except MalformedError:
            continue
    raise MalformedError("neither a certificate nor a certs-only CMS")


def _certificates_of_cms(content: bytes) -> tuple[bytes, ...]:
    """RFC 5652 §5.1, certs-only (RFC 8551 §3.8)."""
    info = load(cms.ContentInfo, content, "CMS", MAX_ISSUER_BYTES)
    with reading("CMS"):
        if info["content_type"].native != "signed_data":
            raise MalformedError("CMS is not signed data")
        found = [choice.chosen.dump() for choice in info["content"]["certificates"] or ()]
    for der in found:
        load_certificate(der)
    return tuple(found)


def format_ocsp_request(certificate: bytes, issuer: bytes) -> bytes:
    """A request about one certificate, without a nonce, since answers are often made beforehand.

    SHA-1 only names the issuer here (RFC 5019 §2.1.1); MalformedError if a certificate is not one.
    """
    with reading("certificate"):
        builder = ocsp.OCSPRequestBuilder().add_certificate(
            load_der_x509_certificate(certificate),
            load_der_x509_certificate(issuer),
            hashes.SHA1(),  # noqa: S303 - an identifier
        )
        return builder.build().public_bytes(serialization.Encoding.DER)
