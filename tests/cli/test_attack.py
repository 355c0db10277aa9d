"""``tally attack`` on a bundle made by the command line."""

from pathlib import Path

import pytest

from tests.cli.conftest import Tally, fill


def test_an_attack_on_ones_own_bundle_is_caught(reading: Tally) -> None:
    trust = reading.vault / "development-trust.toml"
    ran = reading("attack", "x.zip", "--trust", trust, "--count", 24, "--html", "page.html")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("PROVEN under this trust file")
    assert ran.out.splitlines()[-1].startswith("24 changes, ")
    assert ran.out.splitlines()[-1].endswith(", 0 slipped")
    page = (reading.work / "page.html").read_text(encoding="utf-8")
    assert "What is not evidence, and why" in page
    again = reading("attack", "x.zip", "--trust", trust, "--count", 1, "--html", "page.html")
    assert again.code == 2
    assert "exists already" in again.err


def test_an_attack_in_json_and_with_the_carrier_at_hand(reading: Tally, filled: Path) -> None:
    trust = reading.vault / "development-trust.toml"
    said = reading.json("attack", "x.zip", "--trust", trust, "--count", 8, "--seed", 5)
    assert said["changes"] == 8
    assert said["caught"] + said["free"] == 8
    assert said["seed"] == 5
    assert filled.is_dir()


def test_a_bundle_that_is_not_proven_cannot_be_attacked(reading: Tally) -> None:
    ran = reading("attack", "x.zip")
    assert ran.code == 3
    assert "nothing to attack" in ran.err
    assert "--trust" in ran.err


def test_an_attack_on_what_is_no_bundle_is_refused(reading: Tally) -> None:
    (reading.work / "y.zip").write_bytes(b"no")
    assert reading("attack", "y.zip").code == 2
    assert reading("attack", "z.zip").code == 2
    assert reading("attack", "x.zip", "--count", 0).code == 2


@pytest.mark.slow
def test_an_attack_on_a_disclosed_folder_and_on_lines_of_a_file(tally: Tally) -> None:
    folder = fill(tally.work)
    table = tally.work / "table.csv"
    table.write_text("".join(f"{number},0.{number}\n" for number in range(60)))
    trust = tally.vault / "development-trust.toml"
    assert tally("anchor", folder, "--title", "one").code == 0
    assert tally("anchor", table).code == 0
    file = ("--file", "a.txt", "--with-carriers")
    assert tally("bundle", "1", *file, "--disclose", "title", "-o", "folder.zip").code == 0
    assert tally("bundle", "--part", "5-9", "--with-carriers", "-o", "lines.zip").code == 0
    for bundle, more in (("folder.zip", (folder,)), ("lines.zip", ())):
        ran = tally("attack", bundle, *more, "--trust", trust, "--count", 700, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["slipped"] == 0
        assert ran.json["caught"] > 500
