"""Search: by any word of any script in the holder's own names, narrowed, the newest last."""

from datetime import timedelta

import pytest

from ledger.errors import MalformedError, UnavailableError
from ledger.holder.search import Query, count_listed, find_listed
from ledger.holder.vault import Vault
from ledger.record.claims import format_time
from tests.holding import START, stored

ROWS: tuple[dict[str, object], ...] = (
    {"title": "配方改进 Recipe", "stage": "idea"},
    {"note": 'the Stirrer broke at 40% "load"', "kind": "note"},
    {"label": "Batch_12", "path": "/data/第12批.xlsx"},
    {"notebook": "other", "title": "café", "path": None},
)


@pytest.fixture(autouse=True)
def filled(vault: Vault) -> None:
    for number, row in enumerate(ROWS, start=1):
        created = format_time(START + timedelta(days=number))
        vault.records.add(stored(number, **({"created": created} | row)), START)  # type: ignore[arg-type]  # a test names the fields


def numbers(vault: Vault, **query: object) -> list[int]:
    meant = Query(**query)  # type: ignore[arg-type]  # a test names the fields
    found = [one.number for one in find_listed(vault.database, meant)]
    assert query.get("limit") or count_listed(vault.database, meant) == len(found)
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("配方改", [1]),
        ("配方", [1]),
        ("方", [1]),
        ("第12批", [3]),
        ("recipe", [1]),
        ("RECIPE 配", [1]),
        ("stirrer load", [2]),
        ('"load"', [2]),
        ("0%", [2]),
        ("%", [2]),
        ("_", [3]),
        ("_12", [3]),
        ("Batch xlsx", [3]),
        ("Batch Recipe", []),
        ("other", [4]),
        ("café", [4]),
        ("OR", []),
        ("NOT load", []),
        ("load*", []),
        ("title:", []),
        ("\\", []),
        ("data", [1, 2, 3]),
        (" ", [1, 2, 3, 4]),
    ],
)
def test_each_word_is_found_as_it_stands(vault: Vault, text: str, found: list[int]) -> None:
    assert numbers(vault, text=text) == found


def test_what_is_found_is_narrowed(vault: Vault) -> None:
    assert numbers(vault) == [1, 2, 3, 4]
    assert numbers(vault, notebook="other") == [4]
    assert numbers(vault, kind="note") == [2]
    assert numbers(vault, stage="idea") == [1]
    assert numbers(vault, number=3) == [3]
    day = START + timedelta(days=2)
    assert numbers(vault, since=day) == [2, 3, 4]
    assert numbers(vault, until=day) == [1]
    assert numbers(vault, since=day, until=day + timedelta(seconds=1), text="data") == [2]


def test_limit_gives_the_newest_oldest_first(vault: Vault) -> None:
    assert numbers(vault, limit=2) == [3, 4]
    assert numbers(vault, limit=2, text="data") == [2, 3]


def test_listed_record_has_its_names(vault: Vault) -> None:
    kept = vault.records.all()[0]
    one = find_listed(vault.database, Query(number=1))[0]
    assert (one.entry, one.title, one.created) == (kept.entry, kept.title, kept.created)
    assert (one.index, one.ledger, one.stamps) == (None, None, 0)


def test_text_that_is_none_and_a_broken_index_are_told(vault: Vault) -> None:
    with pytest.raises(MalformedError, match="not utf-8"):
        numbers(vault, text="\udcff\udcff\udcff")
    vault.database.execute("DROP TABLE search")
    with pytest.raises(UnavailableError):
        numbers(vault, text="recipe")
