"""Every change to a bundle is caught, or is to what is listed as no evidence.

Behind the index's back nothing stays proven; behind an index made anew a verdict stays proven only
where docs/not-evidence.md has the reason, and then it says nothing that it did not say before.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from ledger.errors import MalformedError
from ledger.proof.attack import Attempt, attack, choose_mutations, says_more
from ledger.proof.bundle import INDEX, SUMS, Bundle, Digest
from ledger.proof.fields import Field, fields_of
from ledger.proof.mutations import MANY, Mutation, Target, mutate, renamed, sample_fields, targets
from ledger.proof.not_evidence import NOT_EVIDENCE, reason_for
from ledger.proof.trust import Trust
from ledger.proof.verdict import Outcome, Verdict, say
from ledger.proof.verify import verify
from tests.chinese import english_in
from tests.ledger.proof.conftest import FILES, standard_world
from tests.ledger.proof.everything import everything, everything_trust, forger
from tests.ledger.proof.world import CHECKED, TRUST, World, digest_of, ledger_keys, trust_in

SMALL, USUAL, RICH = "small", "usual", "rich"

FULL = ((SMALL, 10), (USUAL, 6), (RICH, 5))
"""Bundles of the full tier, and how many thousands of changes to each."""
PART = 1000
"""Changes in one test, so that several workers share them."""


@cache
def made(name: str) -> tuple[Bundle, Trust]:
    """A bundle that is proven, and the trust file it is proven under."""
    if name == RICH:
        return everything(), everything_trust()
    if name == USUAL:
        bundle = standard_world().bundle(
            {0: ("kind", "title"), 2: ("kind", "title", "captured_time", "carrier.manifest")},
            files={2: ("data/batch-12.csv", "notes.txt")},
            with_carriers=True,
        )
        return bundle, replace(TRUST, policy=ledger_keys().policy())
    world = World(names=("dev-one",))
    world.append()
    world.stamp()
    world.record(files=FILES)
    world.append()
    world.stamp()
    shown: Mapping[int, tuple[str, ...]] = {0: ("title", "carrier.manifest")}
    bundle = world.bundle(shown, files={0: ("notes.txt",)}, with_carriers=True)
    return bundle, trust_in("dev-one", k=1)


def tried(
    bundle: Bundle,
    trust: Trust,
    mutations: tuple[Mutation, ...],
    given: Mapping[str, Digest] | None = None,
) -> list[tuple[Attempt, ...]]:
    """All attempts, none of which slipped, each caught where it must be."""
    verdicts: list[Verdict] = []

    def judge(changed: Bundle, held: Mapping[str, Digest]) -> Verdict:
        clock = {"checked_at": CHECKED, "clock": "by hand", "tool": "tests"}
        verdicts.append(verify(changed, trust, held, **clock))  # type: ignore[arg-type]
        for finding in verdicts[-1].findings:
            assert english_in(say(finding, "zh")) == [], finding
        return verdicts[-1]

    attempts = []
    for several in attack(bundle, given or {}, mutations, judge):
        attempts.append(several)
        for one, verdict in zip(several, verdicts[-len(several) :], strict=True):
            where = (one.mutation.name, one.mutation.path, one.mutation.offset, one.rebuilt)
            assert not one.slipped, (where, one.excess)
            assert one.caught == (verdict.outcome is not Outcome.PROVEN)
            assert one.rebuilt or one.caught, where
            wrong = {f.step for f in verdict.findings if f.outcome is not Outcome.PROVEN}
            steps = set(one.mutation.steps) if one.rebuilt else {"index"}
            assert not one.caught or wrong & steps, where
    return attempts


def check_sample(name: str, count: int, seed: int) -> None:
    bundle, trust = made(name)
    mutations = tuple(sample_fields(bundle, count, random.Random(seed)))
    attempts = tried(bundle, trust, mutations)
    caught = sum(all(one.caught for one in several) for several in attempts)
    assert len(attempts) == count
    print(f"{name}: {count} changes, {caught} caught, {count - caught} not evidence")  # noqa: T201
    assert caught > count * 0.9


@pytest.mark.parametrize(("name", "count"), [(SMALL, 240), (USUAL, 40), (RICH, 20)])
def test_changes_to_fields_are_caught_or_listed(name: str, count: int) -> None:
    check_sample(name, count, seed=1)


def test_rearranged_and_forged_bundles_are_caught_or_listed() -> None:
    bundle, trust = made(SMALL)
    given = {"notes.txt": digest_of(FILES["notes.txt"])}
    mutations = choose_mutations(bundle, given, forger(), 110, random.Random(2))
    attempts = tried(bundle, trust, mutations, given)
    names = {several[0].mutation.name: several for several in attempts}
    assert {
        "records/signed-again-renamed",
        "history/with-own-stamp",
        "checkpoints/of-another-ledger",
        "stamps/by-unknown-tsa",
        "carriers/given-replaced",
        "left-out/index",
    } <= names.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", [USUAL, RICH])
@pytest.mark.parametrize("seed", range(2))
def test_every_sort_of_change_is_caught_or_listed(name: str, seed: int) -> None:
    bundle, trust = made(name)
    mutations = choose_mutations(bundle, {}, forger(), 280, random.Random(seed))
    assert set(FOUND_IN_ALL) <= {one.name for one in mutations}
    tried(bundle, trust, mutations)


FOUND_IN_ALL = (
    "left-out/record exchanged/proof renamed/stamp copied/checkpoint stamps/older-for-newer"
    " records/middle-left-out records/reversed disclosures/link-withheld"
    " disclosures/of-another-record carriers/moved records/second-at-one-place"
    " checkpoints/signed-again-declared history/with-old-stamps"
).split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed"),
    [(name, seed) for name, count in FULL for seed in range(count * 1000 // PART)],
)
def test_many_changes_to_fields_are_caught_or_listed(name: str, seed: int) -> None:
    check_sample(name, PART, seed=100 + seed)


def test_the_full_tier_makes_20000_changes_and_each_covers_every_field() -> None:
    assert sum(count * 1000 for _, count in FULL) >= 20_000
    for name, count in FULL:
        bundle, _ = made(name)
        places = targets(bundle, random.Random(1))
        assert fewer_than_many(places) == {
            (path, field)
            for path, held in bundle.files.items()
            if path not in {INDEX, SUMS}
            for field in fields_of(path, held)
        }
        # Each part begins with one place of every name; together they are more than all places.
        names = {(one.field.name, one.operation) for one in places}
        assert len(names) < PART
        chosen = {m.name for m in sample_fields(bundle, PART, random.Random(7))}
        assert chosen == {f"{field}/{operation}" for field, operation in names}
        assert len(places) < count * 1000


def fewer_than_many(places: list[Target]) -> set[tuple[str, Field]]:
    """The fields aimed at, but for the two lists: they have one of a name for each file."""
    return {(one.path, one.field) for one in places if one.path not in {INDEX, SUMS}}


def test_every_reason_is_of_a_change_that_is_tried() -> None:
    bundle, _ = made(RICH)
    mutations = choose_mutations(bundle, {}, forger(), 1000, random.Random(3))
    assert {reason_for(one) for one in mutations} - {None} == set(NOT_EVIDENCE.values())


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    bundle, _ = made(SMALL)
    one, same = (tuple(sample_fields(bundle, 50, random.Random(9))) for _ in range(2))
    assert one == same
    assert one != tuple(sample_fields(bundle, 50, random.Random(10)))


def test_a_bundle_that_is_not_proven_is_not_attacked() -> None:
    bundle, _ = made(SMALL)
    with pytest.raises(ValueError, match="not proven"):
        tried(bundle, trust_in(k=1), ())


def test_the_list_of_sums_is_not_made_anew_behind_a_change_to_it() -> None:
    bundle, _ = made(SMALL)
    mutation = Mutation("sums.digest/flip", ("index",), SUMS, 0, {SUMS: b""})
    assert mutate(bundle, mutation, rebuilt=False).files[SUMS] == b""
    with pytest.raises(ValueError, match="SHA256SUMS itself"):
        mutate(bundle, mutation, rebuilt=True)


def test_a_changed_index_gets_sums_that_fit_it() -> None:
    bundle, _ = made(SMALL)
    changed = mutate(bundle, Mutation("x", (), INDEX, 0, {INDEX: b"{}"}), rebuilt=True)
    assert digest_of(b"{}").sha256.hex() in changed.files[SUMS].decode()


def test_files_named_after_their_hash_are_renamed() -> None:
    digest = digest_of(b"x").sha256.hex()
    assert renamed("stamps/1/a-b-00000000.tsr", b"x") == f"stamps/1/a-b-{digest[:8]}.tsr"
    assert renamed(f"stamps/not-before/{'0' * 64}.tst", b"x") == f"stamps/not-before/{digest}.tst"
    assert renamed(f"material/{'0' * 16}.crl", b"x") == f"material/{digest[:16]}.crl"
    assert renamed(f"material/{'0' * 16}.ocsp", b"x") == f"material/{digest[:16]}.ocsp"
    assert renamed(f"material/{'0' * 16}.pem", b"x") == f"material/{'0' * 16}.pem"
    assert renamed("checkpoints/1", b"x") == "checkpoints/1"
    with pytest.raises(MalformedError):
        renamed("x", b"")


def test_of_very_many_files_some_are_chosen() -> None:
    files = {f"consistency/{n}-{n + 1}": b"A" * 43 + b"=\n" for n in range(1, 3 * MANY)}
    found = targets(Bundle(files, {}), random.Random(1))
    assert len({one.path for one in found}) == MANY


# What slips


def test_a_verdict_that_never_minds_lets_everything_slip() -> None:
    bundle, trust = made(SMALL)
    good = verify(bundle, trust, {}, checked_at=CHECKED, clock="by hand", tool="tests")
    mutations = tuple(sample_fields(bundle, 100, random.Random(1)))
    for several in attack(bundle, {}, mutations, lambda *_: good):
        for one in several:
            assert one.slipped == (not one.rebuilt or reason_for(one.mutation) is None)


def test_a_reason_excuses_no_verdict_that_says_more() -> None:
    mutation = Mutation("readme.content/flip", (), "README.txt")
    free = Attempt(mutation, True, Outcome.PROVEN, None, reason_for(mutation))
    assert not free.slipped
    assert replace(free, excess="time").slipped
    assert replace(free, reason=None).slipped
    assert not replace(free, reason=None, outcome=Outcome.UNCHECKED).slipped


def test_what_is_said_more_is_told_apart_from_less() -> None:
    bundle, trust = made(USUAL)
    good = verify(bundle, trust, {}, checked_at=CHECKED, clock="by hand", tool="tests")
    assert says_more(good, good) is None
    assert says_more(good, replace(good, records=good.records[:1])) is None
    assert says_more(replace(good, records=good.records[:1]), good) == "record"
    first = good.records[0]
    hour = timedelta(hours=1)
    assert first.not_after is not None
    assert first.not_before is not None
    for changed, said in (
        (replace(first, not_after=first.not_after - hour), "time"),
        (replace(first, not_after=first.not_after + hour), None),
        (replace(first, not_after=None), None),
        (replace(first, not_before=first.not_before + hour), "time"),
        (replace(first, not_before=first.not_before - hour), None),
        (replace(first, title="another"), "record"),
        (replace(first, title=None), None),
        (replace(first, index=77), "record"),
    ):
        assert says_more(good, replace(good, records=(changed, *good.records[1:]))) == said
    assert says_more(good, replace(good, independent=True)) == "independence"
    less = tuple(one for one in good.findings if one.step != "carrier")
    assert says_more(good, replace(good, findings=less)) is None
    assert says_more(replace(good, findings=less), good) == "carrier"
