"""Paths in a bundle and its index: exactly what we write, and nothing else."""

import hashlib

import pytest

from ledger.errors import MalformedError
from ledger.proof.bundle import (
    INDEX,
    MAX_FILES,
    MAX_INDEX_BYTES,
    MAX_PATH_BYTES,
    SUMS,
    Bundle,
    Digest,
    Index,
    Listed,
    check_path_name,
    format_consistency,
    format_index,
    format_sums,
    make_index,
    parse_consistency,
    parse_index,
    place_of,
)
from ledger.record.strict_json import format_json

E = "0123456789abcdef"
GOOD_PATHS = {
    f"records/{E}.sd-jwt": "record",
    f"manifests/{E}.lines": "lines",
    f"proofs/{E}-0.tlog-proof": "proof",
    f"proofs/{E}-9223372036854775807.tlog-proof": "proof",
    "checkpoints/12": "checkpoint",
    "consistency/3-12": "consistency",
    "stamps/12/tsa.example-1-0a1b2c3d.tsr": "stamp",
    f"stamps/not-before/{'ab' * 32}.tst": "not-before",
    f"material/{E}.pem": "certificate",
    f"material/{E}.crl": "crl",
    f"material/{E}.ocsp": "ocsp",
    "material/ledger.vkey": "vkeys",
    f"carriers/{E}/数据/第12批 结果.csv": "carrier",
    "README.txt": "readme",
    "SHA256SUMS": "sums",
    "bundle.json": "index",
}


@pytest.mark.parametrize(("path", "kind"), GOOD_PATHS.items())
def test_each_kind_of_file_has_its_place(path: str, kind: str) -> None:
    assert place_of(path).kind == kind


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "/bundle.json",
        "./bundle.json",
        "../bundle.json",
        "bundle.json/",
        "BUNDLE.JSON",
        "bundle.json\n",
        f"records/{E}.sd-jwt.bak",
        f"records/{E.upper()}.sd-jwt",
        f"records/{E}0.sd-jwt",
        f"records//{E}.sd-jwt",
        f"proofs/{E}-01.tlog-proof",
        f"proofs/{E}-.tlog-proof",
        f"proofs/{E}--1.tlog-proof",
        "checkpoints/9223372036854775808",
        "checkpoints/99999999999999999999",
        "checkpoints/٣",
        "checkpoints/+1",
        "consistency/3-9223372036854775808",
        "stamps/12/TSA-0a1b2c3d.tsr",
        "stamps/12/-0a1b2c3d.tsr",
        "stamps/12/tsa-0a1b2c3.tsr",
        "stamps/not-before/ab.tst",
        "material/roots.pem",
        f"carriers/{E}",
        f"carriers/{E}/",
        f"carriers/{E}/a/../b",
        f"carriers/{E}/a\\b",
        f"carriers/{E}/a\x00b",
        f"carriers/{E}/a\u202eb",
        f"carriers/{E}/a\u0085b",
        f"carriers/{E}/\ud800",
        f"carriers/{E}/" + MAX_PATH_BYTES * "a",
        "carriers/x/a.txt",
        "carriers/a.txt",
        "evidence/er.ers",
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(MalformedError):
        place_of(path)


