"""From a stamp to a bundle that shows its authorities were not revoked, and what openssl says."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ledger.doors.bundle_files import read_bundle, write_bundle
from ledger.doors.carrier import read_carrier
from ledger.holder.anchoring import Anchorer
from ledger.holder.bundling import Bundler, Choice, Plan
from ledger.holder.said import Wish
from ledger.operator.capture import Capture
from ledger.operator.local import LocalLedger
from ledger.operator.stamper import Stamper
from ledger.operator.store.memory import MemoryStore
from ledger.proof.bundle import Bundle, place_of
from ledger.proof.trust import Trust, TrustedTsa
from ledger.proof.verdict import Outcome, Verdict
from ledger.proof.verify import verify
from tests.holding import holding
from tests.ledger.timestamp.authority import GEN_TIME
from tests.revoking import DAY, Reason, RevokingTsa, Site, serving
from tests.sequencer_checks import KEYS

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@dataclass
class House:
    """A vault whose ledger is stamped by two TSAs that publish CRLs, and its TSAs."""

    folder: Path
    site: Site
    now: datetime = GEN_TIME
    tsas: tuple[RevokingTsa, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.tsas = tuple(
            RevokingTsa(name, self.site, lambda: self.now, with_crl=name == "one")
            for name in ("one", "two")
        )

    @contextmanager
    def opened(self) -> Iterator[None]:
        with holding(self.folder) as made:
            store = MemoryStore()
            self.capture = Capture(
                store,
                [tsa.root.der for tsa in self.tsas],
                clock=lambda: self.now,
                allow_private=True,
            )
            stamper = Stamper(
                store,
                self.tsas,
                wanted=2,
                minimum_interval=timedelta(0),
                clock=lambda: self.now,
                random_bytes=lambda size: bytes(range(1, size + 1)),
                after=self.capture.after,
            )
            guard = made.ledger._guard
            self.vault = made.vault
            self.ledger = LocalLedger(store, guard, KEYS, stamper, [], self.capture)
            self.anchorer = Anchorer(
                made.vault, self.ledger, clock=lambda: self.now, random_bytes=Numbers()
            )
            yield

    def anchor(self) -> None:
        """One record, a cover before it, both stamped."""
        self.anchorer.cover()
        self.send()
        self.now += HOUR
        path = self.folder / "batch.csv"
        path.write_bytes(b"batch,yield\n")
        self.anchorer.anchor(read_carrier(path), Wish("notebook"))
        self.send()

    def send(self) -> None:
        self.anchorer.send()
        report = self.anchorer.stamp()
        assert report is not None
        assert (report.complete, report.material) == (True, ())

    def later(self, when: datetime, revoked: tuple[datetime, Reason] | None = None) -> None:
        """New lists of the first TSA, new answers of the second; captured."""
        self.now = when
        for tsa in self.tsas:
            tsa.publish(when, revoked if tsa.name == "one" else None)
        assert self.ledger.recapture() == ()

    def plan(self) -> Plan:
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        return Bundler(self.vault, self.ledger, work).plan([self.vault.records.find("1")], Choice())

    def trust(self) -> Trust:
        tsas = tuple(TrustedTsa(t.name, hashlib.sha256(t.root.der).digest()) for t in self.tsas)
        return Trust(tsas, require=("revocation",))

    def judge(self, bundle: Bundle | None = None) -> Verdict:
        return verify(
            bundle or self.plan().bundle,
            self.trust(),
            {},
            checked_at=GEN_TIME,
            clock="test",
            tool="test",
        )


@dataclass
class Numbers:
    """Random bytes that are never twice the same."""

    count: int = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return hashlib.shake_256(self.count.to_bytes(8)).digest(size)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with serving() as site:
        made = House(tmp_path, site)
        with made.opened():
            made.anchor()
            yield made


def kinds(bundle: Bundle, kind: str) -> int:
    return len(bundle.of_kind(kind))


def codes(verdict: Verdict, step: str) -> list[str]:
    return [finding.code for finding in verdict.findings if finding.step == step]


def test_a_bundle_is_proven_offline_where_revocation_is_required(house: House) -> None:
    plan = house.plan()
    assert [kinds(plan.bundle, kind) for kind in ("certificate", "crl", "ocsp")] == [4, 3, 1]
    path = house.folder / "x.zip"
    write_bundle(path, plan.bundle, plan.sources, force=False)
    house.site.files.clear()
    house.site.asked.clear()
    verdict = house.judge(read_bundle(path))
    assert verdict.outcome is Outcome.PROVEN
    assert codes(verdict, "revocation") == ["good", "good"]
    assert house.site.asked == []


def test_a_later_list_is_bundled_beside_the_one_in_force(house: House) -> None:
    house.later(GEN_TIME + 2 * DAY)
    bundle = house.plan().bundle
    assert [kinds(bundle, kind) for kind in ("certificate", "crl", "ocsp")] == [4, 6, 2]
    assert house.judge().outcome is Outcome.PROVEN
    house.later(GEN_TIME + 3 * DAY)
    assert house.plan().bundle.of_kind("crl") == bundle.of_kind("crl")


@pytest.mark.parametrize(
    ("when", "reason", "counted"),
    [
        (GEN_TIME + DAY, Reason.superseded, True),
        (GEN_TIME + DAY, Reason.key_compromise, False),
        (GEN_TIME - DAY, Reason.superseded, False),
    ],
)
def test_a_later_revocation_counts_as_its_date_and_its_reason_say(
    house: House, when: datetime, reason: Reason, counted: bool
) -> None:
    house.later(GEN_TIME + 2 * DAY, (when, reason))
    verdict = house.judge()
    assert verdict.exit_code == (0 if counted else 3)
    assert codes(verdict, "stamp").count("not-counted") == (0 if counted else 1)


def test_what_belongs_to_no_token_of_the_bundle_is_left_out(house: House) -> None:
    other = RevokingTsa("other", house.site, lambda: house.now)
    house.capture._at_hand = (*house.capture._at_hand, other.root.der, other.middle.der)
    assert other.root.der in house.ledger.certificates()
    assert kinds(house.plan().bundle, "certificate") == 4


# openssl


def commands(house: House, place: Path) -> list[str]:
    """The lines of README.txt about stamps, each as one shell command."""
    plan = house.plan()
    assert {place_of(path).kind for path in plan.bundle.files} >= {"crl", "readme"}
    path = house.folder / "x.zip"
    write_bundle(path, plan.bundle, plan.sources, force=True)
    shutil.rmtree(place, ignore_errors=True)
    shutil.unpack_archive(path, place)
    text = (place / "README.txt").read_text("utf-8")
    text = text.split("\nThe tokens that records name")[0]
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [line.strip() for line in lines if line.startswith(("  (cat", "  cat", "  openssl ts"))]


def run(lines: list[str], place: Path) -> list[bool]:
    """Whether each ``openssl ts -verify`` says OK."""
    said = []
    for line in lines:
        done = subprocess.run(
            ["sh", "-c", line], cwd=place, capture_output=True, text=True, check=False
        )
        if "ts -verify" in line:
            said.append(done.returncode == 0)
            assert said[-1] == ("Verification: OK" in done.stdout + done.stderr), done.stderr
            assert said[-1] or "revoked" in done.stderr, done.stderr
    return said


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_accepts_and_rejects_with_the_lists_as_the_readme_says(house: House) -> None:
    place = house.folder / "unpacked"
    lines = commands(house, place)
    # Of the second TSA, whose signer has no list, there is no line with CRLs.
    assert len([line for line in lines if "-crl_check_all" in line]) == 1
    assert run(lines, place) == [True, True, True]
    # A later revocation that does no harm: the list in force when it stamped does not name it.
    house.later(GEN_TIME + 2 * DAY, (GEN_TIME + DAY, Reason.superseded))
    assert run(commands(house, place), place) == [True, True, True]
    assert house.judge().outcome is Outcome.PROVEN


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_rejects_a_signer_that_was_revoked_when_it_stamped(tmp_path: Path) -> None:
    with serving() as site:
        house = House(tmp_path, site)
        house.tsas[0].publish(GEN_TIME - DAY, (GEN_TIME - DAY, Reason.superseded))
        with house.opened():
            house.anchor()
            place = tmp_path / "unpacked"
            assert run(commands(house, place), place) == [True, False, True]
            assert codes(house.judge(), "stamp").count("not-counted") == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_is_asked_as_of_the_list_where_none_was_in_force_before(tmp_path: Path) -> None:
    with serving() as site:
        house = House(tmp_path, site)
        for tsa in house.tsas:
            tsa.publish(GEN_TIME + DAY)
        with house.opened():
            house.anchor()
            place = tmp_path / "unpacked"
            lines = commands(house, place)
            [line] = [line for line in lines if "-crl_check_all" in line]
            assert f"-attime {(GEN_TIME + DAY).timestamp():.0f}" in line
            assert run(lines, place) == [True, True, True]
            assert house.judge().outcome is Outcome.PROVEN
