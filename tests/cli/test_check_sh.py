"""``docs/check.sh`` repeats the verdict's steps with openssl alone, and sees what was changed."""

import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import ledger.proof
from tests.cli.conftest import Tally

SCRIPT = Path(__file__).parents[2] / "docs" / "check.sh"
Ran = subprocess.CompletedProcess[str]


def check(folder: Path, *words: Path) -> Ran:
    line = ["sh", str(SCRIPT), *map(str, words)]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def opened(tally: Tally, folder: Path) -> Path:
    """An unpacked bundle of a folder's record and a file's, with what its roots are beside it."""
    assert tally("anchor", folder).code == 0
    assert tally("anchor", folder / "a.txt", "--title", "配方\\n 1").code == 0
    words = ["1", "2", "--disclose", "carrier", "--disclose", "title", "--file", "sub/第12批.xlsx"]
    assert tally("bundle", *words, "--with-carriers", "-o", "x.zip").code == 0
    place = folder.parent / "opened"
    with zipfile.ZipFile("x.zip") as file:
        file.extractall(place)
    roots = sorted(tally.vault.glob("*-root.pem"))
    (folder.parent / "roots.pem").write_bytes(b"".join(path.read_bytes() for path in roots))
    return place


def make_sums(place: Path) -> None:
    """``SHA256SUMS`` anew, as a forger would."""
    rows = []
    for line in (place / "SHA256SUMS").read_text("utf-8").splitlines():
        path = line.split("  ", 1)[1]
        rows.append(f"{hashlib.sha256((place / path).read_bytes()).hexdigest()}  {path}\n")
    (place / "SHA256SUMS").write_text("".join(rows), "utf-8")


def test_the_script_has_sixty_lines_at_most() -> None:
    assert len(SCRIPT.read_text("utf-8").splitlines()) <= 60


def test_it_gets_the_verdicts_values(tally: Tally, opened: Path, folder: Path) -> None:
    ran = check(opened, opened.parent / "roots.pem", folder / "a.txt")
    assert ran.returncode == 0, ran.stdout
    assert not ran.stderr
    assert "NO " not in ran.stdout
    assert "\n??" not in ran.stdout
    trust = tally.vault / "development-trust.toml"
    verdict = tally.json("verify", "x.zip", folder / "a.txt", "--trust", trust, code=0)
    for record in verdict["records"]:
        assert f"entry {record['index']} (from 0) of" in ran.stdout
    index = json.loads((opened / "bundle.json").read_bytes())
    assert [f"entry {one['entry']}" in ran.stdout for one in index["records"]] == [True, True]
    assert '"title","配方\\\\n 1"]' in ran.stdout
    assert "manifest 2" in ran.stdout
    assert f"{folder / 'a.txt'}: is what records/" in ran.stdout
    assert ran.stdout.count("existed at") == len(list(opened.glob("stamps/*/*.tsr")))
    below = list(opened.glob("stamps/not-before/*.tst"))
    assert below
    for path in below:
        assert f"{path.relative_to(opened)}: made at" in ran.stdout
        assert f"signed after {path.relative_to(opened)}, which it names" in ran.stdout


def test_a_file_that_no_record_names_is_said(opened: Path, folder: Path) -> None:
    (folder / "other").write_bytes(b"other")
    ran = check(opened, opened.parent / "roots.pem", folder / "other")
    assert ran.returncode == 1
    assert "no record shown here names" in ran.stdout


@pytest.mark.slow
def test_a_file_of_the_pieces_shown_is_found_too(tally: Tally, folder: Path) -> None:
    rows = [b"%d,row\n" % number for number in range(9)]
    (folder / "table.csv").write_bytes(b"".join(rows))
    (folder / "shown.csv").write_bytes(b"".join(rows[2:5]))
    (folder / "other.csv").write_bytes(b"".join(rows[2:6]))
    assert tally("anchor", folder / "table.csv", "--parts").code == 0
    assert tally("bundle", "1", "--part", "3-5", "--with-carriers", "-o", "x.zip").code == 0
    with zipfile.ZipFile("x.zip") as file:
        file.extractall(folder.parent / "opened")
    (root,) = sorted(tally.vault.glob("*-root.pem"))[:1]
    ran = check(folder.parent / "opened", root, folder / "shown.csv")
    assert ran.returncode == 0, ran.stdout
    assert f"{folder / 'shown.csv'}: is what records/" in ran.stdout
    assert check(folder.parent / "opened", root, folder / "other.csv").returncode == 1


def test_without_a_root_of_ones_own_no_stamp_counts(tally: Tally, opened: Path) -> None:
    one = next(iter(sorted(tally.vault.glob("*-root.pem"))))
    some = check(opened, one)
    assert some.returncode == 0
    assert "??" in some.stdout
    stranger = min((Path(ledger.proof.__file__).parent / "roots").glob("*.pem"))
    none = check(opened, stranger)
    assert none.returncode == 1
    assert "no time stamp that leads to a root of yours" in none.stdout


