"""Carriers are read exactly, or refused by name: odd names, links, devices, files that change."""

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from ledger.doors import carrier as door
from ledger.doors import hashing
from ledger.doors.carrier import FileCarrier, FolderCarrier, read_carrier, walk
from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.record.manifest import FileEntry, make_lines
from tests.deep import deep_folder


def read_file(path: Path) -> FileEntry:
    carrier = read_carrier(path)
    assert isinstance(carrier, FileCarrier)
    return carrier.entry


def read_folder(path: Path, **options: Any) -> tuple[FileEntry, ...]:
    carrier = read_carrier(path, **options)
    assert isinstance(carrier, FolderCarrier)
    return carrier.entries


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "数据").mkdir(parents=True)
    (made / "b.txt").write_bytes(b"b")
    (made / "数据" / "第12批.csv").write_bytes(b"1,2\n")
    (made / "a").write_bytes(b"")
    return made


class Lazy(Executor):
    """An executor that runs at once, in this process, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize(
    "size", [0, 1, 32768, 32769, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3000000]
)
def test_file_of_any_size_is_read_whole(tmp_path: Path, size: int) -> None:
    content = os.urandom(1024) * (size // 1024 + 1)
    path = tmp_path / "x"
    path.write_bytes(content[:size])
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    entry = read_file(path)
    assert (entry.path, entry.size) == ("x", size)
    assert entry.sha256 == hashlib.sha256(content[:size]).digest()
    assert entry.mtime == 1_700_000_000_123_456


def test_folder_is_read_sorted_with_relative_paths(folder: Path) -> None:
    entries = read_folder(folder)
    assert [entry.path for entry in entries] == ["a", "b.txt", "数据/第12批.csv"]
    assert entries[2].sha256 == hashlib.sha256(b"1,2\n").digest()


def test_path_is_absolute_and_the_name_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert read_carrier(Path()).path == folder.resolve()
    assert read_carrier(Path("a")).path == folder.resolve() / "a"
    assert read_file(Path("数据/../a")).path == "a"


def test_link_to_a_folder_above_is_no_way_around_the_links_rule(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(MalformedError, match="is a link, not a file or folder") as caught:
        read_carrier(tmp_path / "link")
    assert caught.value.hint is not None


@pytest.mark.parametrize("name", ["loop", "dangling"])
def test_link_to_nothing_is_refused_as_a_link(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(MalformedError, match="is a link"):
        read_carrier(tmp_path / name)


def test_nothing_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in ("none", "file/below", "x" * 300, "a/" * 3000):
        with pytest.raises(NotFoundError, match="no such file or folder"):
            read_carrier(tmp_path / path)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "below").mkdir(parents=True)
    with pytest.raises(MalformedError, match="no file to read in") as caught:
        read_carrier(tmp_path / "empty")
    assert caught.value.hint is not None
    (tmp_path / "empty" / "link").symlink_to("below")
    with pytest.raises(MalformedError, match="no file to read in"):
        read_carrier(tmp_path / "empty", skip_unreadable=True)


def make_odd(folder: Path) -> dict[str, str]:
    """Odd things in ``folder``: shown name to reason."""
    (folder / "link").symlink_to("b.txt")
    (folder / "link-to-folder").symlink_to("/")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.fspath(folder / "socket"))
    odd = {"link": "a link", "link-to-folder": "a link", "pipe": "a pipe", "socket": "a socket"}
    reason = "name has a control bidi or backslash character"
    for name, shown in (
        ("new\nline", "new%0Aline"),
        ("bidi\u202efdp.exe", "bidi%E2%80%AEfdp.exe"),
        ("back\\slash", "back%5Cslash"),
        ("\x9b31m", "%C2%9B31m"),
    ):
        (folder / name).write_bytes(b"x")
        odd[shown] = reason
    (folder / "tab\tfolder").mkdir()
    (folder / "tab\tfolder" / "inside").write_bytes(b"x")
    odd["tab%09folder"] = reason
    try:
        (folder / os.fsdecode(b"caf\xe9")).write_bytes(b"x")
        odd["caf%E9"] = "name is not utf-8"
    except OSError:  # a file system that wants names in UTF-8
        pass
    return odd


def test_odd_things_in_a_folder_are_refused_by_name(folder: Path) -> None:
    odd = make_odd(folder)
    with pytest.raises(UnavailableError, match=f"{len(odd)} cannot be read") as caught:
        read_carrier(folder)
    assert f"and {len(odd) - 5} more" in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.hint is not None
    assert "--skip-unreadable" in caught.value.hint


def test_odd_things_are_recorded_as_skipped_when_asked(folder: Path) -> None:
    odd = make_odd(folder)
    entries = read_folder(folder, skip_unreadable=True)
    assert {entry.path: entry.skipped for entry in entries if entry.skipped} == odd
    assert [entry.path for entry in entries if not entry.skipped] == [
        "a",
        "b.txt",
        "数据/第12批.csv",
    ]
    assert len(make_lines(entries, bytes)) == len(entries)


@pytest.mark.parametrize("name", [b"caf\xe9", b"caf\xe9/file"])
def test_name_that_is_not_utf8_is_refused(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    with pytest.raises(MalformedError, match=r"name is not utf-8: .*caf%E9") as caught:
        read_carrier(path)
    assert caught.value.hint is not None


def test_longest_names_are_read(tmp_path: Path) -> None:
    name = "密" * 85
    (tmp_path / name).mkdir()
    (tmp_path / name / name).write_bytes(b"x")
    assert [entry.path for entry in read_folder(tmp_path)] == [f"{name}/{name}"]


def test_folder_deeper_than_python_can_recurse_is_read(tmp_path: Path) -> None:
    with deep_folder(tmp_path, "d", 1500):
        assert [entry.size for entry in read_folder(tmp_path)] == [0]


def test_folder_too_deep_for_the_system_is_refused_by_name(tmp_path: Path) -> None:
    with (
        deep_folder(tmp_path, "d" * 250, 20),
        pytest.raises(UnavailableError, match="unreadable folder - file name too long"),
    ):
        read_carrier(tmp_path)


def fail_to(call: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make the system refuse ``call`` for paths that end in ``name`` (root may read everything)."""
    real: Callable[..., Any] = getattr(os, call)

    def refuse(path: Any, *args: Any, **options: Any) -> Any:
        if os.fspath(path).endswith(name):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(os, call, refuse)


