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
from ledger.tlog.proof import ProofFile, parse_proof_file

MAX_DECLARED_KEYS = 16
"""A ledger signs with two keys; each one here costs a signature check per checkpoint."""

SELF_CERTIFYING = "tallystick/"
"""Origins that begin so are the hash of their own keys."""


@dataclass(frozen=True, slots=True)
class SeenCheckpoint:
    """A checkpoint of the bundle: the signed file as stamped, and what it says.

    ``signers``: the keys known here that signed it well. ``trusted``: one of them is a ledger key
    of the trust file.
    """

    signed_file: bytes
    text: str
    checkpoint: Checkpoint
    signers: tuple[NoteKey, ...]
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
        codes, signers, found = _signatures(bundle, trust, checkpoint, note)
        findings += [finding for finding in found if finding not in findings]
        for step, code in codes.items():
            signed.setdefault((step, code, checkpoint.origin), []).append(checkpoint.size)
        trusted = "trusted" in codes.values()
        content = bundle.files[path]
        one = SeenCheckpoint(content, note.text, checkpoint, signers, trusted)
        seen[checkpoint.size] = one
    if not seen and not findings:
        findings.append(Finding("checkpoint.ledger", Outcome.UNCHECKED, "absent"))
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
) -> tuple[dict[str, str], tuple[NoteKey, ...], list[Finding]]:
    """How each of the ledger's two signatures stands, by step; who signed; what is refuted."""
    origin, path = checkpoint.origin, f"checkpoints/{checkpoint.size}"
    logs = trust.policy.logs if trust.policy is not None else ()
    trusted = [log.key for log in logs if log.key.name == origin]
    try:
        declared = _declared_keys(bundle, origin)
    except (MalformedError, VerificationError) as error:
        return {}, (), [_refuted("checkpoint.ledger", "malformed", VKEYS, error)]
    kinds = (("checkpoint.ledger", ED25519), ("checkpoint.ml-dsa", COSIGNATURE_ML_DSA_44))
    codes: dict[str, str] = {}
    signers: list[NoteKey] = []
    findings: list[Finding] = []
    for step, kind in kinds:
        believed = [key for key in trusted if key.type == kind]
        others = [key for key in declared if key.type == kind and key not in believed]
        try:
            # Apart: a declared key made to have a believed one's ID must not hide it.
            good = check_signatures(note, believed)
            also = check_signatures(note, others)
        except (MalformedError, VerificationError) as error:
            findings.append(_refuted(step, "bad-signature", path, error))
            continue
        signers += [*good, *also]
        codes[step] = "trusted" if good else "self-declared" if also else "no-signature"
    return codes, tuple(signers), findings


def _declared_keys(bundle: Bundle, origin: str) -> list[NoteKey]:
    """The ledger keys the bundle carries; a self-certifying origin must be their hash."""
    content = bundle.files.get(VKEYS)
    if content is None:
        return []
    try:
        *lines, last = content.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("ledger keys are not ASCII") from error
    if last or not 1 <= len(lines) <= MAX_DECLARED_KEYS:
        raise MalformedError(f"ledger keys are not 1 to {MAX_DECLARED_KEYS} lines")
    keys = [parse_vkey(line) for line in lines]
    if len({(key.name, key.key_id) for key in keys}) != len(keys):
        raise MalformedError("two ledger keys have one name and one key ID")
    if any(key.name != origin for key in keys):
        raise VerificationError(f"a ledger key is not named {origin}")
    if origin.startswith(SELF_CERTIFYING):
        by_type = {key.type: key.public_key for key in keys}
        if len(keys) != 2 or by_type.keys() != {ED25519, COSIGNATURE_ML_DSA_44}:
            raise MalformedError("ledger keys are not one Ed25519 and one ML-DSA-44 key")
        if self_certifying_origin(by_type[ED25519], by_type[COSIGNATURE_ML_DSA_44]) != origin:
            raise VerificationError("the ledger's name is not the hash of its keys")
    return keys


