"""The verdict on a bundle: every check in its fixed order, under one verifier's trust file.

Nothing is fetched and nothing is asked: bytes, trust and the check time come in, findings go out.
Required for "proven": every file the index lists; every record signed and whole, its entry, its
inclusion, and an upper bound on its time; a carrier and a manifest where one was given; and
whatever the trust file requires.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ledger.errors import MalformedError
from ledger.proof.bounds import (
    Bounds,
    lower_finding,
    make_bounds,
    pass_along,
    upper_finding,
)
from ledger.proof.bundle import (
    INDEX,
    SUMS,
    Bundle,
    Digest,
    Index,
    Listed,
    format_sums,
    parse_index,
    place_of,
)
from ledger.proof.cosigned import check_cosignatures
from ledger.proof.excerpted import check_excerpts
from ledger.proof.keyed import check_keys, is_key_record
from ledger.proof.logged import (
    Included,
    SeenCheckpoint,
    check_all_consistency,
    find_inclusion,
    proofs_by_record,
    read_checkpoints,
    short_origin,
)
from ledger.proof.recorded import (
    GivenCarrier,
    SeenChain,
    SeenRecord,
    carriers_inside,
    check_carriers,
    read_chains,
    read_records,
)
from ledger.proof.stamps import CountedTime, Judged, make_judge
from ledger.proof.trust import Trust
from ledger.proof.verdict import (
    Finding,
    Outcome,
    RecordBounds,
    TokenReport,
    Verdict,
    format_upper,
    order_findings,
)
from ledger.record.claims import parse_time

REQUIRED = frozenset(
    {
        "index",
        "record.signature",
        "record.disclosures",
        "entry.sha256",
        "entry.sm3",
        "inclusion",
        "time.not-after",
        "carrier",
        "manifest",
    }
)
"""Steps that decide the verdict wherever they occur."""


def verify(
    bundle: Bundle,
    trust: Trust,
    carriers: Mapping[str, Digest],
    *,
    checked_at: datetime,
    clock: str,
    tool: str,
) -> Verdict:
    """The whole verdict on ``bundle`` and the ``carriers`` given with it, by displayed name.

    Never raises for what a bundle contains: every fault is a finding. ``checked_at`` (aware),
    ``clock`` (its source) and ``tool`` (name, version, hash) are reported, and decide nothing.
    """
    content = bundle.files.get(INDEX, b"")
    index = _read_index(bundle)
    if isinstance(index, Finding):
        checked = _Checked([index])
    else:
        checked = _check(bundle, index, trust, carriers)
    bounds = checked.bounds
    matched = {
        finding.record
        for finding in checked.findings
        if finding.step == "carrier" and finding.outcome is Outcome.PROVEN
    }
    wanted = matched or _subjects(checked.seen)
    relevant = [one for name, one in bounds.items() if name in wanted]
    return Verdict(
        findings=order_findings(_require(checked.findings, trust)),
        records=tuple(_record_bounds(one, checked) for one in checked.seen),
        tokens=tuple(checked.tokens),
        carrier_checked=bool(matched),
        independent=bool(relevant) and all(one.independent for one in relevant),
        not_after=_all(max, [one.upper for one in relevant]),
        first_not_after=_all(
            max, [one.uppers[0].latest if one.uppers else None for one in relevant]
        ),
        not_before=_all(min, [one.lower for one in relevant]),
        checked_at=checked_at.astimezone(UTC),
        clock=clock,
        tool=tool,
        trust_sha256=trust.sha256,
        bundle_sha256=hashlib.sha256(content).hexdigest(),
    )


@dataclass(slots=True)
class _Checked:
    """What the checks have found so far."""

    findings: list[Finding]
    seen: list[SeenRecord] = field(default_factory=list)
    included: dict[str, Included] = field(default_factory=dict)
    bounds: dict[str, Bounds] = field(default_factory=dict)
    tokens: list[TokenReport] = field(default_factory=list)


def _read_index(bundle: Bundle) -> Index | Finding:
    """The bundle's index, or the finding that says why there is none."""
    if INDEX not in bundle.files:
        return Finding("index", Outcome.UNCHECKED, "no-index", {"path": INDEX})
    try:
        return parse_index(bundle.files[INDEX])
    except MalformedError as error:
        values = {"path": INDEX, "reason": str(error)}
        return Finding("index", Outcome.REFUTED, "malformed", values)


