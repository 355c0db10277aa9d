"""A small world in memory: a ledger, development TSAs with a clock set by hand, a notebook.

It puts bundles together as the holder's bundler does, so that the verdict is tested on what is real
in every part and wrong in the one part that a test changes.
"""

import hashlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.operator.devtsa import DevelopmentTsa
from ledger.proof.bundle import (
    INDEX,
    README,
    SUMS,
    VKEYS,
    Bundle,
    Digest,
    format_consistency,
    make_index,
    parse_index,
)
from ledger.proof.stamps import format_certificate
from ledger.proof.trust import Trust, TrustedTsa
from ledger.proof.verdict import Finding, Verdict, headline, meaning, say
from ledger.proof.verify import verify
from ledger.record.manifest import FileEntry, format_shown_lines, make_lines
from ledger.record.record import disclose, entry_of, issue_record, parse_record, sm3_of
from ledger.record.sdjwt import SdJwt, format_sdjwt
from ledger.record.shown import lines_root, show_lines
from ledger.record.strict_json import JsonValue
from ledger.timestamp.request import format_request
from ledger.timestamp.token import parse_token
from ledger.tlog.checkpoint import Checkpoint, self_certifying_origin, sign_checkpoint
from ledger.tlog.merkle import (
    TreeHead,
    leaf_hash,
    leaf_reader,
    prove_consistency,
    prove_inclusion,
    tree_root,
)
from ledger.tlog.note import COSIGNATURE_ML_DSA_44, ED25519, NoteKey, format_vkey
from ledger.tlog.policy import LogKey, Policy
from ledger.tlog.proof import ProofFile, format_proof_file

START = datetime(2026, 6, 8, 9, 30, tzinfo=UTC)
CHECKED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CHAIN = "0123456789abcdef" * 2

BLANK = re.compile(r"(?<!\\u)\{[a-z0-9]*\}")
"""A blank of a sentence that nothing filled; an escaped character is not one."""

Respond = Callable[[bytes], bytes]
"""A signed file in, the TSA's answer over it out."""


@dataclass
class Clock:
    """A clock that only moves when told."""

    time: datetime = START

    def __call__(self) -> datetime:
        return self.time


@cache
def development_tsa(name: str) -> tuple[DevelopmentTsa, Clock]:
    """One for all tests: keys take time. Its clock is set by whoever asks for a token."""
    clock = Clock()
    return DevelopmentTsa.create(name, clock), clock


@dataclass(frozen=True)
class LedgerKeys:
    origin: str
    ed25519: Ed25519PrivateKey
    ml_dsa_44: MLDSA44PrivateKey

    @property
    def public(self) -> tuple[NoteKey, NoteKey]:
        ed25519 = self.ed25519.public_key().public_bytes_raw()
        ml_dsa_44 = self.ml_dsa_44.public_key().public_bytes_raw()
        return (
            NoteKey(self.origin, ED25519, ed25519),
            NoteKey(self.origin, COSIGNATURE_ML_DSA_44, ml_dsa_44),
        )

    def policy(self, *kinds: int) -> Policy:
        """A policy that names these keys; kinds: only of these types."""
        keys = [key for key in self.public if not kinds or key.type in kinds]
        return Policy(tuple(LogKey(key) for key in keys), (), (), "none")


@cache
def ledger_keys(origin: str | None = None, number: int = 1) -> LedgerKeys:
    """The keys of a ledger; self-certifying without an origin."""
    ed25519 = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    ml_dsa_44 = MLDSA44PrivateKey.from_seed_bytes(bytes([number]) * 32)
    raw = (ed25519.public_key().public_bytes_raw(), ml_dsa_44.public_key().public_bytes_raw())
    return LedgerKeys(origin or self_certifying_origin(*raw), ed25519, ml_dsa_44)


@dataclass(frozen=True)
class Made:
    """A record as its holder has it: everything open."""

    sdjwt: SdJwt
    entry: bytes
    index: int
    lines: tuple[str, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)
    tokens: tuple[bytes, ...] = ()

    @property
    def name(self) -> str:
        return self.entry.hex()[:16]


