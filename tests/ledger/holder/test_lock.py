"""Protection: one passphrase for all keys, changed without a moment at which none opens them."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ledger.doors import keys as doors
from ledger.doors.keys import is_sealed, load_identity, make_identity
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.holder import lock as module
from ledger.holder.config import Config
from ledger.holder.lock import Ask, Lock
from ledger.holder.vault import Vault, begin_vault, finish_vault, open_vault
from tests.holding import START
from tests.sealing import seal_cheaply

CONFIG = Config(development=True)
ALIKE = "e\u0301", "\u00e9"  # one letter, typed on two systems


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "seal_with", seal_cheaply)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A vault with two keys, in the clear."""
    vault = begin_vault(tmp_path / "vault", CONFIG)
    vault.keys.make("es256", START)
    finish_vault(vault)
    vault.close()
    return tmp_path / "vault"


def opened(folder: Path, *words: str) -> Vault:
    """The vault, with somebody who answers with these words in turn, and then with nothing."""
    left = iter(words)
    return open_vault(folder, lambda: next(left, None))


def signs(vault: Vault) -> list[bytes]:
    """The private keys, in the clear."""
    how = Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    return [vault.keys.load(key).private_bytes(*how) for key in vault.keys.all()]


def test_sealed_keys_open_with_the_passphrase_alone(folder: Path) -> None:
    vault = opened(folder)
    before, recipient = signs(vault), vault.lock.recipient
    vault.keys.protect("pa\u0301ss")
    assert vault.lock.protected
    assert all(map(vault.keys.is_sealed, vault.keys.all()))
    with_it, without, wrong = opened(folder, "p\u00e1ss"), opened(folder), opened(folder, "pass")
    assert signs(with_it) == before
    assert without.lock.recipient == recipient
    assert [key.thumbprint for key in without.keys.all()] == [
        k.thumbprint for k in vault.keys.all()
    ]
    assert not without.lock.unlock()
    with pytest.raises(UnavailableError, match="the keys are locked"):
        signs(without)
    with pytest.raises(UnavailableError, match="this passphrase does not open"):
        signs(wrong)
    for one in (vault, with_it, without, wrong):
        one.close()


def test_the_passphrase_is_asked_for_once(folder: Path) -> None:
    opened(folder).keys.protect("word")
    vault = opened(folder, "word")
    assert signs(vault) == signs(vault)


