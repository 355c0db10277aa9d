"""The verdict on the log's part: checkpoints, their keys, proofs, consistency, chains."""

import hashlib
import random
from dataclasses import replace

import pytest

from ledger.proof.bundle import VKEYS, Bundle, format_consistency, make_index
from ledger.proof.verdict import Outcome, say
from ledger.tlog.checkpoint import Checkpoint, cosign_ed25519, sign_checkpoint
from ledger.tlog.merkle import EMPTY_ROOT, prove_consistency
from ledger.tlog.note import (
    COSIGNATURE_ML_DSA_44,
    ED25519,
    NoteKey,
    NoteSignature,
    SignedNote,
    format_note,
    format_vkey,
    parse_note,
)
from ledger.tlog.policy import LogKey, Policy
from ledger.tlog.proof import ProofFile, format_proof_file, parse_proof_file
from tests.ledger.proof.world import (
    CHAIN,
    TRUST,
    LedgerKeys,
    World,
    codes,
    judge,
    ledger_keys,
    of_step,
    path_of,
    rebuilt,
    trust_in,
)

HOSTED = "ledger.example.org"


def hosted() -> World:
    """A ledger with a name of its own, one stamped record."""
    world = World(keys=ledger_keys(HOSTED))
    world.append()
    world.record()
    world.stamp()
    return world


def vkeys(*keys: NoteKey) -> bytes:
    return "".join(f"{format_vkey(key)}\n" for key in keys).encode()


def trusting(keys: LedgerKeys, *kinds: int) -> Policy:
    return keys.policy(*kinds)


# Keys


def test_a_ledger_key_of_the_trust_file_authenticates(bundle: Bundle, world: World) -> None:
    verdict = judge(bundle, replace(TRUST, policy=trusting(world.keys)))
    assert codes(verdict, "checkpoint.ledger") == ["trusted"]
    assert codes(verdict, "checkpoint.ml-dsa") == ["trusted"]
    assert verdict.unchecked_steps == ("revocation", "key")


@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE_ML_DSA_44])
def test_a_trusted_key_of_either_kind_vouches_for_the_order_without_tokens(kind: int) -> None:
    world = hosted()
    alone = trust_in(policy=trusting(world.keys, kind))
    verdict = judge(world.bundle(), alone)
    assert codes(verdict, "inclusion") == ["proven"]
    assert codes(verdict, "time.not-after") == ["too-few"]
    assert verdict.exit_code == 3


def test_without_trusted_key_and_tokens_a_proof_that_fits_shows_nothing() -> None:
    verdict = judge(hosted().bundle(), trust_in())
    assert codes(verdict, "inclusion") == ["not-authenticated"]
    assert verdict.exit_code == 3


def test_a_trusted_key_of_another_ledger_is_not_believed() -> None:
    other = ledger_keys("other.example.org", 2)
    verdict = judge(hosted().bundle(), replace(TRUST, policy=trusting(other)))
    assert codes(verdict, "checkpoint.ledger") == ["self-declared"]


def test_another_key_under_a_trusted_ledgers_name_is_not_believed() -> None:
    believed = ledger_keys(HOSTED, 2)
    verdict = judge(hosted().bundle(), replace(TRUST, policy=trusting(believed)))
    assert codes(verdict, "checkpoint.ledger") == ["self-declared"]
    only = judge(hosted().bundle(), trust_in(policy=trusting(believed)))
    assert codes(only, "inclusion") == ["not-authenticated"]


def test_without_any_key_the_signatures_are_unchecked() -> None:
    verdict = judge(rebuilt(hosted().bundle(), {VKEYS: None}))
    assert codes(verdict, "checkpoint.ledger") == ["no-signature"]
    assert codes(verdict, "checkpoint.ml-dsa") == ["no-signature"]


def test_keys_of_another_name_than_the_ledgers_are_refuted() -> None:
    other = ledger_keys("other.example.org", 2)
    verdict = judge(rebuilt(hosted().bundle(), {VKEYS: vkeys(*other.public)}))
    assert codes(verdict, "checkpoint.ledger") == ["malformed"]
    assert verdict.exit_code == 1


