"""Bundles: what is disclosed is what was chosen, and it is listed before anything is written.

Without a choice a record shows its place in the chain and the tokens that bound it from below,
and nothing else. Records of the chain that were not chosen are withheld: J and their link.
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from ledger.doors.carrier import FileCarrier, read_carrier
from ledger.doors.client import Ledger, Stamp
from ledger.errors import (
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    UnavailableError,
)
from ledger.holder.excerpts import ChosenParts, find_parts, format_lines, read_run
from ledger.holder.kept_ledger import LEDGER_LOST
from ledger.holder.keychain import OPENED, key_records, names_enrolment
from ledger.holder.prover import Prover, checkpoint_of
from ledger.holder.readme import format_readme
from ledger.holder.records import StoredRecord
from ledger.holder.said import DIGEST_PREFIX
from ledger.holder.segments import check_one_chain, check_one_ledger
from ledger.holder.vault import Vault
from ledger.proof.bundle import README, VKEYS, Bundle, Digest, make_index, place_of
from ledger.proof.revocation import choose_answers, format_answer, issuers_above
from ledger.proof.stamps import format_certificate
from ledger.record.manifest import FileEntry, format_shown_lines, parse_line
from ledger.record.record import claim_names, disclose, parse_record
from ledger.record.sdjwt import format_sdjwt, parse_sdjwt
from ledger.record.shown import ShownLine, show_lines
from ledger.timestamp.der import load_certificate
from ledger.timestamp.token import parse_token
from ledger.tlog.note import format_vkey
from ledger.tlog.proof import ProofFile, format_proof_file

ALWAYS = ("link", "not_before")
"""Opened in every chosen record: its place in the chain, and its lower bound."""

GROUPS = {"carrier": ("carrier.sha256", "carrier.sm3", "carrier.size", "carrier.manifest")}
"""Names that stand for several claims. The carrier's name and times stay withheld."""

