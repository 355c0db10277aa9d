"""What the bundle shows of a file's parts: the lines of some pieces, and excerpts, their bytes.

    parts/<e>.lines                lines of pieces with their paths to the record's root
    excerpts/<e>/<first>-<last>    the bytes of pieces first to last, counted from 1

An excerpt holds if each of its pieces is shown and the bytes at its place have the piece's digest.
What is given to the verdict beside the bundle is known by size and digests only: it is one shown
piece, or an excerpt of the bundle, or a file with every shown piece at its place, of which nothing
else is then said; or it cannot be told.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.proof.bundle import Bundle, Digest
from ledger.proof.verdict import Finding, Outcome
from ledger.record.parts import Part, check_cover, check_part_line, parse_shown_parts
from ledger.record.record import Record
from ledger.record.strict_json import JsonValue

MAX_PLACES = 20
"""Runs of shown pieces that a sentence names."""


@dataclass(frozen=True, slots=True)
class Run:
    """Pieces ``first`` to ``last`` of a file, each shown, and what is known of their bytes.

    ``name``: the excerpt's name in the bundle, None for a single piece without its bytes.
    """

    first: Part
    last: Part
    digest: Digest
    name: str | None = None


@dataclass(frozen=True, slots=True)
class SeenParts:
    """The shown pieces of one record's file, checked against the record's root.

    ``size``: of the file, None if withheld. ``runs``: the excerpts that hold, then single pieces;
    ``faults``: why an excerpt does not, by its path.
    """

    scheme: str
    count: int
    size: int | None
    shown: tuple[Part, ...]
    runs: tuple[Run, ...]
    faults: Mapping[str, str]

    @property
    def names(self) -> set[str]:
        """Bare names of the excerpts that hold."""
        return {run.name.split("/")[-1] for run in self.runs if run.name is not None}

    def find(self, digest: Digest) -> Run | None:
        """The run with this size and SHA-256."""
        want = digest.size, digest.sha256
        return next(
            (run for run in self.runs if (run.digest.size, run.digest.sha256) == want), None
        )

    def stand_in(self, digest: Digest) -> bool:
        """Whether a file of this ``digest`` has every shown piece at its place, and its size."""
        last = self.shown[-1]
        after = self.count - 1 - last.index
        if self.size not in {None, digest.size} or last.stop + after > digest.size:
            return False
        if not after and last.stop != digest.size:
            return False
        return all((one.offset, one.size, one.sha256) in digest.pieces for one in self.shown)

    def may_withhold(self, size: int) -> bool:
        """Whether ``size`` bytes that are no run known here may be a run all the same."""
        if len(self.shown) < self.count:
            return True
        begins = {part.offset for part in self.shown}
        return any(part.stop - size in begins - {part.offset} for part in self.shown)


def may_be_run(size: int, carrier: Mapping[str, JsonValue], parts: SeenParts | None) -> bool:
    """Whether ``size`` bytes may be pieces that a record does not show, or show together.

    ``carrier``: what it discloses of its file. Not more bytes than the file has; nor as many, if
    a digest of the whole is disclosed.
    """
    if "parts" not in carrier:
        return False
    whole = carrier.get("size")
    known = not carrier.keys().isdisjoint({"sha256", "sm3"})
    if isinstance(whole, int) and (size > whole or (size == whole and known)):
        return False
    return parts is None or parts.may_withhold(size)


def read_parts(bundle: Bundle, name: str, record: Record) -> tuple[SeenParts | None, list[Finding]]:
    """The pieces that ``bundle`` shows of the file of ``record``, and the finding on their lines.

    None if it shows none that hold. ``name``: the first 16 hex digits of the record's entry.
    """
    path = f"parts/{name}.lines"
    if path not in bundle.files:
        return None, []
    match record.carrier.get("parts"):
        case {"scheme": str(scheme), "root": str(root), "count": int(count)}:
            pass
        case _:
            values = {"path": path}
            return None, [
                Finding("manifest", Outcome.UNCHECKED, "parts-not-disclosed", values, name)
            ]
    held = record.carrier.get("size")
    size = held if isinstance(held, int) else None
    try:
        lines = parse_shown_parts(bundle.files[path])
        shown = tuple(check_part_line(line, bytes.fromhex(root), count) for line in lines)
        check_cover(shown, scheme, count, size)
    except MalformedError as error:
        return None, [_refuted("manifest", "parts-malformed", path, error, name)]
    except LedgerError as error:
        return None, [_refuted("manifest", "parts-refuted", path, error, name)]
    runs, faults = _read_excerpts(bundle, name, shown)
    singles = tuple(Run(part, part, Digest(part.size, part.sha256)) for part in shown)
    seen = SeenParts(scheme, count, size, shown, (*runs, *singles), faults)
    said: dict[str, str | int] = {"path": path, "shown": len(shown), "count": count}
    return seen, [Finding("manifest", Outcome.PROVEN, "parts", said | {"scheme": scheme}, name)]


def check_excerpts(
    bundle: Bundle, seen: Mapping[str, tuple[int, SeenParts | None]], total: int
) -> list[Finding]:
    """A finding on each excerpt in ``bundle``; ``seen``: number and parts of records by name.

    ``total``: the records the index lists.
    """
    findings: list[Finding] = []
    for path, fields in bundle.of_kind("excerpt"):
        number, parts = seen.get(fields["entry"], (0, None))
        if parts is None:
            values = {"path": path}
            findings.append(Finding("carrier", Outcome.UNCHECKED, "excerpt-not-shown", values))
        elif path in parts.faults:
            values = {"path": path, "reason": parts.faults[path]}
            findings.append(Finding("carrier", Outcome.REFUTED, "excerpt-refuted", values))
        else:
            run = next(run for run in parts.runs if run.name == path)
            findings.append(run_finding(path, run, parts, number, total, fields["entry"]))
    return findings


def run_finding(
    name: str, run: Run, parts: SeenParts, number: int, total: int, record: str
) -> Finding:
    """The finding that the bytes called ``name`` are ``run`` of the file of record ``number``."""
    sha256 = run.digest.sha256.hex()
    values: dict[str, str | int] = {
        "name": name,
        "number": number,
        "total": total,
        "scheme": parts.scheme,
        "first": run.first.index + 1,
        "last": run.last.index + 1,
        "count": parts.count,
        "start": run.first.offset + 1,
        "stop": run.last.stop,
        "sha256": f"{sha256[:8]}…{sha256[-6:]}",
        "digest": sha256,
    }
    if parts.size is None:
        return Finding("carrier", Outcome.PROVEN, "excerpt", values, record)
    values["size"] = parts.size
    return Finding("carrier", Outcome.PROVEN, "excerpt-of-size", values, record)


def pieces_finding(name: str, parts: SeenParts, number: int, total: int, record: str) -> Finding:
    """The finding that all shown pieces of record ``number`` stand in the file called ``name``."""
    runs: list[tuple[int, int]] = []
    for part in parts.shown:
        start = runs.pop()[0] if runs and runs[-1][1] == part.offset else part.offset
        runs.append((start, part.stop))
    places = [f"{start + 1}-{stop}" for start, stop in runs[:MAX_PLACES]]
    places += ["…"] if len(runs) > MAX_PLACES else []
    values: dict[str, str | int] = {
        "name": name,
        "number": number,
        "total": total,
        "scheme": parts.scheme,
        "shown": len(parts.shown),
        "count": parts.count,
        "places": ", ".join(places),
    }
    return Finding("carrier", Outcome.PROVEN, "pieces", values, record)


def _read_excerpts(
    bundle: Bundle, name: str, shown: tuple[Part, ...]
) -> tuple[list[Run], dict[str, str]]:
    """The excerpts of one record that hold, and why the others do not."""
    at = {part.index: part for part in shown}
    runs: list[Run] = []
    faults: dict[str, str] = {}
    for path, fields in bundle.of_kind("excerpt"):
        if fields["entry"] != name:
            continue
        first, last = int(fields["first"]) - 1, int(fields["last"]) - 1
        try:
            runs.append(_check_excerpt(path, bundle.files[path], at, first, last))
        except VerificationError as error:
            faults[path] = str(error)
    return runs, faults


def _check_excerpt(path: str, content: bytes, at: Mapping[int, Part], first: int, last: int) -> Run:
    """The run whose bytes are ``content``; VerificationError if they are not."""
    # A name may claim more pieces than could ever be gone through.
    if not 0 <= last - first < len(at) or any(n not in at for n in range(first, last + 1)):
        raise VerificationError(f"pieces {first + 1} to {last + 1} are not all shown")
    offset = at[first].offset
    if len(content) != at[last].stop - offset:
        raise VerificationError(f"it has {len(content)} bytes, want {at[last].stop - offset}")
    for index in range(first, last + 1):
        part = at[index]
        piece = content[part.offset - offset : part.stop - offset]
        if hashlib.sha256(piece).digest() != part.sha256:
            raise VerificationError(f"piece {index + 1} has another digest")
    digest = Digest(len(content), hashlib.sha256(content).digest())
    return Run(at[first], at[last], digest, path)


def _refuted(step: str, code: str, path: str, why: Exception, record: str) -> Finding:
    return Finding(step, Outcome.REFUTED, code, {"path": path, "reason": str(why)}, record)
