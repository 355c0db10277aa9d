"""export: originals come back as they were, or are named as missing; nothing is overwritten."""

import hashlib
import os
import shutil
from pathlib import Path

from tests.cli.conftest import Tally

MTIME_NS = 1_600_000_000_123_456_000


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of each file under ``root``."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns // 1000)
        for path in files
    }


def original_of(tally: Tally, content: bytes) -> Path:
    name = hashlib.sha256(content).hexdigest()
    return tally.vault / "originals" / name[:2] / f"{name}.age"


def test_folder_comes_back_as_it_was(tally: Tally, folder: Path) -> None:
    os.utime(folder / "a.txt", ns=(MTIME_NS, MTIME_NS))
    (folder / "empty").write_bytes(b"")
    before = tree(folder)
    tally("anchor", folder)
    shutil.rmtree(folder)
    made = tally.json("export", "1", "-o", "back")
    assert tree(tally.work / "back" / folder.name) == before
    assert (len(made["written"]), made["failed"]) == (3, [])
    assert before["a.txt"][1] == MTIME_NS // 1000


def test_file_comes_back_and_is_never_overwritten_unasked(tally: Tally, folder: Path) -> None:
    path = folder / "a.txt"
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    tally("anchor", path)
    assert "written" in tally("export", "1", "-o", "back").out
    back = tally.work / "back" / "a.txt"
    assert (back.read_bytes(), back.stat().st_mtime_ns) == (b"a\n", MTIME_NS)
    back.write_bytes(b"mine")
    ran = tally("export", "1", "-o", "back")
    assert (ran.code, "exists already" in ran.err, back.read_bytes()) == (2, True, b"mine")
    assert tally("export", "1", "-o", "back", "--force").code == 0
    assert back.read_bytes() == b"a\n"


def test_one_file_of_a_folder_is_written_alone(tally: Tally, folder: Path) -> None:
    tally("anchor", folder)
    assert tally("export", "1", "-o", "back", "--file", "sub/第12批.xlsx").code == 0
    assert list(tree(tally.work / "back")) == [f"{folder.name}/sub/第12批.xlsx"]
    assert tally("export", "1", "-o", "back", "--file", "a.txt").code == 0
    assert tally("export", "1", "-o", "back", "--file", "a.txt").code == 2
    ran = tally("export", "1", "-o", "other", "--file", "../a.txt")
    assert (ran.code, "has no file" in ran.err) == (2, True)
    tally("anchor", folder / "a.txt")
    assert tally("export", "2", "-o", "other", "--file", "a.txt").code == 2
    assert not (tally.work / "other").exists()


def test_what_was_not_kept_or_is_damaged_is_named_and_the_rest_written(
    tally: Tally, folder: Path
) -> None:
    (folder / "b.txt").write_bytes(b"b\n")
    tally("anchor", folder)
    original_of(tally, b"a\n").unlink()
    ran = tally("export", "1", "-o", "back")
    assert (ran.code, "a.txt" in ran.err, "not kept" in ran.err) == (2, True, True)
    assert "2 of 3 files" in ran.out
    shutil.copy(original_of(tally, b"not really\n"), original_of(tally, b"b\n"))
    made = tally.json("export", "1", "-o", "again", code=1)
    assert [Path(one["path"]).name for one in made["failed"]] == ["a.txt", "b.txt"]
    assert made["failed"][1]["code"] == "TALLY-E004"
    assert list(tree(tally.work / "again")) == [f"{folder.name}/sub/第12批.xlsx"]
    assert tally("export", "1", "-o", "third", "--file", "b.txt").code == 1


def test_damaged_manifest_is_told(tally: Tally, folder: Path) -> None:
    tally("anchor", folder)
    (manifest,) = [p for p in (tally.vault / "manifests").iterdir() if len(p.name) == 64]
    first, second = manifest.read_text().splitlines()
    manifest.write_text(f"{second}\n{first}\n")
    ran = tally("export", "1", "-o", "back")
    assert (ran.code, "is damaged" in ran.err) == (1, True)


def test_record_without_originals_is_told(tally: Tally, folder: Path) -> None:
    tally("anchor", folder / "a.txt", "--no-keep")
    ran = tally("export", "1", "-o", "back")
    assert (ran.code, ran.out, "was not kept" in ran.err) == (2, "", True)
    assert tally("export", "7", "-o", "back").code == 2
