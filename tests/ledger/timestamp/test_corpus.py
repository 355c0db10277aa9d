"""Third parties' tokens, real and adversarial: none bad accepted, none good refused."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import pem

from ledger.errors import MalformedError, VerificationError
from ledger.operator.second_reader import read_again
from ledger.timestamp.path import check_path
from ledger.timestamp.token import (
    Token,
    check_strength,
    check_token,
    openssl_verifiable,
    parse_token,
)

FOLDER = Path(__file__).parents[4] / "shared" / "timestamps"


def entries() -> list[Any]:
    manifest = FOLDER / "manifest.json"
    if not manifest.exists():
        reason = "the third-party tokens are not beside the project"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    listed = json.loads(manifest.read_bytes())
    tokens = [entry for entry in listed if entry["file"].startswith("tokens/")]
    return [pytest.param(entry, id=Path(entry["file"]).name) for entry in tokens]


def read(names: list[str]) -> list[bytes]:
    found = []
    for name in names:
        content = (FOLDER / name).read_bytes()
        found.append(pem.unarmor(content)[2] if pem.detect(content) else content)
    return found


def wanted_imprint(entry: dict[str, Any], token: Token) -> bytes | None:
    if "digest_hex" in entry:
        return bytes.fromhex(entry["digest_hex"])
    if "data_hex" in entry:
        message = bytes.fromhex(entry["data_hex"])
    elif "data_file" in entry:
        message = (FOLDER / entry["data_file"]).read_bytes()
    else:
        return None
    return hashlib.new(token.imprint_algorithm, message).digest()


def judge(entry: dict[str, Any]) -> str:
    untrusted = read(entry["untrusted"])
    try:
        token = parse_token((FOLDER / entry["file"]).read_bytes())
        signer = check_token(token, imprint=wanted_imprint(entry, token), certificates=untrusted)
        check_strength(token, signer)
        check_path(
            signer,
            [*token.certificates, *untrusted],
            read(entry["trust_roots"]),
            token.gen_time,
            read(entry["crls"]),
        )
    except VerificationError as error:
        return "indeterminate" if str(error).startswith("unchecked:") else "invalid"
    except MalformedError:
        return "invalid"
    return "valid"


@pytest.mark.parametrize("entry", entries())
def test_token_gets_the_verdict_its_manifest_expects(entry: dict[str, Any]) -> None:
    assert judge(entry) == entry["expected"], entry["reason"]


@pytest.mark.parametrize("entry", entries())
def test_good_token_is_read_alike_by_both_readers_and_named_openssl_verifiable_rightly(
    entry: dict[str, Any],
) -> None:
    if entry["expected"] != "valid":
        return
    response = (FOLDER / entry["file"]).read_bytes()
    token = parse_token(response)
    assert token.raw in response
    assert all(certificate in token.raw for certificate in token.certificates)
    read_again(response, token)
    assert openssl_verifiable(token) == entry["openssl_ts_verifiable"]


@pytest.mark.parametrize("entry", entries())
def test_spoiled_token_raises_only_the_errors_of_the_house(entry: dict[str, Any]) -> None:
    response = (FOLDER / entry["file"]).read_bytes()
    draw = random.Random(entry["file"])
    for _ in range(12):
        spoiled = bytearray(response)
        index = draw.randrange(len(spoiled))
        spoiled[index : index + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
        try:
            token = parse_token(bytes(spoiled))
            signer = check_token(token, imprint=None, certificates=read(entry["untrusted"]))
            check_path(signer, token.certificates, read(entry["trust_roots"]), token.gen_time)
        except (MalformedError, VerificationError):
            continue
