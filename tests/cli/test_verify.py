"""``tally verify``: what it says of the bundle and the carriers that it is given."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Tally


@pytest.fixture
def trust(reading: Tally) -> Path:
    """The trust file of the vault; y.zip, which discloses a.txt, is in the present folder."""
    assert reading("bundle", "1", "--file", "a.txt", "-o", "y.zip").code == 0
    return reading.vault / "development-trust.toml"


@pytest.fixture
def copied(reading: Tally) -> Path:
    """A copy of the folder that was anchored."""
    place = reading.work / "copy"
    shutil.copytree(reading.vault.parent / "资料", place)
    return place


def test_of_a_folder_it_says_how_much_was_compared(
    reading: Tally, trust: Path, copied: Path
) -> None:
    (copied / "sub" / "第12批.xlsx").write_bytes(b"changed")
    (copied / "added").touch()
    words = ["verify", "y.zip", copied, "--trust", trust]
    said = reading(*words, "--html", "page.html")
    line = "copy: files compared: 1; not disclosed and not judged: 2"
    assert said.code == 0
    assert said.out.splitlines()[-2] == line
    assert f"<p>{line}</p>" in (reading.work / "page.html").read_text("utf-8")
    spoken = reading(*words, "--lang", "zh").out.splitlines()[-2]
    assert spoken == "copy：已比对文件 1 个；未披露、不作判断的文件 2 个"
    [folder] = reading.json(*words)["folders"]
    assert folder.pop("sentence")["en"] == line
    assert folder == {"name": "copy", "compared": 1, "not_disclosed": 2, "absent": 0}


def test_of_a_folder_it_says_what_is_disclosed_and_not_there(
    reading: Tally, trust: Path, copied: Path
) -> None:
    words = ["--file", "a.txt", "--file", "sub/第12批.xlsx"]
    assert reading("bundle", "1", *words, "-o", "both.zip").code == 0
    (copied / "a.txt").unlink()
    said = reading("verify", "both.zip", copied, "--trust", trust)
    assert said.code == 0
    assert "disclosed but not in this folder: 1" in said.out


def test_a_folder_with_the_file_elsewhere_has_none_at_a_path_disclosed(
    reading: Tally, trust: Path, copied: Path
) -> None:
    (copied / "a.txt").rename(copied / "b.txt")
    said = reading("verify", "y.zip", copied, "--trust", trust)
    assert said.code == 2
    assert "copy has no file at a path that this bundle discloses" in said.err


def test_the_time_of_the_check_is_reported_and_decides_nothing(reading: Tally, trust: Path) -> None:
    words = ["verify", "y.zip", "--trust", trust]
    early = reading.json(*words, "--at", "2020-01-01T00:00:00Z")
    assert (early["checked_at"], early["clock"]) == ("2020-01-01T00:00:00Z", "given by --at")
    changed = {"checked_at", "clock"}
    usual = reading.json(*words)
    assert [early[key] for key in early.keys() - changed] == [
        usual[key] for key in early.keys() - changed
    ]
    assert "it decides nothing" in " ".join(reading("verify", "--help").out.split())
