"""Changes to a bundle that need no key: files left out, exchanged, copied, renamed, moved.

Every file in them is genuine; what is wrong is where it stands, or that it does not.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from ledger.proof.bundle import INDEX, SUMS, Bundle, Digest, parse_index, place_of
from ledger.proof.mutations import CATCHES, Dice, Mutation
from ledger.record.sdjwt import SdJwt, format_sdjwt, make_disclosure, parse_sdjwt

SOME = 6
"""Of many records or carriers the first, the last, and as many between as make this number."""

ANY = ("index", "record.signature", "inclusion", "time.not-after", "carrier", "manifest")
"""Steps that decide: one of them misses what was left out, unless enough is there without it."""

KINDS = tuple(kind for kind in CATCHES if kind not in {"index", "sums", "carrier"})

Files = dict[str, bytes | None]
T = TypeVar("T")


def rearrangements(bundle: Bundle, dice: Dice) -> Iterator[Mutation]:
    """Every way below, on files that the dice choose."""
    yield from left_out(bundle, dice)
    yield from exchanged(bundle, dice)
    yield from renamed_files(bundle, dice)
    yield from extra_files(bundle, dice)
    yield from other_stamps(bundle)
    yield from other_records(bundle, dice)
    yield from other_disclosures(bundle, dice)
    yield from other_carriers(bundle, dice)


def paths_of(bundle: Bundle, kind: str) -> list[str]:
    """Paths of one kind, sorted."""
    return [path for path, _ in bundle.of_kind(kind)]


def some(items: Sequence[T], dice: Dice) -> list[T]:
    """The first, the last and some between, in order; all if they are few."""
    if len(items) <= SOME:
        return list(items)
    return [items[0], *dice.sample(items[1:-1], SOME - 2), items[-1]]


def left_out(bundle: Bundle, dice: Dice) -> Iterator[Mutation]:
    """A file of each kind is not there; the index and the sums too, each by itself."""
    for kind in KINDS:
        if paths := paths_of(bundle, kind):
            path = dice.choice(paths)
            yield Mutation(f"left-out/{kind}", (*CATCHES[kind], *ANY), path, files={path: None})
        if len(paths) > 1:
            files: Files = dict.fromkeys(paths)
            yield Mutation(f"all-left-out/{kind}", (*CATCHES[kind], *ANY), paths[0], files=files)
    for path, name in ((INDEX, "index"), (SUMS, "sums")):
        # The index is what would be made anew; without it there is no bundle to make one of.
        if path in bundle.files:
            gone: Files = {INDEX: None, SUMS: None} if path == INDEX else {SUMS: None}
            yield Mutation(f"left-out/{name}", ("index",), path, files=gone)


def exchanged(bundle: Bundle, dice: Dice) -> Iterator[Mutation]:
    """Two files of one kind, their contents exchanged."""
    for kind in KINDS:
        paths = paths_of(bundle, kind)
        pairs = [
            (one, other)
            for one, other in pairwise(dice.sample(paths, len(paths)))
            if bundle.files[one] != bundle.files[other]
        ]
        if pairs:
            one, other = pairs[0]
            files: Files = {one: bundle.files[other], other: bundle.files[one]}
            yield Mutation(f"exchanged/{kind}", ("index", *CATCHES[kind]), one, files=files)


def renamed_files(bundle: Bundle, dice: Dice) -> Iterator[Mutation]:
    """A file of each kind under another name of its kind: moved there, and copied."""
    names = [entry.hex()[:16] for _, entry in parse_index(bundle.files[INDEX]).records]
    for kind in KINDS:
        paths = paths_of(bundle, kind)
        if not paths or place_of(paths[0]).fields == {}:
            continue
        path = dice.choice(paths)
        name = _other_name(path, names)
        if bundle.files.get(name) == bundle.files[path]:
            continue
        moved: Files = {path: None, name: bundle.files[path]}
        steps = (*CATCHES[kind], *ANY)
        yield Mutation(f"renamed/{kind}", steps, path, files=moved)
        yield Mutation(f"copied/{kind}", steps, path, files={name: bundle.files[path]})


def _other_name(path: str, names: Sequence[str]) -> str:
    """Another path of the same kind: another record's if there is one, else the next number."""
    place = place_of(path)
    fields = dict(place.fields)
    if "entry" in fields:
        others = [name for name in names if name != fields["entry"]]
        old = fields["entry"]
        return path.replace(old, others[0] if others else _next_digit(old))
    for key in ("new", "size", "hash"):
        if key in fields:
            old = fields[key]
            new = _next_digit(old) if key == "hash" else str(int(old) + 1)
            at = path.rindex(old)
            return path[:at] + new + path[at + len(old) :]
    return path


