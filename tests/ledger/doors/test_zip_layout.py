"""A ZIP is one archive and nothing else: no bytes before, between, behind or shared."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from ledger.doors.bundle_files import read_bundle
from ledger.doors.zip_layout import check_layout
from ledger.errors import MalformedError

FILES = {"bundle.json": b"{}", "README.txt": b"for people\n" * 40, "SHA256SUMS": b""}


def packed(compression: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
        archive.comment = comment
    return buffer.getvalue()


def streamed() -> bytes:
    """Written to a pipe: sizes come behind the contents."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.content = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, block: object) -> int:
            self.content += bytes(block)  # type: ignore[call-overload]
            return len(block)  # type: ignore[arg-type]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return bytes(pipe.content)


def check(content: bytes) -> None:
    file = io.BytesIO(content)
    with zipfile.ZipFile(file) as archive:
        check_layout(file, archive, len(content))


@pytest.mark.parametrize(
    "content",
    [packed(), packed(zipfile.ZIP_DEFLATED), packed(comment=b"repacked"), streamed()],
    ids=["stored", "deflated", "comment", "streamed"],
)
def test_what_common_tools_write_is_accepted(content: bytes) -> None:
    check(content)


def overlapping() -> bytes:
    """The directory's second row points into the first member."""
    content = bytearray(packed())
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    return bytes(content)


def gap() -> bytes:
    """Ten bytes between the last member and the directory, the end record knowing of them."""
    content = packed()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    moved = struct.pack("<I", start + 10)
    return content[:start] + bytes(10) + content[start : end + 16] + moved + content[end + 20 :]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!/bin/sh\n" + packed(), "does not begin where"),
        (packed() + b"\n", "stands behind"),
        (packed() + packed(), "does not begin where"),
        (overlapping(), "does not begin where"),
        (gap(), "directory does not begin"),
    ],
    ids=["before", "behind", "two", "overlapping", "gap"],
)
def test_what_two_readers_could_read_differently_is_refused(
    tmp_path: Path, content: bytes, words: str
) -> None:
    with pytest.raises(MalformedError, match=words):
        check(content)
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(MalformedError):
        read_bundle(tmp_path / "x.zip")


def test_every_truncation_is_refused() -> None:
    whole = packed()
    for length in range(len(whole)):
        with pytest.raises((MalformedError, zipfile.BadZipFile)):
            check(whole[:length])
