"""It must hold: the ledger and a bundle that discloses nothing tell nothing (L18, PIPL)."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.holder.said import MADE_HERE
from ledger.record.claims import CLAIMS
from ledger.record.record import sm3_of
from tests.cli.conftest import Tally
from tests.seeking import contents, guessed, places_of

PHONE = "13812345678"
SAMPLE = range(13812300000, 13812400000)
"""Numbers that a guesser would try; the true one is among them."""

SAID: dict[str, Any] = {
    "category": "formula",
    "article": "9(3)",
    "meaning": "read-and-understood",
    "author": {"name": "AUTHOR", "role": "ROLE", "organisation": "ORGANISATION"},
    "persons": [{"name": "PERSON", "role": "WITNESS"}],
    "points": ["POINT"],
    "in_force": {"from": "2026-01-01T00:00:00Z"},
    "provenance": {
        name: name.upper()
        for name in (
            "source", "generation", "storage", "notarisation", "third_party", "corroboration"
        )
    },
    "environment": {"user": "USER", "host": "HOST"},
}  # fmt: skip


def canaries(value: Any) -> Any:
    """``value`` with each text in capitals made a canary of its own."""
    if isinstance(value, dict):
        return {name: canaries(one) for name, one in value.items()}
    if isinstance(value, list):
        return [canaries(one) for one in value]
    return canary(value) if re.fullmatch("[A-Z_]+", value) else value


def canary(name: str) -> str:
    """A text that stands nowhere by chance."""
    return f"{name.lower()}-{hashlib.sha256(name.encode()).hexdigest()[:20]}-密点"


def texts(value: Any) -> Iterator[str]:
    """Every text in ``value`` that is a canary."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif value.endswith("-密点"):
        yield value


def outside(tally: Tally, *bundles: str) -> dict[str, bytes]:
    """All that others may see: the ledger with its database and tiles, the guard, bundles."""
    places = [tally.vault / "ledger", tally.state, *(tally.work / name for name in bundles)]
    return contents(*places)


@pytest.mark.parametrize("profile", ["intl", "cn"])
def test_a_canary_in_every_claim_name_and_content_is_seen_by_nobody(
    tally: Tally, profile: str
) -> None:
    settings = tally.vault / "tallystick.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("wanted =", f'profile = "{profile}"\nwanted ='), "utf-8")
    folder, file = tally.work / canary("FOLDER"), tally.work / canary("FILE")
    (folder / canary("BELOW")).mkdir(parents=True)
    (folder / canary("BELOW") / canary("INNER")).write_text(canary("CONTENT"), "utf-8")
    file.write_text(f"{canary('LINE')}\n{canary('TEXT')}\n", "utf-8")
    said = canaries(SAID)
    (tally.work / "claims.json").write_text(json.dumps(said), "utf-8")
    options = [
        word
        for name in ("title", "label", "note", "notebook")
        for word in (f"--{name}", canary(name.upper()))
    ]
    talk = ""
    for words in (
        ["anchor", folder, file, *options, "--stage", "design", "--claims", "claims.json"],
        ["anchor", file, *options, "--again"],
        ["sync"],
        ["status"],
        ["bundle", "-o", "nothing.zip"],
        ["bundle", "-o", "all.zip", "--disclose", "all", "--with-carriers"],
        ["bundle", "1", "-o", "file.zip", "--disclose", "all",
         "--file", f"{canary('BELOW')}/{canary('INNER')}", "--with-carriers"],
    ):  # fmt: skip
        ran = tally(*words)
        assert ran.code == 0, ran.err
        talk += ran.err
    names = ("FOLDER", "FILE", "BELOW", "INNER", "CONTENT", "LINE", "TEXT")
    names += ("TITLE", "LABEL", "NOTE", "NOTEBOOK")
    sought = [*map(canary, names), *texts(said)]
    assert len(sought) == 11 + 3 + 2 + 1 + 6 + 2
    seen = outside(tally, "nothing.zip") | {"stderr": talk.encode()}
    for one in sought:
        assert places_of(one, seen) == [], one
        # Not even beside its key does a kept original lie open.
        assert places_of(one, contents(tally.vault / "originals")) == [], one
    # The search finds what is there: in the vault, and in bundles that disclose it.
    open_ = contents(tally.vault / "vault.sqlite", tally.work / "all.zip", tally.work / "file.zip")
    for one in sought:
        assert places_of(one, open_) != [], one


def test_no_claim_escapes_the_canary() -> None:
    by_option = {"kind", "stage", "trigger", "label", "title", "note", "refs", "certificate"}
    assert CLAIMS.keys() <= SAID.keys() | MADE_HERE | by_option


def digests_of_guesses() -> Iterator[bytes]:
    """SHA-256 and SM3 of every number of the sample, as people write it into a file."""
    for number in SAMPLE:
        for text in (b"%d" % number, b"%d\n" % number):
            yield hashlib.sha256(text).digest()
            yield sm3_of(text)


def test_a_phone_number_as_carrier_is_not_found_by_brute_force(tally: Tally) -> None:
    assert int(PHONE) in SAMPLE
    settings = tally.vault / "tallystick.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("wanted =", 'profile = "cn"\nwanted ='), "utf-8")
    (tally.work / "folder").mkdir()
    for path, content in (("phone", PHONE), ("folder/phone.txt", f"{PHONE}\n")):
        (tally.work / path).write_text(content, "ascii")
    for words in (
        ["anchor", "phone", "folder", "--title", PHONE, "--note", f"{PHONE}\n"],
        ["sync"],
        ["bundle", "-o", "nothing.zip"],
        ["bundle", "1", "-o", "label.zip", "--disclose", "kind", "--disclose", "carrier.size"],
        ["bundle", "1", "-o", "digest.zip", "--disclose", "carrier.sha256"],
        ["bundle", "1", "-o", "sm3.zip", "--disclose", "carrier.sm3"],
    ):
        assert tally(*words).code == 0
    guesses = set(digests_of_guesses())
    assert len(guesses) == 4 * len(SAMPLE)
    assert guessed(guesses, outside(tally, "nothing.zip", "label.zip")) == []
    # Whoever discloses a digest discloses what can be guessed: that is why grade A has none.
    for name in ("digest.zip", "sm3.zip"):
        assert guessed(guesses, contents(tally.work / name)) != []
