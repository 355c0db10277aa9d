"""Ask a time-stamping authority for a token, and keep only an answer that holds.

``Tsa`` is what can be asked: ``HttpTsa`` over the network (RFC 3161 §3.4), a ``DevelopmentTsa``
in process. Strength, chain and revocation are the verifier's to judge, by its own trust file.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ledger.doors.http import post
from ledger.operator.second_reader import read_again
from ledger.timestamp.cms import MAX_TOKEN_BYTES
from ledger.timestamp.request import format_request
from ledger.timestamp.token import Token, check_token, parse_token

TIMEOUT_SECONDS = 20.0
"""TSAs answer within a second or two; a stamp has time, but not for a line that hangs."""

NONCE_BYTES = 8
"""64 random bits (RFC 3161 §2.4.1): some TSAs refuse longer ones."""


class Tsa(Protocol):
    """Something that answers timestamp requests."""

    @property
    def name(self) -> str:
        """The name it has in configuration and reports."""
        ...

    def ask(self, request: bytes) -> bytes:
        """The TSA's answer to request, as received; UnavailableError if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class HttpTsa:
    """A TSA at an http or https URL. ``timeout_seconds``: for the whole exchange."""

    name: str
    url: str
    timeout_seconds: float = TIMEOUT_SECONDS

    def ask(self, request: bytes) -> bytes:
        """The TSA's answer to request, as received; UnavailableError if there is none."""
        return post(
            self.url,
            request,
            "application/timestamp-query",
            accept="application/timestamp-reply",
            limit_bytes=MAX_TOKEN_BYTES,
            timeout_seconds=self.timeout_seconds,
        )


def request_token(
    tsa: Tsa, signed_file: bytes, random_bytes: Callable[[int], bytes]
) -> tuple[bytes, Token]:
    """Have tsa stamp the SHA-256 of signed_file; return its response as received, and the token.

    One request, one answer, no retry. UnavailableError: no answer. MalformedError or
    VerificationError: an answer that is not a granted token over these bytes and this nonce with
    a good signature, or that two readers read differently; nothing of it is to be kept.
    """
    imprint = hashlib.sha256(signed_file).digest()
    nonce = int.from_bytes(random_bytes(NONCE_BYTES)) or 1
    response = tsa.ask(format_request(imprint, nonce))
    token = parse_token(response)
    check_token(token, imprint=_under(token, imprint), nonce=nonce)
    read_again(response, token)
    return response, token


def _under(token: Token, imprint: bytes) -> bytes:
    """The imprint wanted; if the TSA changed the algorithm, bytes that match nothing."""
    return imprint if token.imprint_algorithm == "sha256" else b""
