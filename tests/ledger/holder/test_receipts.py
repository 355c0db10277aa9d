"""Receipts: kept once as many TSAs as wanted have stamped, checked, and enough without a ledger."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import NotFoundError, UnavailableError, VerificationError
from ledger.holder import receipts as module
from ledger.holder.bundling import Bundler, Choice
from ledger.holder.kept_ledger import KeptLedger
from ledger.holder.prover import checkpoint_of
from ledger.holder.receipts import Reach
from ledger.proof.trust import parse_trust
from ledger.proof.verify import verify
from ledger.record.record import parse_record
from ledger.timestamp.token import parse_token
from ledger.tlog.merkle import InclusionProof, check_inclusion, leaf_hash
from tests.holding import START, TSAS, Holding, holding


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Holding]:
    with holding(tmp_path) as made:
        yield made


def fill(house: Holding, tmp_path: Path, numbers: Sequence[int]) -> None:
    for number in numbers:
        (tmp_path / str(number)).write_text(str(number))
        house.anchor(tmp_path / str(number))


def receipts_of(house: Holding) -> list[tuple[int, int]]:
    """Without that of the enrolment of the chain's key, which is the first entry."""
    sql = "SELECT record, size FROM receipts WHERE record > 0 ORDER BY 1, 2"
    rows = house.vault.database.execute(sql)
    return [tuple(row) for row in rows.fetchall()]


class Watched:
    """A ledger that counts what it is asked; for the rest the one it stands before."""

    def __init__(self, house: Holding) -> None:
        self.ledger = house.ledger
        self.asked: list[int] = []
        self.tiles_read = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    def stamps(self, start: int = 0) -> Any:
        self.asked.append(start)
        return self.ledger.stamps(start)

    def tiles(self, coordinates: Any) -> Any:
        self.tiles_read += len(coordinates)
        return self.ledger.tiles(coordinates)


def test_receipt_is_kept_when_as_many_tsas_as_wanted_have_stamped(
    house: Holding, tmp_path: Path
) -> None:
    fill(house, tmp_path, [1, 2])
    house.anchorer.send()
    assert house.vault.receipts.keep(house.ledger, 2) == 0
    assert house.vault.receipts.lacking(house.ledger.origin, 2) == (1, 2)
    house.anchorer.stamp()
    assert receipts_of(house) == [(1, 3), (2, 3)]
    assert house.vault.receipts.lacking(house.ledger.origin, 2) == ()
    assert [one.stamps for one in house.vault.records.all()] == [2, 2]
    for record in house.vault.records.all():
        path = house.vault.receipts.proof(record.number, 3)
        assert path is not None
        assert record.index is not None
        head = checkpoint_of(house.vault.receipts.signed_file(house.ledger.origin, 3)).head
        check_inclusion(InclusionProof(record.index, 3, path), leaf_hash(record.entry), head)
    assert house.vault.receipts.proof(1, 7) is None
    with pytest.raises(NotFoundError):
        house.vault.receipts.signed_file(house.ledger.origin, 7)


def test_what_is_new_costs_and_what_is_kept_does_not(house: Holding, tmp_path: Path) -> None:
    fill(house, tmp_path, range(20))
    house.send()
    watched = Watched(house)
    assert house.vault.receipts.keep(watched, 2) == 0  # type: ignore[arg-type]  # stands for one
    assert (watched.asked, watched.tiles_read) == ([21], 0)
    fill(house, tmp_path, [20])
    house.anchorer.send()
    house.ledger.stamp()
    assert house.vault.receipts.keep(watched, 2) == 1  # type: ignore[arg-type]  # as above
    assert watched.asked == [21, 21]
    assert watched.tiles_read < 5


def test_more_tsas_wanted_than_have_stamped_keep_records_lacking(
    house: Holding, tmp_path: Path
) -> None:
    fill(house, tmp_path, [1])
    house.send()
    assert house.vault.receipts.keep(house.ledger, 3) == 0
    assert house.vault.receipts.lacking(house.ledger.origin, 3) == (1,)


