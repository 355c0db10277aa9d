"""Attacks on a bundle: changes, each tried on a copy, and what the verdict says of it.

For anyone who wants to see the verdict fail. Each change is tried behind the index's back, and with
the index made anew, so that it is not the list of files that notices but the broken link itself. A
change may leave the verdict proven only where ``not_evidence`` gives a reason, and only if then
nothing is said that was not said before: no earlier time, no other record, no other carrier.

``choose_flips`` has five of them for a demonstration.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ledger.proof.bundle import Bundle, Digest
from ledger.proof.forgeries import Forger, forgeries
from ledger.proof.mutations import Dice, Mutation, mutate, one_of_each_field, sample_fields
from ledger.proof.not_evidence import reason_for
from ledger.proof.rearranged import other_given, rearrangements
from ledger.proof.verdict import Finding, Outcome, Verdict
from ledger.tlog.note import parse_note

Judge = Callable[[Bundle, Mapping[str, Digest]], Verdict]
"""A bundle and the verifier's own carriers in, the verdict out."""

SAID = frozenset(
    {"record.signature", "entry.sha256", "entry.sm3", "carrier", "manifest", "inclusion"}
)
"""Steps whose proven findings a change may take away but not add to."""

COUNTS = frozenset({"path", "number", "total", "shown", "size", "origin", "ledger", "places"})
"""Values of findings that change with what is left out: positions, counts, which checkpoint,
which pieces."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One mutation tried. ``rebuilt``: with the index made anew.

    ``finding``: the first that caught it, or the first that is unchecked now and was not, None if
    the verdict is as before. ``reason``: why it is not evidence, where it stayed proven.
    ``excess``: what it says that was not said before; with it, or proven without a reason, the
    change has slipped through.
    """

    mutation: Mutation
    rebuilt: bool
    outcome: Outcome
    finding: Finding | None
    reason: str | None = None
    excess: str | None = None

    @property
    def caught(self) -> bool:
        """The verdict is not proven any more."""
        return self.outcome is not Outcome.PROVEN

    @property
    def slipped(self) -> bool:
        """The verdict is proven, and must not be."""
        return not self.caught and (self.reason is None or self.excess is not None)


def choose_mutations(
    bundle: Bundle,
    given: Mapping[str, Digest],
    forger: Forger,
    count: int,
    dice: Dice,
) -> tuple[Mutation, ...]:
    """``count`` mutations: one of each sort first, then one in each field, then any.

    ``given``: the verifier's own carriers. ``bundle`` has an index that can be read.
    """
    sorts = [
        *rearrangements(bundle, dice),
        *forgeries(bundle, forger, dice),
        *other_given(given),
    ]
    by_name = {one.name: one for one in reversed(sorts)}
    first = list(reversed(by_name.values()))
    rest = [one for one in sorts if by_name[one.name] is not one]
    chosen = [*first, *one_of_each_field(bundle, dice), *rest][:count]
    return (*chosen, *sample_fields(bundle, count - len(chosen), dice))


def attack(
    bundle: Bundle,
    given: Mapping[str, Digest],
    mutations: Iterable[Mutation],
    judge: Judge,
) -> Iterator[tuple[Attempt, ...]]:
    """Each mutation tried: behind the index's back, and behind an index made anew.

    ValueError: the bundle itself is not proven.
    """
    before = judge(bundle, given)
    if before.outcome is not Outcome.PROVEN:
        raise ValueError("the bundle is not proven")
    for mutation in mutations:
        ways = [False] if mutation.apart else []
        ways += [True] if mutation.rebuildable else []
        yield tuple(_try(bundle, given, mutation, way, before, judge) for way in ways)


def _try(
    bundle: Bundle,
    given: Mapping[str, Digest],
    mutation: Mutation,
    rebuilt: bool,
    before: Verdict,
    judge: Judge,
) -> Attempt:
    changed = mutate(bundle, mutation, rebuilt=rebuilt)
    verdict = judge(changed, given if mutation.given is None else mutation.given)
    outcome = verdict.outcome
    if outcome is not Outcome.PROVEN:
        return Attempt(mutation, rebuilt, outcome, verdict.first_fault or _new(before, verdict))
    # With the list of files as it was nothing may stay proven, whatever it is that changed.
    reason = reason_for(mutation) if rebuilt else None
    excess = says_more(before, verdict)
    return Attempt(mutation, rebuilt, outcome, _new(before, verdict), reason, excess)


def _new(before: Verdict, after: Verdict) -> Finding | None:
    """The first finding that is not proven and was not there before; a required one first."""
    known = {_key(one) for one in before.findings}
    found = [
        one
        for one in after.findings
        if one.outcome is not Outcome.PROVEN and _key(one) not in known
    ]
    return next(iter(sorted(found, key=lambda one: not one.required)), None)


