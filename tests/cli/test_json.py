"""docs/json.md lists exactly the keys that the commands it names print."""

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger.report.timestamp_json import certificate_json
from tests.cli.conftest import Tally
from tests.cli.test_trust import LOG, QUORUM, SOUND, SPKI, TWO, tsa, write
from tests.ledger.timestamp.authority import Authority, make_token, respond

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text("utf-8")
OPEN = {"values", "faults"}
"""Objects whose keys depend on what was found."""
APART = {"token", "chain", "certificates"}
"""What has a table of its own."""


def documented(title: str) -> set[str]:
    """The keys in the table under a title."""
    _, section = PAGE.split(f"# {title}\n", 1)
    rows = [row for row in section.split("\n#", 1)[0].splitlines() if row.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row.split("|")[1])}


def printed(*documents: Any) -> set[str]:
    """The path of each key in these documents; what one leaves empty another may fill."""
    paths = {path for document in documents for path in walk(document, "")}
    return {path for path in paths if not any(one.startswith(f"{path}.") for one in paths)}


def walk(value: Any, path: str) -> Iterator[str]:
    name = path.rpartition(".")[2]
    if isinstance(value, list):
        inside = [] if name in APART else value
        yield f"{path}[]"
        for item in inside:
            yield from walk(item, f"{path}[]")
    elif isinstance(value, dict) and name not in OPEN | APART:
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}" if path else key)
    else:
        yield path


def test_the_page_lists_the_keys_of_a_verdict(reading: Tally) -> None:
    trust = reading.vault / "development-trust.toml"
    assert reading("bundle", "1", "--file", "a.txt", "-o", "y.zip").code == 0
    said = reading.json("verify", "y.zip", reading.vault.parent / "资料", "--trust", trust)
    assert printed(said) == documented("tally verify")


@pytest.fixture
def tokens(bare: Tally) -> list[Any]:
    """A token that is proven, one whose chain leads nowhere, and an answer without one."""
    root = Authority("Root")
    signer = root.child("Middle").signer()
    for name, content in (
        ("good", respond(make_token(root.signer()))),
        ("alone", respond(make_token(signer))),
        ("rejected", respond(None, 2)),
        ("root", root.der),
    ):
        (bare.work / name).write_bytes(content)
    asked = ["--root", "root", "--digest", hashlib.sha256(b"message").hexdigest()]
    return [
        bare.json("timestamp", "verify", name, *asked, code=code)
        for name, code in (("good", 0), ("alone", 3), ("rejected", 1))
    ]


def test_the_page_lists_the_keys_of_a_token_that_is_verified(tokens: list[Any]) -> None:
    assert printed(*tokens) == documented("tally timestamp verify")


def test_the_page_lists_the_keys_of_tokens_and_certificates(tokens: list[Any]) -> None:
    bodies = [one["token"] for one in tokens]
    assert printed(*bodies) == documented("token")
    certificates = [one for said in tokens for one in said["chain"]]
    certificates += [one for body in bodies for one in body.get("certificates", ())]
    assert printed(*certificates, certificate_json(b"junk", None)) == documented("certificate")


@pytest.mark.usefixtures("tokens")
def test_the_page_lists_the_keys_of_a_token_that_is_shown(bare: Tally) -> None:
    said = bare.json("timestamp", "show", "good")
    assert printed(said) == documented("tally timestamp show")
    assert printed(said["token"]) == documented("token")


@pytest.mark.parametrize("command", ["show", "explain", "lint"])
def test_the_page_lists_the_keys_of_a_trust_file(bare: Tally, command: str) -> None:
    author = f'[[author]]\nkey = "{"k" * 43}"\nname = "李伟"\n'
    weak = '[[weak]]\nalgorithm = "sha256"\nfrom = 2040-01-01T00:00:00Z\n'
    limited = tsa("x", "0" * 64, SPKI)
    full = write(bare, SOUND.replace(LOG, QUORUM) + TWO + limited + author + weak)
    said = bare.json("trust", command, full)
    found = printed(said)
    if command == "show":  # the certificate that is not held, and those that are
        found.add("tsa[].certificate")
    assert found == documented(f"tally trust {command}")


def test_the_page_lists_the_keys_of_an_audit(tally: Tally) -> None:
    guards = tally.state / "guards"
    guards.rename(tally.state / "away")
    with closing(sqlite3.connect(tally.vault / "ledger" / "store.sqlite")) as store:
        store.execute("UPDATE head SET root = zeroblob(32)")
        store.commit()
    assert printed(tally.json("ledger", "audit", code=1)) == documented("tally ledger audit")
