"""What the bundle shows of its records: signatures, disclosures, entries, carriers, manifests.

The entry stands in ``bundle.json`` and is recomputed here from the record, so that each of its
two halves is checked on its own; the Merkle leaf is then made from the recomputed bytes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.proof.bundle import Bundle, Digest, Index
from ledger.proof.excerpted import SeenParts, may_be_run, pieces_finding, read_parts, run_finding
from ledger.proof.verdict import Finding, Outcome
from ledger.record.chain import ChainReport, check_chain
from ledger.record.manifest import FileEntry, check_line, parse_shown_lines
from ledger.record.record import Link, Record, open_record, sm3_of
from ledger.record.sdjwt import check_jwt, parse_jwt, parse_sdjwt
from ledger.record.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class SeenRecord:
    """A record of the bundle that is well formed and signed. ``number``: from 1, in index order.

    ``files``: the shown manifest lines as (index, file), checked against the record's root;
    ``parts``: the shown pieces of its file, checked so, too.
    """

    name: str
    number: int
    record: Record
    files: tuple[tuple[int, FileEntry], ...]
    parts: SeenParts | None = None

    @property
    def opened(self) -> bool:
        """More than its place in the chain is shown."""
        return bool(self.record.claims.keys() - {"link"} or self.record.carrier)


def read_records(bundle: Bundle, index: Index) -> tuple[list[SeenRecord], list[Finding]]:
    """The records that hold, in the order of the index, and the findings on all of them."""
    seen: list[SeenRecord] = []
    findings: list[Finding] = []
    for number, (path, entry) in enumerate(index.records, 1):
        name = entry.hex()[:16]
        if path not in bundle.files:
            values = {"path": path, "reason": "the record is not in the bundle"}
            absent = Finding("record.signature", Outcome.UNCHECKED, "absent", values, name)
            findings.append(absent)
            continue
        record, found = _check_record(path, name, bundle.files[path], entry)
        findings += found
        if record is None:
            continue
        files, found = _check_manifest(bundle, name, record)
        parts, found_parts = read_parts(bundle, name, record)
        findings += found + found_parts
        seen.append(SeenRecord(name, number, record, files, parts))
    if not index.records:
        findings.append(Finding("record.signature", Outcome.UNCHECKED, "none"))
    return seen, findings


def _check_record(
    path: str, name: str, content: bytes, entry: bytes
) -> tuple[Record | None, list[Finding]]:
    findings: list[Finding] = []
    try:
        sdjwt = parse_sdjwt(content)
        jwt = parse_jwt(sdjwt.jwt)
        check_jwt(jwt)
    except MalformedError as error:
        return None, [_refuted("record.signature", "malformed", path, error, name)]
    except VerificationError as error:
        return None, [_refuted("record.signature", "bad", path, error, name)]
    thumbprint = jwt.key.thumbprint
    values = {"key": thumbprint[:8] + "…", "thumbprint": thumbprint}
    findings.append(Finding("record.signature", Outcome.PROVEN, "good", values, name))
    try:
        record = open_record(sdjwt, jwt)
    except MalformedError as error:
        findings.append(_refuted("record.disclosures", "malformed", path, error, name))
        return None, findings
    shown = len(record.claims) + len(record.carrier)
    code = "link-only" if record.claims.keys() == {"link"} and not record.carrier else "complete"
    found = Finding("record.disclosures", Outcome.PROVEN, code, {"shown": shown}, name)
    findings.append(found)
    findings += _check_entry(path, name, record.entry, entry)
    return record, findings


def _check_entry(path: str, name: str, computed: bytes, stated: bytes) -> list[Finding]:
    findings = []
    for step, half in (("entry.sha256", slice(0, 32)), ("entry.sm3", slice(32, 64))):
        values = {"path": path, "digest": computed[half].hex()}
        if computed[half] == stated[half] and path == f"records/{computed.hex()[:16]}.sd-jwt":
            findings.append(Finding(step, Outcome.PROVEN, "match", values, name))
        else:
            findings.append(Finding(step, Outcome.REFUTED, "mismatch", values, name))
    return findings


def _check_manifest(
    bundle: Bundle, name: str, record: Record
) -> tuple[tuple[tuple[int, FileEntry], ...], list[Finding]]:
    path = f"manifests/{name}.lines"
    if path not in bundle.files:
        return (), []
    match record.carrier.get("manifest"):
        case {"root": str(root), "count": int(count)}:
            pass
        case _:
            values = {"path": path}
            unchecked = Finding("manifest", Outcome.UNCHECKED, "not-disclosed", values, name)
            return (), [unchecked]
    try:
        lines = parse_shown_lines(bundle.files[path])
        files = tuple((line.index, check_line(line, bytes.fromhex(root), count)) for line in lines)
        if len({normalize("NFC", file.path) for _, file in files}) != len(files):
            raise VerificationError("two lines have one path, or paths that are one under NFC")
    except LedgerError as error:
        return (), [_refuted("manifest", "refuted", path, error, name)]
    values_shown: dict[str, str | int] = {"path": path, "shown": len(files), "count": count}
    return files, [Finding("manifest", Outcome.PROVEN, "lines", values_shown, name)]


@dataclass(frozen=True, slots=True)
class GivenCarrier:
    """A carrier to check: its displayed ``name``, its size and digest.

    ``record``: of which record the bundle says it is, under ``name`` as its path; None: the
    verifier gave it, and any record may be the one that names it.
    """

    name: str
    digest: Digest
    record: str | None = None


def carriers_inside(bundle: Bundle) -> list[GivenCarrier]:
    """The carriers that came in the bundle, each with the record under which it stands."""
    digests = dict(bundle.carriers)
    for path, _ in bundle.of_kind("carrier"):  # a small bundle may have been read whole
        content = bundle.files[path]
        sha256, sm3 = hashlib.sha256(content).digest(), sm3_of(content)
        digests.setdefault(path, Digest(len(content), sha256, sm3))
    placed = Bundle(dict.fromkeys(digests, b""), {}).of_kind("carrier")
    return [GivenCarrier(fields["path"], digests[path], fields["entry"]) for path, fields in placed]


def check_carriers(
    seen: Sequence[SeenRecord], total: int, carriers: Sequence[GivenCarrier]
) -> list[Finding]:
    """Each carrier against every digest disclosed by the record it is of (by any, if given).

    ``total``: the records the index lists.
    """
    findings: list[Finding] = []
    named: dict[str, list[SeenRecord]] = {}
    for one in seen:
        named.setdefault(one.name, []).append(one)
    for given in carriers:
        asked = seen if given.record is None else named.get(given.record, [])
        good = [finding for one in asked for finding in _match(one, total, given)]
        values = {"name": given.name}
        if good:
            findings += good
        elif not any(_discloses(one, given) for one in asked):
            findings.append(Finding("carrier", Outcome.UNCHECKED, "not-disclosed", values))
        elif any(_may_withhold(one, given) for one in asked):
            unknown = Finding("carrier", Outcome.UNCHECKED, "unknown", values)
            findings += _match_pieces(asked, total, given) or [unknown]
        else:
            findings.append(Finding("carrier", Outcome.REFUTED, "no-match", values))
    return findings


def _names_file(one: SeenRecord) -> bool:
    """Whether the record shows a digest of its file."""
    return not one.record.carrier.keys().isdisjoint({"sha256", "sm3"})


def _discloses(one: SeenRecord, given: GivenCarrier) -> bool:
    """Whether the record shows a digest that ``given`` can be held to."""
    pieces = given.record is None and one.parts is not None
    return bool(one.files) or _names_file(one) or pieces


def _names(one: SeenRecord) -> set[str]:
    """The names under which the record shows what a file can be held to."""
    carrier = one.record.carrier
    names = {name for _, file in one.files for name in (file.path, file.path.split("/")[-1])}
    if _names_file(one) and "name" in carrier:
        names.add(str(carrier["name"]))
    return names | (set() if one.parts is None else one.parts.names)


def _match_pieces(asked: Sequence[SeenRecord], total: int, given: GivenCarrier) -> list[Finding]:
    """The findings if ``given``, of which nothing else is known, has all shown pieces in it.

    A record that shows a digest of its whole file, or the name of ``given``, is of another one.
    """
    if any(given.name in _names(one) for one in asked):
        return []
    findings: list[Finding] = []
    for one in asked:
        if one.parts is None or _names_file(one) or not one.parts.stand_in(given.digest):
            continue
        findings.append(pieces_finding(given.name, one.parts, one.number, total, one.name))
    return findings


def _may_withhold(one: SeenRecord, given: GivenCarrier) -> bool:
    """Whether ``given`` may be a file of the record's folder, or pieces, that are not shown.

    Not if it came in the bundle, nor under the name of what is shown: that one is another.
    """
    carrier = one.record.carrier
    if given.record is not None or given.name in _names(one):
        return False
    if may_be_run(given.digest.size, carrier, one.parts):
        return True
    manifest = carrier.get("manifest")
    return isinstance(manifest, dict) and manifest["count"] != len(one.files)


def _match(one: SeenRecord, total: int, given: GivenCarrier) -> list[Finding]:
    """The findings if ``given`` is the record's own file, or what one of its lines names."""
    carrier, inside = one.record.carrier, given.record is not None
    run = None if inside or one.parts is None else one.parts.find(given.digest)
    if run is not None and one.parts is not None:
        return [run_finding(given.name, run, one.parts, one.number, total, one.name)]
    values: dict[str, str | int] = {"name": given.name, "number": one.number, "total": total}
    # In the bundle its path is a statement too: a good file under another's name is a wrong one.
    if not (inside and carrier.get("name", given.name) != given.name):
        named = {step: carrier.get(step) for step in ("sha256", "sm3")}
        found = _compare(
            ("file", "file-sm3"), values, given.digest, named, carrier.get("size"), one.name
        )
        if found:
            return found
    for index, file in one.files:
        if file.skipped is not None or (inside and file.path != given.name):
            continue
        manifest = carrier["manifest"]
        count = manifest["count"] if isinstance(manifest, dict) else 0
        where: dict[str, str | int] = {"index": index + 1, "count": str(count), "path": file.path}
        named = {"sha256": file.sha256.hex(), "sm3": file.sm3.hex() if file.sm3 else None}
        found = _compare(
            ("line", "line-sm3"), values | where, given.digest, named, file.size, one.name
        )
        if found:
            return found
    return []


