"""Asking TSAs: what is kept, and what is refused."""

import base64
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from asn1crypto import cms, crl
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from ledger.doors.http import NoAnswer
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.operator import tsa as tsa_module
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.tsa import (
    REASONS,
    Credentials,
    HttpTsa,
    Tsa,
    ask_all,
    make_question,
    read_answer,
    request_token,
)
from ledger.timestamp.request import format_request, parse_request
from ledger.timestamp.token import Token, openssl_verifiable
from tests.ledger.timestamp.authority import (
    GEN_TIME,
    Authority,
    Signer,
    make_content,
    make_token,
    respond,
)

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


REPLY = "application/timestamp-reply"
ROOT = Authority()
SIGNER = ROOT.signer()
Respond = Callable[[bytes], tuple[int, dict[str, str], bytes]]
"""What a server of the tests makes of a request: status, headers, body."""


@dataclasses.dataclass
class Served:
    """A server on this machine whose answers a test chooses."""

    respond: Respond
    headers: list[dict[str, str]] = dataclasses.field(default_factory=list)
    port: int = 0

    @property
    def tsa(self) -> HttpTsa:
        return HttpTsa("served", f"http://127.0.0.1:{self.port}/tsa", timeout_seconds=5)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("no_proxy", "*")
    made = Served(lambda request: (200, {"Content-Type": REPLY}, b""))

    class Responder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.headers.append(dict(self.headers))
            request = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = made.respond(request)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Responder) as server:
        made.port = server.server_port
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        server.shutdown()


def stamped(
    request: bytes, signer: Signer = SIGNER, /, *, scheme: str = "sha256_ecdsa", **changes: Any
) -> bytes:
    """A good answer of a public TSA to request, but for what is changed of its TSTInfo."""
    asked = parse_request(request)
    fields = {"imprint": asked.imprint, "nonce": asked.nonce} | changes
    return respond(make_token(signer, make_content(**fields), scheme=scheme))


def reply(body: bytes) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": REPLY}, body


def signed_with_sm2(request: bytes) -> bytes:
    """What says that it is signed with SM2 over SM3; nobody here can tell that it is not."""
    asked = parse_request(request)
    content = make_content(imprint=asked.imprint, nonce=asked.nonce)
    sm3, sm2 = "1.2.156.10197.1.401", "1.2.156.10197.1.501"
    return respond(make_token(SIGNER, content, digest=sm3, scheme=sm2))


def weak() -> Signer:
    return ROOT.signer(rsa.generate_private_key(65537, 1024))


def revoked(request: bytes) -> bytes:
    """A token that carries the very CRL that revokes its signer."""
    listed = crl.CertificateList.load(
        ROOT.crl({SIGNER.serial: (GEN_TIME - timedelta(days=1), None)})
    )
    asked = parse_request(request)

    def with_crl(fields: dict[str, Any]) -> dict[str, Any]:
        return fields | {"crls": [cms.RevocationInfoChoice({"crl": listed})]}

    content = make_content(imprint=asked.imprint, nonce=asked.nonce)
    return respond(make_token(SIGNER, content, parts=with_crl))


def cut(request: bytes) -> tuple[int, dict[str, str], bytes]:
    body = stamped(request)
    return 200, {"Content-Type": REPLY, "Content-Length": str(len(body) + 1)}, body


def forged(request: bytes) -> bytes:
    answer = stamped(request)
    return answer[:-1] + bytes([answer[-1] ^ 1])