def test_batches_are_kept_one_by_one(
    house: Holding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    fill(house, tmp_path, range(5))
    house.anchorer.send()
    house.ledger.stamp()
    inner, calls = type(house.vault.receipts)._keep_proofs, []

    def die_at_the_second(*given: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        inner(*given)

    with monkeypatch.context() as patch:
        patch.setattr(type(house.vault.receipts), "_keep_proofs", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            house.vault.receipts.keep(house.ledger, 2)
    assert len(receipts_of(house)) == 1
    assert house.vault.receipts.keep(house.ledger, 2) == 4
    assert len(receipts_of(house)) == 5


def test_records_of_a_vault_without_receipts_get_theirs(house: Holding, tmp_path: Path) -> None:
    fill(house, tmp_path, [1])
    house.anchorer.send()
    house.ledger.stamp()
    house.vault.database.execute("UPDATE records SET ledger = NULL")
    assert house.vault.receipts.keep(house.ledger, 2) == 2
    assert house.vault.records.all()[0].ledger == house.ledger.origin


class Forging(Watched):
    """A ledger whose ``forged`` part is not what it signed."""

    forged = ""

    def signed_file(self, size: int) -> bytes:
        signed = self.ledger.signed_file(size)
        return signed.replace(b"\n3\n", b"\n4\n") if self.forged == "file" else signed

    def stamps(self, start: int = 0) -> Any:
        first, *_, last = self.ledger.stamps(start)
        moved = replace(last, size=first.size)
        return (moved,) if self.forged == "stamp" else self.ledger.stamps(start)

    def tiles(self, coordinates: Any) -> Any:
        found = self.ledger.tiles(coordinates)
        return tuple(bytes(len(one)) for one in found) if self.forged == "tiles" else found


@pytest.mark.parametrize("forged", ["file", "stamp", "tiles"])
def test_ledger_that_shows_what_it_did_not_sign_is_told_and_nothing_kept(
    house: Holding, tmp_path: Path, forged: str
) -> None:
    for numbers in ([1, 2], [3, 4]):
        fill(house, tmp_path, numbers)
        house.anchorer.send()
        house.ledger.stamp()
    ledger = Forging(house)
    ledger.forged = forged
    with pytest.raises(VerificationError):
        house.vault.receipts.keep(ledger, 2)  # type: ignore[arg-type]  # stands for one
    assert receipts_of(house) == []
    if forged != "tiles":
        assert house.vault.receipts.ledgers() == {}
    assert house.vault.receipts.keep(house.ledger, 2) == 5


def test_reach_counts_stamps_by_the_newest_of_each_tsa() -> None:
    reach = Reach({"a": 5, "b": 3})
    assert reach.tsas(2) == ("a", "b")
    assert reach.tsas(3) == ("a",)
    assert reach.tsas(5) == reach.tsas(None) == ()
    assert [reach.bound(wanted) for wanted in (0, 1, 2, 3)] == [0, 5, 3, 0]


def test_newest_token_of_each_tsa_bounds_the_next_record(house: Holding, tmp_path: Path) -> None:
    assert house.vault.receipts.newest_digests() == ()
    for number in range(3):
        fill(house, tmp_path, [number])
        house.send()
    digests = house.vault.receipts.newest_digests()
    tokens = [house.vault.receipts.token(digest) for digest in digests]
    assert {parse_token(token).raw for token in tokens if token} == {
        parse_token(stamp.response).raw for stamp in house.ledger.stamps(4)
    }
    assert house.vault.receipts.token("00" * 32) is None
    fill(house, tmp_path, [3])
    last = house.vault.records.newest()
    assert last is not None
    assert parse_record(last.sdjwt).claims["not_before"] == [*digests]


def test_bundle_from_receipts_alone_is_verified(house: Holding, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="lost"):
        KeptLedger(house.vault.receipts, NotFoundError("lost"))
    fill(house, tmp_path, [1])
    house.send()
    fill(house, tmp_path, [2])
    house.send()
    kept = KeptLedger(house.vault.receipts, NotFoundError("lost"))
    assert (kept.origin, kept.keys) == (house.ledger.origin, house.ledger.keys)
    assert kept.checkpoint() == house.ledger.checkpoint()
    plan = Bundler(house.vault, kept, tmp_path).plan(house.vault.records.all(), Choice())
    assert plan.unlinked == [(2, 3)]
    whole = Bundler(house.vault, house.ledger, tmp_path).plan(house.vault.records.all(), Choice())
    assert whole.unlinked == []
    same = {path for path in whole.bundle.files if path.startswith(("proofs/", "stamps/"))}
    assert all(plan.bundle.files[path] == whole.bundle.files[path] for path in same)
    trust = "".join(
        f'[[tsa]]\nname = "{tsa.name}"\nanchor = "{sha256(tsa.root).hexdigest()}"\n'
        "development = true\n"
        for tsa in TSAS
    )
    verdict = verify(
        plan.bundle, parse_trust(trust.encode()), {}, checked_at=START, clock="test", tool="test"
    )
    outcomes = {finding.step: finding.outcome for finding in verdict.findings}
    assert outcomes["inclusion"] == outcomes["time.not-after"] == "proven"
    assert "refuted" not in outcomes.values()


def test_lost_ledger_refuses_what_only_it_could_tell(house: Holding, tmp_path: Path) -> None:
    fill(house, tmp_path, [1])
    house.send()
    kept = KeptLedger(house.vault.receipts, NotFoundError("lost"))
    fill(house, tmp_path, [2])
    house.anchorer.send()
    for ask in (kept.stamp, kept.recapture, lambda: kept.append([]), lambda: kept.tiles([])):
        with pytest.raises(UnavailableError, match="the ledger cannot be read: lost"):
            ask()
    assert (kept.stamps(), kept.material()) == ((), ())
    with pytest.raises(UnavailableError):
        Bundler(house.vault, kept, tmp_path).plan(house.vault.records.all()[1:], Choice())
    house.vault.database.execute("DELETE FROM tokens")
    with pytest.raises(NotFoundError):
        kept.checkpoint()
