"""A carrier's SM3 stands beside its SHA-256, and each is checked on its own (DA/T 97)."""

from dataclasses import replace

import pytest

from ledger.proof.bundle import Bundle
from ledger.proof.disclosed import names_sm3
from ledger.proof.verdict import Outcome, Verdict
from ledger.record.record import sm3_of
from tests.ledger.proof.conftest import FILES
from tests.ledger.proof.world import World, codes, digest_of, judge, path_of, rebuilt

CONTENT = b"batch,yield\n12,0.93\n"
GIVEN = digest_of(CONTENT, sm3=True)


def record_of(sha256: bytes = GIVEN.sha256, sm3: bytes = sm3_of(CONTENT)) -> World:
    """A record of CONTENT, or of digests that do not go together."""
    world = World()
    world.record(carrier={"sha256": sha256.hex(), "sm3": sm3.hex(), "size": len(CONTENT)})
    world.stamp()
    return world


def outcome(verdict: Verdict) -> tuple[list[str], int, bool]:
    return codes(verdict, "carrier"), verdict.exit_code, verdict.carrier_checked


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        (("carrier.sha256",), ["file"]),
        (("carrier.sm3",), ["file-sm3"]),
        (("carrier.sha256", "carrier.sm3", "carrier.size"), ["file", "file-sm3"]),
    ],
)
def test_each_digest_that_is_disclosed_is_checked(
    claims: tuple[str, ...], found: list[str]
) -> None:
    shown = record_of().bundle({0: claims})
    assert outcome(judge(shown, carriers={"a": GIVEN})) == (found, 0, True)
    other = digest_of(b"batch,yield\n12,0.94\n", sm3=True)
    assert outcome(judge(shown, carriers={"a": other})) == (["no-match"], 1, False)


def test_where_one_digest_agrees_and_the_other_does_not_it_is_refuted() -> None:
    both = ("carrier.sha256", "carrier.sm3")
    shown = record_of(sm3=bytes(32)).bundle({0: both})
    assert outcome(judge(shown, carriers={"a": GIVEN}))[:2] == (["file", "sm3-differs"], 1)
    shown = record_of(sha256=bytes(32)).bundle({0: both})
    assert sorted(outcome(judge(shown, carriers={"a": GIVEN}))[0]) == ["file-sm3", "sha256-differs"]


def test_a_digest_that_was_not_made_leaves_its_half_unchecked() -> None:
    plain = replace(GIVEN, sm3=None)
    shown = record_of().bundle({0: ("carrier.sha256", "carrier.sm3")})
    verdict = judge(shown, carriers={"a": plain})
    assert sorted(codes(verdict, "carrier")) == ["file", "sm3-not-made"]
    assert verdict.exit_code == 3
    shown = record_of().bundle({0: ("carrier.sm3",)})
    assert outcome(judge(shown, carriers={"a": plain})) == (["sm3-not-made"], 3, False)


@pytest.fixture(scope="module")
def folder() -> Bundle:
    world = World(sm3=True)
    world.record(files=FILES)
    world.stamp()
    return world.bundle({0: ("carrier.manifest",)}, files={0: ("notes.txt",)})


def test_the_sm3_of_a_manifest_line_is_checked_too(folder: Bundle) -> None:
    given = {"notes.txt": digest_of(FILES["notes.txt"], sm3=True)}
    assert outcome(judge(folder, carriers=given)) == (["line", "line-sm3"], 0, True)
    wrong = {"notes.txt": replace(given["notes.txt"], sm3=bytes(32))}
    assert outcome(judge(folder, carriers=wrong))[:2] == (["line", "sm3-differs"], 1)
    other = {"notes.txt": digest_of(b"other", sm3=True)}
    assert outcome(judge(folder, carriers=other)) == (["no-match"], 1, False)


def test_a_carrier_in_a_bundle_held_whole_gets_its_sm3(folder: Bundle) -> None:
    name = path_of(folder, "lines")[10:26]
    inside = rebuilt(folder, {f"carriers/{name}/notes.txt": FILES["notes.txt"]})
    assert outcome(judge(inside)) == (["line", "line-sm3"], 0, True)


def test_who_hashes_knows_whether_sm3_is_needed(folder: Bundle, bundle: Bundle) -> None:
    assert names_sm3(folder)
    assert not names_sm3(bundle)
    assert names_sm3(record_of().bundle({0: ("carrier.sm3",)}))
    assert not names_sm3(record_of().bundle({0: ("carrier.sha256",)}))
    assert not names_sm3(rebuilt(folder, {path_of(folder, "lines"): b"no lines"}))
    assert not names_sm3(rebuilt(bundle, {path_of(bundle, "record"): b"no record"}))


def test_the_sm3_of_an_entry_and_of_a_carrier_are_one_algorithm() -> None:
    assert GIVEN.sm3 == sm3_of(CONTENT)
    assert judge(record_of().bundle({0: ("carrier.sm3",)})).outcome is Outcome.PROVEN
