"""Ask a time-stamping authority for a token, and keep only an answer that holds.

``Tsa`` is what can be asked: ``HttpTsa`` over the network (RFC 3161 §3.4), a ``DevelopmentTsa``
in process. Whether its root is believed is the verifier's to judge, by its own trust file; what
can be seen now to count for nobody (weak, expired, revoked by its own CRL) is not kept.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol

from ledger.doors.files import check_private, read_limited
from ledger.doors.http import NoAnswer, exchange
from ledger.doors.tsa_setting import TsaSetting
from ledger.errors import LedgerError, MalformedError, UnavailableError, VerificationError
from ledger.operator.second_reader import read_again
from ledger.timestamp.cms import MAX_TOKEN_BYTES
from ledger.timestamp.der import load_certificate, reading
from ledger.timestamp.path import check_path
from ledger.timestamp.request import format_request
from ledger.timestamp.token import (
    Token,
    check_imprint,
    check_strength,
    check_token,
    granted_token,
    parse_response,
    parse_token,
)

TIMEOUT_SECONDS = 20.0
"""TSAs answer within a second or two; a stamp has time, but not for a line that hangs."""

WAIT_SECONDS = TIMEOUT_SECONDS + 5
"""No TSA is waited for longer: looking up a host's name knows no timeout of its own."""

NONCE_BYTES = 8
"""64 random bits (RFC 3161 §2.4.1): some TSAs refuse longer ones."""

MAX_PASSWORD_BYTES = 1 << 10

REASONS: Mapping[str, str] = {
    "unreachable": "no connection, or what is there does not speak HTTP",
    "tls": "the connection could not be made secure",
    "timeout": "no whole answer in time",
    "redirect": "it wants to be asked elsewhere; redirects are not followed",
    "http-error": "another HTTP status than 200; its Retry-After is honoured, up to an hour",
    "content-type": "the answer is not application/timestamp-reply",
    "oversize": "the answer is longer than any token",
    "cut-short": "the answer is shorter than announced",
    "password": "the file with its password is missing, or readable by others",
    "malformed": "the answer is not a time-stamp response",
    "rejected": "it refused, with a status of RFC 3161 §2.4.2",
    "nonce": "a token for another request",
    "imprint": "a token over other bytes",
    "forged": "signature, digest or signing-certificate attribute do not hold",
    "weak": "an algorithm or key below today's floor",
    "expired": "its certificate was not valid at the time it states",
    "revoked": "its certificate was revoked, by material in the token itself",
    "readers-differ": "two independent parsers read the token differently",
}
"""Why there is no token: stable words, shown by status and in JSON."""


class Tsa(Protocol):
    """Something that answers timestamp requests."""

    @property
    def name(self) -> str:
        """The name it has in configuration and reports."""
        ...

    def ask(self, request: bytes) -> bytes | NoAnswer:
        """The TSA's answer to request, as received; NoAnswer or UnavailableError: there is none.

        It may be called in a thread of its own.
        """
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password for RFC 7617 (Basic); the password stays in its file until used."""

    username: str
    password_file: Path

    def authorization(self) -> str:
        """The header's value: a secret.

        MalformedError if others may read the file, or it is longer than a password;
        NotFoundError, UnavailableError.
        """
        content = read_limited(self.password_file, MAX_PASSWORD_BYTES)
        check_private(self.password_file)
        secret = f"{self.username}:".encode() + content.rstrip(b"\r\n")
        return f"Basic {base64.b64encode(secret).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class HttpTsa:
    """A TSA at an http or https URL. ``timeout_seconds``: for the whole exchange."""

    name: str
    url: str
    timeout_seconds: float = TIMEOUT_SECONDS
    credentials: Credentials | None = None

    def ask(self, request: bytes) -> bytes | NoAnswer:
        """The TSA's answer to request, as received, or why there is none."""
        try:
            authorization = None if self.credentials is None else self.credentials.authorization()
        except LedgerError as error:
            return NoAnswer("password", str(error))
        try:
            return exchange(
                self.url,
                request,
                "application/timestamp-query",
                accept="application/timestamp-reply",
                limit_bytes=MAX_TOKEN_BYTES,
                timeout_seconds=self.timeout_seconds,
                authorization=authorization,
            )
        except ValueError as error:
            return NoAnswer("unreachable", f"{self.url} is no URL to ask: {error}")


def http_tsa(setting: TsaSetting) -> HttpTsa:
    """The TSA of a [[tsa]] table."""
    if setting.username is None or setting.password_file is None:
        return HttpTsa(setting.name, setting.url)
    credentials = Credentials(setting.username, Path(setting.password_file))
    return HttpTsa(setting.name, setting.url, credentials=credentials)


@dataclass(frozen=True, slots=True)
class Question:
    """A request, with what its answer must be over."""

    request: bytes
    imprint: bytes
    nonce: int


