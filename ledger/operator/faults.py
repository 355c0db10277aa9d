"""What an audit finds wrong, as values: of what kind, where, which byte, and which it should be.

>>> faults = Faults()
>>> faults.compare("tile", b"abd", b"abc", "tile/0/000.p/3", "")
>>> faults.first[0].place, faults.first[0].offset, faults.first[0].want, faults.first[0].found
('tile/0/000.p/3', 2, 99, 100)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["head", "entry", "tile", "checkpoint", "guard", "stamp", "material", "lookup"]
State = Literal["wrong", "missing", "extra"]

KINDS: Sequence[Kind] = (
    "head",
    "entry",
    "tile",
    "checkpoint",
    "guard",
    "stamp",
    "material",
    "lookup",
)
"""In the order in which faults are told: what the rest rests on comes first."""

ANY_CHANGE = tuple(range(1, 256))
"""Each other value of a byte: 16,320 tries for an entry, some milliseconds."""

ONE_BIT = tuple(1 << bit for bit in range(8))
"""What wear does to a byte. A token has thousands of bytes, and trying each value takes seconds."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be.

    ``place``: which row or file, for people; ``index``: of an entry, or of the first of several;
    ``size``: the tree size of a side row. ``offset``: of the first byte that differs, in the row's
    content, if that is known; ``want``, ``found``: this byte, None where there is none. ``text``:
    what is the matter.
    """

    kind: Kind
    state: State
    place: str
    text: str
    index: int | None = None
    size: int | None = None
    offset: int | None = None
    want: int | None = None
    found: int | None = None


@dataclass(slots=True)
class Faults:
    """Counts faults by kind and state, and holds the first of each."""

    counts: dict[tuple[Kind, State], int] = field(default_factory=dict)
    _first: dict[tuple[Kind, State], Fault] = field(default_factory=dict)

    @property
    def first(self) -> tuple[Fault, ...]:
        """The first fault of each kind and state, in the order of KINDS."""
        found = sorted(self._first.values(), key=lambda fault: KINDS.index(fault.kind))
        return tuple(found)

    def has(self, kind: Kind, state: State) -> bool:
        """Whether there is one of them already."""
        return (kind, state) in self._first

    def add(self, fault: Fault, count: int = 1) -> None:
        """Count ``fault``, which stands for ``count`` alike."""
        key = fault.kind, fault.state
        self.counts[key] = self.counts.get(key, 0) + count
        self._first.setdefault(key, fault)

    def compare(
        self,
        kind: Kind,
        found: bytes,
        want: bytes,
        place: str,
        text: str,
        *,
        index: int | None = None,
        size: int | None = None,
    ) -> None:
        """Add a fault at the first byte at which ``found`` is not ``want``, if there is one."""
        if found == want:
            return
        offset = first_difference(found, want)
        state: State = "wrong"
        if offset == len(found):
            state = "missing"
        elif offset == len(want):
            state = "extra"
        self.add(
            Fault(
                kind,
                state,
                place,
                text or f"{len(found)} bytes, want {len(want)}",
                index,
                size,
                offset,
                want[offset] if offset < len(want) else None,
                found[offset] if offset < len(found) else None,
            )
        )


def first_difference(one: bytes, other: bytes) -> int:
    """The first offset at which they differ; the shorter one's length if it begins the other."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def mended(
    content: bytes, holds: Callable[[bytes], bool], changes: Sequence[int]
) -> tuple[int, int] | None:
    """Offset and right value of the one byte of ``content`` that is wrong, or None if it is not so.

    ``holds``: whether bytes are right, by a hash that is known. ``changes``: what a byte is XORed
    with to try. Costs a call of ``holds`` for each byte and change.
    """
    trial = bytearray(content)
    for offset, byte in enumerate(content):
        for change in changes:
            trial[offset] = byte ^ change
            if holds(bytes(trial)):
                return offset, byte ^ change
        trial[offset] = byte
    return None
