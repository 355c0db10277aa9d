"""Proofs for bundles: made from tiles, true of the ledger's own checkpoint, in runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import VerificationError
from ledger.holder.prover import Prover, checkpoint_of
from ledger.operator.local import LocalLedger
from ledger.proof.bundle import parse_consistency
from ledger.tlog.merkle import (
    ConsistencyProof,
    InclusionProof,
    check_consistency,
    check_inclusion,
    leaf_hash,
)
from tests.holding import holding
from tests.sequencer_checks import entries

SIZES = (300, 700)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LocalLedger]:
    with holding(tmp_path) as held:
        held.ledger.append(entries(0, SIZES[0]))
        held.ledger.append(entries(*SIZES))
        yield held.ledger


def test_each_proof_of_a_run_is_true_of_the_signed_file_of_its_size(ledger: LocalLedger) -> None:
    prover = Prover(ledger)
    for size in (*SIZES, *SIZES):
        for index in (0, 255, 256, 299):
            entry = entries(index, index + 1)[0]
            path = prover.inclusion(entry, index, size)
            head = checkpoint_of(ledger.signed_file(size)).head
            assert head.size == size
            check_inclusion(InclusionProof(index, size, path), leaf_hash(entry), head)
    old, new = (checkpoint_of(ledger.signed_file(size)).head for size in SIZES)
    path = parse_consistency(prover.consistency(*SIZES))
    check_consistency(ConsistencyProof(*SIZES, path), old, new)


def test_a_proof_that_does_not_lead_to_the_ledgers_own_checkpoint_is_not_given(
    ledger: LocalLedger,
) -> None:
    prover = Prover(ledger)
    with pytest.raises(VerificationError, match="leads to another root"):
        prover.inclusion(entries(8, 9)[0], 7, SIZES[1])
