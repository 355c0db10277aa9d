"""Recovery keys: another key opens what is kept, from when on is said, and proven by a trial."""

from pathlib import Path

import pyrage
import pytest

from ledger.doors.keys import make_identity
from ledger.holder.originals import Originals
from tests.cli.conftest import Tally


def make_key(path: Path) -> str:
    """A recovery key in a file; its recipient."""
    make_identity(path)
    return path.read_text(encoding="ascii").splitlines()[0].removeprefix("# public key: ")


def kept(tally: Tally) -> list[Path]:
    return sorted((tally.vault / "originals").rglob("*.age"))


def opened_alone(kept_copy: Path, key: Path) -> bytes:
    """As a recovery holder opens it: with pyrage and nothing of ours."""
    identity = pyrage.x25519.Identity.from_str(key.read_text(encoding="ascii").splitlines()[1])
    return pyrage.decrypt(kept_copy.read_bytes(), [identity])


def test_what_is_kept_after_init_with_recovery_opens_with_that_key_alone(
    bare: Tally, folder: Path
) -> None:
    keys = [bare.work / "one", bare.work / "two"]
    words = [word for key in keys for word in ("--recovery", make_key(key))]
    bare.json("init", "--development", *words)
    bare.json("anchor", folder)
    assert len(kept(bare)) == 2
    for key in keys:
        assert sorted(opened_alone(one, key) for one in kept(bare)) == [b"a\n", b"not really\n"]
        opens = bare.json("vault", "recovery", "try", "--identity", key)["opens"]
        assert opens in {one.stem for one in kept(bare)}


@pytest.mark.parametrize("wrong", ["age1xyz", "AGE-SECRET-KEY-1QQ", "hello", ""])
def test_what_is_no_recipient_is_refused_at_once_and_never_repeated_if_secret(
    bare: Tally, tally: Tally, wrong: str
) -> None:
    ran = tally("vault", "recovery", "add", "--", wrong)
    assert ran.code == 2
    assert "SECRET-KEY-1QQ" not in ran.err
    ran = bare("init", "--development", "--vault", bare.work / "new", f"--recovery={wrong}")
    assert ran.code == 2
    assert not (bare.work / "new").exists()


def test_a_recipient_added_later_holds_from_then_on_and_says_so(tally: Tally, folder: Path) -> None:
    tally.json("anchor", folder)
    key = tally.work / "key"
    settings = tally.vault / "tallystick.toml"
    settings.write_text(f"# mine\n{settings.read_text()}", encoding="utf-8")
    added = tally.json("vault", "recovery", "add", make_key(key))
    assert (added["sealed"], added["sealed_before"], added["resealed"]) == (0, 2, 0)
    assert settings.read_text().startswith("# mine\n")
    ran = tally("vault", "recovery", "try", "--identity", key)
    assert ran.code == 1
    assert "--rewrap" in ran.err
    (folder / "b.txt").write_bytes(b"b\n")
    tally.json("anchor", folder)
    listed = tally.json("vault", "recovery", "list")
    assert (listed["sealed"], listed["sealed_before"]) == (1, 2)
    assert tally("vault", "recovery", "try", "--identity", key).code == 0
    assert "2 originals were kept before" in tally("vault", "recovery", "list").out


def test_rewrap_seals_what_is_kept_already_and_goes_on_where_it_was_interrupted(
    tally: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally.json("anchor", folder)
    key = tally.work / "key"
    recipient = make_key(key)
    reseal = Originals.reseal

    def once(self: Originals, sha256: bytes) -> None:
        reseal(self, sha256)
        monkeypatch.setattr(Originals, "reseal", die)

    def die(self: Originals, sha256: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Originals, "reseal", once)
    assert tally("vault", "recovery", "add", recipient, "--rewrap").code == 130
    monkeypatch.setattr(Originals, "reseal", reseal)
    assert tally.json("vault", "recovery", "list")["sealed_before"] == 1
    added = tally.json("vault", "recovery", "add", recipient, "--rewrap")
    assert (added["sealed"], added["sealed_before"], added["resealed"]) == (2, 0, 1)
    assert sorted(opened_alone(one, key) for one in kept(tally)) == [b"a\n", b"not really\n"]
    assert not [one for one in (tally.vault / "originals").rglob("*") if ".tally-" in one.name]

    removed = tally.json("vault", "recovery", "remove", recipient, "--rewrap")
    assert (removed["recovery"], removed["resealed"]) == ([], 2)
    for one in kept(tally):
        with pytest.raises(pyrage.DecryptError):
            opened_alone(one, key)
    assert tally("vault", "recovery", "remove", recipient).code == 2


def test_a_key_that_is_no_recipient_opens_nothing(tally: Tally, folder: Path) -> None:
    make_key(tally.work / "key")
    assert tally("vault", "recovery", "try", "--identity", tally.work / "key").code == 2
    tally.json("anchor", folder)
    ran = tally("vault", "recovery", "try", "--identity", tally.work / "key")
    assert ran.code == 1
    assert "not among the recipients" in ran.err
