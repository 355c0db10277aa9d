"""Who signs: each chain its own key, enrolled by the person's before the chain begins."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.doors import keys as doors
from ledger.doors.carrier import read_carrier
from ledger.doors.keys import write_signing_key
from ledger.errors import ConflictError, MalformedError, UnavailableError
from ledger.holder.keys import Keys
from ledger.holder.records import Records, StoredRecord
from ledger.holder.said import Wish
from ledger.holder.vault import open_vault
from ledger.record.record import Record, check_record, parse_record
from ledger.record.sdjwt import public_jwk, thumbprint
from tests.holding import Holding, holding
from tests.sealing import seal_cheaply


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Holding]:
    with holding(tmp_path) as made:
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_bytes(b"a")
    return tmp_path / "a.txt"


def read(stored: StoredRecord) -> Record:
    record = parse_record(stored.sdjwt)
    check_record(record)
    return record


def test_each_chain_has_a_key_that_the_persons_key_enrolled(house: Holding, file: Path) -> None:
    first, second = (read(house.anchor(file, name).record) for name in ("one", "two"))
    person, one, two = house.vault.keys.all()
    assert [first.thumbprint, second.thumbprint] == [one.thumbprint, two.thumbprint]
    for record, key, name in ((first, one, "k1"), (second, two, "k2")):
        enrolment = house.vault.records.find(name)
        claims = read(enrolment).claims
        assert read(enrolment).thumbprint == person.thumbprint
        assert (claims["kind"], claims["key"]) == ("key-enrolment", key.thumbprint)
        assert record.claims["refs"] == [{"rel": "enrolledBy", "entry": enrolment.entry.hex()}]
        assert key.enrolment == enrolment.entry
        assert record.link is not None
        assert key.chain == record.link.chain
    assert [one.name for one in house.vault.records.all("keys")] == ["k1", "k2"]


def test_the_key_goes_on_signing_its_chain_and_says_so_once(house: Holding, file: Path) -> None:
    first = read(house.anchor(file).record)
    file.write_bytes(b"b")
    second = read(house.anchor(file).record)
    assert second.thumbprint == first.thumbprint
    assert [ref["rel"] for ref in second.claims["refs"]] == ["wasRevisionOf"]  # type: ignore[union-attr,index,call-overload]
    assert len(house.vault.keys.all()) == 2


def test_ones_own_records_are_numbered_apart_and_enrolments_go_first(
    house: Holding, file: Path
) -> None:
    assert [house.anchor(file, name).record.number for name in ("one", "two")] == [1, 2]
    assert house.vault.records.count() == 2
    assert house.vault.records.notebooks() == ("one", "two")
    sent = [house.vault.records.find(name).entry for name in ("k1", "k2", "1", "2")]
    assert [*house.vault.records.queued()] == sent
    assert house.vault.records.newest() == house.vault.records.find("2")


def test_a_chain_from_before_goes_on_under_the_persons_key(house: Holding, file: Path) -> None:
    first = house.anchor(file).record
    # As if the chain had been begun with the one key that vaults had, and no table of keys.
    keys = house.vault.folder / "keys"
    (keys / f"{read(first).thumbprint}.pem").replace(keys / "signing.pem")
    house.vault.database.execute("DELETE FROM keys")
    file.write_bytes(b"b")
    second = read(house.anchor(file).record)
    assert second.thumbprint == read(first).thumbprint
    assert [key.role for key in house.vault.keys.all()] == ["person"]
    assert read(house.anchor(file, "new").record).thumbprint != second.thumbprint


def test_a_spare_key_is_the_next_chains(house: Holding, file: Path) -> None:
    spare = house.vault.keys.make("es256", house.anchorer._clock())
    record = read(house.anchor(file).record)
    assert (record.thumbprint, record.jwt.key.alg) == (spare.thumbprint, "ES256")
    assert house.vault.keys.spare() is None


def test_a_revoked_key_signs_no_more_and_its_chain_goes_on(house: Holding, file: Path) -> None:
    first = read(house.anchor(file).record)
    key = house.vault.keys.find(first.thumbprint)
    revocation = house.anchorer.signer.revoke(key)
    assert read(revocation).claims["key"] == first.thumbprint
    assert revocation.kind == "key-revocation"
    with pytest.raises(ConflictError, match="revoked already"):
        house.anchorer.signer.revoke(key)
    with pytest.raises(ConflictError, match="signs the key chain itself"):
        house.anchorer.signer.revoke(house.vault.keys.person())
    file.write_bytes(b"b")
    second = read(house.anchor(file).record)
    assert second.thumbprint != first.thumbprint
    assert second.link is not None
    assert second.link.seq == 2
    assert [ref["rel"] for ref in second.claims["refs"]] == ["enrolledBy", "wasRevisionOf"]  # type: ignore[union-attr,index,call-overload]


@pytest.mark.parametrize("step", ["enrol", "assign", "add"])
def test_a_crash_between_key_and_record_leaves_no_chain_without_a_key(
    house: Holding, file: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    calls: list[object] = []

    def die(*given: object, **_: object) -> None:
        calls.append(given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Records if step == "add" else Keys, step, die)
        with pytest.raises(KeyboardInterrupt):
            house.anchor(file)
    assert calls
    record = read(house.anchor(file).record)
    assert record.claims["refs"] == [
        {"rel": "enrolledBy", "entry": house.vault.records.find("k1").entry.hex()}
    ]
    assert len(house.vault.records.all("keys")) == 1


def test_the_key_chains_name_is_taken(house: Holding, file: Path) -> None:
    with pytest.raises(MalformedError, match="is the key chain's"):
        house.anchor(file, "keys")


def test_a_key_file_with_another_key_signs_nothing(house: Holding, file: Path) -> None:
    key = house.vault.keys.make("ed25519", house.anchorer._clock())
    path = house.vault.folder / "keys" / f"{key.thumbprint}.pem"
    other = Ed25519PrivateKey.generate()
    write_signing_key(path, other, None, overwrite=True)
    with pytest.raises(MalformedError, match="holds another key"):
        house.anchor(file)
    assert thumbprint(public_jwk(other)) != key.thumbprint


# Locked


@pytest.fixture
def locked(house: Holding, monkeypatch: pytest.MonkeyPatch) -> Holding:
    """The keys sealed, and nobody there to ask; the passphrase is what is asked for otherwise."""
    monkeypatch.setattr(doors, "seal_with", seal_cheaply)
    house.vault.keys.protect("配方 pass")
    house.vault.lock._identity = None
    return house


def test_locked_keys_sign_nothing_but_what_comes_is_captured(locked: Holding, file: Path) -> None:
    with pytest.raises(UnavailableError, match="the keys are locked"):
        locked.anchor(file)
    queued = locked.anchorer.queue(read_carrier(file), Wish("notebook", title="t"))
    assert queued.new
    assert queued.capture is not None
    assert locked.vault.captures.count() == 1
    assert locked.vault.originals.has(bytes.fromhex(queued.capture.content))
    again = locked.anchorer.queue(read_carrier(file), Wish("notebook", title="t"))
    assert (again.new, again.capture) == (False, queued.capture)
    with pytest.raises(UnavailableError, match="the keys are locked"):
        locked.anchorer.signer.sign_waiting()


def test_captures_are_signed_in_order_as_of_their_time(locked: Holding, file: Path) -> None:
    captured = []
    for content in (b"1", b"2"):
        file.write_bytes(content)
        queued = locked.anchorer.queue(read_carrier(file), Wish("notebook"))
        assert queued.capture is not None
        captured.append(queued.capture)
    later = open_vault(locked.vault.folder, lambda: "配方 pass")
    signer = type(locked.anchorer)(
        later,
        locked.ledger,
        clock=locked.anchorer._clock,
        random_bytes=locked.anchorer._random_bytes,
    ).signer
    assert signer.sign_waiting() == 2
    assert signer.sign_waiting() == 0
    first, second = later.records.all()
    later.close()
    for stored, capture in ((first, captured[0]), (second, captured[1])):
        assert read(stored).claims["captured_time"] == capture.claims["captured_time"]
        assert stored.content == capture.content
    assert [ref["entry"] for ref in read(second).claims["refs"]] == [first.entry.hex()]  # type: ignore[union-attr,index,call-overload]
