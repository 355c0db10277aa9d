"""A closed ledger shows what it published, checked against its keys, and takes nothing more."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.errors import ConflictError, NotFoundError, VerificationError
from ledger.operator.capture import Capture
from ledger.operator.closed import ClosedLedger
from ledger.operator.guard import Guard
from ledger.operator.sequencer import CHECKPOINT, Sequencer
from ledger.operator.stamper import KIND
from ledger.operator.store.memory import MemoryStore
from ledger.operator.store.protocol import Attachment
from tests.holding import CLOCK
from tests.sequencer_checks import KEYS

WHY = ConflictError("it was closed")


@dataclass
class House:
    store: MemoryStore
    ledger: ClosedLedger
    newest: bytes


def lost(size: int) -> bytes:
    raise NotFoundError(f"nobody kept {size}")


@pytest.fixture
def house(tmp_path: Path) -> House:
    store, guard = MemoryStore(), Guard(tmp_path / "guard.sqlite")
    sequencer = Sequencer(store, guard, KEYS)
    for number in range(3):
        sequencer.append([bytes([number]) * 64])
    newest = sequencer.checkpoint()
    guard.close()
    capture = Capture(store, [b"der"], clock=CLOCK, offline="a test")
    return House(store, ClosedLedger(store, KEYS.public_keys(), capture, WHY, lost), newest)


def test_what_it_published_is_shown(house: House) -> None:
    ledger = house.ledger
    assert (ledger.origin, ledger.keys) == (KEYS.origin, KEYS.public_keys())
    assert ledger.checkpoint() == ledger.signed_file(3) == house.newest
    assert ledger.signed_file(1) != house.newest
    house.store.attach(Attachment(3, KIND, "a", b"token"))
    assert [(one.size, one.tsa) for one in ledger.stamps()] == [(3, "a")]
    assert ledger.stamps(4) == ()
    assert (ledger.certificates(), ledger.material()) == ((b"der",), ())


def test_nothing_is_appended_or_stamped(house: House) -> None:
    before = house.store.head()
    for call in (lambda: house.ledger.append([bytes(64)]), house.ledger.stamp):
        with pytest.raises(ConflictError, match="it was closed"):
            call()
    assert house.store.head() == before


def test_a_file_that_its_keys_did_not_sign_is_refused(house: House) -> None:
    house.store.attach(
        Attachment(9, CHECKPOINT, KEYS.origin, house.newest.rsplit(b"\n", 2)[0] + b"\n")
    )
    for call in (house.ledger.checkpoint, lambda: house.ledger.signed_file(9)):
        with pytest.raises(VerificationError, match="not signed"):
            call()


def test_a_size_that_the_store_lost_is_asked_of_who_kept_it(house: House) -> None:
    with pytest.raises(NotFoundError, match="nobody kept 7"):
        house.ledger.signed_file(7)
    empty = Capture(MemoryStore(), [], clock=CLOCK, offline="a test")
    ledger = ClosedLedger(MemoryStore(), KEYS.public_keys(), empty, WHY, lambda size: b"%d" % size)
    assert ledger.signed_file(7) == b"7"
    with pytest.raises(NotFoundError, match="nothing was appended"):
        ledger.checkpoint()
