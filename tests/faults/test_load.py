"""Killed at random moments under load, a ledger goes on as if nothing had happened."""

import hashlib
import random
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.operator.guard import Guard
from ledger.operator.sequencer import Sequencer
from ledger.operator.store.sqlite import SqliteStore
from tests.sequencer_checks import KEYS, check_whole, opened

ROOT = Path(__file__).parents[2]
RUNS = 10
BATCH = 64
PROGRAM = (
    "import sys; from tests.faults.test_load import *; "
    "append_for_ever(Path(sys.argv[1]), int(sys.argv[2]))"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a writer told: its batch ``number`` begins at ``index``, under this signed file."""

    run: int
    number: int
    index: int
    size: int
    digest: str


def batch(run: int, number: int) -> list[bytes]:
    return [hashlib.sha512(b"%d %d %d" % (run, number, one)).digest() for one in range(BATCH)]


def append_for_ever(folder: Path, run: int) -> None:
    """Append batches and tell of each when it is acknowledged."""
    sequencer = Sequencer(SqliteStore(folder / "store"), Guard(folder / "guard"), KEYS)
    number = 0
    while True:
        first, *_ = sequencer.append(batch(run, number))
        signed_file = sequencer.checkpoint()
        size = opened(signed_file).size
        print(number, first, size, hashlib.sha256(signed_file).hexdigest(), flush=True)
        number += 1


def killed(folder: Path, run: int, dice: random.Random) -> list[Told]:
    """What a writer told until it was killed, some time after so many batches."""
    line = [sys.executable, "-c", PROGRAM, str(folder), str(run)]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(dice.randint(1, 20))]
        # Some work, so that the blow falls at any moment of the next batch.
        hashlib.pbkdf2_hmac("sha256", b"", b"", dice.randint(1, 50_000))
        process.kill()
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    whole = [text.split() for text in lines if text.endswith("\n")]
    return [Told(run, int(n), int(first), int(size), sha) for n, first, size, sha in whole]


@pytest.mark.slow
def test_ten_writers_killed_under_load_leave_one_history_with_all_that_they_told(
    tmp_path: Path,
) -> None:
    dice = random.Random(1)
    told: list[Told] = []
    for run in range(RUNS):
        told += killed(tmp_path, run, dice)
        last = told[-1]
        with (
            closing(SqliteStore(tmp_path / "store")) as store,
            closing(Guard(tmp_path / "guard")) as guard,
        ):
            sequencer = Sequencer(store, guard, KEYS)
            check_whole(store, guard, sequencer)
            for one in told:
                stored = store.entries(one.index, one.index + BATCH)
                assert stored == tuple(batch(one.run, one.number))
                signed_file = guard.file(one.size)
                assert signed_file is not None
                assert hashlib.sha256(signed_file).hexdigest() == one.digest
            # The batch that nobody heard of is there wholly or not at all, and goes in once.
            lost = batch(run, last.number + 1)
            start = last.index + BATCH
            assert store.head().size in {start, start + BATCH}
            assert sequencer.append(lost) == tuple(range(start, start + BATCH))
            check_whole(store, guard, sequencer)
    assert len(told) >= RUNS
