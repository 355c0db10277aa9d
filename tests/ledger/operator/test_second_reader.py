"""The second reader agrees with the first, or the token is not kept."""

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import VerificationError
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.second_reader import read_again
from ledger.timestamp.request import format_request
from ledger.timestamp.token import Token, parse_token

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_457, tzinfo=UTC)


@pytest.fixture(scope="module")
def response() -> bytes:
    return DevelopmentTsa.create("one", lambda: NOW).answer(format_request(bytes(32), 99))


@pytest.fixture
def token(response: bytes) -> Token:
    return parse_token(response)


def test_response_and_bare_token_are_read_alike(response: bytes, token: Token) -> None:
    read_again(response, token)
    read_again(token.raw, token)


def test_only_the_content_is_read_again_where_the_envelope_is_foreign(token: Token) -> None:
    foreign = dataclasses.replace(token.signed, foreign=True)
    read_again(token.raw, dataclasses.replace(token, signed=foreign))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"serial": 1}, "serial number"),
        ({"policy": "1.2.3"}, "policy"),
        ({"imprint": b"\1" * 32}, "imprint"),
        ({"imprint_algorithm": "sm3"}, "imprint algorithm"),
        ({"gen_time": NOW + timedelta(microseconds=3)}, "genTime"),
        ({"gen_time": NOW - timedelta(seconds=1)}, "genTime"),
    ],
)
def test_any_difference_is_refused(
    response: bytes, token: Token, change: dict[str, Any], what: str
) -> None:
    with pytest.raises(VerificationError, match=f"differ on the token's {what}$"):
        read_again(response, dataclasses.replace(token, **change))


def test_bytes_the_second_reader_cannot_read_are_refused(response: bytes, token: Token) -> None:
    for wrong in (b"", b"junk", response[:-1], response + b"\0\0", b"\x30\0", b"\x30\x80\0\0"):
        with pytest.raises(VerificationError, match="second reader"):
            read_again(wrong, token)


def test_fractions_of_a_second_are_read_alike() -> None:
    for microsecond in (*range(1, 1_000_000, 49_999), 999_999):
        moment = NOW.replace(microsecond=microsecond)
        tsa = DevelopmentTsa.from_pem(PEM, lambda moment=moment: moment)
        answer = tsa.answer(format_request(bytes(32), 99))
        read_again(answer, parse_token(answer))


PEM = DevelopmentTsa.create("one", lambda: NOW).to_pem()


def test_it_is_imported_only_when_a_token_arrives(project_root: Path) -> None:
    program = "import ledger.operator.tsa, sys; assert 'rfc3161ng' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=project_root, check=True)