KEY, FILE, PIECES, BYTES = "signing key", "carrier file", "carrier pieces", "carrier bytes"
"""What ``Shown`` names besides claims: the key, a folder's file, pieces of one, and contents."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Choice:
    """What to disclose: claim names (``all``, or groups of ``GROUPS``), files of folders by path.

    ``carriers``: put the bytes of the disclosed carriers in the bundle too. ``parts``: pieces, from
    0, of the one chosen record's file. ``keys``: the key chain too, which shows whose keys signed.
    """

    claims: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    carriers: bool = False
    parts: tuple[range, ...] = ()
    keys: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """One line of the list a lawyer reads first: what the bundle will show of a record."""

    record: int
    what: str
    value: str


@dataclass(slots=True)
class Plan:
    """A bundle before it is written. ``sources``: the file behind each carrier path.

    ``withheld``: records of the chain that show only their link; ``unstamped``: records with fewer
    stamps than the vault wants; ``unlinked``: pairs of tree sizes whose consistency nobody can
    prove here, since the ledger cannot be read.
    """

    bundle: Bundle
    sources: dict[str, Path]
    shown: list[Shown]
    withheld: list[int] = field(default_factory=list)
    unstamped: list[int] = field(default_factory=list)
    unlinked: list[tuple[int, int]] = field(default_factory=list)


class Bundler:
    """Builds bundles from one vault and one ledger; ``work`` is a folder for decrypted carriers."""

    def __init__(self, vault: Vault, ledger: Ledger, work: Path) -> None:
        self._vault = vault
        self._ledger = ledger
        self._prover = Prover(ledger)
        self._work = work
        self._originals = vault.originals
        self._files: dict[str, bytes] = {}
        self._carriers: dict[str, Digest] = {}
        self._sources: dict[str, Path] = {}
        vault.receipts.keep(ledger, vault.config.wanted)

    def plan(self, chosen: Sequence[StoredRecord], choice: Choice, *, only: bool = False) -> Plan:
        """The bundle of ``chosen`` and of the records of their chain up to the last chosen one.

        ``only``: from the first chosen one on, instead of from the beginning. NotFoundError for a
        claim, file or piece no chosen record has; ConflictError for a record not in the ledger yet.
        """
        check_one_chain(chosen)
        if choice.parts and len(chosen) > 1:
            hint = "make one bundle for each record"
            raise MalformedError(f"parts are of one record, not of {len(chosen)}", hint=hint)
        records = self._chain(chosen, only)
        check_one_ledger(records, chosen, self._ledger.origin)
        choices = {record.number: choice for record in chosen}
        if choice.keys:
            records += self._choose_keys(records, choices)
        plan = Plan(Bundle({}, {}), self._sources, [])
        self._check_names(chosen, choice)
        self._check_files(chosen, choice)
        entries: dict[str, bytes] = {}
        sizes: set[int] = set()
        for record in records:
            if record.index is None:
                hint = "`tally sync` sends it; then bundle again"
                raise ConflictError(f"record {record.name} is not in the ledger yet", hint=hint)
            if record.number in choices:
                self._open(record, choices[record.number], plan)
            else:
                self._write_record(record, ["link"])
                plan.withheld.append(record.number)
            entries[f"records/{record.entry.hex()[:16]}.sd-jwt"] = record.entry
            stamps = self._vault.receipts.first_stamps(self._ledger.origin, record.index)
            if len(stamps) < self._vault.config.wanted:
                plan.unstamped.append(record.number)
            sizes |= self._prove(record, record.index, stamps)
        plan.unlinked = self._write_log(sizes)
        self._add_material()
        self._files[README] = format_readme(self._files, entries)
        plan.bundle = make_index(Bundle(self._files, self._carriers), entries)
        return plan

    def _chain(self, chosen: Sequence[StoredRecord], only: bool) -> list[StoredRecord]:
        last = max(record.seq for record in chosen)
        first = min(record.seq for record in chosen) if only else 1
        return [*self._vault.records.of_chain(chosen[0].chain, first, last)]

    def _choose_keys(
        self, records: Sequence[StoredRecord], choices: dict[int, Choice]
    ) -> list[StoredRecord]:
        """The records of the key chain; in ``choices`` what shows that both name each other."""
        for record in filter(names_enrolment, records):
            chosen = choices.get(record.number, Choice())
            choices[record.number] = replace(chosen, claims=(*chosen.claims, "refs"))
        added = key_records(self._vault, records, self._ledger.origin)
        choices |= {one.number: Choice(OPENED) for one in added}
        return added

    def _check_names(self, chosen: Sequence[StoredRecord], choice: Choice) -> None:
        have = {name for record in chosen for name in claim_names(parse_sdjwt(record.sdjwt))}
        for name in choice.claims:
            if name not in have | {"all", *GROUPS}:
                hint = f"there are: all, {', '.join(sorted(have | set(GROUPS)))}"
                raise NotFoundError(f"no chosen record has a claim {name!r}", hint=hint)

    def _check_files(self, chosen: Sequence[StoredRecord], choice: Choice) -> None:
        """NotFoundError for a file that no chosen record's folder has."""
        missing = set(choice.files)
        there: set[str] = set()
        for record in chosen:
            if missing and record.manifest is not None:
                lines = self._vault.manifests.read(record.manifest)
                there |= {parse_line(line).path for line in lines}
                missing -= there
        if missing:
            numbers = ", ".join(str(record.number) for record in chosen)
            text = f"record {numbers} has no file {min(missing)!r}"
            raise NotFoundError(text, hint=_hint_at(min(missing), chosen, there))

    def _open(self, record: StoredRecord, choice: Choice, plan: Plan) -> None:
        """Write a chosen record with what the choice opens, and list it."""
        sdjwt = parse_sdjwt(record.sdjwt)
        have = claim_names(sdjwt)
        wanted = _expand(choice.claims, have) | set(ALWAYS)
        files = self._find_files(record, choice.files) if record.manifest else []
        if files:
            wanted.add("carrier.manifest")
        parts: ChosenParts | None = None
        if choice.parts:
            parts = find_parts(self._vault.manifests, record, choice.parts)
            wanted.add("carrier.parts")
        names = [name for name in have if name in wanted]
        opened = self._write_record(record, names)
        for name, value in opened.items():
            plan.shown.append(Shown(record.number, name, value))
        plan.shown.append(Shown(record.number, KEY, parse_record(record.sdjwt).thumbprint))
        for line, entry in files:
            text = f"{line.index + 1}: {_say_entry(entry)}"
            plan.shown.append(Shown(record.number, FILE, text))
        if files:
            name = record.entry.hex()[:16]
            lines = [line for line, _ in files]
            self._files[f"manifests/{name}.lines"] = format_shown_lines(lines)
        for digest, token in self._named(record, names):
            self._files[f"stamps/not-before/{digest}.tst"] = token
        if choice.carriers:
            self._add_carriers(record, names, [entry for _, entry in files], plan)
        if parts is not None:
            self._add_parts(record, parts, choice, plan)

    def _write_record(self, record: StoredRecord, names: Collection[str]) -> dict[str, str]:
        """Write the record with only ``names`` open; what it then says, as text."""
        content = format_sdjwt(disclose(parse_sdjwt(record.sdjwt), names))
        self._files[f"records/{record.entry.hex()[:16]}.sd-jwt"] = content
        parsed = parse_record(content)
        said = {name: str(value) for name, value in parsed.claims.items()}
        return said | {f"carrier.{name}": str(value) for name, value in parsed.carrier.items()}

    def _named(self, record: StoredRecord, names: Collection[str]) -> list[tuple[str, bytes]]:
        """The record's ``not_before``: of the tokens that are still here, digest and bytes."""
        if "not_before" not in names:
            return []
        named = parse_record(record.sdjwt).claims["not_before"]
        digests = [str(digest) for digest in named] if isinstance(named, list) else []
        tokens = [(digest, self._vault.receipts.token(digest)) for digest in digests]
        return [(digest, token) for digest, token in tokens if token is not None]

    def _find_files(
        self, record: StoredRecord, paths: Collection[str]
    ) -> list[tuple[ShownLine, FileEntry]]:
        """The manifest lines of ``paths`` that this record's folder has."""
        if not paths or record.manifest is None:
            return []
        lines = self._vault.manifests.read(record.manifest)
        entries = [parse_line(line) for line in lines]
        indexes = [number for number, entry in enumerate(entries) if entry.path in paths]
        return [(shown, entries[shown.index]) for shown in show_lines(lines, indexes)]

    def _add_carriers(
        self, record: StoredRecord, names: Collection[str], files: list[FileEntry], plan: Plan
    ) -> None:
        """Put the disclosed carriers' bytes in: kept originals, else the files if unchanged.

        MalformedError for a name that no bundle can hold. A name that is withheld is not used.
        """
        base = f"carriers/{record.entry.hex()[:16]}"
        found: list[tuple[str, bytes, Path]] = []
        if {"carrier.sha256", "carrier.sm3"} & set(names) and record.path is not None:
            path = Path(record.path)
            suffix = path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,10}", path.suffix) else ""
            shown = path.name if "carrier.name" in names else f"carrier{suffix}"
            found.append((shown, bytes.fromhex(record.content), path))
        for entry in files:
            if entry.skipped is None:
                path = Path(record.path or "") / entry.path
                found.append((entry.path, entry.sha256, path))
        for name, sha256, path in found:
            try:
                place_of(f"{base}/{name}")
            except MalformedError as error:
                hint = "leave out --with-carriers, and hand the file over beside the bundle"
                raise MalformedError(f"no bundle can hold this name: {error}", hint=hint) from error
            source = self._source(sha256, path)
            self._carriers[f"{base}/{name}"] = Digest(source.stat().st_size, sha256)
            self._sources[f"{base}/{name}"] = source
            plan.shown.append(Shown(record.number, BYTES, f"{name}, every byte of it"))

    def _add_parts(
        self, record: StoredRecord, parts: ChosenParts, choice: Choice, plan: Plan
    ) -> None:
        """Show the lines of these pieces, and with the carriers their bytes, and list both."""
        name = record.entry.hex()[:16]
        self._files[f"parts/{name}.lines"] = format_lines(parts)
        for run in parts.runs():
            first, last = run[0].index + 1, run[-1].index + 1
            place = f"bytes {run[0].offset + 1} to {run[-1].stop}"
            pieces = f"piece {first}" if first == last else f"pieces {first} to {last}"
            text = f"{pieces} of {parts.count} ({parts.scheme}), {place}"
            plan.shown.append(Shown(record.number, PIECES, f"{text}: size and digest of each"))
            if choice.carriers:
                path = Path(record.path or "")
                source = self._source(bytes.fromhex(record.content), path)
                self._files[f"excerpts/{name}/{first}-{last}"] = read_run(source, run)
                plan.shown.append(Shown(record.number, BYTES, f"{text}: every one"))

    def _source(self, sha256: bytes, path: Path) -> Path:
        """A file with this content: the kept original decrypted, or the one on disk."""
        if self._originals.has(sha256):
            target = self._work / sha256.hex()
            if not target.exists():
                self._originals.restore(sha256, target)
            return target
        hint = "leave out --with-carriers, or put the original back"
        if str(path).startswith(DIGEST_PREFIX):
            hint = "leave out --with-carriers, and hand the file over beside the bundle"
            raise NotFoundError(f"{path} was not kept: only its digest was given", hint=hint)
        try:
            carrier = read_carrier(path)
        except LedgerError as error:
            raise NotFoundError(f"{path.name} was not kept: {error}", hint=hint) from error
        if not isinstance(carrier, FileCarrier) or carrier.entry.sha256 != sha256:
            text = f"{path.name} was not kept, and {path} is no longer what was anchored"
            raise NotFoundError(text, hint=hint)
        return path

    def _prove(self, record: StoredRecord, index: int, stamps: Sequence[Stamp]) -> set[int]:
        """Write the proofs of a record; the sizes they are under: stamped, else the newest."""
        sizes = {stamp.size for stamp in stamps}
        if not sizes:
            sizes = {checkpoint_of(self._ledger.checkpoint()).size}
        if max(sizes) <= index:
            raise UnavailableError(
                f"no receipt of record {record.number} is kept", hint=LEDGER_LOST
            )
        for size in sizes:
            path = self._vault.receipts.proof(record.number, size)
            if path is None:
                path = self._prover.inclusion(record.entry, index, size)
            proof = ProofFile(index, path, self._ledger.signed_file(size))
            name = f"proofs/{record.entry.hex()[:16]}-{size}.tlog-proof"
            self._files[name] = format_proof_file(proof)
        for stamp in stamps:
            tail = f"{stamp.tsa}-{hashlib.sha256(stamp.response).hexdigest()[:8]}.tsr"
            self._files[f"stamps/{stamp.size}/{tail}"] = stamp.response
        return sizes

    def _write_log(self, sizes: Collection[int]) -> list[tuple[int, int]]:
        """Checkpoints, the ledger's keys, and consistency; where that cannot be proven."""
        ordered, unlinked = sorted(sizes), []
        for size in ordered:
            self._files[f"checkpoints/{size}"] = self._ledger.signed_file(size)
        for old, new in pairwise(ordered):
            try:
                self._files[f"consistency/{old}-{new}"] = self._prover.consistency(old, new)
            except (UnavailableError, NotFoundError):
                unlinked.append((old, new))
        keys = "".join(f"{format_vkey(key)}\n" for key in self._ledger.keys)
        self._files[VKEYS] = keys.encode("ascii")
        return unlinked

    def _add_material(self) -> None:
        """What the tokens here are judged with: certificates they do not embed, and revocation.

        Roots are put in even if embedded, as files for openssl.
        """
        certificates, answers = self._ledger.certificates(), self._ledger.material()
        kinds = {"stamp", "not-before"}
        contents = [held for path, held in self._files.items() if place_of(path).kind in kinds]
        for token in map(parse_token, dict.fromkeys(contents)):
            if token.signer is None:
                continue
            above = issuers_above(token.signer, (*token.certificates, *certificates))
            for der in above:
                root = load_certificate(der).self_issued
                if root or der not in token.certificates:
                    self._files |= [format_certificate(der)]
                for one in () if root else choose_answers(der, answers, token.gen_time):
                    self._files |= [format_answer(one.kind, one.der)]


def _expand(names: Collection[str], have: Collection[str]) -> set[str]:
    if "all" in names:
        return set(have)
    return {one for name in names for one in GROUPS.get(name, (name,))}


def _say_entry(entry: FileEntry) -> str:
    """What a file's line in the manifest shows, in words."""
    if entry.skipped:
        return f"{entry.path}, skipped: {entry.skipped}"
    try:
        time = (_EPOCH + timedelta(microseconds=entry.mtime)).isoformat()
    except OverflowError:
        time = f"{entry.mtime} µs of Unix"
    return f"{entry.path}, {entry.size} bytes, changed {time}, SHA-256 {entry.sha256.hex()}"


def _hint_at(missing: str, chosen: Sequence[StoredRecord], there: Collection[str]) -> str:
    """What to name instead of ``missing``, which is no file of the ``chosen`` records."""
    if all(record.manifest is None for record in chosen):
        return (
            "it is of no folder: leave out --file; --disclose carrier shows a file anchored alone"
        )
    ends = [path for path in there if f"/{missing}".endswith(f"/{path}")]
    meant = f"it has {max(ends, key=len)!r}: " if ends else ""
    return (
        f"{meant}files are named relative to the folder anchored; `tally show --files` lists them"
    )