def _key(finding: Finding) -> tuple[object, ...]:
    return (finding.step, finding.code, finding.record, finding.tsa, *finding.values.items())


def says_more(before: Verdict, after: Verdict) -> str | None:
    """What ``after`` states that ``before`` did not: a stable word, None if nothing.

    ``record``: another one, or other words of one; ``time``: a narrower bound; ``independence``;
    a step: something proven there that was not.
    """
    known = {one.name: one for one in before.records}
    for one in after.records:
        was = known.get(one.name)
        if was is None:
            return "record"
        words = ("seq", "index", "title", "claimed_time", "kind", "stage")
        if any(getattr(one, word) not in {None, getattr(was, word)} for word in words):
            return "record"
        if one.not_after and (was.not_after is None or one.not_after < was.not_after):
            return "time"
        if one.not_before and (was.not_before is None or one.not_before > was.not_before):
            return "time"
    if after.independent and not before.independent:
        return "independence"
    proven = {_said(one) for one in before.findings if one.outcome is Outcome.PROVEN}
    return next(
        (
            one.step
            for one in after.findings
            if one.step in SAID and one.outcome is Outcome.PROVEN and _said(one) not in proven
        ),
        None,
    )


def _said(finding: Finding) -> tuple[object, ...]:
    values = {name: value for name, value in finding.values.items() if name not in COUNTS}
    return _key(replace(finding, values=values))


@dataclass(frozen=True, slots=True)
class Flip:
    """One byte at ``offset`` of the file at ``path`` becomes ``byte``; ``step`` must be refuted."""

    what: str
    path: str
    offset: int
    byte: int
    step: str


def apply_flip(content: bytes, flip: Flip) -> bytes:
    """``content`` with the one byte changed."""
    return content[: flip.offset] + bytes([flip.byte]) + content[flip.offset + 1 :]


def choose_flips(bundle: Bundle, carriers: Mapping[str, bytes]) -> tuple[Flip, ...]:
    """One flip for each link that ``bundle`` has: carrier, excerpt, line, record, proof, and on.

    ``carriers``: the bytes of carriers by their path in the bundle; empty ones are passed over.
    """
    flips: list[Flip] = []
    for path, content in sorted(carriers.items()):
        if content and not any(flip.step == "carrier" for flip in flips):
            middle = len(content) // 2
            flips.append(Flip("carrier", path, middle, content[middle] ^ 1, "carrier"))
    if excerpt := _last(bundle, "excerpt"):
        content = bundle.files[excerpt]
        middle = len(content) // 2
        flips.append(Flip("excerpt", excerpt, middle, content[middle] ^ 1, "carrier"))
    if pieces := _last(bundle, "part-lines"):
        header, row, *_ = bundle.files[pieces].split(b"\n")
        number, line, _ = row.split(b" ")
        middle = len(header) + len(number) + 2 + len(line) // 2
        flips.append(_letter("line of a piece", bundle, pieces, middle, "manifest"))
    if record := _last(bundle, "record"):
        jwt = bundle.files[record].split(b"~")[0]
        signature = jwt.rindex(b".") + 1 + (len(jwt) - jwt.rindex(b".")) // 2
        flips.append(_letter("record's signature", bundle, record, signature, "record.signature"))
    if proof := _last(bundle, "proof"):
        lines = bundle.files[proof].split(b"\n")
        start = len(lines[0]) + len(lines[1]) + 2
        flips.append(_letter("path to the root", bundle, proof, start + 20, "inclusion"))
    if checkpoint := _last(bundle, "checkpoint"):
        body = parse_note(bundle.files[checkpoint]).text.encode("utf-8")
        first = bundle.files[checkpoint].index(b" ", len(body) + 5) + 40
        flips.append(_letter("checkpoint", bundle, checkpoint, first, "checkpoint.ledger"))
    if stamp := _last(bundle, "stamp"):
        content = bundle.files[stamp]
        end = len(content) - 1
        flips.append(Flip("time stamp", stamp, end, content[end] ^ 1, "stamp"))
    return tuple(flips)


def _last(bundle: Bundle, kind: str) -> str | None:
    """The last file of a kind, None if the bundle has none."""
    paths = [path for path, _ in bundle.of_kind(kind)]
    return paths[-1] if paths else None


def _letter(what: str, bundle: Bundle, path: str, offset: int, step: str) -> Flip:
    """A flip inside base64 text that leaves it base64, so that only its meaning changes."""
    byte = ord("B") if bundle.files[path][offset] == ord("A") else ord("A")
    return Flip(what, path, offset, byte, step)
