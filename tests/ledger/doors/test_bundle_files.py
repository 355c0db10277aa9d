"""A bundle is read from a ZIP or a folder and written whole; one that deceives is refused."""

import hashlib
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.doors import bundle_files as files
from ledger.doors.bundle_files import read_bundle, write_bundle
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.proof.bundle import Bundle, Digest, make_index
from tests.deep import deep_folder

ENTRY = "0123456789abcdef"
CARRIER = f"carriers/{ENTRY}/第12批.csv"


def make_zip(path: Path, members: dict[str, bytes], *, compress: bool = False) -> Path:
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return path


def whole() -> dict[str, bytes]:
    return {"bundle.json": b"{}\n", "README.txt": b"read me\n", CARRIER: b"a,b\n1,2\n"}


def test_zip_and_folder_give_the_same_bundle(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", whole())
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "folder")
    want = Digest(8, hashlib.sha256(b"a,b\n1,2\n").digest())
    for place in (path, tmp_path / "folder"):
        bundle = read_bundle(place)
        assert dict(bundle.files) == {"bundle.json": b"{}\n", "README.txt": b"read me\n"}
        assert dict(bundle.carriers) == {CARRIER: want}


def test_repacked_zip_with_folder_members_and_compression_is_read(tmp_path: Path) -> None:
    members = {"carriers/": b"", f"carriers/{ENTRY}/": b"", **whole(), "checkpoints/": b""}
    path = make_zip(tmp_path / "x.zip", members, compress=True)
    assert list(read_bundle(path).carriers) == [CARRIER]


def test_bundle_is_written_the_same_twice_and_read_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"a,b\n1,2\n")
    digest = Digest(8, hashlib.sha256(b"a,b\n1,2\n").digest())
    bundle = Bundle({"bundle.json": b"{}\n"}, {CARRIER: digest})
    for name in ("one.zip", "two.zip"):
        write_bundle(tmp_path / name, bundle, {CARRIER: source}, force=False)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert read_bundle(tmp_path / "one.zip") == bundle


@pytest.mark.parametrize("content", [b"a,b\n1,3\n", b"a,b\n1,2\n\n", b""])
def test_carrier_that_changed_is_not_bundled_and_the_old_bundle_stays(
    tmp_path: Path, content: bytes
) -> None:
    source, path = tmp_path / "source", tmp_path / "x.zip"
    path.write_bytes(b"old")
    source.write_bytes(content)
    bundle = Bundle({}, {CARRIER: Digest(8, hashlib.sha256(b"a,b\n1,2\n").digest())})
    with pytest.raises(ConflictError, match="changed while the bundle was written"):
        write_bundle(path, bundle, {CARRIER: source}, force=True)
    source.unlink()
    with pytest.raises(UnavailableError, match=r"cannot read .*source"):
        write_bundle(path, bundle, {CARRIER: source}, force=True)
    assert path.read_bytes() == b"old"


def test_path_without_a_bundle_is_told(tmp_path: Path) -> None:
    for name in ("none.zip", "x" * 300):
        with pytest.raises(NotFoundError, match="no such bundle"):
            read_bundle(tmp_path / name)
    (tmp_path / "text.zip").write_bytes(b"this is no ZIP")
    with pytest.raises(MalformedError, match=r"text.zip is not a bundle") as caught:
        read_bundle(tmp_path / "text.zip")
    assert caught.value.hint is not None
    (tmp_path / "empty.zip").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("empty.zip", "pipe", "folder"):
        with pytest.raises(MalformedError, match="is not a bundle"):
            read_bundle(tmp_path / name)
    with pytest.raises(MalformedError, match=r"it has no bundle\.json"):
        read_bundle(make_zip(tmp_path / "other.zip", {"README.txt": b""}))


def _twice(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("README.txt", b"another")


def _patch(old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))

    return change


def _add(name: str, attributes: int = 0, content: bytes = b"x") -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes << 16
            archive.writestr(info, content)

    return change


def _encrypt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)


