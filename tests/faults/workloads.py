"""What is done while a fault befalls it: commands of ``tally``, each told of when it returned."""

import contextlib
import io
import json
import os
import random
import shutil
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.compose import open_tally
from cli.main import run
from ledger.doors.carrier import read_carrier
from ledger.errors import LedgerError
from ledger.holder.said import Wish

Words = Sequence[str]


@dataclass(frozen=True, slots=True)
class Told:
    """One command that returned: its exit code (None: an exception escaped) and what it said."""

    words: tuple[str, ...]
    code: int | None
    value: Any
    err: str


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one schedule: ``home`` (vault and guard) meets faults, carriers do not."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def vault(self) -> Path:
        return self.home / "vault"

    @property
    def guards(self) -> Path:
        return self.home / "state" / "guards"

    @property
    def carriers(self) -> Path:
        return self.folder / "carriers"

    def enter(self) -> None:
        """Make this process's vault and present folder those of this place."""
        os.environ["TALLY_VAULT"] = os.fspath(self.vault)
        os.environ["TALLY_STATE"] = os.fspath(self.home / "state")
        os.chdir(self.carriers)

    def copy(self, folder: Path) -> "Place":
        shutil.copytree(self.folder, folder)
        return Place(folder)


def lay_carriers(place: Place, seed: int) -> None:
    """Files to anchor, of seeded sizes and bytes."""
    dice = random.Random(seed)
    for name in ("first", "a.txt", "b.txt", "more", "other", "later", "d/1", "d/2", "d/sub/3"):
        path = place.carriers / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() + dice.randbytes(dice.choice((0, 1, 300, 70_000))))


def perform(words: Words) -> Told:
    """Do one command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            acts = {"cover": _cover, "queue": _queue}
            code = acts[words[0]](words[1:]) if words[0] in acts else run([*words, "--json"])
        except Exception:  # noqa: BLE001 - whatever escapes is what is looked for
            return Told(tuple(words), None, None, traceback.format_exc())
    text = out.getvalue()
    return Told(tuple(words), code, json.loads(text) if text else None, err.getvalue())


def _cover(_: Words) -> int:
    def cover() -> None:
        _open().anchorer.cover()

    return _in_library(cover)


def _queue(names: Words) -> int:
    """Make records and do not send them, as when the ledger cannot be reached."""

    def anchor() -> None:
        tally = _open()
        for name in names:
            tally.anchorer.anchor(read_carrier(Path(name)), Wish("notebook"))

    return _in_library(anchor)


def _open() -> Any:
    return open_tally(Path(os.environ["TALLY_VAULT"]), writing=True)


def _in_library(act: Callable[[], None]) -> int:
    """What ``tally`` would answer if this were one of its commands."""
    with click.Context(click.Command("act")):
        try:
            act()
        except LedgerError as error:
            click.echo(f"tally: {error}", err=True)
            return 3
    return 0


@dataclass(frozen=True, slots=True)
class Workload:
    """``acts`` meet the fault, on a copy of the template; ``beside``: another process at once."""

    name: str
    template: str
    acts: tuple[Words, ...]
    beside: tuple[Words, ...] = ()


TEMPLATES: dict[str, tuple[Words, ...]] = {
    "nothing": (),
    "small": (("init", "--development"), ("anchor", "first")),
    "queued": (
        ("init", "--development"),
        ("anchor", "first"),
        ("queue", "a.txt", "d"),
        ("cover",),
        ("queue", "b.txt"),
    ),
}
"""Vaults that workloads begin with."""

WORKLOADS = (
    Workload("init", "nothing", (("init", "--development"),)),
    Workload("anchor", "small", (("anchor", "a.txt", "d"), ("anchor", "b.txt"))),
    Workload("cover", "small", (("cover",), ("anchor", "more", "--no-wait"), ("sync",))),
    Workload("send", "queued", (("sync",),)),
    Workload("two", "small", (("anchor", "a.txt", "d"),), (("anchor", "b.txt"), ("sync",))),
    Workload("bundle", "small", (("bundle", "-o", "../home/x.zip", "--force"),)),
)

AFTERWARDS: tuple[Words, ...] = (("sync",), ("anchor", "later", "a.txt"), ("log",))
PROVING: tuple[Words, ...] = (
    ("bundle", "-o", "../whole.zip", "--notebook", "notebook"),
    ("verify", "../whole.zip", "--trust", "../home/vault/development-trust.toml"),
)
"""What a process without faults does next; in a whole vault each exits with 0."""


def continue_after(place: Place, *, proving: bool) -> tuple[Words, ...]:
    """What is done next in ``place``: first of all a vault, if there is none yet."""
    acts = (*AFTERWARDS, *PROVING) if proving else AFTERWARDS
    begun = (place.vault / "tallystick.toml").exists()
    return acts if begun else (("init", "--development"), *acts)
