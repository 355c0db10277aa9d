"""tally key: the keys that sign, and whose they are said to be at the other end."""

import json
import stat
import tomllib
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from ledger.doors import keys as doors
from ledger.proof.trust import parse_trust
from ledger.record.sdjwt import public_jwk, thumbprint
from tests.cli.conftest import Tally
from tests.keyring_in_memory import in_memory
from tests.sealing import seal_cheaply


@pytest.fixture
def word(bare: Tally, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A passphrase file, and sealing that takes no time."""
    monkeypatch.setattr(doors, "seal_with", seal_cheaply)
    return write(bare.work / "word", "word\n")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def listed(tally: Tally) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = tally.json("key", "list")["keys"]
    return rows


def test_keys_are_listed_with_what_they_sign_and_who_enrolled_them(
    tally: Tally, folder: Path
) -> None:
    (person,) = listed(tally)
    assert (person["role"], person["type"], person["sealed"]) == ("person", "ed25519", False)
    assert "for the next notebook" in tally("key", "new", "--type", "es256").out
    tally.json("key", "new")
    tally.json("anchor", folder)
    _, first, spare = listed(tally)
    assert (first["type"], first["notebook"], first["enrolled_in"]) == ("es256", "notebook", "k1")
    assert first["enrolled_by"] == person["thumbprint"]
    assert (spare["type"], spare["chain"], spare["enrolled_in"]) == ("ed25519", None, None)
    out = tally("key", "list").out
    assert f"{first['thumbprint']}  es256, signs notebook, enrolled in k1, in the clear" in out
    assert f"{spare['thumbprint']}  ed25519, for the next notebook, in the clear" in out


def test_a_public_key_is_exported_as_jwk_pem_and_lines_of_a_trust_file(tally: Tally) -> None:
    made = tally.json("key", "new", "--type", "es256")["thumbprint"]
    value = tally.json("key", "export", made[:8])
    assert thumbprint(value["jwk"]) == made == value["thumbprint"]
    assert load_pem_public_key(value["pem"].encode())
    ran = tally("key", "export")
    (person, _) = listed(tally)
    assert thumbprint(json.loads(ran.out.splitlines()[0])) == person["thumbprint"]
    name = 'A "quoted" 张三'
    trust = tomllib.loads(tally("key", "export", "--trust", name).out)
    assert trust == {"author": [{"key": person["thumbprint"], "name": name}]}
    assert tally("key", "export", "nonsense").code == 2


def test_a_private_key_is_written_sealed_for_its_owner_alone(tally: Tally, word: Path) -> None:
    ran = tally("key", "export", "--private", "-o", "x.age")
    assert (ran.code, "no terminal" in ran.err) == (2, True)
    for words in (("--private",), ("-o", "x.age")):
        assert tally("key", "export", *words).code == 2
    assert not Path("x.age").exists()
    ran = tally("key", "export", "--private", "-o", "x.age", "--passphrase-file", word)
    assert (ran.code, "PRIVATE" in ran.out) == (0, False)
    assert stat.S_IMODE(Path("x.age").stat().st_mode) == 0o600
    pem = pyrage.passphrase.decrypt(Path("x.age").read_bytes(), "word")
    assert load_pem_private_key(pem, None)
    ran = tally("key", "export", "--private", "-o", "x.age", "--passphrase-file", word)
    assert (ran.code, "exists already" in ran.err) == (2, True)


def test_keys_are_protected_changed_and_unprotected(tally: Tally, word: Path) -> None:
    tally.json("key", "new", "--type", "es256")
    assert tally("key", "protect").code == 2
    assert not any(one["sealed"] for one in listed(tally))
    assert tally.json("key", "protect", "--passphrase-file", word)["changed"] is False
    assert all(one["sealed"] for one in listed(tally))
    other = write(tally.work / "other", "other")
    ran = tally("key", "protect", "--new-passphrase-file", other)
    assert (ran.code, "the keys are locked" in ran.err) == (3, True)
    both = ("--passphrase-file", word, "--new-passphrase-file", other)
    assert tally("key", "protect", *both).out == "changed  the passphrase\n"
    export = ("key", "export", listed(tally)[1]["thumbprint"], "--private", "-o", "x.age")
    assert tally(*export, "--passphrase-file", word).code == 3
    assert tally(*export).code == 3
    assert tally(*export, "--passphrase-file", other).code == 0
    key = load_pem_private_key(pyrage.passphrase.decrypt(Path("x.age").read_bytes(), "other"), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    assert thumbprint(public_jwk(key)) == listed(tally)[1]["thumbprint"]
    assert tally("key", "unprotect").code == 3
    assert tally.json("key", "unprotect", "--passphrase-file", other) == {"protected": False}
    assert not any(one["sealed"] for one in listed(tally))


def verdict(tally: Tally, bundle: str, *authors: str) -> list[dict[str, object]]:
    """The findings on keys, under a trust file that names these."""
    trust = (tally.vault / "development-trust.toml").read_text("utf-8") + "\n".join(authors)
    assert parse_trust(trust.encode())
    write(tally.work / "trust.toml", trust)
    said = tally.json("verify", bundle, "--trust", "trust.toml")
    return [one for one in said["findings"] if one["step"] == "key"]


def test_a_bundle_with_the_key_chain_shows_by_whom_the_key_was_enrolled(
    tally: Tally, folder: Path
) -> None:
    author = tally("key", "export", "--trust", "张三").out
    tally.json("anchor", folder)
    (folder / "a.txt").write_bytes(b"another\n")
    tally.json("anchor", folder)
    tally.json("anchor", folder, "--notebook", "other")
    ran = tally("bundle", "2", "--with-keys", "-o", "x.zip")
    assert ran.code == 0, ran.err
    assert "record k1  kind" in ran.out
    assert "record k2  key" in ran.out
    assert "record 1  refs" in ran.out
    codes = {(one["code"], one["outcome"]) for one in verdict(tally, "x.zip", author)}
    assert {("enrolled", "proven"), ("named", "proven"), ("no-revocation", "proven")} == codes
    assert "张三" in tally("verify", "x.zip", "--trust", "trust.toml").out
    shown = tally.json("bundle", "1", "--with-keys", "--dry-run")["shown"]
    assert {one["record"] for one in shown} == {1, "k1", "k2"}
    assert "enrolled-by-unknown" in {one["code"] for one in verdict(tally, "x.zip")}
    tally.json("bundle", "2", "-o", "y.zip")
    assert [one["code"] for one in verdict(tally, "y.zip", author)] == ["unknown"]


def test_a_revoked_key_signs_no_more_and_what_it_signed_before_is_not_refuted(
    tally: Tally, folder: Path
) -> None:
    author = tally("key", "export", "--trust", "a").out
    tally.json("anchor", folder)
    (person, first) = listed(tally)
    assert tally("key", "revoke", person["thumbprint"]).code == 3
    for short in (first["thumbprint"][0], first["thumbprint"][:7]):
        ran = tally("key", "revoke", short)
        assert (ran.code, "of a key, want 8 or more" in ran.err) == (2, True)
    ran = tally("key", "revoke", first["thumbprint"][:8])
    assert ran.out == f"revoked  {first['thumbprint']} in record k2\n"
    assert tally("key", "revoke", first["thumbprint"]).code == 3
    assert tally("sync").code == 0
    assert "REVOKED in k2" in tally("key", "list").out
    (folder / "a.txt").write_bytes(b"another\n")
    assert tally("anchor", folder).code == 0
    assert [one["enrolled_in"] for one in listed(tally)] == [None, "k1", "k3"]
    tally.json("bundle", "2", "--with-keys", "-o", "x.zip")
    trust = (tally.vault / "development-trust.toml").read_text("utf-8") + author
    write(tally.work / "trust.toml", trust)
    said = tally("verify", "x.zip", "--trust", "trust.toml", "--json").json["findings"]
    codes = {one["code"] for one in said if one["step"] == "key"}
    assert {"named", "enrolled", "no-revocation"} <= codes
    # Stamps of one second bound nothing between them: which of the two is the clock's to say.
    assert codes & {"before-revocation", "not-before-revocation"}
    assert "after-revocation" not in codes


def test_after_a_succession_the_new_keys_are_shown_whole(tally: Tally, folder: Path) -> None:
    author = tally("key", "export", "--trust", "a").out
    tally.json("anchor", folder)
    (tally.state / "guards").rename(tally.state / "gone")
    tally.json("vault", "successor")
    (folder / "a.txt").write_bytes(b"another\n")
    number = tally.json("anchor", folder)["anchored"][0]["record"]
    for record, name in ((1, "x.zip"), (number, "y.zip")):
        tally.json("bundle", record, "--with-keys", "-o", name)
        codes = {one["code"] for one in verdict(tally, name, author)}
        assert codes == {"enrolled", "named", "no-revocation"}


def test_a_passphrase_in_the_keyring_opens_the_keys_and_nobody_is_asked(
    tally: Tally, word: Path, folder: Path
) -> None:
    keyring = pytest.importorskip("keyring", reason="the dev lock has it")
    before = keyring.get_keyring()
    try:
        keyring.set_keyring(in_memory())
        sealed = tally.json("key", "protect", "--keyring", "--passphrase-file", word)
        assert sealed == {"protected": True, "changed": False, "keyring": True}
        assert tally("anchor", folder).code == 0
        # Changed elsewhere only: what the keyring has is asked for no more.
        other = write(tally.work / "other", "other")
        assert tally("key", "protect", "--new-passphrase-file", other).code == 0
        (folder / "a.txt").write_bytes(b"another\n")
        assert tally("anchor", folder).code == 3
        assert tally("sync", "--passphrase-file", other).code == 0
    finally:
        keyring.set_keyring(before)
