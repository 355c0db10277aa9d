"""One workload under many faults: the process that was started with the shim, and forks.

``python -m tests.faults.campaign WORKLOAD COUNT SEED FOLDER`` in an environment of ``shim``; on
stdout a JSON line for each schedule. The modules are loaded once; each schedule is forked from
here with a copy of its template, and so are the process that goes on after it and the judge.
"""

import gc
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults import oracle
from tests.faults.shim import BEFALLS, KILLS, Call, Fault, Shim
from tests.faults.workloads import (
    TEMPLATES,
    WORKLOADS,
    Place,
    Told,
    Words,
    Workload,
    continue_after,
    lay_carriers,
    perform,
)

PROVEN_EVERY = 8
"""Of so many schedules one ends with a bundle and its verdict, which take as long as all else.
All those with a flipped bit do: SQLite has no checksums, so what was damaged must be told there."""

HANG_SECONDS = 60
"""No schedule takes a second; one that takes this long hangs, and that is a fault of ours."""


@dataclass(frozen=True, slots=True)
class Row:
    """One schedule: what befell which step, the state it left, and the verdict on what follows."""

    workload: str
    number: int
    fault: str
    step: str
    found: str
    verdict: str
    good: bool


def forked(act: Callable[[], None]) -> Callable[[], int]:
    """Start ``act`` in a process of its own; the result waits for it and gives its exit code."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        code = 70
        try:
            signal.alarm(HANG_SECONDS)
            act()
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def acting(
    place: Place, acts: Sequence[Words], report: str, before: Callable[[], None] = lambda: None
) -> Callable[[], None]:
    """Do ``acts`` in ``place`` and write down what each said when it has returned."""

    def act() -> None:
        place.enter()
        with (place.folder / report).open("a", encoding="utf-8") as file:
            before()
            for words in acts:
                print(json.dumps(asdict(perform(words))), file=file, flush=True)

    return act


def told(place: Place, report: str) -> list[Told]:
    """What was written down, as far as it got."""
    path = place.folder / report
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [Told(**json.loads(line)) for line in lines]


def make_template(folder: Path, name: str, seed: int) -> Place:
    """The template ``name``, made in this process: what commands import is then there to fork."""
    place = Place(folder / name)
    for one in (place.home, place.carriers):
        one.mkdir(parents=True)
    lay_carriers(place, seed)
    acting(place, TEMPLATES[name], "made")()
    warm = place.copy(folder / "warm")
    acting(warm, continue_after(warm, proving=True), "after")()
    for one in (*told(place, "made"), *told(warm, "after")):
        assert one.code == 0, one.err
    os.chdir(folder)
    shutil.rmtree(warm.folder)
    gc.freeze()
    return place


class Campaign:
    """Schedules of one ``workload``, in ``folder``."""

    def __init__(self, workload: Workload, folder: Path, seed: int) -> None:
        self._shim = Shim()
        self._workload = workload
        self._folder = folder
        self._template = make_template(folder, workload.template, seed)
        self._dice = random.Random(f"{workload.name} {seed}")
        self._before = oracle.guard_files(self._template.home)

    def calls(self) -> list[Call]:
        """Every call that the workload makes when nothing goes wrong."""
        place = self._template.copy(self._folder / "0")
        self._shim.plan(place.home)
        assert forked(acting(place, self._workload.acts, "told", self._shim.arm))() == 0
        for one in told(place, "told"):
            assert one.code == 0, one.err
        shutil.rmtree(place.folder)
        return self._shim.calls()

    def schedules(self, count: int) -> list[tuple[int, Fault]]:
        """``count`` pairs of call and fault: each step and fault once, the rest by lot."""
        pairs = [
            (number, fault, step(call))
            for number, call in enumerate(self.calls(), 1)
            for fault, kinds in BEFALLS.items()
            if call.kind in kinds
            # A power cut ends every process at once; the shim knows what its own has synced.
            and not (self._workload.beside and fault in {Fault.POWER, Fault.POWER_SOME})
        ]
        self._dice.shuffle(pairs)
        once: dict[tuple[str, Fault], tuple[int, Fault]] = {}
        for number, fault, name in pairs:
            once.setdefault((name, fault), (number, fault))
        chosen = [*once.values(), *((number, fault) for number, fault, _ in pairs)]
        return list(dict.fromkeys(chosen))[:count]

    def run(self, number: int, fault: Fault) -> Row:
        """One schedule from the template to the verdict."""
        place = self._template.copy(self._folder / f"{number}-{fault.name}")
        self._shim.plan(place.home, fault, number, self._dice.getrandbits(31))
        waits = [forked(acting(place, self._workload.acts, "told", self._shim.arm))]
        if self._workload.beside:
            waits.append(forked(acting(place, self._workload.beside, "beside")))
        codes = [wait() for wait in waits]
        met = self._shim.met()
        if met is None:
            shutil.rmtree(place.folder)
            return self._row(number, fault, "not met", "-", "-", True)
        found = oracle.look(place) if fault is not Fault.FLIP else "-"
        verdict = self._judge(place, fault, codes)
        shutil.rmtree(place.folder)
        return self._row(number, fault, step(met), found, *verdict)

    def _row(
        self, number: int, fault: Fault, name: str, found: str, verdict: str, good: bool
    ) -> Row:
        return Row(self._workload.name, number, fault.name, name, found, verdict, good)

    def _judge(self, place: Place, fault: Fault, codes: Sequence[int]) -> tuple[str, bool]:
        faulted = told(place, "told")
        if codes[0] != (-signal.SIGKILL if fault in KILLS else 0) or any(codes[1:]):
            return f"ended with {codes}", False
        allowed = {0, 1, 2, 3} if fault is Fault.FLIP else {0, 3}
        for one in (*faulted, *told(place, "beside")):
            if one.code not in allowed or (one.code and not one.err.startswith("tally: ")):
                return f"{one.words[0]} gave {one.code}: {one.err[-200:]}", False
        for one in told(place, "beside"):
            if one.code and fault is not Fault.FLIP:
                return f"the other's {one.words[0]} gave {one.code}: {one.err}", False
        proving = fault is Fault.FLIP or self._dice.randrange(PROVEN_EVERY) == 0
        acts = continue_after(place, proving=proving)
        if forked(acting(place, acts, "after"))():
            return "going on did not end", False
        return self._judge_after(place, fault, [*faulted, *told(place, "beside")])

    def _judge_after(self, place: Place, fault: Fault, said: list[Told]) -> tuple[str, bool]:
        refused = next((one for one in said if one.code), None)
        outcome = "killed" if fault in KILLS else "refused" if refused else "done"
        after = told(place, "after")
        failed = next((one for one in after if one.code != 0), None)
        if failed is not None and (failed.code is None or fault is not Fault.FLIP):
            return f"then {failed.words[0]} gave {failed.code}: {failed.err[-300:]}", False
        if fault is Fault.FLIP and (bad := oracle.wrongly_signed(place, self._before)):
            return bad, False
        if failed is not None:
            return f"{outcome}, {failed.words[0]} refused", True
        bad = oracle.wrong(place, self._before, [*said, *after])
        if bad and fault is Fault.FLIP:
            # The bundle of all records was proven: what is damaged, no proof rests on.
            return f"{outcome}, proven beside damage", True
        return (bad, False) if bad else (f"{outcome}, whole", True)


def step(call: Call) -> str:
    """The file and the kind of a call, as the table names it."""
    return f"{file_name(call.path)} {call.kind.name.lower()}"


def file_name(path: str) -> str:
    """Which of a vault's files it is."""
    name = path.rsplit("/", 1)[-1]
    end = next((one for one in ("-wal", "-shm", "-journal") if name.endswith(one)), "")
    for part, word in (
        ("state/guards", "guard"),
        ("ledger/store.sqlite", "store"),
        ("vault/vault.sqlite", "vault"),
        ("turn.lock", "turn"),
        ("originals", "originals"),
        ("manifests", "manifests"),
        ("vault/keys", "keys"),
        ("ledger/keys.pem", "keys"),
        ("vault/ledger", "ledger folder"),
        ("vault", "vault folder"),
        ("state", "guard folder"),
    ):
        if part in path:
            return word + end
    return "bundle" if path else "home"


def main(name: str, count: str, seed: str, folder: str) -> None:
    [workload] = [one for one in WORKLOADS if one.name == name]
    campaign = Campaign(workload, Path(folder), int(seed))
    for number, fault in campaign.schedules(int(count)):
        print(json.dumps(asdict(campaign.run(number, fault))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
