"""Keys on disk: made once, never overwritten, read only if they are exactly what is wanted."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ledger.doors.keys import (
    KEY_TYPES,
    generate_key,
    load_identity,
    load_ledger_keys,
    load_signing_key,
    make_identity,
    make_ledger_keys,
    make_signing_key,
    public_pem,
)
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.record.sdjwt import public_jwk

MAKERS = [make_ledger_keys, make_signing_key, make_identity]
LOADERS = [load_ledger_keys, load_signing_key, load_identity]


@pytest.mark.parametrize("make", MAKERS)
def test_key_is_its_owners_alone_and_never_overwritten(tmp_path: Path, make: object) -> None:
    assert callable(make)
    path = tmp_path / "keys" / "key"
    make(path)
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConflictError):
        make(path)
    assert path.read_bytes() == before


def test_keys_that_were_made_are_loaded(tmp_path: Path) -> None:
    make_ledger_keys(tmp_path / "ledger")
    make_signing_key(tmp_path / "signing")
    make_identity(tmp_path / "identity")
    first, again = load_ledger_keys(tmp_path / "ledger"), load_ledger_keys(tmp_path / "ledger")
    assert [key.private_bytes_raw() for key in first] == [key.private_bytes_raw() for key in again]
    assert (
        first[0].private_bytes_raw() != load_signing_key(tmp_path / "signing").private_bytes_raw()
    )
    public = str(load_identity(tmp_path / "identity").to_public())
    assert public in (tmp_path / "identity").read_text()


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\0", b"AGE-SECRET-KEY-1QQQQ\n", b"-----BEGIN PRIVATE KEY-----\n", bytes(70000)],
)
def test_file_that_holds_no_key_is_refused(tmp_path: Path, load: object, content: bytes) -> None:
    assert callable(load)
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(MalformedError):
        load(tmp_path / "key")
    with pytest.raises(NotFoundError):
        load(tmp_path / "none")


def test_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    make_ledger_keys(tmp_path / "ledger")
    make_signing_key(tmp_path / "signing")
    pem = generate_private_key(SECP384R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (tmp_path / "other").write_bytes(pem)
    for name in ("signing", "other"):
        with pytest.raises(MalformedError, match="does not hold an Ed25519 and an ML-DSA-44 key"):
            load_ledger_keys(tmp_path / name)
    with pytest.raises(MalformedError, match="does not hold an Ed25519 or P-256 key"):
        load_signing_key(tmp_path / "other")
    pems = (tmp_path / "ledger").read_bytes()
    (tmp_path / "swapped").write_bytes(pems[pems.rindex(b"-----BEGIN") :] + pems)
    with pytest.raises(MalformedError):
        load_ledger_keys(tmp_path / "swapped")


def test_message_about_a_key_holds_nothing_of_it(tmp_path: Path) -> None:
    make_identity(tmp_path / "identity")
    text = (tmp_path / "identity").read_text().splitlines()[1]
    (tmp_path / "identity").write_text(text[:-1] + ("Q" if text[-1] != "Q" else "P"))
    with pytest.raises(MalformedError, match="damaged age identity") as caught:
        load_identity(tmp_path / "identity")
    assert text[20:40] not in str(caught.value)


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_public_key_as_pem_is_that_of_the_private_one(kind: str) -> None:
    key = generate_key(kind)
    form = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    assert public_pem(public_jwk(key)).encode() == key.public_key().public_bytes(*form)
