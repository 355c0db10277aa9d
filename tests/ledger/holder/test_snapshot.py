"""The list of a backup: what is written is read back, and anything else is refused."""

import hashlib

import pytest

from ledger.errors import MalformedError
from ledger.holder.snapshot import SavedFile, Snapshot, format_snapshot, parse_snapshot

H32 = "0f" * 32
FILES = tuple(
    SavedFile(path, size, bytes([size]) * 32)
    for size, path in enumerate(
        (
            "development-trust.toml",
            "keys/identity.txt",
            "ledger/store.sqlite",
            "ledgers/2/vkeys",
            f"manifests/{H32}",
            f"originals/0f/{H32}.age",
            "tallystick.toml",
            "vault.sqlite",
        )
    )
)
SNAPSHOT = Snapshot("2026-11-22T18:00:00Z", "tallystick/" + H32, FILES)
WHOLE = format_snapshot(SNAPSHOT)


def signed(text: str) -> bytes:
    """A list with the right sum."""
    return f"{text}sha256 {hashlib.sha256(text.encode()).hexdigest()}\n".encode()


def body() -> str:
    return WHOLE.decode()[: WHOLE.decode().rindex("sha256 ")]


def test_list_is_what_it_always_was() -> None:
    small = Snapshot("2026-11-22T18:00:00Z", "a", (SavedFile("keys/x", 2, bytes(32)),))
    text = f"tallystick/backup/v1\nmade 2026-11-22T18:00:00Z\nledger a\nfile {'00' * 32} 2 keys/x\n"
    assert format_snapshot(small) == signed(text)


def test_list_round_trips() -> None:
    assert parse_snapshot(WHOLE) == SNAPSHOT
    empty = Snapshot("2026-11-22T18:00:00Z", "a", ())
    assert parse_snapshot(format_snapshot(empty)) == empty
    assert SNAPSHOT.size == sum(range(8))


def test_every_truncation_and_every_changed_byte_is_refused() -> None:
    changed = [WHOLE[:end] for end in range(len(WHOLE))]
    changed += [
        WHOLE[:place] + bytes([WHOLE[place] ^ bit]) + WHOLE[place + 1 :]
        for place in range(len(WHOLE))
        for bit in (1, 0x20, 0x80)
    ]
    for content in (*changed, WHOLE + b"\n", WHOLE + b"x", WHOLE * 2):
        with pytest.raises(MalformedError):
            parse_snapshot(content)


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "keys/..",
        "keys/../x",
        "keys/a/b",
        "originals/0f/x.age",
        "ledger/keys.pem",
        "ledgers/2/keys.pem",
        "ledgers/0/vkeys",
        "guards/x.sqlite",
        "turn.lock",
        "",
        "keys/x\ny",
    ],
)
def test_path_that_is_no_file_of_a_backup_is_refused_even_with_the_right_sum(path: str) -> None:
    with pytest.raises(MalformedError):
        SavedFile(path, 0, bytes(32))
    with pytest.raises(MalformedError):
        parse_snapshot(signed(f"{body()}file {H32} 0 {path}\n"))


@pytest.mark.parametrize(
    "old_new",
    [
        ("backup/v1", "backup/v2"),
        ("2026-11-22T18:00:00Z", "2026-11-22"),
        ("made ", "at "),
        ("ledger tallystick/", "ledger tally stick/"),
        (" 1 keys/", " 01 keys/"),
        (" 1 keys/", " -1 keys/"),
        ("file 0101", "file 010G"),
        ("file 0101", "link 0101"),
        ("keys/identity.txt", "vault.sqlite"),
        ("keys/identity.txt", "development-trust.toml"),
        ("\nledger", "\n\nledger"),
        ("\n", "\r\n"),
        ("made", "m\u00e4de"),
    ],
)
def test_list_that_is_not_in_the_format_is_refused_even_with_the_right_sum(
    old_new: tuple[str, str],
) -> None:
    with pytest.raises(MalformedError):
        parse_snapshot(signed(body().replace(*old_new)))
    for short in ("", "tallystick/backup/v1\n", "tallystick/backup/v1\nmade x\n"):
        with pytest.raises(MalformedError):
            parse_snapshot(signed(short))
