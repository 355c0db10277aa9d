"""Durable writes keep the old file or the new one; what is read has a limit."""

import io
import os
import shutil
import stat
from pathlib import Path

import pytest

from ledger.doors import files
from ledger.doors.files import (
    durable_writer,
    free_bytes,
    make_folder,
    read_blocks,
    read_limited,
    write_durably,
)
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError

# Writing


def test_what_is_written_is_there_with_its_mode_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "file"
    write_durably(path, b"content")
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_existing_file_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    with pytest.raises(ConflictError, match="exists already") as caught:
        write_durably(path, b"new")
    assert caught.value.hint is not None
    assert "--force" in caught.value.hint
    assert path.read_bytes() == b"old"
    write_durably(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"


def test_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to("nowhere")
    with pytest.raises(ConflictError):
        write_durably(path, b"new")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_file_that_appears_meanwhile_is_overwritten_only_if_asked(
    tmp_path: Path, overwrite: bool
) -> None:
    path = tmp_path / "file"

    def write() -> None:
        with durable_writer(path, overwrite=overwrite) as file:
            path.write_bytes(b"another's")
            file.write(b"ours")

    if overwrite:
        write()
        assert path.read_bytes() == b"ours"
    else:
        with pytest.raises(ConflictError):
            write()
        assert path.read_bytes() == b"another's"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError("mid-way"), KeyboardInterrupt()])
def test_old_file_is_kept_when_the_block_raises(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    def write() -> None:
        with durable_writer(path, overwrite=True) as file:
            file.write(b"half of the n")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "link", "replace"])
def test_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    if step == "link":
        monkeypatch.setattr(os, "replace", full)
        path = tmp_path / "other"
    with pytest.raises(UnavailableError, match=r"cannot write .*No space left on device"):
        write_durably(path, b"new", overwrite=step != "link")
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]


def test_file_system_without_hard_links_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_durably(tmp_path / "file", b"content")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="cannot write"):
        write_durably(tmp_path / "file" / "below", b"")
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        make_folder(tmp_path / "file")


def test_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("密" * 85)
    write_durably(path, b"x")
    assert path.read_bytes() == b"x"


def test_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="File name too long"):
        write_durably(tmp_path / ("x" * 300), b"x")
    assert list(tmp_path.iterdir()) == []


# Reading


def test_file_up_to_the_limit_is_read_and_one_beyond_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_limited(path, 5) == b"12345"
    with pytest.raises(MalformedError, match="more than 4 bytes"):
        read_limited(path, 4)


def test_what_is_no_file_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(NotFoundError, match="no such file"):
            read_limited(path, 5)
    with pytest.raises(NotFoundError, match="is a folder, want a file"):
        read_limited(tmp_path, 5)


def test_file_that_may_not_be_read_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnavailableError, match=r"cannot read .*Permission denied"):
        read_limited(tmp_path / "file", 5)
    with pytest.raises(UnavailableError, match=r"cannot read .*Permission denied"):
        list(read_blocks(tmp_path / "file"))


def test_digest_of_a_stream_stops_at_the_limit() -> None:
    assert files.digest_stream(io.BytesIO(b"abc"), 3).size == 3
    with pytest.raises(MalformedError, match="more than 2 bytes"):
        files.digest_stream(io.BytesIO(b"abc"), 2)


def test_free_bytes_are_those_of_the_folders_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 < free_bytes(tmp_path) <= shutil.disk_usage(tmp_path).total
    with pytest.raises(UnavailableError, match="cannot see what is free at"):
        free_bytes(tmp_path / "none")