def _next_digit(text: str) -> str:
    """Hex digits with another first one."""
    return f"{(int(text[0], 16) + 1) % 16:x}{text[1:]}"


def extra_files(bundle: Bundle, dice: Dice) -> Iterator[Mutation]:
    """A file that no bundle has; one more carrier; one more file of a kind."""
    for path in ("notes.txt", "records/x", ".hidden", "evidence/a"):
        yield Mutation("extra/unknown", ("index",), path, files={path: dice.randbytes(8)})
    for path in paths_of(bundle, "record")[:1]:
        carrier = f"carriers/{place_of(path).fields['entry']}/extra.txt"
        digest = Digest(8, dice.randbytes(32))
        yield Mutation("extra/carrier", ("carrier",), carrier, carriers={carrier: digest})
    proof = f"consistency/{2**40}-{2**41}"
    files: Files = {proof: b""}
    yield Mutation("extra/consistency", ("consistency",), proof, files=files)


def other_stamps(bundle: Bundle) -> Iterator[Mutation]:
    """A stamp of one size under another; the older in the place of the newer, and the reverse."""
    placed = bundle.of_kind("stamp")
    sizes = sorted({int(fields["size"]) for _, fields in placed})
    for old, new in pairwise(sizes):
        for here, there, name in ((old, new, "older-for-newer"), (new, old, "newer-for-older")):
            files: Files = {}
            for path, fields in placed:
                if int(fields["size"]) == there:
                    files[path] = None
            for path, fields in placed:
                if int(fields["size"]) == here:
                    files[path.replace(f"/{here}/", f"/{there}/")] = bundle.files[path]
            yield Mutation(f"stamps/{name}", ("stamp",), f"stamps/{there}", files=files)
    for path, fields in placed[:1]:
        other = path.replace(f"/{fields['tsa']}-", "/another-tsa-")
        files = {path: None, other: bundle.files[path]}
        yield Mutation("stamps/other-label", ("stamp",), path, files=files)


def other_records(bundle: Bundle, dice: Dice) -> Iterator[Mutation]:
    """Each record left out with all that is about it; the list of records in another order."""
    records = parse_index(bundle.files[INDEX]).records
    for number, (path, entry) in some(list(enumerate(records)), dice):
        name = entry.hex()[:16]
        rest = (*records[:number], *records[number + 1 :])
        end = number in {0, len(records) - 1}
        files: Files = {own: None for own in bundle.files if _is_about(own, name)}
        carriers: dict[str, Digest | None] = {
            own: None for own in bundle.carriers if _is_about(own, name)
        }
        what = "end-left-out" if end and rest else "only-left-out" if end else "middle-left-out"
        steps = ("chain", "record.signature", *ANY)
        yield Mutation(f"records/{what}", steps, path, files=files, carriers=carriers, records=rest)
        yield Mutation("records/not-listed", ("index",), path, records=rest)
        # Its neighbour's entry under its name: what the list says of it is of another.
        if rest:
            wrong = (*records[:number], (path, rest[0][1]), *records[number + 1 :])
            wanted = ("index", "entry.sha256", "record.signature")
            yield Mutation("records/other-entry", wanted, path, records=wrong)
    if len(records) > 1:
        yield Mutation("records/reversed", ("index",), INDEX, records=records[::-1])


