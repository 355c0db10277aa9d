"""Changes to the bytes of a bundle's files, each in a field that has a name.

A change is made to what the verdict is given: files, digests of carriers, the list of records. It
is then tried twice: behind the index's back, and with bundle.json and SHA256SUMS made anew, as
whoever forges would. A file that is named after its hash gets the name of its new one then.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, Protocol, TypeVar

from ledger.errors import MalformedError
from ledger.proof.bundle import (
    INDEX,
    SUMS,
    Bundle,
    Digest,
    Listed,
    format_sums,
    make_index,
    parse_index,
    place_of,
)
from ledger.proof.fields import Field, fields_of
from ledger.proof.revocation import format_answer
from ledger.proof.roots import parse_pem
from ledger.proof.stamps import format_certificate

T = TypeVar("T")

CATCHES: Mapping[str, tuple[str, ...]] = {
    "record": ("record.signature", "record.disclosures"),
    "lines": ("manifest", "carrier"),
    "part-lines": ("manifest", "carrier"),
    "excerpt": ("carrier",),
    "proof": ("inclusion",),
    "checkpoint": ("checkpoint.ledger", "checkpoint.ml-dsa", "stamp"),
    "cosignatures": ("cosignatures",),
    "consistency": ("consistency",),
    "stamp": ("stamp",),
    "not-before": ("time.not-before",),
    "certificate": ("stamp", "time.not-after"),
    "crl": ("revocation",),
    "ocsp": ("revocation",),
    "vkeys": ("checkpoint.ledger",),
    "carrier": ("carrier",),
    "sums": ("index",),
    "index": ("index", "record.signature", "entry.sha256", "entry.sm3"),
    "readme": (),
}
"""By kind of file: one of these steps does not stay proven when a byte of it is changed."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change to a bundle.

    ``name``: stable, ``<field>/<operation>`` or ``forgery/<what>``. ``steps``: one of them must
    catch it. ``path``: the file it is about, ``offset`` its place there. ``files``, ``carriers``:
    new content by path, None for what is left out. ``records``: the index's list, None if it stays.
    ``given``: carriers that the verifier holds, by name, None if they stay.
    """

    name: str
    steps: tuple[str, ...]
    path: str
    offset: int | None = None
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    carriers: Mapping[str, Digest | None] = field(default_factory=dict)
    records: tuple[tuple[str, bytes], ...] | None = None
    given: Mapping[str, Digest] | None = None

    @property
    def rebuildable(self) -> bool:
        """Whether it can stand behind an index made anew: not if it changes the list of sums."""
        return SUMS not in self.files

    @property
    def apart(self) -> bool:
        """Whether it can be made without the index: not if it is the index that it changes."""
        return bool(self.files or self.carriers)


class Dice(Protocol):
    """Where chance comes from: a seeded ``random.Random``, so that a run can be repeated."""

    def randrange(self, start: int, stop: int | None = None, /) -> int:
        """A number from 0 to below ``start``, or from ``start`` to below ``stop``."""

    def randbytes(self, n: int, /) -> bytes:
        """``n`` bytes."""

    def choice(self, seq: Sequence[T], /) -> T:
        """One of ``seq``, which is not empty."""

    def sample(self, population: Sequence[T], k: int) -> list[T]:
        """``k`` of ``population``, each once."""

    def shuffle(self, x: list[Any], /) -> None:  # Any: the items are not looked at
        """Put ``x`` in another order."""


Operation = Callable[[bytes, int, Dice], bytes]
"""Content, an offset inside it and dice in; other content out."""


def change_letter(content: bytes, at: int, dice: Dice) -> bytes:
    """Another character of the same kind, so that only its meaning changes; else the next byte."""
    old = content[at : at + 1]
    alphabet = b"0123456789" if old.isdigit() else b"abcdefghij" if old.islower() else b"ABCDEFGHIJ"
    others = alphabet.replace(old, b"") if old.isalnum() else bytes([(old[0] + 1) % 256])
    return content[:at] + bytes([dice.choice(others)]) + content[at + 1 :]


def flip_bit(content: bytes, at: int, dice: Dice) -> bytes:
    """One bit of one byte."""
    return content[:at] + bytes([content[at] ^ 1 << dice.randrange(8)]) + content[at + 1 :]


def insert_byte(content: bytes, at: int, dice: Dice) -> bytes:
    """One byte more."""
    return content[:at] + dice.choice((b"0", b"A", b"\n", dice.randbytes(1))) + content[at:]


def delete_byte(content: bytes, at: int, dice: Dice) -> bytes:  # noqa: ARG001
    """One byte less."""
    return content[:at] + content[at + 1 :]


def cut_short(content: bytes, at: int, dice: Dice) -> bytes:  # noqa: ARG001
    """The file ends here."""
    return content[:at]


def append_bytes(content: bytes, at: int, dice: Dice) -> bytes:  # noqa: ARG001
    """More behind the end, wherever the place is."""
    return content + dice.choice((b"\n", b" ", b"\x00", b"\n0\n"))


OPERATIONS: Mapping[str, Operation] = {
    "letter": change_letter,
    "flip": flip_bit,
    "insert": insert_byte,
    "delete": delete_byte,
    "cut": cut_short,
    "append": append_bytes,
}


@dataclass(frozen=True, slots=True)
class Target:
    """A field of a bundle's file, and what can be done to it."""

    path: str
    field: Field
    operation: str


