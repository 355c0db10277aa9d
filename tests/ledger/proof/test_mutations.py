"""Every byte matters: one changed anywhere, with the index made anew, and nothing is proven.

Two places are free, for a reason: README.txt is for people, and says what the other files say; the
``extra`` line of a proof file is authenticated by nothing (c2sp.org/tlog-proof), and we write none.
A token that is renamed to its new hash as well has some more: what CMS does not sign (the status
granted or granted with modifications, the case of letters in the signer's issuer), without effect.
"""

import random
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.proof.attack import apply_flip, choose_flips
from ledger.proof.bundle import INDEX, README, SUMS, Bundle, Digest
from ledger.proof.trust import Trust
from ledger.proof.verdict import Outcome
from tests.ledger.proof.world import (
    World,
    digest_of,
    judge,
    ledger_keys,
    rebuilt,
    trust_in,
    untouched_index,
)

MADE_ANEW = {INDEX, SUMS}
FREE = {README}
ONE = trust_in("dev-one", "dev-two", k=1)


def flips(content: bytes, dice: random.Random, count: int) -> Iterator[bytes]:
    """``content`` with one byte changed, at both ends and at ``count`` places between."""
    offsets = {0, len(content) - 1, *(dice.randrange(len(content)) for _ in range(count))}
    for offset in sorted(offsets):
        byte = content[offset] ^ (1 << dice.randrange(8))
        yield content[:offset] + bytes([byte]) + content[offset + 1 :]


def check_flips(bundle: Bundle, count: int, seed: int) -> None:
    dice = random.Random(seed)
    assert judge(bundle, ONE).outcome is Outcome.PROVEN
    for path, content in bundle.files.items():
        if path in MADE_ANEW | FREE:
            continue
        for changed in flips(content, dice, count):
            verdict = judge(rebuilt(bundle, {path: changed}), ONE)
            assert verdict.outcome is not Outcome.PROVEN, (path, changed)
    for path, held in bundle.carriers.items():
        sha256 = held.sha256[:-1] + bytes([held.sha256[-1] ^ 1])
        for wrong in (Digest(held.size + 1, held.sha256), Digest(held.size, sha256)):
            assert judge(rebuilt(bundle, {}, {path: wrong}), ONE).exit_code == 1


def test_a_changed_byte_is_never_proven(small: Bundle) -> None:
    check_flips(small, 2, seed=1)


@pytest.mark.slow
def test_many_changed_bytes_are_never_proven(small: Bundle, bundle: Bundle) -> None:
    check_flips(small, 60, seed=2)
    check_flips(bundle, 12, seed=3)


@pytest.mark.slow
def test_no_byte_of_the_short_files_is_free(small: Bundle) -> None:
    for path, content in small.files.items():
        if path in MADE_ANEW | FREE or len(content) > 900:
            continue
        for offset in range(len(content)):
            for bit in (0, 5):
                byte = bytes([content[offset] ^ 1 << bit])
                changed = content[:offset] + byte + content[offset + 1 :]
                verdict = judge(rebuilt(small, {path: changed}), ONE)
                assert verdict.outcome is not Outcome.PROVEN, (path, offset)


def test_the_free_places_are_free_only_behind_a_new_index(small: Bundle) -> None:
    assert judge(rebuilt(small, {README: b"other words"}), ONE).outcome is Outcome.PROVEN
    assert judge(untouched_index(small, {README: b"other words"}), ONE).exit_code == 1


def test_a_changed_byte_of_the_index_or_the_sums_is_never_proven(small: Bundle) -> None:
    dice = random.Random(4)
    for path in MADE_ANEW:
        for changed in flips(small.files[path], dice, 12):
            verdict = judge(untouched_index(small, {path: changed}), ONE)
            assert verdict.outcome is not Outcome.PROVEN, (path, changed)


def test_every_truncation_of_a_file_is_never_proven(small: Bundle) -> None:
    for path, content in small.files.items():
        if path in MADE_ANEW | FREE:
            continue
        for length in {0, 1, len(content) // 2, len(content) - 1}:
            verdict = judge(rebuilt(small, {path: content[:length]}), ONE)
            assert verdict.outcome is not Outcome.PROVEN, (path, length)


def test_a_file_in_the_place_of_another_never_raises(small: Bundle) -> None:
    contents = [content for path, content in small.files.items() if path not in MADE_ANEW]
    dice = random.Random(5)
    for path, content in small.files.items():
        if path in MADE_ANEW | FREE:
            continue
        for other in dice.sample(contents, 2):
            if other != content:
                verdict = judge(rebuilt(small, {path: other}), ONE)
                assert verdict.outcome is not Outcome.PROVEN, path


def splice(content: bytes, at: float, length: int, put: bytes) -> bytes:
    start = int(at * len(content))
    return content[:start] + put + content[start + length :]


SPLICES = st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=40))
KEYED = Trust(ONE.tsas, 1, policy=ledger_keys().policy())


