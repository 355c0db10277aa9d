"""Captures: queued with all they say, in order, and gone when they are signed or removed."""

import pytest

from ledger.errors import ConflictError, MalformedError, UnavailableError
from ledger.holder.captures import Capture
from ledger.holder.vault import Vault
from tests.holding import START, stored


def capture(path: str = "/data/配方", notebook: str = "n", content: str = "00") -> Capture:
    claims = {"kind": "carrier", "title": "配方\u202e", "environment": {"os": "x", "n": 2**53 - 1}}
    carrier = {"name": "配方", "size": 1, "manifest": {"root": "00", "count": 1}}
    return Capture(START, notebook, claims, carrier, path, content, "ab" * 32)


def test_capture_is_kept_with_every_field_and_number(vault: Vault) -> None:
    first, second = vault.captures.add(capture()), vault.captures.add(capture("/data/b"))
    assert (first.number, second.number) == (1, 2)
    assert vault.captures.all() == (first, second)
    assert vault.captures.count() == 2
    assert first.claims == capture().claims
    assert first.carrier == capture().carrier


def test_newest_capture_of_a_path_is_found(vault: Vault) -> None:
    vault.captures.add(capture())
    newest = vault.captures.add(capture(content="01"))
    vault.captures.add(capture(notebook="other"))
    assert vault.captures.latest_of_path("/data/配方", "n") == newest
    assert vault.captures.latest_of_path("/data/none", "n") is None


def test_capture_leaves_the_queue_when_removed_or_signed(vault: Vault) -> None:
    first, second = vault.captures.add(capture()), vault.captures.add(capture())
    vault.captures.remove(first.number)
    vault.captures.remove(first.number)
    assert vault.captures.all() == (second,)
    vault.records.add(stored(), START, capture=second.number)
    assert vault.captures.all() == ()


def test_capture_whose_record_was_not_kept_stays(vault: Vault) -> None:
    waiting = vault.captures.add(capture())
    vault.records.add(stored(), START)
    with pytest.raises(ConflictError):
        vault.records.add(stored(entry=bytes(64)), START, capture=waiting.number)
    assert vault.captures.all() == (waiting,)


def test_what_no_record_can_hold_is_not_queued(vault: Vault) -> None:
    with pytest.raises(MalformedError, match="not utf-8"):
        vault.captures.add(capture("/data/\udcff"))
    assert vault.captures.count() == 0


def test_damaged_queue_is_told(vault: Vault) -> None:
    vault.captures.add(capture())
    vault.database.execute("UPDATE captures SET claims = '[1]'")
    with pytest.raises(MalformedError, match="damaged"):
        vault.captures.all()
    vault.database.execute("DROP TABLE captures")
    for ask in (vault.captures.all, vault.captures.count):
        with pytest.raises(UnavailableError):
            ask()
