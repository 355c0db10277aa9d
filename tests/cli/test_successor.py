"""A ledger that must not go on is followed by another; what it proved stays provable."""

import shutil
from pathlib import Path

import pytest

from cli import successor
from ledger.doors.bundle_files import read_bundle
from ledger.holder.successions import Successions
from ledger.operator.closed import ClosedLedger
from ledger.record.record import parse_record
from tests.cli.conftest import Tally


@pytest.fixture
def lost(tally: Tally, folder: Path) -> Tally:
    """Records in two notebooks, one of them queued, and no guard any more."""
    tally.json("anchor", folder)
    tally.json("anchor", folder / "a.txt", "--notebook", "other")
    shutil.rmtree(tally.state)
    return tally


def rows(tally: Tally) -> list[tuple[int, str, int, int]]:
    """Number, notebook, place in its chain and in its ledger of each record."""
    names = ("number", "notebook", "seq", "index")
    return [tuple(row[name] for name in names) for row in tally.json("log")["records"]]


def claims(tally: Tally, number: int) -> dict[str, object]:
    return dict(tally.json("show", number)["claims"])


def test_ledger_that_can_go_on_is_not_succeeded(tally: Tally) -> None:
    before = tally.json("status")
    ran = tally("vault", "successor")
    assert (ran.code, "can go on" in ran.err) == (3, True)
    assert tally.json("status") == before


def test_successor_names_what_it_follows_and_the_notebooks_go_on(lost: Tally, folder: Path) -> None:
    refused = lost("anchor", folder / "sub")
    assert (refused.code, "tally vault successor" in refused.err) == (3, True)
    old = lost.json("status", code=3)
    done = lost.json("vault", "successor")
    assert (done["closed"], done["size"], done["sent"]) == (old["ledger"], 5, 2)
    assert done["ledger"] == lost.json("status")["ledger"] != old["ledger"]
    said = claims(lost, 3)
    want = {"origin": old["ledger"], "size": 5, "root": done["root"]}
    assert (said["kind"], said["predecessor"], said["ledger"]) == (
        "successor",
        want,
        done["ledger"],
    )

    # The next record of each notebook begins a chain, and names the head of the one before.
    lost.json("anchor", folder / "sub")
    lost.json("anchor", folder / "sub", "--notebook", "other")
    lost.json("anchor", folder / "sub", "--again")
    heads = {"notebook": 1, "other": 2}
    assert rows(lost)[2:] == [
        (3, "ledgers", 1, 1),
        (4, "notebook", 1, 3),
        (5, "other", 1, 5),
        (6, "notebook", 2, 6),
    ]
    for number, notebook in ((4, "notebook"), (5, "other")):
        entry = lost.json("show", heads[notebook])["entry"]
        enrolled, continues = claims(lost, number)["refs"]  # type: ignore[misc]  # a list of two
        assert enrolled["rel"] == "enrolledBy"  # type: ignore[index,call-overload]
        assert continues == {"rel": "continues", "entry": entry}
        assert lost.json("show", number)["chain"] != lost.json("show", heads[notebook])["chain"]
    refs = claims(lost, 6)["refs"]
    assert isinstance(refs, list)
    assert [ref["rel"] for ref in refs] == ["wasRevisionOf"]


def test_records_of_both_ledgers_are_bundled_each_with_its_own_proofs(
    lost: Tally, folder: Path
) -> None:
    done = lost.json("vault", "successor")
    lost.json("anchor", folder / "sub")
    trust = lost.vault / "development-trust.toml"
    for number, ledger in ((1, "closed"), (3, "ledger"), (4, "ledger")):
        words = ["--disclose", "all", "-o", f"{number}.zip"]
        lost.json("bundle", number, *words)
        verdict = lost.json("verify", f"{number}.zip", "--trust", trust)
        assert verdict["outcome"] == "proven"
        files = read_bundle(lost.work / f"{number}.zip").files
        checkpoints = [files[name] for name in files if name.startswith("checkpoints/")]
        assert all(one.startswith(done[ledger].encode()) for one in checkpoints)
    lost.json("bundle", "4", "--disclose", "refs", "-o", "refs.zip")
    files = read_bundle(lost.work / "refs.zip").files
    [record] = [parse_record(files[name]) for name in files if name.startswith("records/")]
    assert record.claims.keys() == {"link", "not_before", "refs"}
    assert lost("verify", "refs.zip", "--trust", trust).code == 0

    ran = lost("bundle", "--notebook", "notebook", "-o", "both.zip")
    assert ran.code == 2
    assert "hint: `tally bundle 1` and `tally bundle 4`" in ran.err
    assert not (lost.work / "both.zip").exists()


