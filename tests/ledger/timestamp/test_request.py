"""TimeStampReq: ours read by openssl, openssl's read by us."""

import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from asn1crypto import tsp
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.timestamp.request import (
    IMPRINT_ALGORITHMS,
    MAX_REQUEST_BYTES,
    format_request,
    parse_request,
)

KNOWN = bytes.fromhex(
    "303a020101"  # version 1
    "3031300d06096086480165030402010500"  # imprint: sha256, NULL
    "0420" + "11" * 32 + "020107"  # nonce
    "0101ff"  # certReq
)

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True).stdout


def test_known_request_is_formatted_byte_for_byte() -> None:
    request = format_request(b"\x11" * 32, 7)
    assert request == KNOWN[:1] + bytes([len(KNOWN) - 2]) + KNOWN[2:]


@pytest.mark.parametrize("algorithm", IMPRINT_ALGORITHMS)
@pytest.mark.parametrize("policy", [None, "1.2.3.4"])
def test_formatted_request_parses_to_what_was_asked(algorithm: str, policy: str | None) -> None:
    imprint = bytes(range(IMPRINT_ALGORITHMS[algorithm]))
    nonce = 2**64 - 1
    request = parse_request(format_request(imprint, nonce, algorithm, policy))
    assert (request.imprint, request.algorithm, request.nonce) == (imprint, algorithm, nonce)
    assert request.policy == policy
    assert request.certificate_wanted
    assert not request.extensions


@needs_openssl
@pytest.mark.parametrize("algorithm", IMPRINT_ALGORITHMS)
def test_openssl_reads_our_requests(algorithm: str, tmp_path: Path) -> None:
    nonce = secrets.randbits(64) | 1 << 63
    imprint = bytes(IMPRINT_ALGORITHMS[algorithm])
    path = tmp_path / "request.tsq"
    path.write_bytes(format_request(imprint, nonce, algorithm, "1.2.3.4"))
    text = openssl("ts", "-query", "-in", str(path), "-text").decode()
    assert f"Hash Algorithm: {algorithm}" in text
    assert f"Nonce: 0x{nonce:X}" in text
    assert "Policy OID: 1.2.3.4" in text
    assert "Certificate required: yes" in text


@needs_openssl
@pytest.mark.parametrize(
    ("options", "algorithm", "certificate_wanted", "has_nonce"),
    [
        (["-sha256"], "sha256", False, True),
        (["-sha512", "-cert"], "sha512", True, True),
        (["-sha384", "-no_nonce"], "sha384", False, False),
        (["-sha1"], "sha1", False, True),
        (["-sm3", "-cert"], "sm3", True, True),
    ],
)
def test_openssl_requests_parse(
    options: list[str],
    algorithm: str,
    certificate_wanted: bool,
    has_nonce: bool,
    tmp_path: Path,
) -> None:
    message = tmp_path / "message"
    message.write_bytes(b"hello")
    encoded = openssl("ts", "-query", "-data", str(message), "-tspolicy", "2.25.7", *options)
    request = parse_request(encoded)
    assert request.algorithm == algorithm
    assert request.certificate_wanted == certificate_wanted
    assert (request.nonce is not None) == has_nonce
    assert request.policy == "2.25.7"


@pytest.mark.parametrize(
    ("imprint", "nonce", "algorithm"),
    [
        (bytes(31), 1, "sha256"),
        (bytes(32), 1, "sha384"),
        (bytes(20), 1, "sha1"),
        (bytes(32), 0, "sha256"),
        (bytes(32), -1, "sha256"),
        (bytes(32), 2**504, "sha256"),
    ],
)
def test_request_that_makes_no_sense_is_the_callers_mistake(
    imprint: bytes, nonce: int, algorithm: str
) -> None:
    with pytest.raises(ValueError, match=r"imprint|nonce"):
        format_request(imprint, nonce, algorithm)


def test_every_truncation_and_trailing_byte_is_refused() -> None:
    request = format_request(bytes(32), 2**63, policy="1.2.3")
    for end in range(len(request)):
        with pytest.raises(MalformedError):
            parse_request(request[:end])
    with pytest.raises(MalformedError):
        parse_request(request + b"\0")


def test_every_one_byte_change_is_refused_or_asks_for_something_else() -> None:
    request = format_request(bytes(32), 2**63, policy="1.2.3")
    asked = parse_request(request)
    for index in range(len(request)):
        for change in range(1, 256, 6):
            changed = bytearray(request)
            changed[index] ^= change
            try:
                assert parse_request(bytes(changed)) != asked
            except MalformedError:
                continue


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_malformed(b: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_request(b)


def test_request_with_wrong_version_long_nonce_or_short_imprint_is_refused() -> None:
    def encoded(version: int = 1, nonce: int = 1, hashed: bytes = bytes(32)) -> bytes:
        imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashed}
        fields = {"version": version, "message_imprint": imprint, "nonce": nonce}
        return tsp.TimeStampReq(fields).dump()

    assert parse_request(encoded()).nonce == 1
    for wrong in (encoded(version=2), encoded(nonce=2**512), encoded(hashed=bytes(31))):
        with pytest.raises(MalformedError):
            parse_request(wrong)


def test_request_over_the_size_limit_is_refused() -> None:
    with pytest.raises(MalformedError, match="4096"):
        parse_request(bytes(MAX_REQUEST_BYTES + 1))