def _compress_with(method: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            struct.pack_into("<H", content, content.index(mark) + offset, method)
        path.write_bytes(content)

    return change


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "twice": (_twice, "in the ZIP twice"),
    "parent": (_add("../outside"), "unsafe path"),
    "parent-within": (_add("records/../../outside"), "unsafe path"),
    "absolute": (_add("/etc/outside"), "unsafe path"),
    "folder-outside": (_add("../", content=b""), "unsafe path"),
    "folder-with-content": (_add("hidden/"), "not a plain file"),
    "drive-and-backslash": (_add("c:\\outside"), "unsafe path"),
    "control": (_add("records/a\x1bb"), "unsafe path"),
    "bidi": (_add("records/a\u202eb"), "unsafe path"),
    "cut-at-nul": (_patch(b"README.txt", b"README\0txt"), "unsafe path"),
    "link": (_add("records/link", stat.S_IFLNK | 0o777), "is a link"),
    "pipe": (_add("records/pipe", stat.S_IFIFO | 0o600), "not a plain file"),
    "encrypted": (_encrypt, "is encrypted"),
    "bzip2": (_compress_with(12), "compression 12"),
    "lzma": (_compress_with(14), "compression 14"),
    "unknown": (_compress_with(99), "compression 99|not a bundle"),
    "content": (_patch(b"read me\n", b"read ME\n"), "is a damaged ZIP: Bad CRC-32"),
    "long": (_add("records/" + "x" * 1100), "more than 1024 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_zip_is_refused(tmp_path: Path, name: str) -> None:
    change, message = HOSTILE[name]
    path = make_zip(tmp_path / "x.zip", whole())
    change(path)
    with pytest.raises(MalformedError, match=message):
        read_bundle(path)


@pytest.mark.parametrize("where", ["content", "end"])
def test_a_zip_that_was_damaged_is_not_called_something_else(tmp_path: Path, where: str) -> None:
    path = make_zip(tmp_path / "x.zip", whole())
    content = path.read_bytes()
    damaged = {
        "content": content.replace(b"read me\n", b"read ME\n"),
        "end": content[:-30],
    }
    path.write_bytes(damaged[where])
    with pytest.raises(MalformedError, match=r"^x\.zip is a damaged ZIP: ") as caught:
        read_bundle(path)
    assert (
        caught.value.hint == "get it again, as it was sent: bytes changed or were lost on the way"
    )


@pytest.mark.parametrize("name", [".DS_Store", "J", f"{CARRIER}.bak", "stamps/1/README"])
def test_a_file_of_a_folder_that_its_index_does_not_list_is_named(
    tmp_path: Path, name: str
) -> None:
    """Whoever put it there, it shows nothing false of the bundle; in a ZIP it is judged."""
    place = tmp_path / "folder"
    place.mkdir()
    bundle = make_index(Bundle({"README.txt": b"read me\n"}, {}), {})
    for path, content in bundle.files.items():
        (place / path).write_bytes(content)
    assert read_bundle(place) == bundle
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(b"")
    with pytest.raises(MalformedError, match=f"^{name} is in the folder and not in its") as caught:
        read_bundle(place)
    assert caught.value.hint == "take it out of the folder, or give the ZIP as it came"
    zipped = make_zip(tmp_path / "x.zip", {**bundle.files, name: b""})
    assert name in {*read_bundle(zipped).files, *read_bundle(zipped).carriers}


def test_a_folder_without_a_name_is_called_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MalformedError, match=r"^\. is not a bundle: it has no bundle\.json"):
        read_bundle(Path())


def test_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1 << 20)
    for name in (CARRIER, "README.txt"):
        members = whole() | {name: bytes(16 << 20)}
        path = make_zip(tmp_path / "x.zip", members, compress=True)
        assert path.stat().st_size < 1 << 16
        with pytest.raises(MalformedError, match="more than"):
            read_bundle(path)


def test_bomb_of_many_carriers_is_refused_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1 << 20)
    carriers = {f"carriers/{ENTRY}/{number}": bytes(900_000) for number in range(20)}
    path = make_zip(tmp_path / "x.zip", whole() | carriers, compress=True)
    with pytest.raises(MalformedError, match="carriers unpack to more than"):
        read_bundle(path)


def test_limits_of_a_bundle_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_zip(tmp_path / "x.zip", whole())
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "folder")
    places = (path, tmp_path / "folder")
    with monkeypatch.context() as patch:
        patch.setattr(files, "MAX_FILES", 2)
        for place in places:
            with pytest.raises(MalformedError, match="3 files, want at most 2"):
                read_bundle(place)
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 10)
    for place in places:
        with pytest.raises(MalformedError, match="more than 10 bytes beside carriers"):
            read_bundle(place)


def mutations(content: bytes) -> Iterator[bytes]:
    for length in range(len(content)):
        yield content[:length]
    for position in range(len(content)):
        for change in (0x01, 0xFF):
            yield content[:position] + bytes([content[position] ^ change]) + content[position + 1 :]


def test_truncated_or_changed_zip_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    content = make_zip(tmp_path / "x.zip", whole()).read_bytes()
    path = tmp_path / "changed.zip"
    for changed in mutations(content):
        path.write_bytes(changed)
        try:
            bundle = read_bundle(path)
        except MalformedError:
            continue
        held = dict(bundle.files)
        assert held.pop("bundle.json") == b"{}\n"
        assert set(held.values()) <= {b"read me\n"}


def test_link_in_a_folder_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(b"{}\n")
    for target in ("bundle.json", "/", "nowhere"):
        (tmp_path / "link").symlink_to(target)
        with pytest.raises(MalformedError, match="'link' is not a plain file"):
            read_bundle(tmp_path)
        (tmp_path / "link").unlink()


def test_folder_with_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(b"{}\n")
    try:
        (tmp_path / os.fsdecode(b"caf\xe9")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    with pytest.raises(MalformedError, match="not UTF-8"):
        read_bundle(tmp_path)


def test_folder_deeper_than_python_can_recurse_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(b"{}\n")
    with (
        deep_folder(tmp_path, "d", 1200),
        pytest.raises(MalformedError, match="more than 1024 bytes"),
    ):
        read_bundle(tmp_path)
