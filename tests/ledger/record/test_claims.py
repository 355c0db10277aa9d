from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ledger.errors import MalformedError
from ledger.record.claims import (
    CARRIER_CLAIMS,
    CLAIMS,
    MAX_CERTIFICATE_BYTES,
    MAX_ITEMS,
    MAX_NAME_BYTES,
    MAX_NOT_BEFORE,
    MAX_NOTE_BYTES,
    check_carrier_claim,
    check_claim,
    format_time,
    parse_time,
)

H16, H32, H64 = "0f" * 16, "0f" * 32, "0f" * 64
PERSON = {"name": "n", "role": "r", "organisation": "o"}

GOOD: dict[str, list[Any]] = {
    "link": [
        {"chain": H16, "seq": 1, "prev": None},
        {"chain": H16, "seq": 2**53 - 1, "prev": H64},
    ],
    "kind": ["carrier", "key-revocation"],
    "stage": ["failed-experiment"],
    "category": ["formula"],
    "article": ["9(8)", "18(2)(5)"],
    "meaning": ["read-and-understood"],
    "trigger": ["import"],
    "label": ["x" * MAX_NAME_BYTES],
    "title": ["载体 \u202e\n"],
    "notebook": ["N-1"],
    "author": [PERSON, {"name": "n"}],
    "persons": [[PERSON], [PERSON, {"name": "n"}]],
    "points": [["p"], [str(i) for i in range(MAX_ITEMS)]],
    "captured_time": ["2026-02-28T23:59:59Z", "2024-02-29T00:00:00Z"],
    "in_force": [
        {"from": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
    ],
    "not_before": [[H32], [f"{i:064x}" for i in range(MAX_NOT_BEFORE)]],
    "refs": [[{"rel": "wasRevisionOf", "entry": H64}, {"rel": "revokes", "entry": H64}]],
    "provenance": [{"source": "s"}, dict.fromkeys(("notarisation", "third_party"), "x")],
    "environment": [{"tool": "t"}, {"clock_offset_ms": -5, "tool_sha256": H32, "os": "o"}],
    "ledger": ["example.org/log", "tallystick/" + H32],
    "key": ["A" * 43, "_-9z" + "Q" * 39],
    "predecessor": [{"origin": "tallystick/" + H32, "size": 0, "root": H32}],
    "certificate": ["MAA="],
    "note": ["n", "n" * MAX_NOTE_BYTES],
}

BAD: dict[str, list[Any]] = {
    "link": [
        {"chain": H16, "seq": 1},
        {"chain": H16, "seq": 1, "prev": H64},
        {"chain": H16, "seq": 2, "prev": None},
        {"chain": H16, "seq": 0, "prev": None},
        {"chain": H16, "seq": True, "prev": None},
        {"chain": H16, "seq": "1", "prev": None},
        {"chain": H16.upper(), "seq": 1, "prev": None},
        {"chain": H16[:-1], "seq": 1, "prev": None},
        {"chain": H16, "seq": 2, "prev": H32},
        {"chain": H16, "seq": 1, "prev": None, "x": 1},
        [H16, 1, None],
    ],
    "kind": ["Carrier", "", 1, ["carrier"], "lab"],
    "stage": ["later"],
    "category": ["other"],
    "article": ["9", "9(9)", "9(0)", "18(1)", 9],
    "meaning": ["read and understood"],
    "trigger": ["auto"],
    "label": ["", "x" * (MAX_NAME_BYTES + 1), "载" * 342],
    "title": [1, None, "a\ud800"],
    "notebook": [{}],
    "author": [{}, {"role": "r"}, {"name": ""}, {"name": "n", "mail": "m"}, "n", [PERSON]],
    "persons": [[], PERSON, [PERSON, PERSON], [{}]],
    "points": [[], [""], ["p", "p"], [str(i) for i in range(MAX_ITEMS + 1)]],
    "captured_time": [
        "2026-02-30T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T24:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00.0Z",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00z",
        "2026-01-01 00:00:00Z",
        "2026-1-1T00:00:00Z",
        "\uff12026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        1,
    ],
    "in_force": [
        {},
        {"to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": None},
        {"from": "x"},
    ],
    "not_before": [[], [H32, H32], [H64], H32, [f"{i:064x}" for i in range(MAX_NOT_BEFORE + 1)]],
    "refs": [
        [],
        [{"rel": "likes", "entry": H64}],
        [{"rel": "revokes", "entry": H32}],
        [{"rel": "revokes"}],
        [{"rel": "revokes", "entry": H64}] * 2,
    ],
    "provenance": [{}, {"sixth": "x"}, {"source": ""}, {"source": 1}, "s"],
    "environment": [{}, {"tool": 1}, {"tool_sha256": H64}, {"clock_offset_ms": "5"}, {"home": "h"}],
    "ledger": ["", "a b", "a+b", "a\nb", "a\u3000b", 1],
    "key": ["A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "=", "+" * 42 + "A", 1, ["A" * 43]],
    "predecessor": [
        {},
        {"origin": "l.example", "size": 5},
        {"origin": "l example", "size": 5, "root": H32},
        {"origin": "l.example", "size": -1, "root": H32},
        {"origin": "l.example", "size": 5, "root": H64},
    ],
    "certificate": ["", "MAA", "MAB=", "M-A=", 1, "A" * (MAX_CERTIFICATE_BYTES + 4)],
    "note": ["", "n" * (MAX_NOTE_BYTES + 1), []],
}

CARRIER_GOOD: dict[str, list[Any]] = {
    "name": ["第12批.xlsx"],
    "size": [0, 2**53 - 1],
    "media_type": ["text/plain", "application/vnd.oasis.opendocument.text", "image/svg+xml"],
    "mtime": [0, -1, 1_700_000_000_000_000],
    "sha256": [H32],
    "sm3": [H32],
    "manifest": [{"root": H32, "count": 1}],
    "parts": [{"scheme": "lines", "root": H32, "count": 3}],
}

CARRIER_BAD: dict[str, list[Any]] = {
    "name": ["", None],
    "size": [-1, True, "1", None, 2**53],
    "media_type": ["text", "text/", "Text/plain", "text/plain; charset=utf-8", "/x", 1],
    "mtime": ["0", None, False],
    "sha256": [H32[:-2], H32.upper(), H64, 1],
    "sm3": ["", H16],
    "manifest": [{}, {"root": H32}, {"root": H32, "count": 0}, {"root": H16, "count": 1}],
    "parts": [{"root": H32, "count": 3}, {"scheme": "words", "root": H32, "count": 3}, []],
}


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}-{index}")
        for name, values in table.items()
        for index, value in enumerate(values)
    ]


