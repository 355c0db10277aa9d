"""Pieces of files on disk: the scheme by content, and the very bytes that were read before."""

import hashlib
import os
from pathlib import Path

import pytest

from ledger.doors import pieces
from ledger.doors.carrier import FileCarrier, read_carrier
from ledger.doors.files import BUFFER_BYTES
from ledger.doors.pieces import choose_scheme, digest_places, read_parts
from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.record.manifest import FileEntry
from ledger.record.parts import MAX_NOTEBOOK_BYTES, PIECE_BYTES

NOTEBOOK = b'{"cells": [{"cell_type": "code"}, {"cell_type": "raw"}], "nbformat": 4}'


def made(folder: Path, content: bytes, name: str = "x") -> tuple[Path, FileEntry]:
    path = folder / name
    path.write_bytes(content)
    carrier = read_carrier(path)
    assert isinstance(carrier, FileCarrier)
    return path, carrier.entry


@pytest.mark.parametrize(
    ("name", "content", "chosen", "forced"),
    [
        ("a.png", "编号\n1\n".encode(), "lines", "lines"),
        ("a.txt", b"\x89PNG\r\n\0", None, "bytes-64k"),
        ("a.csv", b"caf\xe9\n", None, "bytes-64k"),
        ("a.txt", NOTEBOOK, "ipynb-cells", "ipynb-cells"),
        ("a.ipynb", NOTEBOOK[:-1], "lines", "lines"),
        ("a.json", b" {}", "lines", "lines"),
        ("a.txt", b"", None, None),
    ],
)
def test_scheme_is_told_by_content_and_not_by_name(
    tmp_path: Path, name: str, content: bytes, chosen: str | None, forced: str | None
) -> None:
    path, entry = made(tmp_path, content, name)
    assert choose_scheme(path, entry.size, None) == chosen
    assert choose_scheme(path, entry.size, True) == forced
    assert choose_scheme(path, entry.size, False) is None


def test_bigger_texts_have_parts_only_if_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MAX_TEXT_BYTES", 3)
    for content, chosen, forced in ((b"a\nb", "lines", "lines"), (b"a\nbc", None, "bytes-64k")):
        path, entry = made(tmp_path, content)
        assert choose_scheme(path, entry.size, None) == chosen
        assert choose_scheme(path, entry.size, True) == forced


def test_texts_of_too_many_lines_and_notebooks_of_too_many_cells_are_cut_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MAX_PARTS", 1)
    assert choose_scheme(made(tmp_path, b"a\n")[0], 2, None) == "lines"
    assert choose_scheme(made(tmp_path, b"a\nb")[0], 3, None) == "bytes-64k"
    assert choose_scheme(made(tmp_path, NOTEBOOK)[0], len(NOTEBOOK), None) == "lines"
    path, _ = made(tmp_path, b"\0")
    assert choose_scheme(path, PIECE_BYTES, True) == "bytes-64k"
    with pytest.raises(MalformedError, match="more than 1 pieces"):
        choose_scheme(path, PIECE_BYTES + 1, True)


def test_parts_are_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    content = b"".join(b"%d,830\n" % number for number in range(BUFFER_BYTES // 6))
    for scheme in ("lines", "bytes-64k"):
        path, entry = made(tmp_path, content)
        parts = list(read_parts(path, entry, scheme))
        assert b"".join(content[part.offset : part.stop] for part in parts) == content
    path, entry = made(tmp_path, NOTEBOOK)
    assert len(list(read_parts(path, entry, "ipynb-cells"))) == 2


@pytest.mark.parametrize("scheme", ["lines", "bytes-64k", "ipynb-cells"])
@pytest.mark.parametrize("after", [NOTEBOOK.replace(b"4", b" 4"), b"", b"\xff", NOTEBOOK[:-1]])
def test_a_file_that_changed_since_it_was_read_has_no_parts(
    tmp_path: Path, scheme: str, after: bytes
) -> None:
    path, entry = made(tmp_path, NOTEBOOK)
    path.write_bytes(after)
    with pytest.raises(UnavailableError, match="changed while it was read"):
        list(read_parts(path, entry, scheme))


def test_a_notebook_that_grew_over_the_limit_has_changed(tmp_path: Path) -> None:
    path, entry = made(tmp_path, NOTEBOOK)
    path.write_bytes(NOTEBOOK + bytes(MAX_NOTEBOOK_BYTES))
    with pytest.raises(UnavailableError, match="changed while it was read"):
        list(read_parts(path, entry, "ipynb-cells"))


def test_a_file_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    path, entry = made(tmp_path, b"a")
    path.unlink()
    with pytest.raises(NotFoundError, match="no such file"):
        choose_scheme(path, 1, None)
    with pytest.raises(UnavailableError, match="cannot read"):
        list(read_parts(path, entry, "lines"))


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path, entry = made(tmp_path, b"a")
    path.unlink()
    path.mkdir()
    with pytest.raises(UnavailableError, match="cannot read"):
        list(read_parts(path, entry, "lines"))


def test_places_in_a_file_have_the_digests_of_their_bytes(tmp_path: Path) -> None:
    content = b"0123456789" * (BUFFER_BYTES // 5)
    path, entry = made(tmp_path, content)
    big = (3, BUFFER_BYTES + 7)
    places = [(0, 1), big, (len(content) - 1, 1), (len(content) - 1, 2), (1 << 52, 1)]
    assert digest_places(path, places, entry.size) == {
        (offset, size, hashlib.sha256(content[offset : offset + size]).digest())
        for offset, size in places[:3]
    }
    # It is shorter than it was a moment ago.
    path.write_bytes(b"0")
    assert {place[0] for place in digest_places(path, places, entry.size)} == {0}
    path.unlink()
    with pytest.raises(UnavailableError):
        digest_places(path, places, entry.size)