def never_raises(small: Bundle, which: float, put: tuple[float, int, bytes] | bytes) -> None:
    paths = sorted(small.files)
    path = paths[int(which * len(paths))]
    content = put if isinstance(put, bytes) else splice(small.files[path], *put)
    if content == small.files[path]:
        return
    judge(untouched_index(small, {path: content}), ONE)
    if path in MADE_ANEW:
        return
    verdict = judge(rebuilt(small, {path: content}), KEYED)
    assert path in FREE or verdict.outcome is not Outcome.PROVEN


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.floats(0, 1, exclude_max=True), put=st.one_of(st.binary(max_size=60), SPLICES))
def test_no_bytes_in_place_of_a_file_ever_raise(
    small: Bundle, which: float, put: tuple[float, int, bytes] | bytes
) -> None:
    never_raises(small, which, put)


@pytest.mark.slow
@settings(max_examples=3000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.floats(0, 1, exclude_max=True), put=st.one_of(st.binary(max_size=60), SPLICES))
def test_no_bytes_in_place_of_a_file_ever_raise_in_many_tries(
    small: Bundle, which: float, put: tuple[float, int, bytes] | bytes
) -> None:
    never_raises(small, which, put)


PATHS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "checkpoints/0",
            "checkpoints/9223372036854775807",
            "consistency/0-0",
            "consistency/9223372036854775807-0",
            "proofs/0123456789abcdef-0.tlog-proof",
            "stamps/0/tsa-00000000.tsr",
            f"stamps/not-before/{'0' * 64}.tst",
            f"material/{'0' * 16}.pem",
            f"records/{'0' * 16}.sd-jwt",
            f"manifests/{'0' * 16}.lines",
            "carriers/a",
            f"carriers/{'0' * 16}/a",
            "",
            "/",
            "\ud800",
        ]
    ),
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(PATHS, st.binary(max_size=30), max_size=3), carrier=PATHS)
def test_no_extra_files_ever_raise_or_are_proven(
    small: Bundle, files: Mapping[str, bytes], carrier: str
) -> None:
    carriers = {**small.carriers, carrier: digest_of(b"")}
    for extra in (
        Bundle({**small.files, **files}, small.carriers),
        Bundle(small.files, carriers),
    ):
        if extra != small:
            assert judge(extra, ONE).outcome is not Outcome.PROVEN


# The attacks that people are shown


def test_each_chosen_flip_is_refuted_at_its_step(bundle: Bundle, world: World) -> None:
    contents = {path: world.records[2].contents[path.split("/", 2)[2]] for path in bundle.carriers}
    chosen = choose_flips(bundle, contents)
    assert [flip.step for flip in chosen] == [
        "carrier",
        "record.signature",
        "inclusion",
        "checkpoint.ledger",
        "stamp",
    ]
    for flip in chosen:
        if flip.path in contents:
            changed = digest_of(apply_flip(contents[flip.path], flip))
            forged = rebuilt(bundle, {}, {flip.path: changed})
        else:
            forged = rebuilt(bundle, {flip.path: apply_flip(bundle.files[flip.path], flip)})
        verdict = judge(forged)
        fault = verdict.first_fault
        assert fault is not None
        assert (flip.what, fault.step) == (flip.what, flip.step)
        assert "its name" not in str(fault.values.get("reason"))  # not the name, but what broke
        assert verdict.exit_code == 1


def test_a_flip_changes_one_byte(bundle: Bundle) -> None:
    for flip in choose_flips(bundle, {}):
        content = bundle.files[flip.path]
        changed = apply_flip(content, flip)
        assert len(changed) == len(content)
        assert sum(a != b for a, b in zip(content, changed, strict=True)) == 1


def test_a_bundle_without_a_link_gets_no_flip_for_it(bundle: Bundle) -> None:
    empty = Bundle({}, {})
    assert choose_flips(empty, {}) == ()
    assert choose_flips(empty, {"carriers/0123456789abcdef/a": b""}) == ()
    only = Bundle({path: held for path, held in bundle.files.items() if "/" in path}, {})
    assert choose_flips(only, {})[0].step == "record.signature"


def test_flips_of_a_ledger_with_one_entry_are_refuted_too() -> None:
    world = World()
    world.record()
    world.stamp()
    shown = world.bundle()
    for flip in choose_flips(shown, {}):
        forged = rebuilt(shown, {flip.path: apply_flip(shown.files[flip.path], flip)})
        fault = judge(forged).first_fault
        assert fault is not None
        assert fault.step == flip.step
