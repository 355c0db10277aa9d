"""What the fuzzer once found interesting, fed to every parser: each is refused or means itself."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz"
sys.path.append(str(FUZZ))

import targets  # noqa: E402 - the fuzzer's own table

CORPUS = FUZZ / "corpus"


def inputs() -> Iterator[tuple[str, bytes]]:
    """Every kept input with the name of the parser it was found for."""
    for path in sorted(CORPUS.rglob("*")):
        if path.is_file():
            yield path.parent.name, path.read_bytes()


@pytest.mark.parametrize("name", targets.TARGETS)
def test_parser_refuses_or_keeps_every_seed_and_every_kept_input(name: str) -> None:
    target = targets.TARGETS[name]
    seeds = targets.seeds()[name]
    assert seeds
    kept = [content for _, content in inputs()]
    for content in [*seeds, *kept]:
        target(content)


SLOW = {"token", "certificates"}
"""Parsers of ASN.1: some 15,000 changes take them ten seconds."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in targets.TARGETS
    ],
)
def test_parser_refuses_or_keeps_every_one_byte_change_and_truncation_of_a_seed(name: str) -> None:
    target = targets.TARGETS[name]
    for seed in targets.seeds()[name][:2]:
        for at, byte in enumerate(seed):
            for other in {byte ^ 1, byte ^ 0x20, 0, 0xFF} - {byte}:
                target(seed[:at] + bytes([other]) + seed[at + 1 :])
            target(seed[:at])  # cut
            target(seed[:at] + seed[at + 1 :])  # removed
            target(seed[: at + 1] + seed[at:])  # doubled
        target(seed + b"\x00")
        target(seed + b"\n")


def test_kept_inputs_stand_under_names_of_parsers() -> None:
    assert {name for name, _ in inputs()} <= targets.TARGETS.keys()


def test_target_notices_a_value_that_comes_back_as_other_bytes() -> None:
    with pytest.raises(AssertionError, match="not formatted back"):
        targets.same(bytes.upper, bytes)(b"a")


def test_target_notices_an_error_that_is_not_of_the_house() -> None:
    with pytest.raises(UnicodeDecodeError):
        targets.refused(lambda content: content.decode("ascii"))(b"\xff")