def _is_about(path: str, name: str) -> bool:
    return place_of(path).fields.get("entry") == name


def other_disclosures(bundle: Bundle, dice: Dice) -> Iterator[Mutation]:
    """Disclosures withheld, doubled, in another order, invented, moved to another record."""
    paths = some(paths_of(bundle, "record"), dice)
    opened = {path: parse_sdjwt(bundle.files[path]) for path in paths}
    step = ("record.disclosures",)
    for path, sdjwt in opened.items():
        own = list(sdjwt.disclosures)
        without = [one for one in own if one.name != "link"]
        if len(without) < len(own):
            steps = ("chain", "record.disclosures")
            yield _disclosed("disclosures/link-withheld", steps, path, sdjwt, without)
        kept = [one for one in own if one.name in {"link", "carrier"}]
        if own and len(kept) < len(own):
            yield _disclosed("disclosures/withheld", (*step, *ANY), path, sdjwt, kept)
        if own:
            chosen = dice.choice(own)
            doubled = [*own, chosen]
            yield _disclosed("disclosures/doubled", step, path, sdjwt, doubled)
            other = make_disclosure(chosen.name, "invented", dice.randbytes(16))
            invented = [other if one is chosen else one for one in own]
            yield _disclosed("disclosures/invented", step, path, sdjwt, invented)
        if len(own) > 1:
            yield _disclosed("disclosures/reversed", step, path, sdjwt, own[::-1])
    for (path, sdjwt), (_, neighbour) in pairwise(opened.items()):
        if neighbour.disclosures:
            moved = [*sdjwt.disclosures, neighbour.disclosures[-1]]
            yield _disclosed("disclosures/of-another-record", step, path, sdjwt, moved)


def _disclosed(
    name: str, steps: tuple[str, ...], path: str, sdjwt: SdJwt, shown: Sequence[object]
) -> Mutation:
    changed = SdJwt(sdjwt.jwt, tuple(shown))  # type: ignore[arg-type]  # they are Disclosures
    return Mutation(name, steps, path, files={path: format_sdjwt(changed)})


def other_carriers(bundle: Bundle, dice: Dice) -> Iterator[Mutation]:
    """A carrier's content replaced by other, longer, of another; renamed, moved, left out."""
    names = [entry.hex()[:16] for _, entry in parse_index(bundle.files[INDEX]).records]
    step = ("carrier",)
    held_here = some(sorted(bundle.carriers.items()), dice)
    for path, held in held_here:
        other = Digest(held.size, hashlib.sha256(held.sha256).digest())
        longer = Digest(held.size + 1, other.sha256)
        for name, digest in (("replaced", other), ("longer", longer)):
            yield Mutation(f"carriers/{name}", step, path, carriers={path: digest})
        yield Mutation("carriers/renamed", step, path, carriers={path: None, f"{path}x": held})
        entry = place_of(path).fields["entry"]
        for name in [one for one in names if one != entry][:1]:
            moved: Mapping[str, Digest | None] = {path: None, path.replace(entry, name): held}
            yield Mutation("carriers/moved", step, path, carriers=moved)
        yield Mutation("carriers/left-out", ANY, path, carriers={path: None})
    for (one, left), (other_path, right) in pairwise(held_here):
        if left != right:
            both: Mapping[str, Digest | None] = {one: right, other_path: left}
            yield Mutation("carriers/exchanged", step, one, carriers=both)


def other_given(given: Mapping[str, Digest]) -> Iterator[Mutation]:
    """The verifier's own carriers, each with other content of the same length."""
    for name, held in sorted(given.items()):
        other = Digest(held.size, hashlib.sha256(held.sha256).digest())
        yield Mutation("carriers/given-replaced", ("carrier",), name, given={**given, name: other})
