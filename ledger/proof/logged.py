"""What the bundle shows of the log: checkpoints, their signatures, inclusion, consistency.

Size and root always come from ``checkpoints/<size>``, never from a proof; imprints are computed
from that file only. A checkpoint signed by a key that the verifier does not trust is
"self-declared": its signature may be good, but nobody vouches for the order it signs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ledger.errors import MalformedError, VerificationError
from ledger.proof.bundle import VKEYS, Bundle, parse_consistency
from ledger.proof.trust import Trust
from ledger.proof.verdict import Finding, Outcome
from ledger.tlog.checkpoint import (
    Checkpoint,
    check_signatures,
    parse_checkpoint,
    self_certifying_origin,
)
from ledger.tlog.merkle import (
    ConsistencyProof,
    InclusionProof,
    check_consistency,
    check_inclusion,
    leaf_hash,
)
from ledger.tlog.note import (
    COSIGNATURE_ML_DSA_44,
    ED25519,
    NoteKey,
    SignedNote,
    parse_note,
    parse_vkey,
)
from ledger.tlog.proof import parse_proof_file

SELF_CERTIFYING = "tallystick/"
"""Origins that begin so are the hash of their own keys."""


@dataclass(frozen=True, slots=True)
class SeenCheckpoint:
    """A checkpoint of the bundle: the signed file as stamped, and what it says.

    ``trusted``: signed well by a ledger key of the trust file.
    """

    signed_file: bytes
    text: str
    checkpoint: Checkpoint
    trusted: bool


def read_checkpoints(
    bundle: Bundle, trust: Trust
) -> tuple[dict[int, SeenCheckpoint], list[Finding]]:
    """The well-formed checkpoints by size, and the findings on their signatures."""
    seen: dict[int, SeenCheckpoint] = {}
    findings: list[Finding] = []
    signed: dict[tuple[str, str, str], list[int]] = {}
    for path, fields in bundle.of_kind("checkpoint"):
        try:
            note = parse_note(bundle.files[path])
            checkpoint = parse_checkpoint(note.text)
            if checkpoint.size != int(fields["size"]):
                raise MalformedError(f"checkpoint of size {checkpoint.size} stands in {path}")
        except MalformedError as error:
            findings.append(_refuted("checkpoint.ledger", "malformed", path, error))
            continue
        codes, found = _signatures(bundle, trust, checkpoint, note)
        findings += found
        for step, code in codes.items():
            signed.setdefault((step, code, checkpoint.origin), []).append(checkpoint.size)
        trusted = codes.get("checkpoint.ledger") == "trusted"
        content = bundle.files[path]
        seen[checkpoint.size] = SeenCheckpoint(content, note.text, checkpoint, trusted)
    if len({one.checkpoint.origin for one in seen.values()}) > 1:
        text = "checkpoints of more than one ledger"
        findings.append(_refuted("checkpoint.ledger", "malformed", "checkpoints/", text))
    return seen, findings + [_signed(*key, sizes) for key, sizes in sorted(signed.items())]


def _signed(step: str, code: str, origin: str, sizes: Sequence[int]) -> Finding:
    """One finding for all checkpoints that are signed alike."""
    values = {
        "origin": origin,
        "ledger": short_origin(origin),
        "sizes": ", ".join(map(str, sorted(sizes))),
    }
    outcome = Outcome.PROVEN if code == "trusted" else Outcome.UNCHECKED
    return Finding(step, outcome, code, values)


def short_origin(origin: str) -> str:
    """An origin as sentences show it: one that is a hash is cut."""
    return f"{origin[:27]}…" if origin.startswith(SELF_CERTIFYING) else origin


def _signatures(
    bundle: Bundle, trust: Trust, checkpoint: Checkpoint, note: SignedNote
) -> tuple[dict[str, str], list[Finding]]:
    """How each of the ledger's two signatures stands, by step; what is refuted."""
    origin, path = checkpoint.origin, f"checkpoints/{checkpoint.size}"
    logs = trust.policy.logs if trust.policy is not None else ()
    trusted = [log.key for log in logs if log.key.name == origin]
    try:
        declared = _declared_keys(bundle, origin)
    except (MalformedError, VerificationError) as error:
        return {}, [_refuted("checkpoint.ledger", "malformed", VKEYS, error)]
    kinds = (("checkpoint.ledger", ED25519), ("checkpoint.ml-dsa", COSIGNATURE_ML_DSA_44))
    codes: dict[str, str] = {}
    findings: list[Finding] = []
    for step, kind in kinds:
        believed = [key for key in trusted if key.type == kind]
        keys = list(dict.fromkeys(believed + [key for key in declared if key.type == kind]))
        try:
            good = check_signatures(note, keys)
        except (MalformedError, VerificationError) as error:
            findings.append(_refuted(step, "bad-signature", path, error))
            continue
        if any(key in believed for key in good):
            codes[step] = "trusted"
        else:
            codes[step] = "self-declared" if good else "no-signature"
    return codes, findings


