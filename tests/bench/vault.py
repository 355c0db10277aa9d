"""A vault of 100,000 records: what the daily commands cost in it, whole process and start included.

Goal: each about a second. Rows are put in the database directly, each with a real record's bytes
under an entry and names of its own, in a ledger that is really appended to and stamped; the last
records are anchored as usual.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import ROOT, TALLY, Cost, compare, print_table, run

sys.path.insert(0, str(ROOT))

from cli.compose import open_tally
from ledger.holder.records import StoredRecord
from ledger.holder.vault import Vault
from ledger.record.claims import format_time

AT_ONCE = 500
"""Records appended and stamped together."""

COLUMNS = (
    "entry, notebook, chain, seq, sdjwt, kind, stage, title, label, path, content, created, note"
)
BEGUN = datetime(2020, 1, 1, tzinfo=UTC)


def rows(first: StoredRecord, numbers: range) -> Iterator[tuple[object, ...]]:
    """Rows like ``first``, each with names of its own."""
    for number in numbers:
        stage = ("idea", "design", "experiment")[number % 3]
        yield (
            os.urandom(64),
            first.notebook,
            first.chain,
            number,
            first.sdjwt,
            first.kind,
            stage,
            f"第{number}批试验 batch {number}",
            f"B-{number:06}",
            f"/data/lab/{number % 1000:03}/第{number}批_结果.csv",
            os.urandom(32).hex(),
            format_time(BEGUN + timedelta(minutes=number)),
            "the stirrer broke" if number % 5000 == 0 else None,
        )


def add(vault: Vault, first: StoredRecord, numbers: range) -> None:
    marks = ", ".join("?" * 13)
    sql = f"INSERT INTO records ({COLUMNS}) VALUES ({marks})"
    connection = vault.database.conn
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(sql, rows(first, numbers))
    connection.execute("COMMIT")


def fill(folder: Path, count: int) -> float:
    """Fill the vault in ``folder``; seconds for the receipts of all that was put in."""
    tally = open_tally(folder, writing=True)
    first = tally.vault.records.newest()
    assert first is not None
    for start in range(2, count + 1, AT_ONCE):
        add(tally.vault, first, range(start, min(start + AT_ONCE, count + 1)))
        tally.anchorer.send()
        tally.ledger.stamp()
    started = time.perf_counter()
    tally.vault.receipts.keep(tally.ledger, tally.vault.config.wanted)
    seconds = time.perf_counter() - started
    tally.vault.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        environment = {"TALLY_VAULT": str(folder / "vault"), "TALLY_STATE": str(folder / "state")}
        os.environ |= environment
        run([*TALLY, "init", "--development"])
        (folder / "first.txt").write_text("first")
        run([*TALLY, "anchor", str(folder / "first.txt")])
        seconds = fill(folder / "vault", given.records)
        print(f"receipts of {given.records} records: {seconds:.1f} s")
        size = sum(path.stat().st_size for path in (folder / "vault").glob("vault.sqlite*"))
        print(f"vault.sqlite: {size / 2**20:.0f} MiB")

        def anchor() -> Cost:
            (folder / "new.txt").write_text(os.urandom(8).hex())
            return run([*TALLY, "anchor", str(folder / "new.txt")])

        def command(*words: str) -> Cost:
            return run([*TALLY, *words])

        def bundle() -> Cost:
            return command("bundle", "--only", "--force", "-o", str(folder / "x.zip"))

        commands = {
            "anchor one more": anchor,
            "status": lambda: command("status"),
            "log --limit 50": lambda: command("log", "--limit", "50"),
            "log, all of it": lambda: command("log"),
            "log --search 三字": lambda: command("log", "--search", "批试验 99"),
            "log --search 2 letters": lambda: command("log", "--search", "试验", "--limit", "50"),
            "log --search rare": lambda: command("log", "--search", "stirrer"),
            "log --kind none": lambda: command("log", "--kind", "measure"),
            "show 50000": lambda: command("show", str(given.records // 2)),
            "bundle --only newest": bundle,
            "bundle --only 50000": lambda: command(
                *("bundle", "--only", "--force", "-o", str(folder / "x.zip")),
                str(given.records // 2),
            ),
        }
        print_table(f"{given.records} records", compare(commands, given.rounds), "status")


if __name__ == "__main__":
    main()
