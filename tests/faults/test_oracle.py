"""The judge of the faults finds each kind of loss: else a table full of ``whole`` says nothing."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults import oracle
from tests.faults.workloads import Place, Told, lay_carriers, perform

Damage = Callable[[Place], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, list[Told]]:
    place = Place(tmp_path_factory.mktemp("faults") / "made")
    place.home.mkdir(parents=True)
    lay_carriers(place, 1)
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TALLY_VAULT", "TALLY_STATE"):
            patch.setenv(name, "")
        place.enter()
        try:
            told = [
                perform(words) for words in (("init", "--development"), ("anchor", "a.txt", "d"))
            ]
        finally:
            os.chdir(before)
    return place, told


@pytest.fixture
def place(made: tuple[Place, list[Told]], tmp_path: Path) -> Place:
    return made[0].copy(tmp_path / "place")


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def store(statement: str) -> Damage:
    return lambda place: change(place.vault / "ledger" / "store.sqlite", statement)


def vault(statement: str) -> Damage:
    return lambda place: change(place.vault / "vault.sqlite", statement)


def guard(statement: str) -> Damage:
    def damage(place: Place) -> None:
        [path] = place.guards.glob("*.sqlite")
        change(path, "DROP TRIGGER signed_update", "DROP TRIGGER signed_delete", statement)

    return damage


def cut(folder: str) -> Damage:
    def damage(place: Place) -> None:
        files = [one for one in (place.vault / folder).rglob("*") if one.is_file()]
        path = min(files)
        os.truncate(path, path.stat().st_size // 2)

    return damage


FLIPPED = "CAST(x'ff' || substr(file, 2) AS BLOB)"


@pytest.mark.parametrize(
    "damage",
    [
        store("DELETE FROM bundles WHERE start = 1"),
        store(
            "UPDATE bundles SET content = CAST(substr(content, 1, 9) || x'00' ||"
            " substr(content, 11) AS BLOB) WHERE start = 1"
        ),
        store(
            "UPDATE attachments SET content = CAST(content || x'0a' AS BLOB)"
            " WHERE kind = 'checkpoint' AND size = 1"
        ),
        store("UPDATE attachments SET size = 1 WHERE kind = 'stamp' AND size > 1"),
        guard("DELETE FROM signed WHERE size = 1"),
        guard(f"UPDATE signed SET file = {FLIPPED} WHERE size > 1"),
        vault("DELETE FROM records WHERE number = 1"),
        vault("DELETE FROM records WHERE number = 2"),
        vault("DELETE FROM covers"),
        vault("UPDATE records SET idx = 3 - idx"),
        vault("UPDATE records SET idx = NULL"),
        vault("UPDATE records SET entry = zeroblob(64) WHERE number = 2"),
        cut("originals"),
        cut("manifests"),
    ],
)
def test_each_loss_is_found(made: tuple[Place, list[Told]], place: Place, damage: Damage) -> None:
    before = oracle.guard_files(made[0].home)
    assert oracle.wrong(place, before, made[1]) is None
    assert oracle.wrongly_signed(place, before) is None
    damage(place)
    assert oracle.wrong(place, before, made[1]) is not None
