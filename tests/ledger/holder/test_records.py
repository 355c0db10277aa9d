"""Records: kept with every field, once for each place in a chain, and found again."""

import pytest

from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.holder.vault import Vault
from tests.holding import START, stored


def test_database_that_fails_while_it_is_asked_is_told(vault: Vault) -> None:
    vault.database.conn.execute("DROP TABLE covers")
    with pytest.raises(UnavailableError, match="the vault could not be asked"):
        vault.records.queued_covers()
    with pytest.raises(UnavailableError, match="did not take it"):
        vault.records.add_cover(bytes(64), bytes(32), START)


def test_record_is_kept_with_every_field(vault: Vault) -> None:
    wanted = stored(stage="idea", title="标题", label="L", manifest="ab" * 32)
    kept = vault.records.add(wanted, START)
    assert kept.number == 1
    assert [kept] == list(vault.records.all()) == list(vault.records.all("n"))
    assert stored(stage="idea", title="标题", label="L", manifest="ab" * 32, number=1) == kept
    assert vault.records.head("n") == kept
    assert (
        vault.records.latest_of_path("/data/1")
        == vault.records.latest_of_path("/data/1", "n")
        == kept
    )
    assert vault.records.latest_of_path("/data/1", "other") is None
    assert vault.records.notebooks() == ("n",)
    assert vault.records.chain_of("n") == kept.chain
    assert vault.records.head("other") is vault.records.chain_of("other") is None


def test_place_in_a_chain_is_taken_once(vault: Vault) -> None:
    vault.records.add(stored(), START)
    with pytest.raises(ConflictError, match="is taken"):
        vault.records.add(stored(entry=bytes(64)), START)
    assert len(vault.records.all()) == 1


def test_indexes_are_noted_for_records_and_covers(vault: Vault) -> None:
    first, second = vault.records.add(stored(1), START), vault.records.add(stored(2), START)
    vault.records.add_cover(bytes(64), bytes(32), START)
    assert vault.records.has_covers()
    assert vault.records.queued() == (first.entry, second.entry)
    assert vault.records.queued_covers() == (bytes(64),)
    vault.records.set_indexes({bytes(64): 0, first.entry: 1}, "origin")
    assert vault.records.queued() == (second.entry,)
    assert vault.records.queued_covers() == ()
    assert vault.records.all()[0].index == 1


def test_record_is_found_by_number_or_beginning_of_its_entry(vault: Vault) -> None:
    vault.records.add(stored(1), START)
    vault.records.add(stored(2, entry=bytes([1]) * 63 + b"\2"), START)
    assert vault.records.find("2").seq == 2
    assert vault.records.find(vault.records.all()[1].entry.hex()).seq == 2
    for reference in ("3", "00000000", "ffffffff"):
        with pytest.raises(NotFoundError, match="no record"):
            vault.records.find(reference)
    with pytest.raises(MalformedError, match="names several records"):
        vault.records.find("01" * 8)
    for reference in ("", "abc", "-1", "1 OR 1", "%%%%%%%%", "\uff11", "\udcff", "9" * 200):
        with pytest.raises(MalformedError, match="is not a record"):
            vault.records.find(reference)


def test_name_that_is_not_text_is_refused(vault: Vault) -> None:
    with pytest.raises(MalformedError, match="not utf-8"):
        vault.records.chain_of("caf\udce9")