def _check(bundle: Bundle, index: Index, trust: Trust, carriers: Mapping[str, Digest]) -> _Checked:
    """Every check on a bundle whose index can be read."""
    done = _Checked(_check_index(bundle, index))
    done.seen, found = read_records(bundle, index)
    done.findings += found
    checkpoints, found = read_checkpoints(bundle, trust)
    vouched = {size for size, one in checkpoints.items() if one.trusted}
    done.findings += found + check_all_consistency(bundle, checkpoints)
    stamps, named, found, done.tokens = _judge_tokens(bundle, trust, checkpoints)
    done.findings += found
    proofs = proofs_by_record(bundle)
    for one in done.seen:
        shown = proofs.get(one.name, [])
        place, found = find_inclusion(bundle, one.name, one.record.entry, shown, checkpoints)
        done.findings += found
        sizes = _sizes(place)
        over = [time for time in stamps if time.size in sizes]
        below = [named[digest] for digest in _named_tokens(one) if digest in named]
        done.bounds[one.name] = make_bounds(over, below, trust.k)
        if place is not None:
            done.included[one.name] = place
            backed = vouched & set(sizes)
            if done.bounds[one.name].own_upper:
                backed |= {time.size for time in over if time.size is not None}
            done.findings.append(_inclusion(one, place, checkpoints, backed, trust.k))
    under = {one.name: _sizes(done.included.get(one.name)) for one in done.seen}
    done.findings += check_cosignatures(bundle, trust, checkpoints, under)
    chains, found = read_chains(done.seen, len(index.records))
    done.bounds = pass_along(done.bounds, chains)
    opened = {one.name for one in done.seen if one.opened}
    done.findings += found + [_chain_finding(chain, done, opened) for chain in chains]
    for one in done.seen:
        bounds, named_any = done.bounds[one.name], bool(_named_tokens(one))
        done.findings.append(upper_finding(one.name, bounds))
        if one.opened or bounds.best_lower is not None:
            done.findings.append(lower_finding(one.name, bounds, named_any))
    done.findings += check_keys(done.seen, chains, done.bounds, _included(done.findings), trust)
    given = [GivenCarrier(name, digest) for name, digest in carriers.items()]
    total = len(index.records)
    parts = {one.name: (one.number, one.parts) for one in done.seen}
    done.findings += check_excerpts(bundle, parts, total)
    done.findings += check_carriers(done.seen, total, [*carriers_inside(bundle), *given])
    return done


def _sizes(place: Included | None) -> tuple[int, ...]:
    return () if place is None else place.sizes


def _check_index(bundle: Bundle, index: Index) -> list[Finding]:
    """The files against ``bundle.json`` and ``SHA256SUMS``."""
    findings: list[Finding] = []
    listed = {row.path: row for row in index.files}
    held = {
        path: Digest(len(content), hashlib.sha256(content).digest())
        for path, content in bundle.files.items()
    } | dict(bundle.carriers)
    names = {entry.hex()[:16] for _, entry in index.records}
    for path in sorted(held):
        row = listed.get(path)
        if path in {INDEX, SUMS} and path not in bundle.carriers:
            continue
        streamed = path in bundle.carriers
        if row is None or not _belongs(path, names, streamed):
            findings.append(Finding("index", Outcome.REFUTED, "unlisted", {"path": path}))
        elif (row.size, row.sha256) != (held[path].size, held[path].sha256):
            findings.append(Finding("index", Outcome.REFUTED, "mismatch", {"path": path}))
    content = bundle.files[INDEX]
    rows = [*listed.values(), Listed(INDEX, len(content), hashlib.sha256(content).digest())]
    if SUMS in bundle.files and bundle.files[SUMS] != format_sums(rows):
        findings.append(Finding("index", Outcome.REFUTED, "mismatch", {"path": SUMS}))
    absent = sorted((listed.keys() | {SUMS}) - held.keys())
    findings += [Finding("index", Outcome.UNCHECKED, "absent", {"path": path}) for path in absent]
    if not findings:
        findings.append(Finding("index", Outcome.PROVEN, "complete", {"files": len(listed)}))
    return findings


def _belongs(path: str, names: set[str], streamed: bool) -> bool:
    """Whether ``path`` is a bundle's, and of one of its records if it is about a record.

    ``streamed``: only its digest is known here, which does for a carrier alone.
    """
    try:
        place = place_of(path)
    except MalformedError:
        return False
    if streamed and place.kind != "carrier":
        return False
    return "entry" not in place.fields or place.fields["entry"] in names


def _judge_tokens(
    bundle: Bundle, trust: Trust, checkpoints: Mapping[int, SeenCheckpoint]
) -> tuple[list[CountedTime], dict[str, CountedTime], list[Finding], list[TokenReport]]:
    """Counted stamps, counted not-before tokens by hash, findings, and a report on each token."""
    judge, findings = make_judge(bundle, trust)
    judged: list[Judged] = []
    named: dict[str, CountedTime] = {}
    for path, fields in bundle.of_kind("stamp"):
        size, content = int(fields["size"]), bundle.files[path]
        if size not in checkpoints:
            values = {"path": path, "reason": f"checkpoints/{size} cannot be used"}
            findings.append(Finding("stamp", Outcome.UNCHECKED, "not-counted", values))
        else:
            over = checkpoints[size].signed_file
            one = judge.judge_stamp(path, fields["tsa"], size, content, over)
            judged.append(_named_rightly("stamp", path, content, fields["hash"], one))
    stamps = [one.counted for one in judged if one.counted is not None]
    for path, fields in bundle.of_kind("not-before"):
        content = bundle.files[path]
        one = judge.judge_not_before(path, content)
        one = _named_rightly("time.not-before", path, content, fields["hash"], one)
        judged.append(one)
        if one.counted is not None:
            named[fields["hash"]] = one.counted
    findings += [finding for one in judged for finding in one.findings]
    if not any(finding.step == "stamp" for finding in findings):
        findings.append(Finding("stamp", Outcome.UNCHECKED, "absent"))
    reports = [one.report for one in judged if one.report is not None]
    once = {(one.step, one.code, one.tsa, *sorted(one.values.items())): one for one in findings}
    return stamps, named, list(once.values()), reports


