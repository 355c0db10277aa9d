"""What is missing or damaged in a vault is found, named by record, and told until it is mended."""

import hashlib
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli import check
from cli.compose import now
from ledger.holder.checks import NIGHTS
from tests.cli.conftest import Tally


@pytest.fixture
def kept(tally: Tally, folder: Path) -> Tally:
    """Record 1 of a folder, record 2 of a file in it."""
    tally.json("anchor", folder)
    tally.json("anchor", folder / "a.txt", "--no-parts")
    return tally


def faults(tally: Tally, *words: object) -> list[tuple[str, list[int]]]:
    """Kind and records of what `tally vault check` finds, with its exit code as it should be."""
    ran = tally("vault", "check", *words, "--json")
    assert ran.code == (1 if ran.json["faults"] else 0), ran.err
    return [(one["kind"], one["records"]) for one in ran.json["faults"]]


def alarms(tally: Tally) -> list[Any]:
    ran = tally("status", "--json")
    assert ran.code == (3 if ran.json["alarms"] else 0)
    return list(ran.json["alarms"])


def original(tally: Tally, content: bytes) -> Path:
    """The kept copy of this content."""
    name = hashlib.sha256(content).hexdigest()
    return tally.vault / "originals" / name[:2] / f"{name}.age"


def test_all_is_good_in_a_vault_that_nobody_harmed(kept: Tally) -> None:
    done = kept.json("vault", "check", "--all")
    # Two originals, one manifest, two records, and the enrolment of their key.
    assert (done["checked"], done["of"], done["faults"], done["mended"]) == (6, 6, [], 0)
    assert alarms(kept) == []


@pytest.mark.parametrize("harm", ["missing", "changed", "cut"])
def test_original_is_an_alarm_until_it_is_back(kept: Tally, folder: Path, harm: str) -> None:
    content = (folder / "a.txt").read_bytes()
    path = original(kept, content)
    whole = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-1] + (b"" if harm == "cut" else bytes([whole[-1] ^ 1])))
    # Both records need it: the file's own, and the folder's.
    assert faults(kept, "--all") == [("original", [1, 2])]
    for _ in range(2):
        assert [one["kind"] for one in alarms(kept)] == ["original"]
        # An alarm is checked again by every run, however small.
        assert faults(kept, "--sample", "1") == [("original", [1, 2])]
    assert "ALARM    record 1, 2: original" in kept("vault", "check").out
    assert "ALARM" in kept("status").out
    path.write_bytes(whole)
    mended = kept.json("vault", "check")
    assert (mended["faults"], mended["mended"]) == ([], 1)
    assert alarms(kept) == []


def test_original_that_vanished_before_the_first_check_is_missed(kept: Tally) -> None:
    for path in (kept.vault / "originals").rglob("*.age"):
        path.unlink()
    assert sorted(faults(kept, "--all")) == [("original", [1]), ("original", [1, 2])]


def test_damaged_manifest_is_named_by_its_record(kept: Tally) -> None:
    [path] = [one for one in (kept.vault / "manifests").iterdir() if one.name != "draft"]
    whole = path.read_bytes()
    first, rest = whole.split(b"\n", 1)
    for damaged in (whole[:-2], rest, rest + first + b"\n", whole + b"x\n", b"\xff" + whole, b""):
        path.write_bytes(damaged)
        assert faults(kept, "--all") == [("manifest", [1])]
    path.unlink()
    assert faults(kept, "--all") == [("manifest", [1])]
    path.write_bytes(whole)
    assert faults(kept, "--all") == []


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE records SET sdjwt = CAST(replace(sdjwt, '~', 'x~') AS BLOB)",
        "UPDATE records SET sdjwt = (SELECT sdjwt FROM records WHERE number = 2)",
        "UPDATE records SET idx = idx + 1",
        "UPDATE receipts SET proof = zeroblob(length(proof) + 32)",
        "DELETE FROM receipts",
        "UPDATE checkpoints SET file = CAST(replace(file, '\n3\n', '\n4\n') AS BLOB)",
        "UPDATE tokens SET response = (SELECT response FROM tokens WHERE size = 1)",
        "UPDATE tokens SET response = x'3000'",
    ],
)
def test_damaged_record_or_receipt_is_found(kept: Tally, harm: str) -> None:
    with sqlite3.connect(kept.vault / "vault.sqlite") as database:
        database.execute("PRAGMA foreign_keys = OFF")
        if harm.startswith("UPDATE records"):
            harm += " WHERE number = 1"
        elif "checkpoints" not in harm and "tokens" not in harm:
            harm += " WHERE record = 1"
        else:
            harm += " WHERE size = 3"
        assert database.execute(harm).rowcount
    database.close()
    assert ("record", [1]) in faults(kept, "--all")


@pytest.mark.slow
def test_nightly_runs_check_everything_once_in_a_month(
    tally: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2 * NIGHTS):
        (folder / f"{number}").write_bytes(b"%d" % number)
    tally.json("anchor", folder)
    start = now()
    checked = []
    for night in range(NIGHTS):
        monkeypatch.setattr(check, "now", lambda night=night: start + timedelta(days=night))
        checked.append(tally.json("vault", "check")["checked"])
    assert max(checked) == 3
    with sqlite3.connect(tally.vault / "vault.sqlite") as database:
        never = database.execute("SELECT count(*) FROM checks WHERE checked IS NULL").fetchone()[0]
    database.close()
    assert (sum(checked), never) == (3 * NIGHTS, 0)
    # What was checked within two weeks is not due: half of it.
    due = tally.json("vault", "check", "--older", 14)["checked"]
    assert 0 < due < 2 * NIGHTS
    assert tally.json("vault", "check", "--older", 14)["checked"] == 0
    assert tally("vault", "check", "--all", "--sample", "1").code == 2


def test_check_without_the_vaults_key_raises_no_alarm(kept: Tally) -> None:
    path = kept.vault / "keys" / "identity.txt"
    path.rename(path.with_suffix(".away"))
    assert kept("vault", "check", "--all").code == 2
    path.with_suffix(".away").rename(path)
    assert alarms(kept) == []


def test_vault_is_checked_after_a_succession_too(kept: Tally, folder: Path) -> None:
    kept.json("vault", "backup", kept.work / "disk")
    words = ("--vault", kept.work / "new")
    kept.json("vault", "restore", kept.work / "disk", *words)
    kept.json("anchor", folder / "sub", *words)
    done = kept.json("vault", "check", "--all", *words)
    assert (done["checked"], done["faults"]) == (10, [])