def test_what_nobody_can_prove_is_sent_to_the_successor_after_the_record_that_names_it(
    tally: Tally, folder: Path
) -> None:
    tally.json("anchor", folder)
    backup = tally.work / "backup"
    shutil.copytree(tally.vault / "ledger", backup)
    tally.json("anchor", folder / "a.txt")
    tally.json("anchor", folder / "sub", "--no-wait")
    # The ledger's folder alone comes back from yesterday. Of record 2 the vault has a receipt, of
    # record 3 nobody has anything.
    shutil.rmtree(tally.vault / "ledger")
    backup.rename(tally.vault / "ledger")
    assert tally("anchor", folder / "sub").code == 3
    done = tally.json("vault", "successor")
    assert (done["size"], done["sent"]) == (3, 3)
    assert rows(tally) == [
        (1, "notebook", 1, 2),
        (2, "notebook", 2, 3),
        (3, "notebook", 3, 2),
        (4, "ledgers", 1, 1),
    ]
    ran = tally("bundle", "3", "-o", "x.zip")
    assert (ran.code, "`tally bundle 3 --only`" in ran.err) == (2, True)
    ran = tally("bundle", "1", "2", "3", "-o", "x.zip")
    assert (ran.code, "`tally bundle 1 2` and `tally bundle 3 --only`" in ran.err) == (2, True)
    trust = tally.vault / "development-trust.toml"
    for words in (["1", "2"], ["3", "--only"], ["4"]):
        tally.json("bundle", *words, "--disclose", "ledger", "-o", "x.zip", "--force")
        assert tally("verify", "x.zip", "--trust", trust).code == 0
    tally.json("anchor", folder / "a.txt", "--again")
    entry = tally.json("show", 3)["entry"]
    refs = claims(tally, 5)["refs"]
    assert isinstance(refs, list)
    assert {"rel": "continues", "entry": entry} in refs


def test_a_successor_can_be_succeeded(lost: Tally, folder: Path) -> None:
    first = lost.json("vault", "successor")
    lost.json("anchor", folder / "sub")
    shutil.rmtree(lost.state)
    second = lost.json("vault", "successor")
    assert second["closed"] == first["ledger"]
    lost.json("anchor", folder / "sub", "--again")
    trust = lost.vault / "development-trust.toml"
    for number in ("1", "3", "4", "5", "6"):
        lost.json("bundle", number, "-o", f"{number}.zip")
        assert lost("verify", f"{number}.zip", "--trust", trust).code == 0
    entry = lost.json("show", 3)["entry"]
    assert claims(lost, 5)["refs"] == [{"rel": "continues", "entry": entry}]


def test_no_key_of_a_closed_ledger_is_left(lost: Tally) -> None:
    assert lost("vault", "successor").code == 0
    keys = [path.relative_to(lost.vault).as_posix() for path in lost.vault.rglob("keys.pem")]
    assert keys == ["ledgers/2/keys.pem"]


@pytest.mark.parametrize("step", ["add", "open_successor"])
def test_succession_that_was_interrupted_is_gone_on_with(
    lost: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Successions if step == "add" else successor, step, die)
        assert lost("vault", "successor").code == 130
    if step == "add":
        assert lost("anchor", folder / "sub").code == 3
        lost.json("vault", "successor")
    lost.json("anchor", folder / "sub")
    assert [row[:3] for row in rows(lost)[2:]] == [(3, "ledgers", 1), (4, "notebook", 1)]
    assert lost("vault", "successor").code == 3
    assert len(list((lost.vault / "ledgers").iterdir())) == 1


def test_sync_asks_for_what_the_stamps_of_a_closed_ledger_are_judged_with(
    lost: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(ClosedLedger, "recapture", lambda self: asked.append(self.origin) or ())
    closed = lost.json("vault", "successor")["closed"]
    assert asked == []
    lost.json("sync")
    assert asked == [closed]