@dataclass
class World:
    """A ledger and one notebook. Every random byte is drawn from ``dice``.

    ``sm3``: manifest lines name the SM3 of their files too.
    """

    keys: LedgerKeys = field(default_factory=ledger_keys)
    chain: str = CHAIN
    clock: Clock = field(default_factory=Clock)
    names: tuple[str, ...] = ("dev-one", "dev-two")
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    author: Ed25519PrivateKey = field(
        default_factory=lambda: Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    )
    entries: list[bytes] = field(default_factory=list)
    signed: dict[int, bytes] = field(default_factory=dict)
    stamps: list[tuple[int, str, bytes]] = field(default_factory=list)
    records: list[Made] = field(default_factory=list)
    sm3: bool = False

    def append(self, entry: bytes | None = None) -> int:
        """An entry in the log; without one, somebody else's."""
        self.entries.append(self.dice.randbytes(64) if entry is None else entry)
        return len(self.entries) - 1

    def head(self, size: int) -> TreeHead:
        return TreeHead(size, tree_root(size, self._reader(size)))

    def publish(self) -> int:
        """Sign a checkpoint over all entries; its size."""
        size = len(self.entries)
        if size not in self.signed:
            checkpoint = Checkpoint(self.keys.origin, size, self.head(size).root)
            self.signed[size] = sign_checkpoint(checkpoint, self.keys.ed25519, self.keys.ml_dsa_44)
        return size

    def answer(self, name: str, over: bytes) -> bytes:
        """A development TSA's response over bytes, at the world's time."""
        tsa, clock = development_tsa(name)
        clock.time = self.clock.time
        request = format_request(hashlib.sha256(over).digest(), self.dice.getrandbits(63))
        return tsa.answer(request)

    def stamp(self, *names: str, by: Mapping[str, Respond] | None = None) -> int:
        """Publish, and stamp by the TSAs; each an hour after the one before."""
        size = self.publish()
        for name in names or (() if by else self.names):
            self.clock.time += HOUR
            self.stamps.append((size, name, self.answer(name, self.signed[size])))
        for name, respond in (by or {}).items():
            self.stamps.append((size, name, respond(self.signed[size])))
        return size

    def record(
        self,
        claims: Mapping[str, JsonValue] | None = None,
        carrier: Mapping[str, JsonValue] | None = None,
        *,
        link: Mapping[str, JsonValue] | None = None,
        not_before: Sequence[bytes] | None = None,
        files: Mapping[str, bytes] | None = None,
        append: bool = True,
    ) -> Made:
        """A record after the last one, in the log. ``not_before``: bare tokens, else the newest."""
        own = [one for one in self.records if parse_record(format_sdjwt(one.sdjwt)).link]
        seq = len(own) + 1
        prev = own[-1].entry.hex() if own else None
        tokens = tuple(self.newest() if not_before is None else not_before)
        named: list[JsonValue] = [hashlib.sha256(token).hexdigest() for token in tokens]
        said: dict[str, JsonValue] = {
            "link": dict(link) if link else {"chain": self.chain, "seq": seq, "prev": prev},
            "kind": "carrier",
            "title": f"step {seq}",
            "captured_time": "2026-06-08T09:00:00Z",
            **({"not_before": named} if named else {}),
            **(claims or {}),
        }
        lines, below = self._manifest(files, carrier)
        sdjwt = issue_record(said, below, self.author, self.dice.randbytes)
        entry = entry_of(sdjwt.jwt)
        index = self.append(entry) if append else -1
        made = Made(sdjwt, entry, index, lines, files or {}, tokens)
        self.records.append(made)
        return made

    def newest(self) -> list[bytes]:
        """The newest bare token of each TSA."""
        newest = {name: response for _, name, response in self.stamps}
        return [parse_token(response).raw for response in newest.values()]

    def bundle(
        self,
        show: Mapping[int, Sequence[str]] | None = None,
        *,
        files: Mapping[int, Sequence[str]] | None = None,
        with_carriers: bool = False,
        sizes: Sequence[int] | None = None,
    ) -> Bundle:
        """A bundle of all records. ``show``: claims opened, by record number (from 0); its link and
        its lower bound always are, and of records not named nothing but the link is.
        ``files``: paths of its folder to show. ``sizes``: stamped checkpoints to prove under.
        """
        content: dict[str, bytes] = {README: b"for people\n"}
        carriers: dict[str, Digest] = {}
        used: set[int] = set()
        for number, made in enumerate(self.records):
            opened = (show or {}).get(number)
            self._write(content, made, opened)
            shown = (files or {}).get(number, ())
            if shown:
                content[f"manifests/{made.name}.lines"] = shown_lines(made, shown)
            for path in shown if with_carriers else ():
                carriers[f"carriers/{made.name}/{path}"] = digest_of(made.contents[path])
            for size in self._covering(made.index) if sizes is None else sizes:
                used.add(size)
                self._prove(content, made, size)
        for size, name, response in self.stamps:
            if size in used:
                tail = f"{name}-{hashlib.sha256(response).hexdigest()[:8]}.tsr"
                content[f"stamps/{size}/{tail}"] = response
        for old, new in pairwise(sorted(used)):
            proof = prove_consistency(old, new, self._reader(new))
            content[f"consistency/{old}-{new}"] = format_consistency(proof.path)
        for size in used:
            content[f"checkpoints/{size}"] = self.signed[size]
        vkeys = "".join(f"{format_vkey(key)}\n" for key in self.keys.public)
        content[VKEYS] = vkeys.encode("ascii")
        content |= dict(format_certificate(development_tsa(name)[0].root) for name in self.names)
        index = {f"records/{made.name}.sd-jwt": made.entry for made in self.records}
        return make_index(Bundle(content, carriers), index)

    def _reader(self, size: int) -> Callable[[Sequence[object]], Sequence[bytes]]:
        return leaf_reader([leaf_hash(entry) for entry in self.entries[:size]])

    def _covering(self, index: int) -> list[int]:
        """The sizes of each TSA's first stamp that covers the index; else the newest size."""
        first: dict[str, int] = {}
        for size, name, _ in self.stamps:
            if size > index:
                first.setdefault(name, size)
        return sorted(set(first.values())) or [max(self.signed)]

    def _prove(self, content: dict[str, bytes], made: Made, size: int) -> None:
        proof = prove_inclusion(made.index, size, self._reader(size))
        file = ProofFile(made.index, proof.path, self.signed[size])
        content[f"proofs/{made.name}-{size}.tlog-proof"] = format_proof_file(file)

    def _write(self, content: dict[str, bytes], made: Made, opened: Sequence[str] | None) -> None:
        have = parse_record(format_sdjwt(made.sdjwt)).claims.keys()
        names = {"link"} if opened is None else {"link", "not_before", *opened}
        names = {one for one in names if "." in one or one in have}
        path = f"records/{made.name}.sd-jwt"
        content[path] = format_sdjwt(disclose(made.sdjwt, names))
        for token in made.tokens if "not_before" in names else ():
            content[f"stamps/not-before/{hashlib.sha256(token).hexdigest()}.tst"] = token

    def _manifest(
        self, files: Mapping[str, bytes] | None, carrier: Mapping[str, JsonValue] | None
    ) -> tuple[tuple[str, ...], dict[str, JsonValue]]:
        below = dict(carrier or {})
        if not files:
            return (), below
        entries = [
            FileEntry(
                path,
                len(held),
                hashlib.sha256(held).digest(),
                0,
                sm3_of(held) if self.sm3 else None,
            )
            for path, held in files.items()
        ]
        lines = make_lines(entries, self.dice.randbytes)
        root, count = lines_root(lines)
        below["manifest"] = {"root": root.hex(), "count": count}
        return tuple(lines), below