def _compare(
    codes: tuple[str, str],
    values: Mapping[str, str | int],
    digest: Digest,
    named: Mapping[str, JsonValue],
    size: JsonValue,
    record: str,
) -> list[Finding]:
    """A finding for each hash that the record has ``named``, each checked on its own.

    None at all if the size is another, or no hash agrees: then it is another file.
    """
    if size not in {None, digest.size}:
        return []
    findings: list[Finding] = []
    halves = (
        ("sha256", digest.sha256, codes[0], "sha256-differs"),
        ("sm3", digest.sm3, codes[1], "sm3-differs"),
    )
    for name, mine, same, differs in halves:
        if named[name] is None:
            continue
        if mine is None:
            findings.append(Finding("carrier", Outcome.UNCHECKED, "sm3-not-made", values, record))
            continue
        text = mine.hex()
        outcome = Outcome.PROVEN if named[name] == text else Outcome.REFUTED
        said = {**values, name: f"{text[:8]}…{text[-6:]}", "digest": text}
        code = same if outcome is Outcome.PROVEN else differs
        findings.append(Finding("carrier", outcome, code, said, record))
    agree = any(finding.outcome is Outcome.PROVEN for finding in findings)
    unknown = all(finding.outcome is Outcome.UNCHECKED for finding in findings)
    return findings if agree or unknown else []


