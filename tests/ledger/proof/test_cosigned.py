"""Cosignatures in the verdict: whose count, which quorum, what is refuted."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.proof.bundle import Bundle
from ledger.proof.verdict import Outcome, Verdict, say
from ledger.tlog.checkpoint import (
    Checkpoint,
    cosign_ed25519,
    cosign_ml_dsa_44,
    parse_checkpoint,
)
from ledger.tlog.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    NoteKey,
    NoteSignature,
    SignedNote,
    format_note,
    format_vkey,
    parse_note,
)
from ledger.tlog.policy import parse_policy
from tests.ledger.proof.world import (
    TRUST,
    World,
    codes,
    judge,
    ledger_keys,
    of_step,
    rebuilt,
    untouched_index,
)

TIME = 1_780_000_000
KEYS = {
    name: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    for number, name in enumerate(("law.example", "park.example", "other.example"), start=20)
}
QUANTUM = MLDSA44PrivateKey.from_seed_bytes(bytes([30]) * 32)


def key_of(name: str) -> NoteKey:
    return NoteKey(name, COSIGNATURE_ED25519, KEYS[name].public_key().public_bytes_raw())


def policy(quorum: str, *more: str) -> str:
    lines = [f"witness {name} {format_vkey(key_of(name))}" for name in KEYS]
    return "\n".join([*lines, *more, f"quorum {quorum}", ""])


def seen_at(world: World, size: int) -> Checkpoint:
    return parse_checkpoint(parse_note(world.signed[size]).text)


def lines_of(world: World, size: int, *names: str, time: int = TIME) -> list[NoteSignature]:
    return [cosign_ed25519(seen_at(world, size), name, time, KEYS[name]) for name in names]


def text_of(lines: Sequence[NoteSignature]) -> bytes:
    """The lines alone, as a witness answers them."""
    return format_note(SignedNote("x\n", tuple(lines))).partition(b"\n\n")[2]


def cosigned(world: World, bundle: Bundle, *names: str, size: int | None = None) -> Bundle:
    """The bundle with cosignatures by ``names`` on one or all of its checkpoints."""
    sizes = [int(fields["size"]) for _, fields in bundle.of_kind("checkpoint")]
    return rebuilt(
        bundle,
        {
            f"checkpoints/{one}.cosignatures": text_of(lines_of(world, one, *names))
            for one in sizes
            if size in (None, one)
        },
    )


def judged(bundle: Bundle, quorum: str, *more: str, require: tuple[str, ...] = ()) -> Verdict:
    trust = replace(TRUST, policy=parse_policy(policy(quorum, *more)), require=require)
    return judge(bundle, trust)


def test_a_quorum_that_is_met_is_proven(bundle: Bundle, world: World) -> None:
    both = cosigned(world, bundle, "law.example", "park.example")
    verdict = judged(both, "two", "group two 2 law.example park.example other.example")
    assert set(codes(verdict, "cosignatures")) == {"witnessed", "quorum"}
    assert verdict.exit_code == 0
    assert "law.example (2026-05-28T" in say(of_step(verdict, "cosignatures")[0])


def test_one_of_two_witnesses_does_not_meet_a_quorum_of_two(bundle: Bundle, world: World) -> None:
    one = cosigned(world, bundle, "law.example")
    verdict = judged(one, "two", "group two 2 law.example park.example")
    assert "no-quorum" in codes(verdict, "cosignatures")
    assert verdict.exit_code == 3


def test_each_record_needs_a_cosigned_checkpoint_of_its_own() -> None:
    world = World()
    world.record()
    early = world.stamp()
    late_record = world.record()
    world.stamp()
    bundle = cosigned(world, world.bundle(), "law.example", size=early)
    verdict = judged(bundle, "law.example")
    lacking = [one for one in of_step(verdict, "cosignatures") if one.code == "no-quorum"]
    assert [one.record for one in lacking] == [late_record.name]
    assert verdict.exit_code == 3


def test_an_ml_dsa_44_cosignature_counts_and_one_without_a_time_says_so(
    bundle: Bundle, world: World
) -> None:
    name = "quantum.example"
    key = NoteKey(name, COSIGNATURE_ML_DSA_44, QUANTUM.public_key().public_bytes_raw())
    files = {
        path + ".cosignatures": text_of(
            [cosign_ml_dsa_44(seen_at(world, int(fields["size"])), name, 0, QUANTUM)]
        )
        for path, fields in bundle.of_kind("checkpoint")
    }
    verdict = judged(rebuilt(bundle, files), "q", f"witness q {format_vkey(key)}")
    assert verdict.exit_code == 0
    assert "q (-)" in say(of_step(verdict, "cosignatures")[0])


def test_a_wrong_signature_by_a_witness_of_the_policy_is_refuted(
    bundle: Bundle, world: World
) -> None:
    [path, *_] = [path for path, _ in bundle.of_kind("checkpoint")]
    other = Checkpoint(world.keys.origin, 1, bytes(32))
    line = cosign_ed25519(other, "law.example", TIME, KEYS["law.example"])
    bad = rebuilt(bundle, {f"{path}.cosignatures": text_of([line])})
    verdict = judged(bad, "none")
    assert codes(verdict, "cosignatures") == ["bad-signature"]
    assert verdict.exit_code == 1
    assert judge(bad).exit_code == 0, "to whom does not know the witness, it says nothing"


def test_cosignatures_by_strangers_are_unchecked(bundle: Bundle, world: World) -> None:
    verdict = judge(cosigned(world, bundle, "law.example"))
    assert set(codes(verdict, "cosignatures")) == {"unknown"}
    assert verdict.outcome is Outcome.PROVEN
    assert "cosignatures" in verdict.unchecked_steps


def test_the_ledgers_own_key_is_no_witness(bundle: Bundle, world: World) -> None:
    own = world.keys.ed25519
    key = NoteKey("self.example", COSIGNATURE_ED25519, own.public_key().public_bytes_raw())
    files = {
        f"{path}.cosignatures": text_of(
            [cosign_ed25519(seen_at(world, int(fields["size"])), "self.example", TIME, own)]
        )
        for path, fields in bundle.of_kind("checkpoint")
    }
    verdict = judged(rebuilt(bundle, files), "s", f"witness s {format_vkey(key)}")
    assert set(codes(verdict, "cosignatures")) == {"unknown", "no-quorum"}


def test_cosignatures_that_are_required_without_a_quorum_need_one_witness(
    bundle: Bundle, world: World
) -> None:
    asked = ("cosignatures",)
    assert judged(bundle, "none", require=asked).exit_code == 3
    assert judged(cosigned(world, bundle, "law.example"), "none", require=asked).exit_code == 0
    assert judge(bundle, replace(TRUST, require=asked)).exit_code == 3


def test_cosignatures_of_a_checkpoint_that_is_not_there_are_unchecked(
    bundle: Bundle, world: World
) -> None:
    [line] = lines_of(world, world.publish(), "law.example")
    verdict = judge(rebuilt(bundle, {"checkpoints/9999.cosignatures": text_of([line])}))
    assert codes(verdict, "cosignatures") == ["no-checkpoint"]
    assert verdict.exit_code == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"not a line\n", b"\xff\n", b"\xe2\x80\x94 law.example !!!!\n", b"x\n" * 101],
)
def test_what_is_no_signature_lines_is_refuted(bundle: Bundle, content: bytes) -> None:
    [path, *_] = [path for path, _ in bundle.of_kind("checkpoint")]
    verdict = judge(rebuilt(bundle, {f"{path}.cosignatures": content}))
    assert codes(verdict, "cosignatures") == ["malformed"]
    assert verdict.exit_code == 1


def test_lines_behind_a_second_blank_line_are_refuted(bundle: Bundle, world: World) -> None:
    path, fields = bundle.of_kind("checkpoint")[0]
    [line] = lines_of(world, int(fields["size"]), "law.example")
    content = text_of([line]) + b"\n" + text_of([line])
    verdict = judge(rebuilt(bundle, {f"{path}.cosignatures": content}))
    assert codes(verdict, "cosignatures") == ["malformed"]


def test_a_hundred_lines_beside_the_ledgers_own_are_too_many(bundle: Bundle, world: World) -> None:
    path, fields = bundle.of_kind("checkpoint")[0]
    lines = lines_of(world, int(fields["size"]), "law.example") * 100
    verdict = judge(rebuilt(bundle, {f"{path}.cosignatures": text_of(lines)}))
    assert codes(verdict, "cosignatures") == ["malformed"]


def test_every_changed_byte_of_cosignatures_is_seen_or_meets_no_quorum(
    bundle: Bundle, world: World
) -> None:
    path, fields = bundle.of_kind("checkpoint")[-1]
    whole = cosigned(world, bundle, "law.example")
    content = whole.files[f"{path}.cosignatures"]
    dice = random.Random(3)
    for place in dice.sample(range(len(content)), 40):
        changed = bytearray(content)
        changed[place] ^= 1 << dice.randrange(8)
        one = {f"{path}.cosignatures": bytes(changed)}
        assert judged(untouched_index(whole, one), "law.example").exit_code == 1
        verdict = judged(rebuilt(whole, one), "law.example")
        met = [each for each in of_step(verdict, "cosignatures") if each.code == "quorum"]
        assert not any(fields["size"] in str(each.values["sizes"]).split(", ") for each in met)


def test_a_time_beyond_the_calendar_is_shown_as_a_number(bundle: Bundle, world: World) -> None:
    path, fields = bundle.of_kind("checkpoint")[0]
    lines = lines_of(world, int(fields["size"]), "law.example", time=2**62)
    verdict = judged(rebuilt(bundle, {f"{path}.cosignatures": text_of(lines)}), "none")
    assert str(2**62) in say(of_step(verdict, "cosignatures")[0])


def test_lines_inside_the_checkpoint_count_too(world: World) -> None:
    one = World(keys=ledger_keys("hosted.example"))
    one.record()
    size = one.publish()
    note = parse_note(one.signed[size])
    more = tuple(lines_of(one, size, "law.example"))
    one.signed[size] = format_note(SignedNote(note.text, note.signatures + more))
    one.stamp()
    assert judged(one.bundle(), "law.example").exit_code == 0