FAULTS: dict[str, tuple[str, Respond]] = {
    "status 500": ("http-error", lambda request: (500, {}, b"")),
    "status 200 as text": ("content-type", lambda request: (200, {"Content-Type": "a/b"}, b"")),
    "moved": ("redirect", lambda request: (301, {"Location": "http://127.0.0.1:9/"}, b"")),
    "endless": ("oversize", lambda request: reply(bytes(1 << 19))),
    "cut": ("cut-short", cut),
    "empty": ("malformed", lambda request: reply(b"")),
    "garbage": ("malformed", lambda request: reply(b"<html>")),
    "truncated": ("malformed", lambda request: reply(stamped(request)[:-1])),
    "granted, empty": ("malformed", lambda request: reply(respond(None))),
    "rejection": ("rejected", lambda request: reply(respond(None, 2))),
    "rejection with a token": (
        "rejected",
        lambda request: reply(respond(make_token(SIGNER), 2)),
    ),
    "other nonce": ("nonce", lambda request: reply(stamped(request, nonce=5))),
    "no nonce": ("nonce", lambda request: reply(stamped(request, nonce=None))),
    "other bytes": ("imprint", lambda request: reply(stamped(request, imprint=bytes(32)))),
    "other algorithm": (
        "imprint",
        lambda request: reply(stamped(request, imprint=bytes(64), algorithm="sha512")),
    ),
    "forged": ("forged", lambda request: reply(forged(request))),
    "not for stamping": (
        "forged",
        lambda request: reply(stamped(request, ROOT.signer(purposes=None))),
    ),
    "weak": ("weak", lambda request: reply(stamped(request, weak(), scheme="sha256_rsa"))),
    "expired": (
        "expired",
        lambda request: reply(stamped(request, ROOT.signer(end=GEN_TIME - timedelta(days=1)))),
    ),
    "revoked": ("revoked", lambda request: reply(revoked(request))),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_one_word(served: Served, name: str) -> None:
    word, served.respond = FAULTS[name]
    question = make_question(FILE, count)
    answer = served.tsa.ask(question.request)
    if isinstance(answer, bytes):
        answer = read_answer(question, answer, [ROOT.der])
    assert isinstance(answer, NoAnswer)
    assert (answer.reason, bool(answer.text)) == (word, True)
    assert word in REASONS


def test_good_answer_of_a_public_tsa_is_kept_whether_its_root_is_known_or_not(
    served: Served,
) -> None:
    served.respond = lambda request: reply(stamped(request))
    question = make_question(FILE, count)
    answer = served.tsa.ask(question.request)
    assert isinstance(answer, bytes)
    for anchors in ([], [ROOT.der], [Authority("Another").der]):
        assert isinstance(read_answer(question, answer, anchors), Token)


def test_intermediate_that_expired_is_seen_where_the_root_is_known() -> None:
    middle = ROOT.child("Middle", end=GEN_TIME - timedelta(days=1))
    signer = middle.signer()
    question = make_question(FILE, count)
    content = make_content(imprint=question.imprint, nonce=question.nonce)
    answer = respond(make_token(signer, content, certificates=(signer.certificate, middle.der)))
    assert isinstance(read_answer(question, answer), Token)
    fault = read_answer(question, answer, [ROOT.der])
    assert isinstance(fault, NoAnswer)
    assert fault.reason == "expired"


def test_readers_that_differ_have_their_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(response: bytes, token: object) -> None:
        raise VerificationError("two readers differ on the token's genTime")

    question = make_question(FILE, count)
    answer = stamped(question.request)
    monkeypatch.setattr(tsa_module, "read_again", differ)
    assert read_answer(question, answer) == NoAnswer(
        "readers-differ", "two readers differ on the token's genTime"
    )


def test_token_signed_with_sm2_is_kept_though_nothing_here_can_check_it() -> None:
    question = make_question(FILE, count)
    answer = signed_with_sm2(question.request)
    token = read_answer(question, answer)
    assert isinstance(token, Token)
    assert (token.is_sm2, openssl_verifiable(token)) == (True, False)
    other = make_question(b"other", count)
    refused = read_answer(other, answer)
    assert isinstance(refused, NoAnswer)
    assert refused.reason == "imprint"


def test_token_openssl_cannot_verify_is_kept() -> None:
    question = make_question(FILE, count)
    signer = ROOT.signer(ed25519.Ed25519PrivateKey.generate())
    asked = parse_request(question.request)
    content = make_content(imprint=asked.imprint, nonce=asked.nonce)
    token = read_answer(
        question, respond(make_token(signer, content, digest="sha512", scheme="ed25519"))
    )
    assert isinstance(token, Token)
    assert not openssl_verifiable(token)


def test_retry_after_comes_with_the_reason(served: Served) -> None:
    served.respond = lambda request: (503, {"Retry-After": "77"}, b"")
    answer = served.tsa.ask(b"request")
    assert isinstance(answer, NoAnswer)
    assert (answer.reason, answer.retry_after_seconds) == ("http-error", 77)


def test_nobody_there_and_no_url_have_their_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    for url in ("http://127.0.0.1:9/", "http://["):
        answer = HttpTsa("none", url).ask(b"request")
        assert isinstance(answer, NoAnswer)
        assert answer.reason == "unreachable"


def test_account_is_sent_from_a_file_that_only_its_owner_reads(
    served: Served, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_bytes("geheim: ß\n".encode())
    secret.chmod(0o600)
    tsa = dataclasses.replace(served.tsa, credentials=Credentials("li", secret))
    served.respond = lambda request: reply(stamped(request))
    request_token(tsa, FILE, count)
    [sent] = [headers["Authorization"] for headers in served.headers]
    assert base64.b64decode(sent.removeprefix("Basic ")) == "li:geheim: ß".encode()


@pytest.mark.parametrize(("mode", "size"), [(0o644, 3), (0o640, 3), (0o600, 5000), (None, 0)])
def test_password_that_others_may_read_or_that_is_not_there_is_not_sent(
    served: Served, tmp_path: Path, mode: int | None, size: int
) -> None:
    secret = tmp_path / "password"
    if mode is not None:
        secret.write_bytes(b"s" * size)
        secret.chmod(mode)
    answer = dataclasses.replace(served.tsa, credentials=Credentials("li", secret)).ask(b"request")
    assert isinstance(answer, NoAnswer)
    assert (answer.reason, served.headers) == ("password", [])
    assert "sss" not in answer.text


@dataclasses.dataclass
class Slow:
    """A TSA that answers once it is let."""

    name: str
    let: Event

    def ask(self, request: bytes) -> bytes:
        self.let.wait(5)
        return request


def test_all_are_asked_at_once_and_the_late_are_given_up() -> None:
    slow, quick = Slow("slow", Event()), Slow("quick", Event())
    quick.let.set()
    answers = ask_all([(slow, b"1"), (quick, b"2")], 0.05)
    assert [(one.name, one.answer) for one in answers] == [("quick", b"2")]
    answers = ask_all([(slow, b"1"), (quick, b"2")], 5)
    assert next(answers).name == "quick"
    slow.let.set()
    assert [one.name for one in answers] == ["slow"]