def _declared_keys(bundle: Bundle, origin: str) -> list[NoteKey]:
    """The ledger keys the bundle carries; a self-certifying origin must be their hash."""
    content = bundle.files.get(VKEYS)
    if content is None:
        return []
    try:
        lines = content.decode("ascii").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("ledger keys are not ASCII") from error
    keys = [parse_vkey(line) for line in lines]
    if any(key.name != origin for key in keys):
        raise VerificationError(f"a ledger key is not named {origin}")
    if origin.startswith(SELF_CERTIFYING):
        by_type = {key.type: key.public_key for key in keys}
        pair = (by_type.get(ED25519, b""), by_type.get(COSIGNATURE_ML_DSA_44, b""))
        if len(keys) != 2 or self_certifying_origin(*pair) != origin:
            raise VerificationError("the ledger's name is not the hash of its keys")
    return keys


@dataclass(frozen=True, slots=True)
class Included:
    """Where an entry stands, and the sizes of the checkpoints shown to include it."""

    index: int
    sizes: tuple[int, ...]


def find_inclusion(
    bundle: Bundle, record: str, entry: bytes, seen: Mapping[int, SeenCheckpoint]
) -> tuple[Included | None, list[Finding]]:
    """Check every proof of the record named ``record``; its place, or None with findings why."""
    indexes: set[int] = set()
    sizes: list[int] = []
    for path, fields in bundle.of_kind("proof"):
        if fields["entry"] != record:
            continue
        size = int(fields["size"])
        try:
            proof = parse_proof_file(bundle.files[path])
            text = parse_note(proof.checkpoint).text
            inside = parse_checkpoint(text)
        except MalformedError as error:
            return None, [_refuted("inclusion", "malformed", path, error, record)]
        if size not in seen:
            continue
        if text != seen[size].text or inside.size != size:
            words = f"its checkpoint is not checkpoints/{size}"
            return None, [_refuted("inclusion", "refuted", path, words, record)]
        try:
            claim = InclusionProof(proof.index, size, proof.path)
            check_inclusion(claim, leaf_hash(entry), seen[size].checkpoint.head)
        except VerificationError as error:
            return None, [_refuted("inclusion", "refuted", path, error, record)]
        indexes.add(proof.index)
        sizes.append(size)
    if len(indexes) > 1:
        words = f"proofs give indexes {sorted(indexes)}"
        return None, [_refuted("inclusion", "refuted", "proofs/", words, record)]
    if not sizes:
        values = {"reason": "no proof with its checkpoint"}
        return None, [Finding("inclusion", Outcome.UNCHECKED, "absent", values, record)]
    return Included(indexes.pop(), tuple(sorted(sizes))), []


def check_all_consistency(bundle: Bundle, seen: Mapping[int, SeenCheckpoint]) -> list[Finding]:
    """Each checkpoint of the bundle against the next bigger one."""
    findings = []
    sizes = sorted(size for size in seen if size > 0)
    wanted = {f"consistency/{old}-{new}" for old, new in pairwise(sizes)}
    for path, fields in bundle.of_kind("consistency"):
        old, new = int(fields["old"]), int(fields["new"])
        if old not in seen or new not in seen:
            continue
        try:
            proof = ConsistencyProof(old, new, parse_consistency(bundle.files[path]))
            check_consistency(proof, seen[old].checkpoint.head, seen[new].checkpoint.head)
        except (MalformedError, VerificationError, ValueError) as error:
            findings.append(_refuted("consistency", "refuted", path, error))
            continue
        wanted.discard(path)
        values = {"old": old, "new": new}
        findings.append(Finding("consistency", Outcome.PROVEN, "proven", values))
    absent: Sequence[str] = sorted(wanted)
    findings += [
        Finding("consistency", Outcome.UNCHECKED, "absent", {"path": path}) for path in absent
    ]
    return findings


def _refuted(
    step: str, code: str, path: str, why: Exception | str, record: str | None = None
) -> Finding:
    return Finding(step, Outcome.REFUTED, code, {"path": path, "reason": str(why)}, record)