def test_keys_that_are_not_what_a_self_certifying_name_says_are_refuted(
    bundle: Bundle, world: World
) -> None:
    ed25519, ml_dsa_44 = world.keys.public
    other = ledger_keys(world.keys.origin, 2).public
    for keys in (
        other,
        (ed25519, other[1]),
        (other[0], ml_dsa_44),
        (ed25519,),
        (ml_dsa_44,),
        (ed25519, other[0]),
        (ml_dsa_44, other[1]),
        (ed25519, ml_dsa_44, other[0]),
    ):
        verdict = judge(rebuilt(bundle, {VKEYS: vkeys(*keys)}))
        assert codes(verdict, "checkpoint.ledger") == ["malformed"]


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"x\n", b"\xff\n", 17 * b"x\n", vkeys(*ledger_keys().public)[:-1]]
)
def test_a_malformed_file_of_ledger_keys_is_refuted(bundle: Bundle, content: bytes) -> None:
    verdict = judge(rebuilt(bundle, {VKEYS: content}))
    assert codes(verdict, "checkpoint.ledger") == ["malformed"]


def test_ledger_keys_twice_or_in_two_lines_are_refuted(bundle: Bundle, world: World) -> None:
    doubled = rebuilt(bundle, {VKEYS: vkeys(*world.keys.public, *world.keys.public)})
    assert codes(judge(doubled), "checkpoint.ledger") == ["malformed"]
    blank = rebuilt(bundle, {VKEYS: vkeys(*world.keys.public) + b"\n"})
    assert codes(judge(blank), "checkpoint.ledger") == ["malformed"]


def test_two_declared_keys_with_one_key_id_never_raise() -> None:
    # 32 bits: two such keys are found in a moment.
    dice = random.Random(3)
    seen: dict[bytes, NoteKey] = {}
    while True:
        raw = bytearray(dice.randbytes(32))
        raw[31] &= 0x3F
        key = NoteKey(HOSTED, ED25519, bytes(raw))
        encoded = key.name.encode() + b"\n\x01" + key.public_key
        key_id = hashlib.sha256(encoded).digest()[:4]
        if key_id in seen:
            break
        seen[key_id] = key
    content = vkeys(key, seen[key_id])
    verdict = judge(rebuilt(hosted().bundle(), {VKEYS: content}))
    assert codes(verdict, "checkpoint.ledger") == ["malformed"]


def test_a_declared_key_with_a_trusted_ones_id_never_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Such a key takes 2^32 tries: here every key has the ID 0.
    monkeypatch.setattr(NoteKey, "key_id", property(lambda self: bytes(4)))
    world = hosted()
    other = ledger_keys(HOSTED, 2)
    content = vkeys(other.public[0])
    policy = Policy((LogKey(world.keys.public[0]),), (), (), "none")
    verdict = judge(rebuilt(world.bundle(), {VKEYS: content}), replace(TRUST, policy=policy))
    assert verdict.outcome is Outcome.REFUTED


def test_a_wrong_signature_is_refuted_for_each_kind(bundle: Bundle) -> None:
    path = path_of(bundle, "checkpoint")
    note = parse_note(bundle.files[path])
    for number, step in enumerate(("checkpoint.ledger", "checkpoint.ml-dsa")):
        lines = list(note.signatures)
        wrong = bytearray(lines[number].signature)
        wrong[-1] ^= 1
        lines[number] = NoteSignature(lines[number].name, lines[number].key_id, bytes(wrong))
        forged = format_note(SignedNote(note.text, tuple(lines)))
        verdict = judge(rebuilt(bundle, {path: forged}))
        fault = verdict.first_fault
        assert fault is not None
        assert (fault.step, fault.code) == (step, "bad-signature")


# Checkpoints


def test_a_checkpoint_of_another_size_or_form_is_refuted(bundle: Bundle) -> None:
    one, two = path_of(bundle, "checkpoint", 0), path_of(bundle, "checkpoint", 1)
    for content in (bundle.files[two], b"", b"x\n\n", bundle.files[one] + b"\n"):
        verdict = judge(rebuilt(bundle, {one: content}))
        fault = verdict.first_fault
        assert fault is not None
        assert (fault.step, fault.code) == ("checkpoint.ledger", "malformed")


