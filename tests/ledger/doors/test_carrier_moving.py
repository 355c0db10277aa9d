"""Folders that change under our eyes, and what the system withholds: told by name, always."""

import os
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.doors.carrier import FolderCarrier, read_carrier
from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.record.manifest import FileEntry, make_lines


def entries_of(folder: Path, **options: Any) -> tuple[FileEntry, ...]:
    carrier = read_carrier(folder, **options)
    assert isinstance(carrier, FolderCarrier)
    return carrier.entries


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (made / name).write_bytes(name.encode())
    return made


def before(call: str, name: str, act: Callable[[], object], patch: pytest.MonkeyPatch) -> None:
    """Have ``act`` done once, right before the system is asked ``call`` about a path so named."""
    real: Callable[..., Any] = getattr(os, call)
    waiting = [act]

    def acting(path: Any, *args: Any, **options: Any) -> Any:
        if waiting and os.fspath(path).endswith(name):
            waiting.pop()()
        return real(path, *args, **options)

    patch.setattr(os, call, acting)


def test_a_file_that_vanished_since_the_walk_is_refused_by_name_or_skipped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before("open", "b", (folder / "b").unlink, monkeypatch)
    with pytest.raises(UnavailableError, match="b: no such file or directory"):
        read_carrier(folder)
    (folder / "b").write_bytes(b"b")
    before("open", "b", (folder / "b").unlink, monkeypatch)
    skipped = {one.path: one.skipped for one in entries_of(folder, skip_unreadable=True)}
    assert skipped == {"a": None, "b": "no such file or directory", "sub/c": None}


def test_a_folder_that_vanished_while_walking_is_refused_by_name_or_skipped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish() -> None:
        (folder / "sub" / "c").unlink()
        (folder / "sub").rmdir()

    before("scandir", "sub", vanish, monkeypatch)
    with pytest.raises(UnavailableError, match="sub: unreadable folder - no such file"):
        read_carrier(folder)
    (folder / "sub").mkdir()
    (folder / "sub" / "c").write_bytes(b"c")
    before("scandir", "sub", vanish, monkeypatch)
    skipped = [one.path for one in entries_of(folder, skip_unreadable=True) if one.skipped]
    assert skipped == ["sub"]


def test_a_folder_swapped_for_a_link_while_walking_is_not_left(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_bytes(b"not yours")

    def swap() -> None:
        (folder / "sub").rename(folder.parent / "moved")
        (folder / "sub").symlink_to(tmp_path / "elsewhere")

    before("scandir", "sub", swap, monkeypatch)
    with pytest.raises(UnavailableError, match="sub: a link"):
        read_carrier(folder)


def test_the_folder_itself_that_vanished_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before("scandir", "folder", lambda: folder.rename(folder.parent / "gone"), monkeypatch)
    with pytest.raises(UnavailableError, match="unreadable folder"):
        read_carrier(folder)
    with pytest.raises(NotFoundError):
        read_carrier(folder)


def test_files_that_come_and_go_are_read_or_told_never_mixed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While one is read the others change: each that is told of is as it was at one moment.
    real = os.fstat
    turns: Iterator[int] = iter(range(10**6))

    def stir(descriptor: int) -> os.stat_result:
        turn = next(turns)
        if turn % 5 == 0:
            (folder / "a").write_bytes(b"a" * (turn % 7 + 1))
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", stir)
    for _ in range(50):
        try:
            found = {one.path: one for one in entries_of(folder)}
        except UnavailableError:
            continue
        assert found.keys() == {"a", "b", "sub/c"}
        assert found["b"].size == 1


def test_two_names_alike_under_nfc_are_refused_by_name(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        (tmp_path / unicodedata.normalize(form, "résumé")).write_bytes(form.encode())
    entries = entries_of(tmp_path)
    if len(entries) < 2:
        pytest.skip("this file system holds the two names for one")
    with pytest.raises(MalformedError, match="is there twice under NFC"):
        make_lines(entries, bytes)


@pytest.fixture
def nobody() -> Iterator[None]:
    """Whoever is root, and may read everything, is not for a while."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield
    os.seteuid(was)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that everybody may enter, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "sub").mkdir()
        (folder / "b").write_bytes(b"b")
        yield folder


@pytest.mark.parametrize(
    ("name", "said"),
    [("b", "b: permission denied"), ("sub", "sub: unreadable folder - permission denied")],
)
def test_permissions_of_the_system_are_told_by_name(
    open_to_all: Path, request: pytest.FixtureRequest, name: str, said: str
) -> None:
    (open_to_all / name).chmod(0)
    request.getfixturevalue("nobody")
    with pytest.raises(UnavailableError, match=said):
        read_carrier(open_to_all)


def test_a_device_is_refused_by_name() -> None:
    with pytest.raises(MalformedError, match="is a device, not a file or folder"):
        read_carrier(Path(os.devnull))


def test_a_file_with_holes_is_read_as_it_is(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(5_000_000)
        file.seek(2_500_000)
        file.write(b"x")
    (entry,) = entries_of(tmp_path)
    assert entry.size == 5_000_000
