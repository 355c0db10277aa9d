"""Asking TSAs: what is kept, and what is refused."""

import dataclasses
import hashlib
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.operator import tsa as tsa_module
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.tsa import HttpTsa, Tsa, request_token
from ledger.timestamp.request import format_request, parse_request

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILE = b"signed checkpoint"


@dataclasses.dataclass
class Altered:
    """A TSA that answers another request than the one it was asked."""

    inner: DevelopmentTsa
    nonce: int | None = None
    imprint: bytes | None = None
    algorithm: str = "sha256"
    name: str = "altered"

    def ask(self, request: bytes) -> bytes:
        asked = parse_request(request)
        imprint = asked.imprint if self.imprint is None else self.imprint
        nonce = self.nonce or asked.nonce
        assert nonce is not None
        return self.inner.ask(format_request(imprint, nonce, self.algorithm))


@pytest.fixture(scope="module")
def inner() -> DevelopmentTsa:
    return DevelopmentTsa.create("one", lambda: NOW)


def count(size: int) -> bytes:
    return bytes(range(1, size + 1))


def test_response_is_kept_as_received_with_its_token(inner: DevelopmentTsa) -> None:
    asked: Tsa = inner
    response, token = request_token(asked, FILE, count)
    assert response.endswith(token.raw)
    assert token.imprint == hashlib.sha256(FILE).digest()
    assert token.nonce == int.from_bytes(count(8))
    assert token.gen_time == NOW


def test_nonce_is_never_zero(inner: DevelopmentTsa) -> None:
    assert request_token(inner, FILE, bytes)[1].nonce == 1


def test_answer_to_another_request_is_refused(inner: DevelopmentTsa) -> None:
    sha512 = hashlib.sha512(FILE).digest()
    for altered in (
        Altered(inner, nonce=5),
        Altered(inner, imprint=bytes(32)),
        Altered(inner, imprint=sha512, algorithm="sha512"),
    ):
        with pytest.raises(VerificationError):
            request_token(altered, FILE, count)


@dataclasses.dataclass
class Constant:
    answer: bytes
    name: str = "constant"

    def ask(self, request: bytes) -> bytes:
        return self.answer


def test_junk_and_rejections_are_refused(inner: DevelopmentTsa) -> None:
    with pytest.raises(MalformedError):
        request_token(Constant(b"junk"), FILE, count)
    with pytest.raises(VerificationError, match="bad_data_format"):
        request_token(Constant(inner.ask(b"junk")), FILE, count)


def test_token_two_readers_differ_on_is_refused(
    inner: DevelopmentTsa, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(response: bytes, token: object) -> None:
        raise VerificationError("two readers differ on the token's genTime")

    monkeypatch.setattr(tsa_module, "read_again", differ)
    with pytest.raises(VerificationError, match="two readers"):
        request_token(inner, FILE, count)


def test_http_tsa_asks_as_rfc_3161_says(
    inner: DevelopmentTsa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    seen: list[tuple[str | None, str | None]] = []

    class Responder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.headers["Content-Type"], self.headers["Accept"]))
            answer = inner.ask(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Responder) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        asked: Tsa = HttpTsa("local", f"http://127.0.0.1:{server.server_port}/tsa")
        assert request_token(asked, FILE, count)[1].is_development
        server.shutdown()
    assert seen == [("application/timestamp-query", "application/timestamp-reply")]
    with pytest.raises(UnavailableError):
        request_token(asked, FILE, count)
