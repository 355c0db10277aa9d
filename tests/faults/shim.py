"""The shim in ``shim.c``: built, loaded into a new process, told what to do.

Linux on 64 bits, with a C compiler; elsewhere ``build`` gives the reason why not.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
PATH_BYTES, MAX_CALLS = 192, 8192


class Kind(IntEnum):
    """What a call on a file does, as ``enum kind`` of the shim has it."""

    CREATE = 1
    OPEN = 2
    WRITE = 3
    SYNC = 4
    RENAME = 5
    UNLINK = 6
    TRUNCATE = 7
    READ = 8


class Fault(IntEnum):
    """What goes wrong, as ``enum fault`` of the shim has it."""

    NONE = 0
    KILL_BEFORE = 1
    KILL_AFTER = 2
    KILL_TORN = 3
    IO_ERROR = 4
    IO_TORN = 5
    SHORT = 6
    NO_SPACE = 7
    FULL = 8
    READ_ONLY = 9
    FLIP = 10
    POWER = 11
    POWER_SOME = 12


KILLS = {
    Fault.KILL_BEFORE,
    Fault.KILL_AFTER,
    Fault.KILL_TORN,
    Fault.POWER,
    Fault.POWER_SOME,
}
"""The process dies. A power cut takes what was not synced with it: all of it, or some by lot."""

_MAKING = {Kind.CREATE, Kind.WRITE, Kind.SYNC, Kind.RENAME}
_CHANGING = set(Kind) - {Kind.READ, Kind.OPEN}

BEFALLS: dict[Fault, set[Kind]] = {
    Fault.KILL_BEFORE: _CHANGING,
    Fault.KILL_AFTER: _CHANGING,
    Fault.KILL_TORN: {Kind.WRITE},
    Fault.IO_ERROR: set(Kind),
    Fault.IO_TORN: {Kind.WRITE},
    Fault.SHORT: {Kind.WRITE},
    Fault.NO_SPACE: _MAKING,
    Fault.FULL: _MAKING,
    Fault.READ_ONLY: set(Kind) - {Kind.READ, Kind.SYNC},
    Fault.FLIP: {Kind.READ},
    Fault.POWER: _CHANGING,
    Fault.POWER_SOME: _CHANGING,
}


class _Call(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("path", ctypes.c_char * PATH_BYTES)]


class _Plan(ctypes.Structure):
    _fields_ = [
        ("root", ctypes.c_char * PATH_BYTES),
        ("fault", ctypes.c_int),
        ("target", ctypes.c_int),
        ("seed", ctypes.c_uint),
        ("count", ctypes.c_int),
        ("met", ctypes.c_int),
        ("calls", _Call * MAX_CALLS),
    ]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what it did, and the path below the root it did it to."""

    kind: Kind
    path: str


class Shim:
    """The shim in this process, which was started with ``environment``."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._library.faults_plan.restype = ctypes.POINTER(_Plan)
        self._plan = self._library.faults_plan().contents

    def plan(self, root: Path, fault: Fault = Fault.NONE, target: int = 1, seed: int = 0) -> None:
        """What is to happen below ``root`` in the next process forked from this one and armed."""
        self._plan.root = os.fsencode(root) + b"/"
        self._plan.fault, self._plan.target, self._plan.seed = fault, target, seed
        self._plan.count = self._plan.met = 0

    def arm(self) -> None:
        """From now on calls of this process are counted."""
        self._library.faults_arm(1)

    def calls(self) -> list[Call]:
        """Every call counted since ``plan``."""
        assert self._plan.count <= MAX_CALLS
        made = self._plan.calls[: self._plan.count]
        return [Call(Kind(one.kind), os.fsdecode(one.path)) for one in made]

    def met(self) -> Call | None:
        """The call that the fault befell, if it came to that."""
        number = self._plan.met
        if not number:
            return None
        one = self._plan.calls[number - 1]
        return Call(Kind(one.kind), os.fsdecode(one.path))


def lacking() -> str | None:
    """Why the shim cannot be built here, or None."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return "faults are injected on Linux of 64 bits only"
    return None if shutil.which("cc") else "there is no C compiler (cc)"


def build(folder: Path) -> Path:
    """The shim compiled into ``folder``."""
    library = folder / "shim.so"
    line = ["cc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", library, SOURCE]
    subprocess.run(line, check=True)
    return library


def environment(library: Path) -> dict[str, str]:
    """The environment of a process that has the shim."""
    return {**os.environ, "LD_PRELOAD": os.fspath(library)}