def test_checkpoints_of_two_ledgers_are_refuted() -> None:
    world, other = hosted(), World(keys=ledger_keys("other.example.org", 2))
    for _ in range(5):
        other.append()
    size = other.publish()
    both = rebuilt(world.bundle(), {f"checkpoints/{size}": other.signed[size]})
    verdict = judge(both)
    assert "malformed" in codes(verdict, "checkpoint.ledger")
    assert verdict.exit_code == 1
    keys = [*world.keys.public, *other.keys.public]
    assert judge(rebuilt(both, {VKEYS: vkeys(*keys)})).exit_code == 1


def test_an_empty_tree_proves_nothing_and_never_raises() -> None:
    world = hosted()
    keys = world.keys
    empty = sign_checkpoint(Checkpoint(HOSTED, 0, EMPTY_ROOT), keys.ed25519, keys.ml_dsa_44)
    with_empty = rebuilt(world.bundle(), {"checkpoints/0": empty, "consistency/0-2": b""})
    verdict = judge(with_empty)
    assert codes(verdict, "consistency") == ["refuted"]
    proof = format_proof_file(ProofFile(0, (), empty))
    name = world.records[0].name
    verdict = judge(
        rebuilt(world.bundle(), {"checkpoints/0": empty, f"proofs/{name}-0.tlog-proof": proof})
    )
    assert codes(verdict, "inclusion") == ["refuted"]


def test_another_root_of_the_same_ledger_is_refuted_at_the_proof() -> None:
    world = hosted()
    keys = world.keys
    forged = sign_checkpoint(Checkpoint(HOSTED, 2, bytes(32)), keys.ed25519, keys.ml_dsa_44)
    shown = world.bundle()
    proof_path = path_of(shown, "proof")
    proof = parse_proof_file(shown.files[proof_path])
    changed = {
        "checkpoints/2": forged,
        proof_path: format_proof_file(replace(proof, checkpoint=forged)),
    }
    verdict = judge(rebuilt(shown, changed))
    assert codes(verdict, "inclusion") == ["refuted"]
    assert codes(verdict, "stamp") == ["forged", "forged"]


# Proofs


def _proof(shown: Bundle) -> tuple[str, ProofFile]:
    """The proof under the smallest checkpoint."""
    path = min((path for path, _ in shown.of_kind("proof")), key=lambda path: path[-12:])
    return path, parse_proof_file(shown.files[path])


def test_a_proof_of_another_index_entry_or_path_is_refuted(bundle: Bundle) -> None:
    path, proof = _proof(bundle)
    for changed in (
        replace(proof, index=proof.index ^ 1),
        replace(proof, index=2**63 - 2),
        replace(proof, path=proof.path[:-1]),
        replace(proof, path=(*proof.path, bytes(32))),
        replace(proof, path=tuple(reversed(proof.path))),
    ):
        verdict = judge(rebuilt(bundle, {path: format_proof_file(changed)}))
        assert "refuted" in codes(verdict, "inclusion")
        assert verdict.exit_code == 1


def test_a_proof_that_is_no_proof_file_is_refuted(bundle: Bundle) -> None:
    path, proof = _proof(bundle)
    for content in (b"", b"\xff", bundle.files[path][:40], format_proof_file(proof) + b"x"):
        assert judge(rebuilt(bundle, {path: content})).first_fault is not None


def test_a_proof_with_another_checkpoint_than_the_bundles_is_refuted(bundle: Bundle) -> None:
    path, proof = _proof(bundle)
    other = bundle.files[path_of(bundle, "checkpoint", 1)]
    assert other != proof.checkpoint
    verdict = judge(rebuilt(bundle, {path: format_proof_file(replace(proof, checkpoint=other))}))
    assert "refuted" in codes(verdict, "inclusion")


def test_the_extra_line_of_a_proof_is_ignored(bundle: Bundle) -> None:
    path, proof = _proof(bundle)
    extra = format_proof_file(replace(proof, extra=b"anything"))
    assert judge(rebuilt(bundle, {path: extra})).outcome is Outcome.PROVEN