@dataclass(frozen=True, slots=True)
class SeenChain:
    """One chain that holds: what it shows, and the names of its records in chain order."""

    report: ChainReport
    names: tuple[str, ...]


def read_chains(seen: Sequence[SeenRecord], total: int) -> tuple[list[SeenChain], list[Finding]]:
    """The chains the records show; a fork or a gap is refuted.

    ``total``: the records the index lists. If one of them is not here, it may be what a gap lacks:
    then the gap is unchecked. The index lists the records of a chain in the chain's order, since
    displays count by it.
    """
    chains: dict[str, list[tuple[Link, SeenRecord]]] = {}
    for one in seen:
        if one.record.link is not None:
            chains.setdefault(one.record.link.chain, []).append((one.record.link, one))
    good: list[SeenChain] = []
    findings = _check_across(seen)
    for chain, links in chains.items():
        listed = [link.seq for link, _ in links]
        if listed != sorted(listed):
            findings.append(Finding("index", Outcome.REFUTED, "order", {"chain": chain[:8]}))
        links.sort(key=lambda pair: pair[0].seq)
        try:
            report = check_chain([(link, one.record.entry) for link, one in links])
        except VerificationError as error:
            word = str(error).split(":")[0]
            code = word if word in {"fork", "gap"} else "refuted"
            values = {"chain": chain, "reason": str(error)}
            lost = code == "gap" and len(seen) < total
            outcome = Outcome.UNCHECKED if lost else Outcome.REFUTED
            findings.append(Finding("chain", outcome, code, values))
            continue
        good.append(SeenChain(report, tuple(one.name for _, one in links)))
    if not chains:
        findings.append(Finding("chain", Outcome.UNCHECKED, "not-shown"))
        return good, findings
    for one in seen:
        if one.record.link is None:
            number = {"number": one.number}
            findings.append(Finding("chain", Outcome.UNCHECKED, "withheld", number, one.name))
    return good, findings


def _check_across(seen: Sequence[SeenRecord]) -> list[Finding]:
    """Forks that chains by themselves cannot see: the branch was given another chain's name."""
    findings: list[Finding] = []
    chain_of: dict[str, str] = {}
    for one in seen:
        if one.record.link is not None:
            chain_of[one.record.entry.hex()] = one.record.link.chain
    followed: dict[str, str] = {}
    for one in seen:
        link = one.record.link
        if link is None or link.prev is None:
            continue
        of = followed.setdefault(link.prev, link.chain)
        if of != link.chain or chain_of.get(link.prev, link.chain) != link.chain:
            text = f"fork: link {link.seq} follows a record of another chain"
            values = {"chain": link.chain, "reason": text}
            findings.append(Finding("chain", Outcome.REFUTED, "fork", values))
    return findings


def _refuted(step: str, code: str, path: str, why: Exception, record: str) -> Finding:
    return Finding(step, Outcome.REFUTED, code, {"path": path, "reason": str(why)}, record)