def make_question(signed_file: bytes, random_bytes: Callable[[int], bytes]) -> Question:
    """The request to stamp the SHA-256 of signed_file, with a new nonce."""
    imprint = hashlib.sha256(signed_file).digest()
    nonce = int.from_bytes(random_bytes(NONCE_BYTES)) or 1
    return Question(format_request(imprint, nonce), imprint, nonce)


def read_answer(
    question: Question, answer: bytes, anchors: Sequence[bytes] = ()
) -> Token | NoAnswer:
    """The token in answer, if it may be kept; else the first of REASONS why not.

    ``anchors``: DER of roots at hand. A token under one of them is followed there, so that a
    revoked or expired certificate is seen; a token under none of them is not refused for that.
    A token signed with SM2, which nothing here can check, is kept: its imprint and nonce are right.
    """
    step = "malformed"
    try:
        response = parse_response(answer)
        step = "rejected"
        granted_token(response)
        step = "forged"
        token = parse_token(answer)
        step = "imprint"
        # Under another algorithm no bytes are the ones asked for.
        check_imprint(token, question.imprint if token.imprint_algorithm == "sha256" else b"")
        step = "nonce"
        if token.nonce != question.nonce:
            raise VerificationError("the token answers another request: nonce does not match")
        if not token.is_sm2:
            step = "forged"
            signer = check_token(token, imprint=question.imprint, nonce=question.nonce)
            step = "weak"
            check_strength(token, signer)
            step = "expired"
            _check_dates(token, signer)
            if (fault := _fault_of_path(token, signer, anchors)) is not None:
                return fault
        step = "readers-differ"
        read_again(answer, token)
    except (MalformedError, VerificationError) as error:
        return NoAnswer("malformed" if isinstance(error, MalformedError) else step, str(error))
    return token


def _check_dates(token: Token, signer: bytes) -> None:
    with reading("certificate"):
        certificate = load_certificate(signer)
        begin, end = certificate.not_valid_before, certificate.not_valid_after
    if not begin <= token.gen_time <= end:
        dates = f"{begin:%Y-%m-%d} to {end:%Y-%m-%d}"
        raise VerificationError(f"the signer's certificate is valid from {dates} only")


def _fault_of_path(token: Token, signer: bytes, anchors: Sequence[bytes]) -> NoAnswer | None:
    """What is wrong on the way from signer to one of anchors, if there is a way."""
    signed = token.signed
    try:
        check_path(signer, token.certificates, anchors, token.gen_time, signed.crls, signed.ocsps)
    except VerificationError as error:
        text = str(error)
        if text.startswith("revoked"):
            return NoAnswer("revoked", text)
        if text.startswith("expired"):
            return NoAnswer("expired", text)
    return None


@dataclass(frozen=True, slots=True)
class Answered:
    """What TSA ``name`` answered, and after how many seconds."""

    name: str
    answer: bytes | NoAnswer
    seconds: float


def ask_all(asked: Sequence[tuple[Tsa, bytes]], wait_seconds: float) -> Iterator[Answered]:
    """Ask each TSA its request, all at once, and yield the answers as they come.

    After ``wait_seconds`` those still missing are given up: their threads are daemons, and keep
    nothing waiting, not even the end of the process.
    """
    answers: SimpleQueue[Answered] = SimpleQueue()
    begun = time.monotonic()
    for tsa, request in asked:
        Thread(target=_ask, args=(tsa, request, begun, answers), daemon=True).start()
    for _ in asked:
        left = begun + wait_seconds - time.monotonic()
        try:
            yield answers.get(timeout=max(0.0, left))
        except Empty:
            return


def _ask(tsa: Tsa, request: bytes, begun: float, answers: "SimpleQueue[Answered]") -> None:
    """In a thread of its own: put what ``tsa`` answers into ``answers``, whatever happens."""
    answer: bytes | NoAnswer = NoAnswer("unreachable", "asking it failed")
    try:
        answer = tsa.ask(request)
    except LedgerError as error:
        answer = NoAnswer("unreachable", str(error))
    finally:
        answers.put(Answered(tsa.name, answer, time.monotonic() - begun))


def request_token(
    tsa: Tsa, signed_file: bytes, random_bytes: Callable[[int], bytes]
) -> tuple[bytes, Token]:
    """Have tsa stamp the SHA-256 of signed_file; return its response as received, and the token.

    One request, one answer, no retry. UnavailableError: no answer. MalformedError or
    VerificationError: an answer that ``read_answer`` does not let keep.
    """
    question = make_question(signed_file, random_bytes)
    answer = tsa.ask(question.request)
    if isinstance(answer, NoAnswer):
        raise UnavailableError(answer.text)
    token = read_answer(question, answer)
    if isinstance(token, NoAnswer):
        wrong = MalformedError if token.reason == "malformed" else VerificationError
        raise wrong(token.text)
    return answer, token