def test_every_claim_has_good_and_bad_examples() -> None:
    assert GOOD.keys() == BAD.keys() == CLAIMS.keys()
    assert CARRIER_GOOD.keys() == CARRIER_BAD.keys() == CARRIER_CLAIMS.keys()


@pytest.mark.parametrize(("name", "value"), cases(GOOD))
def test_claim_of_its_shape_is_accepted(name: str, value: Any) -> None:
    check_claim(name, value)


@pytest.mark.parametrize(("name", "value"), cases(BAD))
def test_claim_of_another_shape_is_refused(name: str, value: Any) -> None:
    with pytest.raises(MalformedError, match=f"^claim {name}"):
        check_claim(name, value)


@pytest.mark.parametrize(("name", "value"), cases(CARRIER_GOOD))
def test_carrier_claim_of_its_shape_is_accepted(name: str, value: Any) -> None:
    check_carrier_claim(name, value)


@pytest.mark.parametrize(("name", "value"), cases(CARRIER_BAD))
def test_carrier_claim_of_another_shape_is_refused(name: str, value: Any) -> None:
    with pytest.raises(MalformedError, match=rf"^claim carrier\.{name}"):
        check_carrier_claim(name, value)


@pytest.mark.parametrize("name", ["", "Kind", "iss", "cnf", "carrier", "sha256", "canary", "v"])
def test_unknown_claim_is_refused_without_being_repeated(name: str) -> None:
    with pytest.raises(MalformedError, match=r"^record has a claim unknown to version 1$"):
        check_claim(name, "x")
    with pytest.raises(MalformedError, match=r"^carrier has a claim unknown to version 1$"):
        check_carrier_claim(f"{name}!", "x")


@pytest.mark.parametrize("name", CLAIMS)
def test_refusal_never_repeats_the_value(name: str) -> None:
    values: list[Any] = [["canary \n"] * 2, {"from": "canary"}, {"name": ["canary"], "canary": 1}]
    for value in values:
        with pytest.raises(MalformedError) as error:
            check_claim(name, value)
        assert "canary" not in str(error.value)


def test_time_is_read_and_written_in_whole_seconds_of_utc() -> None:
    time = datetime(2026, 11, 22, 12, 6, 1, tzinfo=UTC)
    assert parse_time("2026-11-22T12:06:01Z") == time
    east = timezone(timedelta(hours=8))
    assert format_time(time.astimezone(east).replace(microsecond=999_999)) == "2026-11-22T12:06:01Z"
    assert format_time(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00Z"


def test_naive_time_is_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="naive"):
        format_time(datetime(2026, 1, 1))  # noqa: DTZ001  # that is the mistake