def test_unreadable_file_is_refused_by_name_or_skipped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to("open", monkeypatch, "b.txt")
    with pytest.raises(UnavailableError, match=r"b\.txt: permission denied"):
        read_carrier(folder)
    entries = read_folder(folder, skip_unreadable=True)
    assert [(one.path, one.skipped) for one in entries if one.skipped] == [
        ("b.txt", "permission denied")
    ]
    with pytest.raises(
        UnavailableError, match=r"cannot read .*b\.txt: permission denied"
    ) as caught:
        read_carrier(folder / "b.txt")
    assert caught.value.hint is not None


def test_unreadable_folder_is_refused_by_name_or_skipped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to("scandir", monkeypatch, "数据")
    with pytest.raises(UnavailableError, match="数据: unreadable folder - permission denied"):
        read_carrier(folder)
    skipped = [entry.path for entry in read_folder(folder, skip_unreadable=True) if entry.skipped]
    assert skipped == ["数据"]
    fail_to("scandir", monkeypatch, "folder")
    with pytest.raises(UnavailableError, match=r"\.: unreadable folder"):
        read_carrier(folder)
    with pytest.raises(MalformedError, match="no file to read"):
        read_carrier(folder, skip_unreadable=True)


@pytest.mark.parametrize("size", [10, 100_000])
def test_file_that_keeps_changing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(size))
    tries = 0
    real = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        nonlocal tries
        tries += 1
        with path.open("ab") as file:
            file.write(b"one more line\n")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(UnavailableError, match="changed while it was read"):
        read_carrier(path)
    assert tries == 2 * hashing.READ_TRIES


def test_file_that_changes_once_is_read_as_it_then_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    real, seen = os.read, []

    def read(descriptor: int, size: int) -> bytes:
        block = real(descriptor, size)
        if not seen:
            seen.append(block)
            path.write_bytes(b"newer")
        return block

    monkeypatch.setattr(os, "read", read)
    assert read_file(path).sha256 == hashlib.sha256(b"newer").digest()


def test_file_swapped_for_a_pipe_does_not_hang(folder: Path) -> None:
    names = [name for name, reason in walk(folder) if reason is None]
    (folder / "b.txt").unlink()
    os.mkfifo(folder / "b.txt")
    (folder / "a").unlink()
    (folder / "a").symlink_to("数据/第12批.csv")
    results = dict(zip(names, hashing.hash_batch(os.fspath(folder), names, False), strict=True))
    assert results["b.txt"] == "a pipe"
    assert isinstance(results["a"], str)


def many(folder: Path, count: int) -> Iterator[Path]:
    for number in range(count):
        path = folder / f"{number:05}"
        path.write_bytes(b"%d" % number)
        yield path


def test_given_executor_hashes_and_gives_the_same(folder: Path) -> None:
    count = len(list(many(folder, door.BATCH_FILES + 1)))
    executor = Lazy()
    entries = read_folder(folder, executor=executor)
    assert entries == read_folder(folder)
    assert len(entries) == count + 3
    assert executor.calls == 2
    with ThreadPoolExecutor(2) as threads:
        assert read_folder(folder, executor=threads) == entries


def test_processes_give_what_one_process_gives(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(many(folder, 600))
    alone = read_folder(folder)
    monkeypatch.setattr(door, "PROCESS_THRESHOLD", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert read_folder(folder) == alone


def test_process_that_died_is_told(folder: Path) -> None:
    class Broken(Lazy):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenProcessPool("it was killed"))
            return future

    with pytest.raises(UnavailableError, match="a process that was hashing is gone") as caught:
        read_carrier(folder, executor=Broken())
    assert caught.value.hint is not None


def test_progress_counts_every_file_and_byte(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    read_folder(folder, progress=lambda files, size: seen.append((files, size)))
    assert [sum(column) for column in zip(*seen, strict=True)] == [3, 5]
    seen.clear()
    (folder / "big").write_bytes(bytes(3_000_000))
    read_carrier(folder / "big", progress=lambda files, size: seen.append((files, size)))
    assert sum(size for _, size in seen) == 3_000_000
