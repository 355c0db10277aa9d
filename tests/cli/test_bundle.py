"""What ``tally bundle`` says it shows is what it shows, and what is asked for wrongly is told."""

from pathlib import Path

import pytest

from tests.cli.conftest import Tally

NOTHING = "no file is disclosed: the bundle proves records, and no file can be held to it"


@pytest.fixture
def anchored(tally: Tally, folder: Path) -> Tally:
    """Record 1 of a folder that has a link, record 2 of a file."""
    (folder / "link").symlink_to("a.txt")
    (tally.work / "notes.txt").write_bytes(b"one\ntwo\n")
    assert tally("anchor", folder, "notes.txt", "--skip-unreadable").code == 0
    return tally


@pytest.mark.parametrize("claims", ["carrier", "all"])
def test_folder_of_which_no_file_is_chosen_is_not_called_disclosed(
    anchored: Tally, folder: Path, claims: str
) -> None:
    ran = anchored("bundle", "1", "--disclose", claims, "--with-carriers", "-o", "x.zip")
    assert ran.code == 0
    assert NOTHING in ran.err
    assert "--file PATH for one file of a folder" in ran.err
    assert "--with-carriers put nothing in" in ran.err
    trust = anchored.vault / "development-trust.toml"
    ran = anchored("verify", "x.zip", folder, "--trust", trust)
    assert (ran.code, "this bundle discloses no file of a folder" in ran.err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["1", "--file", "a.txt"],
        ["2", "--disclose", "carrier"],
        ["2", "--disclose", "carrier.sha256"],
        ["2", "--part", "1"],
    ],
)
def test_file_that_can_be_held_to_the_bundle_is_called_disclosed(
    anchored: Tally, words: list[str]
) -> None:
    ran = anchored("bundle", *words, "--with-carriers", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert "carrier bytes" in ran.out
    assert "put nothing in" not in anchored("bundle", *words, "--dry-run").err


def test_list_says_all_that_a_files_line_shows_and_who_signed(anchored: Tally) -> None:
    shown = anchored.json("bundle", "1", "--file", "a.txt", "--file", "link", "--dry-run")["shown"]
    file, link = (one["value"] for one in shown if one["what"] == "carrier file")
    assert file.startswith("1: a.txt, 2 bytes, changed 20")
    assert "+00:00, SHA-256 87428fc5" in file
    assert link == "2: link, skipped: a link"
    [key] = [one["value"] for one in shown if one["what"] == "signing key"]
    assert key == anchored.json("show", "1")["key"]


@pytest.mark.parametrize("name", ["./a.txt", "资料/a.txt"])
def test_file_named_from_elsewhere_is_refused_with_its_name_in_the_folder(
    anchored: Tally, name: str
) -> None:
    ran = anchored("bundle", "1", "--file", name, "--dry-run")
    assert (ran.code, f"has no file '{name}'" in ran.err) == (2, True)
    assert "hint: it has 'a.txt': files are named relative to the folder anchored" in ran.err


def test_file_or_pieces_of_the_wrong_record_are_told_with_what_helps(anchored: Tally) -> None:
    ran = anchored("bundle", "2", "--file", "notes.txt", "--dry-run")
    assert (ran.code, "--disclose carrier shows a file anchored alone" in ran.err) == (2, True)
    ran = anchored("bundle", "1", "--file", "a.txt", "--part", "1", "--dry-run")
    assert (ran.code, "record 1 is of a folder: parts are of one file" in ran.err) == (2, True)
    assert "hint: anchor that file by itself" in ran.err