def _named_rightly(step: str, path: str, content: bytes, named: str, judged: Judged) -> Judged:
    """``judged``, if the token's name begins its hash; else what is refuted, and that it does not.

    A token that was tampered with is so told by what broke, before its name.
    """
    if hashlib.sha256(content).hexdigest().startswith(named):
        return judged
    values = {"path": path, "reason": "its name is not the hash of its bytes"}
    refuted = [one for one in judged.findings if one.outcome is Outcome.REFUTED]
    return Judged((*refuted, Finding(step, Outcome.REFUTED, "malformed", values)), None, None)


def _named_tokens(one: SeenRecord) -> list[str]:
    """The token digests in the record's ``not_before``, if it is disclosed."""
    named = one.record.claims.get("not_before")
    return [str(digest) for digest in named] if isinstance(named, list) else []


def _inclusion(
    one: SeenRecord,
    place: Included,
    checkpoints: Mapping[int, SeenCheckpoint],
    backed: Collection[int],
    k: int,
) -> Finding:
    """A proof that fits shows nothing while nobody vouches for the checkpoint it leads to.

    ``backed``: sizes of those that somebody vouches for.
    """
    if not backed:
        values: dict[str, str | int] = {"index": place.index, "k": k}
        return Finding("inclusion", Outcome.UNCHECKED, "not-authenticated", values, one.name)
    checkpoint = checkpoints[min(backed)].checkpoint
    values = {
        "index": place.index,
        "size": checkpoint.size,
        "origin": checkpoint.origin,
        "ledger": short_origin(checkpoint.origin),
    }
    return Finding("inclusion", Outcome.PROVEN, "proven", values, one.name)


def _included(findings: Sequence[Finding]) -> set[str]:
    """Names of the records proven to be in a ledger."""
    proven = (f for f in findings if f.step == "inclusion" and f.outcome is Outcome.PROVEN)
    return {finding.record for finding in proven if finding.record is not None}


def _subjects(seen: Sequence[SeenRecord]) -> set[str]:
    """Names of the records whose time is asked; of those about keys only if there is no other."""
    return {one.name for one in seen if not is_key_record(one)} or {one.name for one in seen}


def _chain_finding(chain: SeenChain, done: _Checked, opened: Collection[str]) -> Finding:
    report = chain.report
    upper = done.bounds[chain.names[-1]].upper
    values: dict[str, str | int] = {
        "chain": report.chain[:8],
        "first": report.first,
        "last": report.last,
        "head": report.head.hex()[:16],
        "opened": len([name for name in chain.names if name in opened]),
        "time": "-" if upper is None else format_upper(upper),
    }
    return Finding("chain", Outcome.PROVEN, "proven", values)


def _require(findings: Sequence[Finding], trust: Trust) -> list[Finding]:
    """Mark what decides the verdict; what is required and has no finding is unchecked."""
    steps = REQUIRED | set(trust.required_steps)
    marked = [
        Finding(one.step, one.outcome, one.code, one.values, one.record, one.tsa, one.step in steps)
        for one in findings
    ]
    present = {finding.step for finding in findings}
    return marked + [
        Finding(step, Outcome.UNCHECKED, "required", required=True)
        for step in trust.required_steps
        if step not in present
    ]


def _all(
    choose: Callable[[Iterable[datetime]], datetime], times: Sequence[datetime | None]
) -> datetime | None:
    """One bound that holds for all records: None as soon as one has none."""
    known = [time for time in times if time is not None]
    return choose(known) if known and len(known) == len(times) else None


def _record_bounds(one: SeenRecord, done: _Checked) -> RecordBounds:
    claims, link, place = one.record.claims, one.record.link, done.included.get(one.name)
    title = claims.get("title") or claims.get("label")
    claimed = claims.get("captured_time")
    return RecordBounds(
        name=one.name,
        seq=None if link is None else link.seq,
        opened=one.opened,
        title=None if title is None else str(title),
        claimed_time=None if claimed is None else parse_time(str(claimed)),
        not_before=done.bounds[one.name].lower,
        not_after=done.bounds[one.name].upper,
        index=None if place is None else place.index,
        kind=_text(claims.get("kind")),
        stage=_text(claims.get("stage")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
