"""Kept originals come back byte for byte; a damaged one is noticed, a changed one not kept."""

import io
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyrage
import pytest

from ledger.doors.carrier import FileCarrier, read_carrier
from ledger.doors.keys import load_identity, make_identity
from ledger.errors import ConflictError, NotFoundError, UnavailableError, VerificationError
from ledger.holder.lock import Lock
from ledger.holder.originals import Originals, _Hashing, _seal


@pytest.fixture
def originals(tmp_path: Path) -> Originals:
    make_identity(tmp_path / "identity.txt")
    return Originals(tmp_path / "originals", Lock(tmp_path, lambda: None))


def digest(path: Path) -> bytes:
    carrier = read_carrier(path)
    assert isinstance(carrier, FileCarrier)
    return carrier.entry.sha256


def kept_file(tmp_path: Path) -> Path:
    [found] = [one for one in (tmp_path / "originals").rglob("*") if one.is_file()]
    return found


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3_000_000])
def test_original_comes_back_byte_for_byte(tmp_path: Path, originals: Originals, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes((b"\0\r\n\xff" * (size // 4 + 1))[:size])
    assert originals.keep(source, digest(source))
    assert originals.has(digest(source))
    assert not originals.keep(source, digest(source))
    originals.restore(digest(source), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_kept_copy_is_age_and_says_nothing(tmp_path: Path, originals: Originals) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"CANARY of the recipe " * 10)
    originals.keep(source, digest(source))
    content = kept_file(tmp_path).read_bytes()
    assert content.startswith(b"age-encryption.org/v1\n")
    assert b"CANARY" not in content
    identity = load_identity(tmp_path / "identity.txt")
    assert pyrage.decrypt(content, [identity]) == source.read_bytes()


def test_file_that_changed_since_it_was_read_is_not_kept(
    tmp_path: Path, originals: Originals
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"old")
    sha256 = digest(source)
    source.write_bytes(b"new")
    with pytest.raises(UnavailableError, match="source changed while it was kept"):
        originals.keep(source, sha256)
    source.unlink()
    with pytest.raises(UnavailableError, match=r"cannot keep .*No such file"):
        originals.keep(source, sha256)
    assert not originals.has(sha256)
    assert [one for one in (tmp_path / "originals").rglob("*") if one.is_file()] == []


def test_full_disk_keeps_nothing_half(
    tmp_path: Path, originals: Originals, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UnavailableError, match="No space left"):
        originals.keep(source, digest(source))
    assert not originals.has(digest(source))


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """The disk takes no more of any file: a write beyond fails as on a full one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 10, 70_000, 100_000, 180_000])
def test_disk_that_is_full_at_any_block_keeps_nothing_and_loses_nothing(
    tmp_path: Path, originals: Originals, size: int
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * size)
    sha256 = digest(source)
    originals.keep(source, sha256)
    whole = kept_file(tmp_path)
    content = whole.read_bytes()
    whole.unlink()
    # Beside the blocks there is a header, of a length by lot: room for the blocks is too little.
    blocks = 16 + size + 16 * max(1, -(-size // 65536))
    for room in (blocks, blocks - 1, max(0, blocks - 12_000), 0):
        with files_of_at_most(room), pytest.raises(UnavailableError):
            originals.keep(source, sha256)
        assert not originals.has(sha256)
        whole.write_bytes(content)
        with files_of_at_most(room), pytest.raises(UnavailableError):
            originals.reseal(sha256)
        assert whole.read_bytes() == content
        whole.unlink()


class FailingOnce(io.RawIOBase):
    """A file whose write number ``at`` fails, and no other: a fault that passed."""

    def __init__(self, at: int) -> None:
        self.at, self.writes = at, 0

    def writable(self) -> bool:
        return True

    def write(self, block: Any, /) -> int:
        self.writes += 1
        if self.writes == self.at:
            raise OSError(28, "No space left on device")
        return len(block)


@pytest.mark.parametrize("size", [0, 10, 70_000, 200_000])
def test_write_that_fails_once_is_told_whichever_it_was(size: int) -> None:
    recipients = [pyrage.x25519.Identity.generate().to_public()]
    whole = FailingOnce(0)
    _seal(_Hashing(io.BytesIO(bytes(size))), whole, recipients)  # type: ignore[arg-type]  # a raw file is written alike
    assert whole.writes > 0
    for at in range(1, whole.writes + 1):
        with pytest.raises((OSError, pyrage.EncryptError)):
            _seal(_Hashing(io.BytesIO(bytes(size))), FailingOnce(at), recipients)  # type: ignore[arg-type]  # the same


def test_source_that_fails_in_the_midst_is_told(
    tmp_path: Path, originals: Originals, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    assert originals.sealed  # the identity is read now: nothing else is, below
    monkeypatch.setattr(Path, "open", lambda *_, **__: Failing())
    with pytest.raises(UnavailableError, match=r"cannot keep .*Input/output error"):
        originals.keep(tmp_path / "source", bytes(32))


@pytest.mark.parametrize("position", ["header", "middle", "end", "cut", "empty"])
def test_damaged_copy_is_noticed_and_not_restored(
    tmp_path: Path, originals: Originals, position: str
) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(200_000))
    originals.keep(source, digest(source))
    path = kept_file(tmp_path)
    content = bytearray(path.read_bytes())
    match position:
        case "cut":
            content = content[:-1]
        case "empty":
            content = bytearray()
        case _:
            place = {"header": 30, "middle": len(content) // 2, "end": len(content) - 1}[position]
            content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(VerificationError, match="is damaged") as caught:
        originals.restore(digest(source), tmp_path / "back")
    assert caught.value.hint is not None
    assert not (tmp_path / "back").exists()


def test_copy_of_another_content_is_noticed(tmp_path: Path, originals: Originals) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        originals.keep(tmp_path / name, digest(tmp_path / name))
    one, two = (originals._path(digest(tmp_path / name)) for name in ("one", "two"))
    one.write_bytes(two.read_bytes())
    with pytest.raises(VerificationError, match="another content"):
        originals.restore(digest(tmp_path / "one"), tmp_path / "back")


def test_copy_encrypted_to_another_is_noticed(tmp_path: Path, originals: Originals) -> None:
    (tmp_path / "source").write_text("x")
    originals.keep(tmp_path / "source", digest(tmp_path / "source"))
    (tmp_path / "identity.txt").unlink()
    make_identity(tmp_path / "identity.txt")
    other = Originals(tmp_path / "originals", Lock(tmp_path, lambda: None))
    with pytest.raises(VerificationError, match="is damaged"):
        other.restore(digest(tmp_path / "source"), tmp_path / "back")


def test_restoring_overwrites_nothing_unless_forced(tmp_path: Path, originals: Originals) -> None:
    (tmp_path / "source").write_text("x")
    sha256 = digest(tmp_path / "source")
    originals.keep(tmp_path / "source", sha256)
    (tmp_path / "back").write_text("mine")
    with pytest.raises(ConflictError):
        originals.restore(sha256, tmp_path / "back")
    assert (tmp_path / "back").read_text() == "mine"
    originals.restore(sha256, tmp_path / "back", force=True)
    assert (tmp_path / "back").read_text() == "x"
    with pytest.raises(UnavailableError, match="cannot write"):
        originals.restore(sha256, tmp_path / "back" / "below")
    with pytest.raises(NotFoundError, match="was not kept"):
        originals.restore(bytes(32), tmp_path / "none")


def test_a_kept_copy_is_checked_without_writing_it_anywhere(
    tmp_path: Path, originals: Originals
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 200_000)
    originals.keep(source, digest(source))
    assert list(originals.all()) == [digest(source)]
    originals.check(digest(source))
    path = kept_file(tmp_path)
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:100], b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(VerificationError, match="damaged"):
            originals.check(digest(source))
        with pytest.raises(VerificationError, match="damaged"):
            originals.reseal(digest(source))
        assert path.read_bytes() == damaged
    path.unlink()
    with pytest.raises(NotFoundError):
        originals.check(digest(source))


def test_another_content_under_the_digest_is_not_taken_for_it(
    tmp_path: Path, originals: Originals
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    originals.keep(source, digest(source))
    other = tmp_path / "originals" / "00" / f"{'0' * 64}.age"
    other.parent.mkdir()
    kept_file(tmp_path).rename(other)
    with pytest.raises(VerificationError, match="another content"):
        originals.check(bytes(32))
    with pytest.raises(VerificationError, match="another content"):
        originals.reseal(bytes(32))


def test_to_whom_it_is_sealed_does_not_depend_on_the_order(tmp_path: Path) -> None:
    make_identity(tmp_path / "identity.txt")
    names = [str(pyrage.x25519.Identity.generate().to_public()) for _ in range(2)]
    sealed = {
        Originals(tmp_path, Lock(tmp_path, lambda: None), some).sealed
        for some in (names, names[::-1], names[:1], ())
    }
    assert len(sealed) == 3