def test_a_forged_carrier_of_the_bundle_is_seen_in_whatever_folder(opened: Path) -> None:
    """With the list of files made anew; nobody has to name the carrier."""
    roots, inside = opened.parent / "roots.pem", min(opened.glob("carriers/*/sub/*"))
    whole = check(opened, roots)
    assert f"{inside.relative_to(opened)}: is what records/" in whole.stdout
    _flip(inside, 0)
    make_sums(opened)
    ran = check(opened, roots)
    assert ran.returncode == 1
    assert f"NO   {inside.relative_to(opened)}: no record shown here names" in ran.stdout


@pytest.mark.slow
def test_a_carrier_under_another_record_is_seen(opened: Path) -> None:
    one, other = sorted(opened.glob("carriers/*"))
    inside = min(path for path in one.rglob("*") if path.is_file())
    moved = other / "moved"
    inside.rename(moved)
    sums = (opened / "SHA256SUMS").read_text("utf-8")
    old, new = (str(path.relative_to(opened)) for path in (inside, moved))
    (opened / "SHA256SUMS").write_text(sums.replace(old, new), "utf-8")
    ran = check(opened, opened.parent / "roots.pem")
    assert ran.returncode == 1
    assert f"NO   {new}: no record shown here names" in ran.stdout


@pytest.mark.slow
def test_a_file_that_the_list_does_not_name_is_seen(opened: Path) -> None:
    """In a folder of the bundle it is wrong, whatever its name; beside them it is no part of it."""
    (opened / "J").touch()
    (opened / "carriers" / ".DS_Store").touch()
    roots = opened.parent / "roots.pem"
    beside = check(opened, roots)
    assert beside.returncode == 0
    assert "??   J: not in SHA256SUMS" in beside.stdout
    assert "??   carriers/.DS_Store: not in SHA256SUMS" in beside.stdout
    inside = min(opened.glob("carriers/*/sub/*")).relative_to(opened)
    broken = opened / f"{inside.parent}/x\n./{inside.parent}"
    broken.mkdir(parents=True)
    (broken / inside.name).write_bytes(b"forged")
    ran = check(opened, roots)
    assert ran.returncode == 1
    assert f"NO   {inside}: not in SHA256SUMS" in ran.stdout


@pytest.mark.slow
def test_a_checkpoint_under_a_name_that_is_no_number_is_checked_too(opened: Path) -> None:
    """A shell would compute with ``0x2``."""
    proof = min(opened.glob("proofs/*"))
    size = proof.name.removesuffix(".tlog-proof").split("-")[1]
    odd = opened / "checkpoints" / hex(int(size) + 9)
    shutil.copy(opened / "checkpoints" / size, odd)
    assert odd.name[-1].isalpha()
    ran = check(opened, opened.parent / "roots.pem")
    assert ran.returncode == 1
    assert f"NO   checkpoints/{odd.name}: no time stamp" in ran.stdout


@pytest.mark.parametrize(
    "words", [[], ["missing.pem"], ["root.der"]], ids=["none", "absent", "der"]
)
def test_roots_that_are_none_are_told_with_the_usage(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "SHA256SUMS").touch()
    (tmp_path / "root.der").write_bytes(b"0\x82\1\0")
    ran = check(tmp_path, *map(Path, words))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("usage, where the bundle is unpacked: sh ../check.sh ROOTS.pem")
    assert len(ran.stderr.splitlines()) == 1


def _replace(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def _drop_hash(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    del lines[2]
    path.write_text("".join(lines), "utf-8")


FORGERIES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a disclosure": ("records/*.sd-jwt", lambda p: _flip(p, -30), "does not say"),
    "J": ("records/*.sd-jwt", lambda p: _flip(p, 400), "entry"),
    "the index": ("proofs/*", lambda p: _replace(p, b"index ", b"index 1"), "is under the root"),
    "the path": ("proofs/*", _drop_hash, "is under the root"),
    "the root": ("checkpoints/*", lambda p: _flip(p, -3600), "signature"),
    "a line": ("manifests/*", lambda p: _replace(p, b"\n1 ", b"\n0 "), "manifest 1"),
    "a carrier": ("carriers/*/sub/*", lambda p: _flip(p, 0), "no record shown here names"),
    "a name": ("stamps/not-before/*", lambda p: p.write_bytes(b"garbage"), "name is its SHA-256"),
    "a stamp": ("stamps/*/*.tsr", lambda p: _flip(p, -1), "not over"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_seen_where_it_was_made(opened: Path, name: str) -> None:
    pattern, change, word = FORGERIES[name]
    change(min(opened.glob(pattern)))
    ran = check(opened, opened.parent / "roots.pem")
    assert ran.returncode == 1
    make_sums(opened)
    again = check(opened, opened.parent / "roots.pem")
    lines = [line for line in again.stdout.splitlines() if line[:2] in {"NO", "??"}]
    assert any(word in line for line in lines), again.stdout
    assert again.returncode == (0 if name == "a stamp" else 1)
    assert not again.stderr


def test_it_is_plain_posix_shell() -> None:
    """Debian's sh knows nothing of bash; the words that others lack are not there either."""
    text = SCRIPT.read_text("utf-8")
    assert text.startswith("#!/bin/sh\n")
    for word in ("[[", "function ", "local ", "xxd", "base64 -w", "sha256sum ", "date -d"):
        assert word not in text