@dataclass(frozen=True, slots=True)
class Included:
    """Where an entry stands, and the sizes of the checkpoints shown to include it."""

    index: int
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ProofAt:
    """A proof file of the bundle: its path, and the size of the checkpoint it is under."""

    path: str
    size: int


def proofs_by_record(bundle: Bundle) -> dict[str, list[ProofAt]]:
    """The proof files by the name of the record they are about."""
    found: dict[str, list[ProofAt]] = {}
    for path, fields in bundle.of_kind("proof"):
        found.setdefault(fields["entry"], []).append(ProofAt(path, int(fields["size"])))
    return found


def find_inclusion(
    bundle: Bundle,
    record: str,
    entry: bytes,
    proofs: Sequence[ProofAt],
    seen: Mapping[int, SeenCheckpoint],
) -> tuple[Included | None, list[Finding]]:
    """Check the ``proofs`` of the record named ``record``; its place, or None, and findings."""
    indexes: set[int] = set()
    sizes: list[int] = []
    findings: list[Finding] = []
    for one in proofs:
        try:
            proof = parse_proof_file(bundle.files[one.path])
            _check_same(proof, seen.get(one.size))
            if one.size in seen:
                claim = InclusionProof(proof.index, one.size, proof.path)
                check_inclusion(claim, leaf_hash(entry), seen[one.size].checkpoint.head)
        except MalformedError as error:
            return None, [_refuted("inclusion", "malformed", one.path, error, record)]
        except VerificationError as error:
            return None, [_refuted("inclusion", "refuted", one.path, error, record)]
        if one.size not in seen:
            findings.append(_absent(f"{one.path}: checkpoints/{one.size} cannot be used", record))
            continue
        indexes.add(proof.index)
        sizes.append(one.size)
    if len(indexes) > 1:
        words = f"proofs give indexes {sorted(indexes)}"
        return None, [_refuted("inclusion", "refuted", "proofs/", words, record)]
    if not sizes:
        return None, findings or [_absent("no proof of inclusion in the bundle", record)]
    return Included(indexes.pop(), tuple(sorted(sizes))), findings


def _check_same(proof: ProofFile, seen: SeenCheckpoint | None) -> None:
    """VerificationError unless the proof's own checkpoint is ``seen``; Malformed if it is none.

    It may carry more signatures (witnesses'), but has those of the ledger, and good ones.
    """
    if seen is not None and proof.checkpoint == seen.signed_file:
        return
    note = parse_note(proof.checkpoint)
    if seen is None:
        return
    name = f"checkpoints/{seen.checkpoint.size}"
    if note.text != seen.text:
        raise VerificationError(f"its checkpoint is not {name}")
    if not all(check_signatures(note, [key]) for key in seen.signers):
        raise VerificationError(f"its checkpoint is not signed as {name} is")


def _absent(reason: str, record: str) -> Finding:
    return Finding("inclusion", Outcome.UNCHECKED, "absent", {"reason": reason}, record)


def check_all_consistency(bundle: Bundle, seen: Mapping[int, SeenCheckpoint]) -> list[Finding]:
    """Each checkpoint of the bundle against the next bigger one."""
    findings = []
    sizes = sorted(size for size in seen if size > 0)
    wanted = {f"consistency/{old}-{new}" for old, new in pairwise(sizes)}
    for path, fields in bundle.of_kind("consistency"):
        old, new = int(fields["old"]), int(fields["new"])
        if missing := [size for size in (old, new) if size not in seen]:
            lacks: dict[str, str | int] = {"path": path, "size": missing[0]}
            findings.append(Finding("consistency", Outcome.UNCHECKED, "no-checkpoint", lacks))
            continue
        wanted.discard(path)
        try:
            proof = ConsistencyProof(old, new, parse_consistency(bundle.files[path]))
            check_consistency(proof, seen[old].checkpoint.head, seen[new].checkpoint.head)
        except (MalformedError, VerificationError, ValueError) as error:
            findings.append(_refuted("consistency", "refuted", path, error))
            continue
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