def test_a_path_has_at_most_1024_bytes_not_characters() -> None:
    check_path_name(MAX_PATH_BYTES // 3 * "批")
    with pytest.raises(MalformedError, match="more than 1024 bytes"):
        check_path_name((MAX_PATH_BYTES // 3 + 1) * "批")


def test_files_that_no_bundle_has_are_of_no_kind() -> None:
    bundle = Bundle({"checkpoints/2": b"", "junk": b"", "checkpoints/10": b""}, {})
    assert [path for path, _ in bundle.of_kind("checkpoint")] == ["checkpoints/10", "checkpoints/2"]


ENTRY = bytes(range(64))
INDEXED = Index(
    (
        Listed(f"carriers/{E}/数据.csv", 7, bytes(32)),
        Listed("checkpoints/2", 0, hashlib.sha256(b"").digest()),
    ),
    ((f"records/{ENTRY.hex()[:16]}.sd-jwt", ENTRY),),
)


def test_an_index_is_read_back_as_it_was_written() -> None:
    assert parse_index(format_index(INDEXED)) == INDEXED
    empty = Index((), ())
    assert format_index(empty) == b'{"files":[],"records":[],"v":1}\n'
    assert parse_index(format_index(empty)) == empty


def test_every_truncation_of_an_index_is_refused() -> None:
    content = format_index(INDEXED)
    for length in range(len(content)):
        with pytest.raises(MalformedError):
            parse_index(content[:length])


def test_every_one_byte_change_of_an_index_is_refused_or_another_index() -> None:
    content = format_index(INDEXED)
    for offset in range(len(content)):
        for byte in (content[offset] ^ 1, content[offset] ^ 0x20, 0x30, 0x00, 0xFF):
            changed = content[:offset] + bytes([byte]) + content[offset + 1 :]
            if changed == content:
                continue
            try:
                index = parse_index(changed)
            except MalformedError:
                continue
            assert format_index(index) == changed
            assert index != INDEXED


@pytest.mark.parametrize("extra", [b"\n", b" ", b"\0", b"{}", b"\xff"])
def test_bytes_after_an_index_are_refused(extra: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_index(format_index(INDEXED) + extra)


def _index(**changes: object) -> bytes:
    row = {"path": "checkpoints/2", "sha256": "00" * 32, "size": 1}
    record = {"entry": ENTRY.hex(), "path": f"records/{E}.sd-jwt"}
    whole: dict[str, object] = {"files": [row], "records": [record], "v": 1}
    for name, value in changes.items():
        if name in whole:
            whole[name] = value
        elif name in {"entry", "record_path"}:
            record[name.removeprefix("record_")] = value  # type: ignore[assignment]
        else:
            row[name] = value
    return format_json(whole) + b"\n"  # type: ignore[arg-type]


ROW = {"path": "checkpoints/2", "sha256": "00" * 32, "size": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": True},
        {"v": "1"},
        {"v": None},
        {"files": {}},
        {"files": None},
        {"records": {}},
        {"files": [[]]},
        {"records": [[]]},
        {"files": [ROW, ROW]},
        {"files": [ROW, {**ROW, "path": "checkpoints/1"}]},
        {"files": [{**ROW, "path": INDEX}]},
        {"files": [{**ROW, "path": SUMS}]},
        {"size": True},
        {"size": -1},
        {"size": "1"},
        {"size": None},
        {"sha256": "00" * 31},
        {"sha256": "AB" * 32},
        {"sha256": 0},
        {"path": "../x"},
        {"path": "junk"},
        {"path": 1},
        {"more": 1},
        {"entry": "00" * 63},
        {"entry": "AB" * 64},
        {"entry": 0},
        {"record_path": "checkpoints/2"},
        {"record_path": "records/x"},
        {"record_more": 1},
    ],
)
def test_an_index_of_another_shape_is_refused(changes: dict[str, object]) -> None:
    parse_index(_index())
    with pytest.raises(MalformedError):
        parse_index(_index(**changes))


def test_an_index_with_a_record_twice_is_refused() -> None:
    row = {"entry": ENTRY.hex(), "path": f"records/{E}.sd-jwt"}
    with pytest.raises(MalformedError, match="twice"):
        parse_index(_index(records=[row, row]))
    with pytest.raises(MalformedError, match="twice"):
        parse_index(_index(records=[row, {**row, "entry": "00" * 64}]))


def test_an_index_with_missing_members_or_another_spelling_is_refused() -> None:
    for content in (b"[]", b"1", b"{}", b'{"files":[],"records":[]}\n'):
        with pytest.raises(MalformedError, match="version 1"):
            parse_index(content)
    with pytest.raises(MalformedError, match="canonical"):
        parse_index(b'{"files": [],"records":[],"v":1}\n')
    with pytest.raises(MalformedError, match="canonical"):
        parse_index(b'{"records":[],"files":[],"v":1}\n')


def test_an_index_above_its_limits_is_refused() -> None:
    with pytest.raises(MalformedError, match="want at most"):
        parse_index(b" " * (MAX_INDEX_BYTES + 1))
    with pytest.raises(MalformedError, match="within the limits"):
        parse_index(_index(files=[0] * (MAX_FILES + 1)))


def test_make_index_lists_every_other_file_by_path_and_its_sums() -> None:
    bundle = Bundle({"README.txt": b"read", "checkpoints/2": b""}, {f"carriers/{E}/é": INDEXED_})
    made = make_index(bundle, {f"records/{E}.sd-jwt": ENTRY})
    index = parse_index(made.files[INDEX])
    assert [row.path for row in index.files] == ["README.txt", f"carriers/{E}/é", "checkpoints/2"]
    sums = made.files[SUMS].decode()
    assert sums.splitlines() == [
        f"{hashlib.sha256(b'read').hexdigest()}  README.txt",
        f"{hashlib.sha256(made.files[INDEX]).hexdigest()}  bundle.json",
        f"{'00' * 32}  carriers/{E}/é",
        f"{hashlib.sha256(b'').hexdigest()}  checkpoints/2",
    ]
    assert make_index(made, {f"records/{E}.sd-jwt": ENTRY}) == made


INDEXED_ = Digest(5, bytes(32))


def test_sums_are_sorted_by_the_bytes_of_the_paths() -> None:
    rows = [Listed(path, 0, bytes(32)) for path in ("\uffee", "\U0001f600", "a")]
    lines = format_sums(rows).decode().splitlines()
    assert [line[66:] for line in lines] == ["a", "\uffee", "\U0001f600"]


HASHES = (bytes(32), bytes(range(32)), b"\xff" * 32)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_consistency_file_is_read_back_as_it_was_written(count: int) -> None:
    assert parse_consistency(format_consistency(HASHES[:count])) == HASHES[:count]


def test_every_truncation_and_change_of_a_consistency_file_is_refused_or_another_path() -> None:
    content = format_consistency(HASHES)
    for length in set(range(len(content))) - {0, 45, 90}:
        with pytest.raises(MalformedError):
            parse_consistency(content[:length])
    for offset in range(len(content)):
        for byte in (content[offset] ^ 1, 0x0A, 0x3D, 0xFF):
            changed = content[:offset] + bytes([byte]) + content[offset + 1 :]
            if changed == content:
                continue
            try:
                path = parse_consistency(changed)
            except MalformedError:
                continue
            assert format_consistency(path) == changed
            assert path != HASHES


@pytest.mark.parametrize(
    "content", [b"\n", b"x", b"\n\n", 65 * format_consistency(HASHES[:1]), b"A" * 43 + b"!\n"]
)
def test_what_is_no_consistency_file_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_consistency(content)
