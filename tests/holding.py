"""A vault with a ledger in memory, under a clock that the test sets."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger.doors.carrier import read_carrier
from ledger.holder.anchoring import Anchored, Anchorer
from ledger.holder.config import Config
from ledger.holder.records import StoredRecord
from ledger.holder.said import Wish
from ledger.holder.vault import Vault, begin_vault, finish_vault
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.guard import Guard
from ledger.operator.local import LocalLedger
from ledger.operator.stamper import Stamper
from ledger.operator.store.memory import MemoryStore
from tests.sequencer_checks import KEYS

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that a test sets, and that moves by a second whenever it is asked."""

    time: datetime = START

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


CLOCK = Clock()
TSAS = tuple(DevelopmentTsa.create(name, CLOCK) for name in ("one", "two"))


def numbered() -> Iterator[int]:
    """Numbers for random bytes that are never twice the same, and the same in every run."""
    return itertools.count(1)


@dataclass
class Holding:
    """A business's side and the ledger it anchors in."""

    vault: Vault
    ledger: LocalLedger
    anchorer: Anchorer

    def anchor(self, path: Path, notebook: str = "notebook", **said: object) -> Anchored:
        """Read and record ``path``; not sent yet."""
        return self.anchorer.anchor(read_carrier(path), Wish(notebook, **said))  # type: ignore[arg-type]  # a test says what it wants

    def send(self) -> None:
        """Send and stamp."""
        self.anchorer.send()
        self.anchorer.stamp()


@contextmanager
def holding(folder: Path, config: Config | None = None) -> Iterator[Holding]:
    """A new vault in ``folder``/vault with an empty ledger."""
    CLOCK.time = START
    numbers = numbered()
    vault = begin_vault(folder / "vault", config or Config(development=True))
    finish_vault(vault)
    guard = Guard(folder / "guard.sqlite")

    def random_bytes(size: int) -> bytes:
        return b"".join(next(numbers).to_bytes(16) for _ in range(-(-size // 16)))[:size]

    store = MemoryStore()
    stamper = Stamper(
        store,
        TSAS,
        wanted=2,
        minimum_interval=timedelta(0),
        clock=CLOCK,
        random_bytes=random_bytes,
    )
    ledger = LocalLedger(store, guard, KEYS, stamper, [tsa.root for tsa in TSAS])
    anchorer = Anchorer(vault, ledger, clock=CLOCK, random_bytes=random_bytes)
    try:
        yield Holding(vault, ledger, anchorer)
    finally:
        vault.close()
        guard.close()


def stored(seq: int = 1, notebook: str = "n", **other: object) -> StoredRecord:
    """A record as a vault would keep it; nothing in it holds together."""
    fields: dict[str, object] = {
        "number": 0,
        "entry": bytes([seq]) * 64,
        "notebook": notebook,
        "chain": notebook.encode().hex().ljust(32, "0"),
        "seq": seq,
        "sdjwt": b"J~",
        "kind": "carrier",
        "stage": None,
        "title": None,
        "label": None,
        "path": f"/data/{seq}",
        "content": "00",
        "manifest": None,
        "created": "2026-03-01T12:00:00Z",
        "index": None,
    }
    return StoredRecord(**(fields | other))  # type: ignore[arg-type]  # a test names the fields