def test_a_proofs_checkpoint_may_have_cosignatures_but_needs_the_ledgers_signatures(
    bundle: Bundle, world: World
) -> None:
    path, proof = _proof(bundle)
    note = parse_note(proof.checkpoint)
    head = Checkpoint(world.keys.origin, 3, world.head(3).root)
    line = cosign_ed25519(head, "witness.example", 1_780_000_000, ledger_keys(number=9).ed25519)

    def judged(*lines: NoteSignature) -> Outcome:
        held = format_note(SignedNote(note.text, lines))
        return judge(
            rebuilt(bundle, {path: format_proof_file(replace(proof, checkpoint=held))})
        ).outcome

    first, second = note.signatures
    wrong = NoteSignature(first.name, first.key_id, bytes(64))
    assert judged(first, second, line) is Outcome.PROVEN
    assert judged(line, second, first) is Outcome.PROVEN
    assert judged(first) is Outcome.REFUTED
    assert judged(line) is Outcome.REFUTED
    assert judged(wrong, second) is Outcome.REFUTED
    assert judged(first, wrong, second) is Outcome.REFUTED


def test_proofs_that_give_one_entry_two_places_are_refuted() -> None:
    world = World()
    made = world.record()
    world.stamp()
    world.append(made.entry)
    world.stamp()
    shown = world.bundle(sizes=(1,))
    again = replace(made, index=1)
    content = dict(shown.files)
    world._prove(content, again, 2)
    content["checkpoints/2"] = world.signed[2]
    verdict = judge(make_index(Bundle(content, {}), {f"records/{made.name}.sd-jwt": made.entry}))
    assert codes(verdict, "inclusion") == ["refuted"]
    assert "[0, 1]" in say(of_step(verdict, "inclusion")[0])


def test_a_proof_under_a_checkpoint_that_is_not_there_is_unchecked(bundle: Bundle) -> None:
    path, _ = _proof(bundle)
    other = path.removesuffix("-3.tlog-proof") + "-9.tlog-proof"
    verdict = judge(rebuilt(bundle, {other: bundle.files[path]}))
    assert "absent" in codes(verdict, "inclusion")
    assert verdict.exit_code == 3


# Consistency


def test_consistency_is_proven_between_neighbours(bundle: Bundle) -> None:
    found = of_step(judge(bundle), "consistency")
    assert [(f.code, f.values) for f in found] == [("proven", {"old": 3, "new": 6})]


def test_a_wrong_consistency_file_is_refuted(bundle: Bundle) -> None:
    path = path_of(bundle, "consistency")
    good = bundle.files[path]
    for content in (b"", b"x", good + good, good.replace(good[:1], b"/", 1), good[:45]):
        verdict = judge(rebuilt(bundle, {path: content}))
        assert codes(verdict, "consistency") == ["refuted"]
        assert verdict.exit_code == 1


def test_a_consistency_file_left_out_is_unchecked_and_named(bundle: Bundle) -> None:
    verdict = judge(rebuilt(bundle, {path_of(bundle, "consistency"): None}))
    assert codes(verdict, "consistency") == ["absent"]
    assert verdict.outcome is Outcome.PROVEN
    assert "consistency" in verdict.unchecked_steps


def test_a_consistency_file_between_other_sizes_is_never_passed_over(bundle: Bundle) -> None:
    for path, code in (
        ("consistency/6-9", "no-checkpoint"),
        ("consistency/1-3", "no-checkpoint"),
        ("consistency/6-3", "refuted"),
        ("consistency/3-3", "refuted"),
    ):
        verdict = judge(rebuilt(bundle, {path: bundle.files[path_of(bundle, "consistency")]}))
        assert code in codes(verdict, "consistency"), path


def test_two_histories_of_one_ledger_are_refuted() -> None:
    world = hosted()
    fork = World(keys=world.keys, dice=random.Random(8))
    for _ in range(6):
        fork.append()
    fork.publish()
    shown = rebuilt(
        world.bundle(),
        {
            "checkpoints/6": fork.signed[6],
            "consistency/2-6": fork_consistency(fork, 2, 6),
        },
    )
    assert codes(judge(shown), "consistency") == ["refuted"]


def fork_consistency(world: World, old: int, new: int) -> bytes:
    return format_consistency(prove_consistency(old, new, world._reader(new)).path)


# Chains


def _chained(*links: tuple[str, int, str | None]) -> World:
    """Records with these links, stamped; a prev of ``#n`` is the entry of record n."""
    world = World()
    for chain, seq, prev in links:
        named = prev
        if prev is not None and prev.startswith("#"):
            named = world.records[int(prev[1:])].entry.hex()
        world.record(link={"chain": chain, "seq": seq, "prev": named}, not_before=())
    world.stamp()
    return world


