"""Who else saw the checkpoints: cosignatures against the quorum of the trust file's policy.

``checkpoints/<size>.cosignatures`` holds signature lines as witnesses answer them; behind the
checkpoint's text and a blank line they make a signed note, so any C2SP tool checks them
(c2sp.org/tlog-cosignature). Lines inside ``checkpoints/<size>`` count as well. A witness says that
it saw this tree, consistent with every other it saw of this log; when it says so is its own word
and enters no bound.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from ledger.errors import MalformedError, VerificationError
from ledger.proof.bundle import Bundle
from ledger.proof.logged import SeenCheckpoint
from ledger.proof.trust import Trust
from ledger.proof.verdict import Finding, Outcome
from ledger.tlog.checkpoint import check_signatures, cosignature_time
from ledger.tlog.note import NoteKey, NoteSignature, SignedNote, parse_note
from ledger.tlog.policy import NO_QUORUM, Policy, Witness, quorum_met

STEP = "cosignatures"


def check_cosignatures(
    bundle: Bundle,
    trust: Trust,
    seen: Mapping[int, SeenCheckpoint],
    included: Mapping[str, Sequence[int]],
) -> list[Finding]:
    """The findings on all cosignatures.

    ``included``: by record, the sizes of the checkpoints shown to include it. The quorum must be
    met at one of them for each record; where cosignatures are required and the policy names no
    quorum, any one witness will do. Refuted: lines that are no signature lines, and a wrong
    signature by a witness of the policy. Unknown witnesses are ignored, as the standard has it.
    """
    policy = trust.policy
    witnesses = () if policy is None else policy.witnesses
    notes, findings = _read_notes(bundle, seen)
    met: list[int] = []
    for size, note in sorted(notes.items()):
        path = _path(bundle, size)
        try:
            saw = _witnessed(note, _apart(witnesses, seen[size].signers))
        except (MalformedError, VerificationError) as error:
            findings.append(_refuted("bad-signature", path, error))
            continue
        if saw and policy is not None and quorum_met(policy, [one.name for one in saw]):
            met.append(size)
        if saw:
            findings.append(_seen_by(size, saw, note))
        elif path != f"checkpoints/{size}":
            findings.append(Finding(STEP, Outcome.UNCHECKED, "unknown", {"path": path}))
    if policy is not None and STEP in trust.required_steps:
        findings += _quorum(policy, met, included)
    return findings


def _read_notes(
    bundle: Bundle, seen: Mapping[int, SeenCheckpoint]
) -> tuple[dict[int, SignedNote], list[Finding]]:
    """Each checkpoint with all lines the bundle has for it."""
    notes = {size: parse_note(one.signed_file) for size, one in seen.items()}
    findings: list[Finding] = []
    for path, fields in bundle.of_kind("cosignatures"):
        size = int(fields["size"])
        if size not in seen:
            lacks: dict[str, str | int] = {"path": path, "size": size}
            findings.append(Finding(STEP, Outcome.UNCHECKED, "no-checkpoint", lacks))
            continue
        try:
            more = parse_note(seen[size].text.encode() + b"\n" + bundle.files[path])
            if more.text != seen[size].text:
                raise MalformedError("has a blank line")
            notes[size] = SignedNote(more.text, notes[size].signatures + more.signatures)
        except (MalformedError, ValueError) as error:
            findings.append(_refuted("malformed", path, error))
            del notes[size]
    return notes, findings


def _path(bundle: Bundle, size: int) -> str:
    """The file that holds the cosignatures of this checkpoint."""
    apart = f"checkpoints/{size}.cosignatures"
    return apart if apart in bundle.files else f"checkpoints/{size}"


def _apart(witnesses: Iterable[Witness], signers: Iterable[NoteKey]) -> list[Witness]:
    """The witnesses that are not the ledger itself: its own word is nobody else's."""
    own = {key.public_key for key in signers}
    return [witness for witness in witnesses if witness.key.public_key not in own]


def _witnessed(note: SignedNote, witnesses: Sequence[Witness]) -> list[Witness]:
    """Those who signed well, in the policy's order; a wrong signature is a VerificationError."""
    # One by one: two witnesses may have one name and, by chance or design, one key ID.
    return [one for one in witnesses if check_signatures(note, [one.key])]


def _seen_by(size: int, saw: Sequence[Witness], note: SignedNote) -> Finding:
    values: dict[str, str | int] = {
        "size": size,
        "count": len(saw),
        "witnesses": ", ".join(f"{one.name} ({_claimed(note, one.key)})" for one in saw),
    }
    return Finding(STEP, Outcome.PROVEN, "witnessed", values)


def _claimed(note: SignedNote, key: NoteKey) -> str:
    """When the witness says that it signed; ``-`` where it makes no such statement."""
    lines = [one for one in note.signatures if _is_by(one, key)]
    seconds = max(cosignature_time(line) for line in lines)
    try:
        time = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return str(seconds)  # beyond the year 9999
    return time.strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else "-"


def _is_by(line: NoteSignature, key: NoteKey) -> bool:
    return (line.name, line.key_id) == (key.name, key.key_id)


def _quorum(
    policy: Policy, met: Sequence[int], included: Mapping[str, Sequence[int]]
) -> list[Finding]:
    """Whether the quorum stands behind every record; one finding if so, else one per record."""
    lacking = [record for record, sizes in included.items() if not set(sizes) & set(met)]
    quorum = "any" if policy.quorum == NO_QUORUM else policy.quorum
    values: dict[str, str | int] = {"quorum": quorum}
    if not lacking and included:
        sizes = ", ".join(map(str, met))
        return [Finding(STEP, Outcome.PROVEN, "quorum", {**values, "sizes": sizes})]
    return [
        Finding(STEP, Outcome.UNCHECKED, "no-quorum", values, record) for record in lacking
    ] or [Finding(STEP, Outcome.UNCHECKED, "no-quorum", values)]


def _refuted(code: str, path: str, why: Exception) -> Finding:
    return Finding(STEP, Outcome.REFUTED, code, {"path": path, "reason": str(why)})
