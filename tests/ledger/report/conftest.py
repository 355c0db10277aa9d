"""A verdict as a bundle of three records gives it, to be changed by each test."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ledger.proof.verdict import Finding, Outcome, RecordBounds, TokenReport, Verdict

T0 = datetime(2026, 6, 8, 9, 30, 4, 250_000, tzinfo=UTC)
DAY = timedelta(days=1)

FIRST, SECOND, THIRD = "3b331f23a8fd6ec0", "7bd2d8759e090462", "9f8b6e9afca94575"

RECORDS = (
    RecordBounds(FIRST, 1, False, None, None, None, T0, 1),
    RecordBounds(SECOND, 2, False, None, None, T0, T0 + 7 * DAY, 2),
    RecordBounds(
        THIRD, 3, True, "第12批", T0 + 23 * DAY, T0 + 7 * DAY, T0 + 24 * DAY, 3, "carrier", "final"
    ),
)

FINDINGS = (
    Finding("index", Outcome.PROVEN, "complete", {"files": 25}, required=True),
    Finding("record.signature", Outcome.PROVEN, "good", {"key": "7f3a…"}, THIRD, required=True),
    Finding(
        "carrier",
        Outcome.PROVEN,
        "file",
        {"name": "第12批.xlsx", "number": 3, "total": 3, "sha256": "6237123d…4227dc"},
        THIRD,
        required=True,
    ),
    Finding("stamp", Outcome.PROVEN, "counted", {"tsa": "A", "path": "stamps/4/a.tsr"}, tsa="A"),
    Finding("revocation", Outcome.UNCHECKED, "no-material", {"tsa": "B"}, tsa="B"),
    Finding(
        "time.not-after",
        Outcome.PROVEN,
        "proven",
        {
            "time": "2026-07-02 09:30:05 UTC",
            "have": 2,
            "k": 2,
            "tsas": "A, B",
            "first": "2026-07-02 09:30:04 UTC",
        },
        THIRD,
        required=True,
    ),
)


def token(tsa: str, *, counted: bool = True, development: bool = False) -> TokenReport:
    return TokenReport(
        path=f"stamps/4/{tsa}-00000000.tsr",
        tsa=tsa,
        size=4,
        gen_time=T0 + 24 * DAY,
        accuracy=timedelta(seconds=1),
        serial="123456789012345678",
        policy="1.3.6.1.4.1.99999.1",
        counted=counted,
        development=development,
        openssl_verifiable=True,
        reason=None if counted else "no path to a pinned anchor",
    )


@pytest.fixture
def verdict() -> Verdict:
    """Proven, two TSAs, revocation of one unchecked."""
    return Verdict(
        findings=FINDINGS,
        records=RECORDS,
        tokens=(token("A"), token("B"), token("C", counted=False)),
        carrier_checked=True,
        independent=True,
        not_after=T0 + 24 * DAY,
        first_not_after=T0 + 24 * DAY - timedelta(seconds=1),
        not_before=T0 + 7 * DAY,
        checked_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
        clock="system clock",
        tool="tallystick 0.1.0 (sha256 00)",
        trust_sha256="aa" * 32,
        bundle_sha256="bb" * 32,
    )


@pytest.fixture
def development(verdict: Verdict) -> Verdict:
    """The same, but its tokens are of development TSAs."""
    tokens = (token("A", development=True), token("B", development=True))
    return replace(verdict, tokens=tokens, independent=False)


@pytest.fixture
def refuted(verdict: Verdict) -> Verdict:
    """The carrier is another file, whose name tries to be markup, and to turn the text round."""
    name = "<script>alert(1)</script>\u202egpj\x1b[31m.csv"
    fault = Finding("carrier", Outcome.REFUTED, "no-match", {"name": name}, required=True)
    return replace(verdict, findings=(*FINDINGS[:2], fault, *FINDINGS[3:]))


@pytest.fixture
def unchecked(verdict: Verdict) -> Verdict:
    """No token counts, so no time is proven."""
    few = {"have": 0, "k": 2}
    fault = Finding("time.not-after", Outcome.UNCHECKED, "too-few", few, THIRD, required=True)
    return replace(
        verdict,
        findings=(*FINDINGS[:5], fault),
        independent=False,
        not_after=None,
        first_not_after=None,
        not_before=None,
        tokens=(token("", counted=False),),
        records=tuple(replace(r, not_before=None, not_after=None) for r in RECORDS),
    )