def test_nothing_of_a_key_is_left_in_the_clear(folder: Path) -> None:
    vault = opened(folder)
    texts = [path.read_bytes() for path in (folder / "keys").iterdir()]
    vault.keys.protect("word")
    for path in (folder / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.name == "recipient.txt" or (path.read_bytes() not in texts and is_sealed(path))


def test_age_and_a_pem_reader_open_the_keys_without_us(folder: Path) -> None:
    opened(folder).keys.protect("word")
    text = pyrage.passphrase.decrypt((folder / "keys" / "identity.txt").read_bytes(), "word")
    identity = pyrage.x25519.Identity.from_str(text.decode().splitlines()[1])
    pem = pyrage.decrypt((folder / "keys" / "signing.pem").read_bytes(), [identity])
    assert load_pem_private_key(pem, None)


def test_originals_are_kept_without_the_passphrase_and_opened_with_it(
    folder: Path, tmp_path: Path
) -> None:
    opened(folder).keys.protect("word")
    (tmp_path / "x").write_bytes(b"x")
    digest = bytes.fromhex("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
    vault = opened(folder)
    assert vault.originals.keep(tmp_path / "x", digest)
    with pytest.raises(UnavailableError, match="the keys are locked"):
        vault.originals.restore(digest, tmp_path / "y")
    opened(folder, "word").originals.restore(digest, tmp_path / "y")
    assert (tmp_path / "y").read_bytes() == b"x"


def test_a_new_key_is_as_protected_as_the_others_and_needs_no_secret(folder: Path) -> None:
    opened(folder).keys.protect("word")
    vault = opened(folder)
    key = vault.keys.make("ed25519", START)
    assert vault.keys.is_sealed(key)
    assert opened(folder, "word").keys.load(key)


def test_the_passphrase_is_changed_and_taken_away(folder: Path) -> None:
    before = signs(opened(folder))
    opened(folder).keys.protect("old")
    opened(folder, "old").keys.protect("new")
    assert signs(opened(folder, "new")) == before
    with pytest.raises(UnavailableError):
        signs(opened(folder, "old"))
    with pytest.raises(UnavailableError, match="locked"):
        opened(folder).keys.unprotect()
    vault = opened(folder, "new")
    vault.lock.mark_keyring(there=True)
    assert vault.lock.in_keyring
    vault.keys.unprotect()
    assert (vault.lock.protected, vault.lock.in_keyring) == (False, False)
    assert signs(opened(folder)) == before


@pytest.mark.parametrize("act", ["protect", "change", "unprotect"])
@pytest.mark.parametrize("after", range(5))
def test_killed_between_two_writes_the_old_or_the_new_passphrase_opens_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch, act: str, after: int
) -> None:
    before = signs(opened(folder))
    if act != "protect":
        opened(folder).keys.protect("old")
    written: list[Path] = []

    def write(path: Path, content: bytes, **how: bool) -> None:
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(path)
        real(path, content, **how)

    real = doors.write_durably
    with monkeypatch.context() as patch:
        patch.setattr(doors, "write_durably", write)
        patch.setattr(module, "write_durably", write)
        vault = opened(folder, "old")
        try:
            vault.keys.unprotect() if act == "unprotect" else vault.keys.protect("new")
            finished = True
        except KeyboardInterrupt:
            finished = False
    assert finished or len(written) == after
    answers = [answer for answer in ("old", "new") if _opens(folder, answer)]
    assert answers
    for answer in answers:
        assert signs(opened(folder, answer)) == before
    vault = opened(folder, answers[0])
    vault.keys.protect("last")
    assert signs(opened(folder, "last")) == before
    assert all(map(vault.keys.is_sealed, vault.keys.all()))


def _opens(folder: Path, answer: str) -> bool:
    try:
        return opened(folder, answer).lock.unlock()
    except UnavailableError:
        return False


def test_a_vault_is_sealed_from_its_beginning(tmp_path: Path) -> None:
    vault = begin_vault(tmp_path / "v", CONFIG, passphrase="word", key_type="es256")
    assert vault.lock.protected
    assert vault.keys.is_sealed(vault.keys.person())
    assert vault.keys.person().kind == "es256"
    vault.close()
    again = begin_vault(tmp_path / "v", CONFIG, passphrase="word")
    finish_vault(again)
    assert again.keys.person() == vault_person(tmp_path / "v", lambda: None)


def vault_person(folder: Path, ask: Ask) -> object:
    return open_vault(folder, ask).keys.person()


def test_a_beginning_without_a_passphrase_is_sealed_when_gone_on_with(tmp_path: Path) -> None:
    begin_vault(tmp_path / "v", CONFIG).close()
    vault = begin_vault(tmp_path / "v", CONFIG, passphrase="word")
    assert vault.lock.protected
    assert vault.keys.is_sealed(vault.keys.person())


def test_a_key_is_found_by_the_beginning_of_its_thumbprint(folder: Path) -> None:
    vault = opened(folder)
    person, other = vault.keys.all()
    assert vault.keys.find(other.thumbprint[:6]) == other
    assert vault.keys.get(person.thumbprint) == person
    assert vault.keys.get("A" * 43) is None
    for wrong in ("", "!"):
        with pytest.raises(NotFoundError, match="no key"):
            vault.keys.find(wrong)
    alike = person.thumbprint[:42] + "!"
    vault.database.execute("UPDATE keys SET thumbprint = ? WHERE role = 'chain'", (alike,))
    with pytest.raises(MalformedError, match="names 2 keys"):
        vault.keys.find(person.thumbprint[:42])


def test_damage_is_told_in_words(folder: Path, tmp_path: Path) -> None:
    opened(folder).keys.protect("word")
    (folder / "keys" / "recipient.txt").write_bytes(b"age1nonsense\n")
    with pytest.raises(MalformedError, match="is no age recipient"):
        assert opened(folder).lock.recipient
    (folder / "keys" / "recipient.txt").unlink()
    with pytest.raises(NotFoundError):
        assert opened(folder).lock.recipient
    assert opened(folder, "word").lock.unlock()
    make_identity(tmp_path / "other" / "identity.txt")
    (tmp_path / "other" / "identity.txt").replace(folder / "keys" / "identity.txt")
    with pytest.raises(UnavailableError, match="identity does not open"):
        signs(opened(folder))
    with pytest.raises(ConflictError):
        make_identity(folder / "keys" / "identity.txt", "word")


@pytest.mark.slow
def test_what_really_seals_costs_a_guess_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    made = make_identity(tmp_path / "identity.txt", ALIKE[0])
    content = (tmp_path / "identity.txt").read_bytes()
    work = int(content.split(b"\n")[1].split()[-1])
    assert work >= 14
    assert (tmp_path / "recipient.txt").read_text() == f"{made.to_public()}\n"
    assert str(load_identity(tmp_path / "identity.txt", ALIKE[1])) == str(made)
    with pytest.raises(UnavailableError, match="wants a passphrase"):
        load_identity(tmp_path / "identity.txt")


@pytest.fixture(autouse=True)
def closing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what the tests opened."""
    made: list[Vault] = []
    begin = Vault.__init__

    def remember(self: Vault, *given: object, **more: object) -> None:
        begin(self, *given, **more)  # type: ignore[arg-type]
        made.append(self)

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "__init__", remember)
        yield
    for vault in made:
        vault.close()


def test_a_lock_in_the_clear_asks_nobody(tmp_path: Path) -> None:
    make_identity(tmp_path / "identity.txt")

    def ask() -> str | None:
        raise AssertionError

    lock = Lock(tmp_path, ask)
    assert (lock.protected, lock.unlock()) == (False, True)
    assert lock.recipient == str(lock.identity().to_public())
    lock.mark_keyring(there=False)
    (tmp_path / "in-keyring").mkdir()
    with pytest.raises(UnavailableError, match="cannot delete"):
        lock.mark_keyring(there=False)
