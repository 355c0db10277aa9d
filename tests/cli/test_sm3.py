"""Profile cn: SM3 beside SHA-256 from the file to the verdict; the other profile has none."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from ledger.doors.bundle_files import read_bundle
from ledger.record.record import sm3_of
from tests.cli.conftest import Tally


@pytest.fixture
def cn(tally: Tally) -> Tally:
    """A vault of profile cn."""
    settings = tally.vault / "tallystick.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("wanted =", 'profile = "cn"\nwanted ='), encoding="utf-8")
    return tally


def sm3(content: bytes) -> str:
    return sm3_of(content).hex()


def steps(verdict: dict[str, list[dict[str, str]]]) -> list[str]:
    return [one["code"] for one in verdict["findings"] if one["step"] == "carrier"]


def test_a_file_is_anchored_and_checked_with_both_digests(cn: Tally) -> None:
    path = cn.work / "配方.txt"
    path.write_bytes(b"310 K\n")
    cn.json("anchor", path)
    carrier = cn.json("show", "1")["carrier"]
    assert carrier["sha256"] == hashlib.sha256(b"310 K\n").hexdigest()
    assert carrier["sm3"] == sm3(b"310 K\n")
    trust = cn.vault / "development-trust.toml"
    for claims, found in (
        (["carrier"], ["file", "file-sm3"]),
        (["carrier.sm3"], ["file-sm3"]),
        (["carrier.sha256"], ["file"]),
    ):
        disclose = [word for claim in claims for word in ("--disclose", claim)]
        assert cn("bundle", "-o", "x.zip", "--force", *disclose).code == 0
        assert steps(cn.json("verify", "x.zip", path, "--trust", trust)) == found
        path.with_name("other").write_bytes(b"311 K\n")
        verdict = cn.json("verify", "x.zip", "other", "--trust", trust, code=1)
        assert steps(verdict) == ["no-match"]


def test_carriers_inside_a_bundle_are_hashed_as_its_records_say(cn: Tally, folder: Path) -> None:
    cn.json("anchor", folder)
    assert [one["sm3"] for one in cn.json("show", "1")["files"]] == [
        sm3(b"a\n"),
        sm3(b"not really\n"),
    ]
    words = ["--file", "a.txt", "--with-carriers", "-o", "x.zip"]
    assert cn("bundle", *words).code == 0
    trust = cn.vault / "development-trust.toml"
    unpacked = cn.work / "unpacked"
    with zipfile.ZipFile("x.zip") as archive:
        archive.extractall(unpacked)
    for place in ("x.zip", unpacked):
        held = read_bundle(Path(os.fspath(place))).carriers
        assert [digest.sm3 for digest in held.values()] == [sm3_of(b"a\n")]
        assert steps(cn.json("verify", place, "--trust", trust)) == ["line", "line-sm3"]


def test_other_profiles_make_no_sm3(tally: Tally, folder: Path) -> None:
    tally.json("anchor", folder / "a.txt")
    assert "sm3" not in tally.json("show", "1")["carrier"]
    assert tally("bundle", "--disclose", "carrier", "--with-carriers", "-o", "x.zip").code == 0
    assert [digest.sm3 for digest in read_bundle(Path("x.zip")).carriers.values()] == [None]


def test_an_unchanged_file_of_the_other_profile_is_no_new_record(cn: Tally, folder: Path) -> None:
    settings = cn.vault / "tallystick.toml"
    both = settings.read_text(encoding="utf-8")
    settings.write_text(both.replace('profile = "cn"\n', ""), encoding="utf-8")
    cn.json("anchor", folder)
    settings.write_text(both, encoding="utf-8")
    assert not cn.json("anchor", folder)["anchored"][0]["new"]