OTHER = "f" * 32
NOWHERE = "ab" * 64


def test_a_whole_chain_from_its_middle_is_proven() -> None:
    verdict = judge(_chained((CHAIN, 7, NOWHERE), (CHAIN, 8, "#0")).bundle())
    found = of_step(verdict, "chain")[0]
    assert (found.code, found.values["first"], found.values["last"]) == ("proven", 7, 8)
    assert found.values["opened"] == 0


@pytest.mark.parametrize(
    ("links", "wanted"),
    [
        ([(CHAIN, 1, None), (CHAIN, 2, "#0"), (CHAIN, 2, "#0")], ["fork"]),
        ([(CHAIN, 1, None), (CHAIN, 1, None)], ["fork"]),
        ([(CHAIN, 1, None), (CHAIN, 2, "#0"), (CHAIN, 3, "#0")], ["fork"]),
        ([(CHAIN, 1, None), (CHAIN, 3, NOWHERE)], ["gap"]),
        ([(CHAIN, 1, None), (CHAIN, 2, NOWHERE)], ["refuted"]),
        # the branch is given another chain's name
        ([(CHAIN, 1, None), (CHAIN, 2, "#0"), (OTHER, 2, "#0")], ["fork", "proven", "proven"]),
        ([(CHAIN, 1, None), (OTHER, 2, "#0")], ["fork", "proven", "proven"]),
        ([(CHAIN, 2, NOWHERE), (OTHER, 2, NOWHERE)], ["fork", "proven", "proven"]),
    ],
)
def test_forks_and_gaps_are_refuted(
    links: list[tuple[str, int, str | None]], wanted: list[str]
) -> None:
    verdict = judge(_chained(*links).bundle())
    assert codes(verdict, "chain") == wanted
    assert verdict.exit_code == 1


def test_two_chains_that_have_nothing_to_do_with_each_other_are_both_proven() -> None:
    verdict = judge(_chained((CHAIN, 1, None), (OTHER, 1, None), (OTHER, 2, "#1")).bundle())
    assert codes(verdict, "chain") == ["proven", "proven"]
    assert verdict.outcome is Outcome.PROVEN


def test_an_index_in_another_order_than_the_chain_is_refuted() -> None:
    world = _chained((CHAIN, 1, None), (CHAIN, 2, "#0"))
    world.records.reverse()
    verdict = judge(world.bundle())
    assert codes(verdict, "index") == ["complete", "order"]
    assert verdict.exit_code == 1


def test_a_record_that_withholds_its_link_beside_a_chain_is_named() -> None:
    world = _chained((CHAIN, 1, None), (CHAIN, 2, "#0"))
    made = world.records[1]
    closed = {f"records/{made.name}.sd-jwt": made.sdjwt.jwt.encode() + b"~"}
    verdict = judge(rebuilt(world.bundle(), closed), replace(TRUST, require=("chain",)))
    assert codes(verdict, "chain") == ["withheld", "proven"]
    assert verdict.exit_code == 3


def test_a_gap_where_a_listed_record_is_missing_is_unchecked(bundle: Bundle) -> None:
    middle = of_step(judge(bundle), "record.disclosures")[1].record
    path = f"records/{middle}.sd-jwt"
    files = {name: held for name, held in bundle.files.items() if name != path}
    verdict = judge(Bundle(files, bundle.carriers))
    assert [(f.code, f.outcome) for f in of_step(verdict, "chain")] == [("gap", Outcome.UNCHECKED)]
    assert verdict.exit_code == 3


def test_the_size_told_is_of_a_checkpoint_that_somebody_vouches_for() -> None:
    world = World()
    world.record()
    world.publish()
    world.append()
    world.stamp()
    verdict = judge(world.bundle(sizes=(1, 2)))
    [finding] = of_step(verdict, "inclusion")
    assert (finding.code, finding.values["size"]) == ("proven", 2)
    trusting_one = replace(TRUST, policy=trusting(world.keys))
    [finding] = of_step(judge(world.bundle(sizes=(1, 2)), trusting_one), "inclusion")
    assert finding.values["size"] == 1
