"""P8: the verdict on a bundle, in process: one record with two tokens, then a hundred more.

Goal: at most 10 ms for one record with two tokens, at most 200 µs for each further record under
the same checkpoint. Beside it: one Ed25519 check of a record's J, which is the floor of the second
number, and the same two tokens by ``openssl ts -verify``, a process each.
"""

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from measure import run

from cli.compose import make_tally
from cli.tsas import DEVELOPMENT_TRUST
from ledger.doors.carrier import read_carrier
from ledger.holder.bundling import Bundler, Choice
from ledger.holder.config import Config
from ledger.holder.said import Wish
from ledger.proof.bundle import Bundle
from ledger.proof.trust import Trust, parse_trust
from ledger.proof.verdict import Outcome
from ledger.proof.verify import verify
from ledger.record.sdjwt import check_jwt, parse_jwt, parse_sdjwt

MORE = 100


def make(folder: Path, records: int) -> tuple[Bundle, Trust]:
    """A bundle of one chain of ``records`` records, all opened, under one stamped checkpoint."""
    tally = make_tally(folder / "vault", Config(development=True), state=folder / "state")
    carrier = folder / "carrier.txt"
    for number in range(records):
        carrier.write_bytes(b"%d" % number)
        tally.anchorer.anchor(read_carrier(carrier), Wish("bench", keep=False))
    tally.anchorer.send()
    tally.anchorer.stamp()
    chosen = tally.vault.records.all()
    plan = Bundler(tally.vault, tally.ledger, folder).plan(chosen, Choice(("carrier", "kind")))
    trust = parse_trust((folder / "vault" / DEVELOPMENT_TRUST).read_bytes())
    return plan.bundle, trust


def timed(bundle: Bundle, trust: Trust, rounds: int) -> list[float]:
    """CPU seconds of one verdict, each round's but the first's."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        verdict = verify(
            bundle, trust, {}, checked_at=datetime.now(UTC), clock="bench", tool="bench"
        )
        times.append(time.process_time() - started)
        assert verdict.outcome is Outcome.PROVEN, verdict.first_fault
    return times[1:]


def ed25519(bundle: Bundle) -> float:
    """Least CPU seconds of the signature check of one record, and of nothing else."""
    path = next(path for path in sorted(bundle.files) if path.startswith("records/"))
    jwt = parse_jwt(parse_sdjwt(bundle.files[path]).jwt)
    times = []
    for _ in range(41):
        started = time.process_time()
        for _ in range(MORE):
            check_jwt(jwt)
        times.append((time.process_time() - started) / MORE)
    return min(times)


def openssl(folder: Path, bundle: Bundle) -> float:
    """Median CPU seconds of one ``openssl ts -verify`` of the bundle's first stamp."""
    path = next(path for path in sorted(bundle.files) if path.endswith(".tsr"))
    root = min((folder / "vault").glob("development-*-root.pem"))
    size = path.split("/")[1]
    (folder / "t.tsr").write_bytes(bundle.files[path])
    (folder / "t.data").write_bytes(bundle.files[f"checkpoints/{size}"])
    words = ["openssl", "ts", "-verify", "-in", str(folder / "t.tsr")]
    words += ["-data", str(folder / "t.data"), "-CAfile", str(root)]
    return statistics.median(run(words).cpu for _ in range(11))


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as many:
        small, trust = make(Path(one), 1)
        single = timed(small, trust, 41)
        big, trust_many = make(Path(many), 1 + MORE)
        several = timed(big, trust_many, 21)
        floor = ed25519(small)
        peer = openssl(Path(one), small)
    median, spread = statistics.median(single), max(single) - min(single)
    further = (min(several) - min(single)) / MORE  # a busy machine only adds to either
    print(f"one record with two tokens: {median * 1e3:.2f} ms (spread {spread * 1e3:.2f})")
    print(f"each further record: {further * 1e6:.0f} µs, of which Ed25519 {floor * 1e6:.0f} µs")
    print(f"openssl ts -verify of two tokens, a process each: {2 * peer * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