MANY = 64
"""Files of one kind, and fields of one name in a file, of which targets are taken: a bundle may
have 100,000 of them, and one is like the other.
"""


def targets(bundle: Bundle, dice: Dice) -> list[Target]:
    """Each field of each file with each operation; what is behind the end is of the last field.

    Where there are more than MANY of one sort, the dice choose.
    """
    found = []
    for path in _many(sorted(bundle.files), dice, lambda path: place_of(path).kind):
        fields = fields_of(path, bundle.files[path])
        for one in _many(fields, dice, lambda one: one.name):
            names = [name for name in OPERATIONS if name != "append" or one is fields[-1]]
            found += [Target(path, one, name) for name in names]
    return found


def _many(items: Sequence[T], dice: Dice, sort: Callable[[T], str]) -> list[T]:
    """Of each sort at most MANY of the items, sort by sort."""
    by_sort: dict[str, list[T]] = {}
    for one in items:
        by_sort.setdefault(sort(one), []).append(one)
    return [
        one
        for several in by_sort.values()
        for one in (several if len(several) <= MANY else dice.sample(several, MANY))
    ]


def change_field(bundle: Bundle, target: Target, dice: Dice) -> Mutation:
    """The mutation at a place inside the target's field, chosen by the dice."""
    content = bundle.files[target.path]
    at = dice.randrange(target.field.start, target.field.stop)
    changed = OPERATIONS[target.operation](content, at, dice)
    kind = place_of(target.path).kind
    path = renamed(target.path, changed)
    files: dict[str, bytes | None] = {target.path: None, path: changed}
    name = f"{target.field.name}/{target.operation}"
    # A record that ends before a disclosure is whole, and shows less: what needed it tells.
    withheld = ("carrier", "manifest") if kind == "record" and target.operation == "cut" else ()
    return Mutation(name, (*CATCHES[kind], *withheld), target.path, at, files)


def sample_fields(bundle: Bundle, count: int, dice: Dice) -> Iterator[Mutation]:
    """``count`` mutations: every field with every operation before any comes twice.

    One field of each name comes before more of that name: there may be as many as files.
    """
    rounds: list[tuple[int, int, Target]] = []
    seen: dict[tuple[str, str], int] = {}
    everything = targets(bundle, dice)
    dice.shuffle(everything)
    for number, target in enumerate(everything):
        key = (target.field.name, target.operation)
        rounds.append((seen.get(key, 0), number, target))
        seen[key] = seen.get(key, 0) + 1
    ordered = [target for _, _, target in sorted(rounds, key=lambda row: row[:2])]
    for target in islice(cycle(ordered), count if ordered else 0):
        yield change_field(bundle, target, dice)


def one_of_each_field(bundle: Bundle, dice: Dice) -> Iterator[Mutation]:
    """One mutation for each name of a field, alternating what is done to it."""
    by_name: dict[str, list[Target]] = {}
    for target in targets(bundle, dice):
        by_name.setdefault(target.field.name, []).append(target)
    operations = cycle(("letter", "flip", "insert", "delete", "letter", "cut"))
    for choices, operation in zip(by_name.values(), operations, strict=False):
        fitting = [one for one in choices if one.operation == operation]
        yield change_field(bundle, dice.choice(fitting), dice)


def renamed(path: str, content: bytes) -> str:
    """The path that ``content`` has instead of ``path``, where files are named after their hash."""
    place = place_of(path)
    digest = hashlib.sha256(content).hexdigest()
    match place.kind:
        case "stamp":
            return f"{path[: -len('00000000.tsr')]}{digest[:8]}.tsr"
        case "not-before":
            return f"stamps/not-before/{digest}.tst"
        case "crl":
            return format_answer("crl", content)[0]
        case "ocsp":
            return format_answer("ocsp", content)[0]
        case "certificate":
            try:
                return format_certificate(parse_pem(path, content))[0]
            except MalformedError:
                return path
    return path


def mutate(bundle: Bundle, mutation: Mutation, *, rebuilt: bool) -> Bundle:
    """The bundle with the change made; ``rebuilt``: and its index made anew.

    ``bundle`` has an index that can be read. ValueError: the mutation is not rebuildable.
    """
    files = _changed(bundle.files, mutation.files)
    carriers = _changed(bundle.carriers, mutation.carriers)
    changed = Bundle(files, carriers)
    if not rebuilt:
        return changed
    if not mutation.rebuildable:
        raise ValueError(f"{mutation.name} changes {SUMS} itself")
    index = parse_index(bundle.files[INDEX])
    if INDEX in mutation.files:
        content = files[INDEX]
        own = Listed(INDEX, len(content), hashlib.sha256(content).digest())
        return Bundle({**files, SUMS: format_sums([*index.files, own])}, carriers)
    return make_index(
        changed, dict(index.records if mutation.records is None else mutation.records)
    )


def _changed(held: Mapping[str, T], changes: Mapping[str, T | None]) -> dict[str, T]:
    every = {**held, **changes}
    return {path: content for path, content in every.items() if content is not None}
