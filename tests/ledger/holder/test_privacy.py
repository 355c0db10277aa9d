"""It must hold: neither the length of J nor an entry tells anything of what a record says."""

import math
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.record.claims import CARRIER_CLAIMS, CLAIMS
from ledger.record.record import (
    CARRIER_DIGESTS,
    RECORD_DIGESTS,
    cover_entry,
    entry_of,
    issue_record,
)
from ledger.record.sdjwt import parse_jwt
from ledger.record.vocabulary import terms

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())

SAID: dict[str, Any] = {
    "link": {"chain": "0f" * 16, "seq": 7, "prev": "ab" * 64},
    "stage": "failed-experiment",
    "category": "formula",
    "article": "9(3)",
    "meaning": "read-and-understood",
    "trigger": "manual",
    "label": "step 7",
    "title": "密" * 300,
    "notebook": "n",
    "author": {"name": "A"},
    "persons": [{"name": str(number)} for number in range(64)],
    "points": ["1", "2"],
    "captured_time": "2026-06-08T09:00:00Z",
    "in_force": {"from": "2026-06-08T09:00:00Z"},
    "not_before": ["ab" * 32],
    "refs": [{"rel": "wasRevisionOf", "entry": "ab" * 64}],
    "provenance": {"source": "x" * 4000},
    "environment": {"tool": "t"},
    "ledger": "ledger.example.org",
    "certificate": "AAAA",
    "note": "long " * 10_000,
}
CARRIER: dict[str, Any] = {
    "name": "a.csv",
    "size": 1 << 40,
    "media_type": "text/csv",
    "mtime": -1,
    "sha256": "ab" * 32,
    "sm3": "cd" * 32,
    "manifest": {"root": "ab" * 32, "count": 100_000},
    "parts": {"scheme": "lines", "root": "ab" * 32, "count": 1},
}


def j_of(claims: dict[str, Any], carrier: dict[str, Any], key: Any, dice: random.Random) -> str:
    return issue_record(claims, carrier, key, dice.randbytes).jwt


@pytest.mark.parametrize("key", [ED25519, P256], ids=["Ed25519", "ES256"])
def test_length_and_digests_of_j_are_one_for_all_kinds_and_numbers_of_claims(key: Any) -> None:
    dice = random.Random(18)
    # All there are fit in the first step, whatever a record says.
    assert len(CLAIMS) < RECORD_DIGESTS
    assert len(CARRIER_CLAIMS) <= CARRIER_DIGESTS
    said = [{"kind": term.code} for term in terms("kind")]
    for number in range(len(SAID) + 1):
        names = dice.sample(sorted(SAID), number)
        said.append({"kind": "note"} | {name: SAID[name] for name in names})
    found = set()
    for claims in said:
        names = dice.sample(sorted(CARRIER), dice.randrange(len(CARRIER) + 1))
        j = j_of(claims, {name: CARRIER[name] for name in names}, key, dice)
        digests = parse_jwt(j).payload["_sd"]
        assert isinstance(digests, list)
        found.add((len(j), len(digests), tuple(map(len, j.split(".")))))
    assert len(found) == 1
    assert found.pop()[1] == RECORD_DIGESTS


def test_the_digests_of_a_carrier_are_as_many_whatever_it_says() -> None:
    dice = random.Random(19)
    found = set()
    for number in range(1, len(CARRIER) + 1):
        names = dice.sample(sorted(CARRIER), number)
        sdjwt = issue_record({}, {name: CARRIER[name] for name in names}, ED25519, dice.randbytes)
        parent = next(one for one in sdjwt.disclosures if one.name == "carrier")
        assert isinstance(parent.value, dict)
        digests = parent.value["_sd"]
        assert isinstance(digests, list)
        found.add((len(parent.text), len(digests)))
    assert len(found) == 1
    assert found.pop()[1] == CARRIER_DIGESTS


@pytest.fixture(scope="module")
def entries() -> list[bytes]:
    """Entries of records that say much, little and the same again, and of covers."""
    dice = random.Random(20)
    made = []
    for number in range(600):
        claims = {"kind": "note", "title": "same"} if number % 3 else {**SAID, "note": str(number)}
        if number % 4:
            carrier = CARRIER if number % 2 else {"size": number}
            made.append(entry_of(j_of(claims, carrier, ED25519, dice)))
        else:
            made.append(cover_entry(dice.randbytes(32)))
    return made


def deviation(ones: int, of: int) -> float:
    """How many standard deviations from a fair coin's half."""
    return abs(ones - of / 2) / math.sqrt(of / 4)


def ones(content: bytes) -> int:
    return int.from_bytes(content, "big").bit_count()


LIMIT = 4.5
"""Standard deviations: a fair source exceeds it once in 150,000; the seed is fixed."""


def test_entries_look_random(entries: list[bytes]) -> None:
    assert len(set(entries)) == len(entries)
    assert {len(entry) for entry in entries} == {64}
    everything = b"".join(entries)
    bits = 8 * len(everything)
    assert deviation(ones(everything), bits) < LIMIT
    # Each of the 512 bits by itself, and each against the bit after it.
    for at in range(512):
        column = sum(entry[at // 8] >> (7 - at % 8) & 1 for entry in entries)
        assert deviation(column, len(entries)) < LIMIT
    number = int.from_bytes(everything, "big")
    assert deviation((number ^ (number >> 1)).bit_count(), bits) < LIMIT
    # Each entry against the next one: nothing links a record to the one before it.
    near = sum(
        ones(bytes(a ^ b for a, b in zip(one, other, strict=True)))
        for one, other in pairwise(entries)
    )
    assert deviation(near, 512 * (len(entries) - 1)) < LIMIT
    # Every byte value as often: chi-square of 255 degrees of freedom is 255 +- 22.6.
    expected = len(everything) / 256
    counts = Counter(everything)
    chi_square = sum((counts[value] - expected) ** 2 / expected for value in range(256))
    assert abs(chi_square - 255) < LIMIT * 22.6


def test_covers_and_records_cannot_be_told_apart_by_their_bits(entries: list[bytes]) -> None:
    covers = b"".join(entry for number, entry in enumerate(entries) if number % 4 == 0)
    records = b"".join(entry for number, entry in enumerate(entries) if number % 4)
    for part in (covers, records):
        assert deviation(ones(part), 8 * len(part)) < LIMIT


def test_the_two_halves_of_an_entry_share_nothing(entries: list[bytes]) -> None:
    same = sum(
        ones(bytes(a ^ b for a, b in zip(entry[:32], entry[32:], strict=True))) for entry in entries
    )
    assert deviation(same, 256 * len(entries)) < LIMIT
