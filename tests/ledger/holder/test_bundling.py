"""Bundles show what was chosen and nothing else, and say so before they are written."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.doors.bundle_files import read_bundle, write_bundle
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.holder.bundling import Bundler, Choice, Plan
from ledger.proof.bundle import Digest
from ledger.proof.trust import Trust, TrustedTsa
from ledger.proof.verdict import Outcome, Verdict
from ledger.proof.verify import verify
from ledger.record.record import parse_record
from tests.holding import CLOCK, START, TSAS, Holding, holding

TRUST = Trust(
    tuple(TrustedTsa(t.name, hashlib.sha256(t.root).digest(), development=True) for t in TSAS)
)
SECRETS = ("CANARY-title", "CANARY-label", "CANARY-note", "CANARY-book", "CANARY-file", "CANARY-in")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Holding]:
    with holding(tmp_path) as made:
        made.anchorer.cover()
        made.send()
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "CANARY-folder"
    made.mkdir()
    (made / "CANARY-file.txt").write_bytes(b"CANARY-in the file")
    (made / "数据.csv").write_bytes(b"1,2\n")
    (made / "z").write_bytes(b"")
    return made


def fill(house: Holding, folder: Path, count: int = 3) -> None:
    """``count`` records of the folder, each stamped."""
    for number in range(count):
        (folder / "数据.csv").write_bytes(b"1,%d\n" % number)
        title, label, note, book, *_ = SECRETS
        house.anchor(folder, notebook=book, title=title, label=label, note=note, stage="idea")
        house.send()


def plan_of(
    house: Holding, tmp_path: Path, choice: Choice, *numbers: str, only: bool = False
) -> Plan:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    chosen = [house.vault.records.find(number) for number in numbers or ["1"]]
    return Bundler(house.vault, house.ledger, work).plan(chosen, choice, only=only)


def judge(path: Path, carriers: dict[str, Digest] | None = None) -> Verdict:
    return verify(
        read_bundle(path), TRUST, carriers or {}, checked_at=START, clock="test", tool="test"
    )


def write(plan: Plan, path: Path) -> Path:
    write_bundle(path, plan.bundle, plan.sources, force=True)
    return path


def everything(plan: Plan) -> bytes:
    return b"".join([*plan.bundle.files.values(), *map(str.encode, plan.bundle.carriers)])


def test_undisclosing_bundle_holds_no_secret_and_is_proven(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    fill(house, folder)
    plan = plan_of(house, tmp_path, Choice(), "3")
    assert b"CANARY" not in everything(plan)
    assert plan.withheld == [1, 2]
    assert [shown.what for shown in plan.shown] == ["link", "not_before", "signing key"]
    assert judge(write(plan, tmp_path / "x.zip")).outcome is Outcome.PROVEN


def test_everything_disclosed_is_listed_before_it_is_written(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    fill(house, folder, 1)
    plan = plan_of(house, tmp_path, Choice(("all",), ("CANARY-file.txt",), carriers=True))
    [name] = [path for path in plan.bundle.files if path.startswith("records/")]
    record = parse_record(plan.bundle.files[name])
    opened = {*record.claims, *(f"carrier.{claim}" for claim in record.carrier)}
    assert {shown.what for shown in plan.shown} == opened | {
        "signing key",
        "carrier file",
        "carrier bytes",
    }
    listed = " ".join(shown.value for shown in plan.shown)
    assert "CANARY-title" in listed
    assert "1: CANARY-file.txt, 18 bytes, changed 20" in listed


def test_one_claim_opens_that_claim_alone(house: Holding, folder: Path, tmp_path: Path) -> None:
    fill(house, folder, 1)
    plan = plan_of(house, tmp_path, Choice(("label",)))
    content = b"".join(plan.bundle.files.values())
    [name] = [path for path in plan.bundle.files if path.startswith("records/")]
    assert set(parse_record(plan.bundle.files[name]).claims) == {"link", "not_before", "label"}
    assert b"CANARY-title" not in content


def test_one_file_of_a_folder_is_held_to_the_bundle(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    fill(house, folder, 2)
    plan = plan_of(house, tmp_path, Choice((), ("数据.csv",)), "1", "2")
    assert b"CANARY" not in everything(plan)
    path = write(plan, tmp_path / "x.zip")
    good = Digest(4, hashlib.sha256(b"1,1\n").digest())
    assert judge(path, {"数据.csv": good}).outcome is Outcome.PROVEN
    wrong = judge(path, {"数据.csv": Digest(4, bytes(32))})
    assert (wrong.outcome, wrong.first_fault.step if wrong.first_fault else "") == (
        Outcome.REFUTED,
        "carrier",
    )


def test_withheld_name_of_a_file_is_not_shown_by_its_bytes(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    house.anchor(folder / "CANARY-file.txt")
    house.send()
    plan = plan_of(house, tmp_path, Choice(("carrier",), carriers=True))
    [path] = plan.bundle.carriers
    assert path.endswith("/carrier.txt")
    assert b"CANARY-file" not in everything(plan)
    assert judge(write(plan, tmp_path / "x.zip")).outcome is Outcome.PROVEN
    named = plan_of(house, tmp_path, Choice(("carrier", "carrier.name"), carriers=True))
    assert [path.split("/")[-1] for path in named.bundle.carriers] == ["CANARY-file.txt"]


def test_kept_original_is_bundled_when_the_file_is_gone(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    fill(house, folder, 1)
    shutil.rmtree(folder)
    plan = plan_of(house, tmp_path, Choice((), ("CANARY-file.txt",), carriers=True))
    assert judge(write(plan, tmp_path / "x.zip")).outcome is Outcome.PROVEN
    shutil.rmtree(house.vault.folder / "originals")
    with pytest.raises(NotFoundError, match="was not kept") as caught:
        plan_of(house, tmp_path, Choice((), ("CANARY-file.txt",), carriers=True))
    assert caught.value.hint is not None


def test_file_that_is_no_longer_what_was_anchored_is_not_bundled(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    house.anchor(folder, keep=False)
    house.send()
    (folder / "z").write_bytes(b"changed")
    with pytest.raises(NotFoundError, match="no longer what was anchored"):
        plan_of(house, tmp_path, Choice((), ("z",), carriers=True))


def test_name_that_no_bundle_can_hold_is_refused_at_once(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    (folder / "new\nline").write_bytes(b"x")
    house.anchor(folder / "new\nline")
    house.send()
    with pytest.raises(MalformedError, match="no bundle can hold this name") as caught:
        plan_of(house, tmp_path, Choice(("all",), carriers=True))
    assert caught.value.hint is not None
    assert judge(write(plan_of(house, tmp_path, Choice(("all",))), tmp_path / "x.zip"))


def test_unknown_claim_and_file_are_refused_with_those_there_are(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    fill(house, folder, 2)
    with pytest.raises(NotFoundError, match="no chosen record has a claim 'colour'") as caught:
        plan_of(house, tmp_path, Choice(("colour",)))
    assert caught.value.hint is not None
    assert "title" in caught.value.hint
    with pytest.raises(NotFoundError, match="record 1, 2 has no file 'none'"):
        plan_of(house, tmp_path, Choice((), ("z", "none")), "1", "2")
    house.anchor(folder / "z", notebook="single")
    house.send()
    with pytest.raises(NotFoundError, match="record 3 has no file 'z'"):
        plan_of(house, tmp_path, Choice((), ("z",)), "3")


def test_file_that_only_one_of_the_records_has_is_enough(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    house.anchor(folder)
    (folder / "late").write_bytes(b"late")
    house.anchor(folder)
    house.send()
    plan = plan_of(house, tmp_path, Choice((), ("late",)), "1", "2")
    assert [shown.record for shown in plan.shown if "late" in shown.value] == [2]


def test_records_of_several_notebooks_and_none_are_refused(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    house.anchor(folder, notebook="a")
    house.anchor(folder, notebook="b")
    house.send()
    with pytest.raises(MalformedError, match="several notebooks"):
        plan_of(house, tmp_path, Choice(), "1", "2")
    with pytest.raises(NotFoundError, match="no record to bundle"):
        Bundler(house.vault, house.ledger, tmp_path).plan([], Choice())


def test_record_that_is_not_in_the_ledger_is_refused(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    house.anchor(folder)
    with pytest.raises(ConflictError, match="record 1 is not in the ledger yet") as caught:
        plan_of(house, tmp_path, Choice())
    assert caught.value.hint is not None


def test_record_with_too_few_stamps_is_said(house: Holding, folder: Path, tmp_path: Path) -> None:
    house.anchor(folder)
    house.anchorer.send()
    plan = plan_of(house, tmp_path, Choice())
    assert plan.unstamped == [1]
    assert judge(write(plan, tmp_path / "x.zip")).outcome is Outcome.UNCHECKED
    house.anchorer.stamp()
    assert plan_of(house, tmp_path, Choice()).unstamped == []


def test_only_leaves_out_the_chain_before(house: Holding, folder: Path, tmp_path: Path) -> None:
    fill(house, folder)
    plan = plan_of(house, tmp_path, Choice(), "2", only=True)
    assert plan.withheld == []
    assert len([path for path in plan.bundle.files if path.startswith("records/")]) == 1
    assert judge(write(plan, tmp_path / "x.zip")).outcome is Outcome.PROVEN


def unpacked(house: Holding, folder: Path, tmp_path: Path) -> Path:
    fill(house, folder, 2)
    choice = Choice(("carrier",), ("数据.csv",), carriers=True)
    plan = plan_of(house, tmp_path, choice, "1", "2")
    shutil.unpack_archive(write(plan, tmp_path / "x.zip"), tmp_path / "unpacked")
    return tmp_path / "unpacked"


def test_sums_are_those_coreutils_accepts(house: Holding, folder: Path, tmp_path: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    place = unpacked(house, folder, tmp_path)
    words = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = [path for path in place.rglob("*") if path.is_file()]
    assert done.stdout.count(": OK") == len(files) - 1


def test_commands_of_the_readme_verify_every_stamp_and_record(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    place = unpacked(house, folder, tmp_path)
    readme = (place / "README.txt").read_text("utf-8")
    lines = readme.replace("\\\n", " ").splitlines()
    commands = [line.strip() for line in lines if line.strip().startswith("openssl ts -verify")]
    assert len(commands) == len(list(place.glob("stamps/*/*.ts[rt]")))
    named = {path.stem for path in place.glob("stamps/not-before/*")}
    assert named
    assert all(f"SHA-256 of the file {digest}" in readme for digest in named)
    for command in commands:
        assert "-attime" in command
        done = subprocess.run(
            command.split(), cwd=place, capture_output=True, text=True, check=False
        )
        assert (done.returncode, "Verification: OK" in done.stdout) == (0, True), done.stderr
    cuts = [line.split("; ", 1)[1] for line in lines if "; cut -d" in line]
    digests = [line.split()[-1] for line in lines if line.strip().startswith("SHA-256 of J")]
    for command, digest in zip(cuts, digests, strict=True):
        done = subprocess.run(
            ["sh", "-c", command], cwd=place, capture_output=True, text=True, check=False
        )
        assert digest in done.stdout


def test_an_outage_of_the_stamps_shows_in_the_verdict_as_the_width_of_the_bounds(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    """Nothing fills the time without a stamp: what was recorded in it has bounds as far apart."""
    fill(house, folder, 2)
    (folder / "z").write_bytes(b"while nothing was stamped")
    house.anchor(folder, notebook=SECRETS[3])
    CLOCK.time += timedelta(days=3)
    house.send()
    verdict = judge(write(plan_of(house, tmp_path, Choice(), "1", "2", "3"), tmp_path / "x.zip"))
    assert verdict.outcome is Outcome.PROVEN
    widths = []
    for record in verdict.records:
        assert record.not_before is not None
        assert record.not_after is not None
        widths.append(record.not_after - record.not_before)
    assert widths[1] < timedelta(hours=1)
    assert timedelta(days=3) < widths[2] < timedelta(days=3, hours=1)