def shown_lines(made: Made, paths: Sequence[str]) -> bytes:
    """The lines file that shows these paths of a record's folder."""
    ordered = sorted(made.contents, key=str.encode)
    indexes = [number for number, path in enumerate(ordered) if path in paths]
    return format_shown_lines(show_lines(made.lines, indexes))


def digest_of(content: bytes, *, sm3: bool = False) -> Digest:
    sha256 = hashlib.sha256(content).digest()
    return Digest(len(content), sha256, sm3_of(content) if sm3 else None)


def trust_in(*names: str, k: int = 2, development: bool = True, **more: object) -> Trust:
    """A trust file that believes these development TSAs."""
    tsas = tuple(
        TrustedTsa(
            name, hashlib.sha256(development_tsa(name)[0].root).digest(), development=development
        )
        for name in names
    )
    return replace(Trust(tsas=tsas, k=k, sha256="00" * 32), **more)  # type: ignore[arg-type]


TRUST = trust_in("dev-one", "dev-two")


def judge(
    bundle: Bundle, trust: Trust = TRUST, carriers: Mapping[str, Digest] | None = None
) -> Verdict:
    """The verdict; every word of it is asked for, so that none can be missing."""
    verdict = verify(
        bundle, trust, carriers or {}, checked_at=CHECKED, clock="by hand", tool="tests"
    )
    for language in ("en", "zh"):
        for finding in verdict.findings:
            assert not BLANK.search(say(finding, language))
            assert all(meaning(finding, language))
        assert headline(verdict, language)
    return verdict


def rebuilt(
    bundle: Bundle,
    changes: Mapping[str, bytes | None],
    carriers: Mapping[str, Digest | None] | None = None,
) -> Bundle:
    """The bundle with files changed, added or (None) removed, and its index made anew."""
    records = dict(parse_index(bundle.files[INDEX]).records)
    files = {path: held for path, held in {**bundle.files, **changes}.items() if held is not None}
    digests = {path: held for path, held in {**bundle.carriers, **(carriers or {})}.items() if held}
    return make_index(Bundle(files, digests), records)


def untouched_index(bundle: Bundle, changes: Mapping[str, bytes | None]) -> Bundle:
    """The bundle with files changed, added or removed behind its index's back."""
    files = {path: held for path, held in {**bundle.files, **changes}.items() if held is not None}
    return Bundle(files, bundle.carriers)


def with_records(bundle: Bundle, records: Mapping[str, bytes]) -> Bundle:
    """The bundle with another list of records in its index."""
    files = {path: held for path, held in bundle.files.items() if path not in {INDEX, SUMS}}
    return make_index(Bundle(files, bundle.carriers), records)


def of_step(verdict: Verdict, step: str) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.step == step]


def codes(verdict: Verdict, step: str) -> list[str]:
    return [finding.code for finding in of_step(verdict, step)]


def path_of(bundle: Bundle, kind: str, number: int = 0) -> str:
    """The path of the bundle's file of a kind."""
    return bundle.of_kind(kind)[number][0]
