"""One file's digests: known answers, one pass for both, and nothing of a file that is no file."""

import hashlib
import os
from pathlib import Path

import pytest

from ledger.doors import hashing
from ledger.doors.hashing import Sm3, hash_batch, hash_file
from ledger.errors import UnavailableError

ABC_SM3 = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
"""GB/T 32905-2016 A.1: the digest of "abc"."""


def test_sm3_has_the_answer_of_its_standard() -> None:
    digest = Sm3()
    digest.update(b"a")
    digest.update(memoryview(b"bc"))
    assert digest.digest().hex() == ABC_SM3


def test_sm3_is_made_only_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    os.utime(path, ns=(0, 5_000))
    sha256 = hashlib.sha256(b"abc").digest()
    assert hash_file(os.fspath(path)) == (3, sha256, 5, None)
    assert hash_file(os.fspath(path), sm3=True) == (3, sha256, 5, bytes.fromhex(ABC_SM3))


@pytest.mark.parametrize("size", [hashing.SMALL_BYTES + 1, 2 * hashing.BUFFER_BYTES + 7])
def test_a_big_file_is_read_once_for_both_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    (tmp_path / "big").write_bytes(content[:size])
    opened = []
    real = os.open

    def count(path: str, flags: int) -> int:
        opened.append(path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", count)
    seen = 0

    def progress(_files: int, size_bytes: int) -> None:
        nonlocal seen
        seen += size_bytes

    read = hash_file(os.fspath(tmp_path / "big"), sm3=True, progress=progress)
    wanted = Sm3()
    wanted.update(content[:size])
    assert read[0] == seen == size
    assert read[1] == hashlib.sha256(content[:size]).digest()
    assert read[3] == wanted.digest()
    assert len(opened) == 1


def test_in_a_batch_one_that_fails_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    good, link, absent = hash_batch(os.fspath(tmp_path), ["a", "link", "absent"], True)
    assert not isinstance(good, str)
    assert good[3] == bytes.fromhex(ABC_SM3)
    assert isinstance(link, str)
    assert absent == "no such file or directory"


def test_a_folder_or_device_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="a folder"):
        hash_file(os.fspath(tmp_path))
    with pytest.raises(UnavailableError, match="a device"):
        hash_file(os.devnull)


@pytest.mark.slow
def test_a_file_mostly_of_holes_is_read_as_zeros(tmp_path: Path) -> None:
    size = 4 << 30
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(size)
    if path.stat().st_blocks * 512 >= size:
        pytest.skip("this file system has no sparse files")
    block, wanted = bytes(1 << 24), hashlib.sha256()
    for _ in range(size >> 24):
        wanted.update(block)
    assert hash_file(os.fspath(path))[:2] == (size, wanted.digest())
