"""Anchoring: recorded before it is sent, once, in order; whatever fails, nothing is lost."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.doors.carrier import FolderCarrier, read_carrier
from ledger.errors import MalformedError, UnavailableError
from ledger.holder import anchoring
from ledger.holder.anchoring import content_of
from ledger.holder.config import Config
from ledger.holder.prover import checkpoint_of
from ledger.holder.said import Wish
from ledger.operator.local import LocalLedger
from ledger.record.manifest import FileEntry, parse_line
from ledger.record.parts import parse_part_line
from ledger.record.record import check_record, parse_record
from ledger.record.sdjwt import parse_triple
from ledger.record.shown import lines_root
from tests.holding import CLOCK, START, Holding, holding


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Holding]:
    with holding(tmp_path) as made:
        yield made


def read_folder(path: Path) -> tuple[FileEntry, ...]:
    carrier = read_carrier(path)
    assert isinstance(carrier, FolderCarrier)
    return carrier.entries


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "资料"
    (made / "sub").mkdir(parents=True)
    (made / "a.txt").write_bytes(b"a")
    (made / "sub" / "第12批.xlsx").write_bytes(b"xlsx")
    return made


def test_file_becomes_a_signed_record_at_the_head_of_a_chain(house: Holding, folder: Path) -> None:
    anchored = house.anchor(folder / "a.txt", title="配方", stage="idea")
    record = parse_record(anchored.record.sdjwt)
    check_record(record)
    assert anchored.new
    assert anchored.record.index is None
    assert record.claims["title"] == "配方"
    assert record.carrier["name"] == "a.txt"
    assert record.carrier["media_type"] == "text/plain"
    assert record.link is not None
    assert (record.link.seq, record.link.prev) == (1, None)
    (ref,) = record.claims["refs"]  # type: ignore[misc]  # the shape is checked
    assert ref["rel"] == "enrolledBy"  # type: ignore[index,call-overload]


def test_folder_becomes_one_record_over_its_lines(house: Holding, folder: Path) -> None:
    stored = house.anchor(folder).record
    assert stored.manifest is not None
    root, count = lines_root(house.vault.manifests.read(stored.manifest))
    manifest = parse_record(stored.sdjwt).carrier["manifest"]
    assert manifest == {"root": root.hex(), "count": count}
    assert count == 2


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_lines_made_in_batches_are_one_manifest(
    house: Holding, folder: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    for name in ("é", "ä", "z", "a", "中", "a1"):
        (folder / name).write_text(name)
    monkeypatch.setattr(anchoring, "LINES_AT_ONCE", at_once)
    stored = house.anchor(folder).record
    assert stored.manifest is not None
    lines = house.vault.manifests.read(stored.manifest)
    entries = [parse_line(line) for line in lines]
    assert entries == list(read_folder(folder))
    assert lines_root(lines) == (bytes.fromhex(stored.manifest), 8)
    (folder / "e\u0301").write_text("another")
    if len(list(folder.iterdir())) == 9:
        with pytest.raises(MalformedError, match="twice under NFC"):
            house.anchor(folder)


def test_chain_links_each_record_to_the_one_before(house: Holding, folder: Path) -> None:
    first = house.anchor(folder / "a.txt").record
    (folder / "a.txt").write_bytes(b"b")
    second = parse_record(house.anchor(folder / "a.txt").record.sdjwt)
    other = house.anchor(folder / "a.txt", notebook="other").record
    assert second.link is not None
    assert second.link.prev == first.entry.hex()
    assert second.claims["refs"] == [{"rel": "wasRevisionOf", "entry": first.entry.hex()}]
    assert (other.seq, other.chain == first.chain) == (1, False)


def test_tokens_at_hand_bound_the_next_record_from_below(house: Holding, folder: Path) -> None:
    assert "not_before" not in parse_record(house.anchor(folder / "a.txt").record.sdjwt).claims
    house.send()
    named = parse_record(house.anchor(folder).record.sdjwt).claims["not_before"]
    assert isinstance(named, list)
    assert len(named) == 2


def test_same_content_makes_no_second_record_unless_asked(house: Holding, folder: Path) -> None:
    first = house.anchor(folder)
    (folder / "a.txt").touch()
    again = house.anchor(folder)
    assert (again.new, again.record.number) == (False, first.record.number)
    assert house.anchor(folder, again=True).new
    (folder / "a.txt").rename(folder / "b.txt")
    assert house.anchor(folder).new


def test_content_tells_names_and_digests_apart(folder: Path) -> None:
    before = content_of(read_carrier(folder))
    shutil.copytree(folder, folder.parent / "copy")
    assert content_of(read_carrier(folder.parent / "copy")) == before
    (folder / "a.txt").write_bytes(b"b")
    assert content_of(read_carrier(folder)) != before


def test_originals_are_kept_once_and_lost_ones_again(house: Holding, folder: Path) -> None:
    assert house.anchor(folder).kept == 2
    assert house.anchor(folder / "a.txt").kept == 0
    shutil.rmtree(house.vault.folder / "originals")
    again = house.anchor(folder)
    assert (again.new, again.kept) == (False, 2)
    assert house.anchor(folder, notebook="none", keep=False).kept == 0


def test_what_is_above_the_limit_is_named_and_kept_only_if_asked(
    tmp_path: Path, folder: Path
) -> None:
    with holding(tmp_path, Config(development=True, keep_limit_bytes=3)) as house:
        anchored = house.anchor(folder)
        assert anchored.kept == 1
        assert anchored.not_kept == (("sub/第12批.xlsx", 4),)
        assert house.anchor(folder).not_kept == ()
        assert house.anchor(folder, keep=True).kept == 1


def test_carrier_that_changed_since_it_was_read_makes_no_record(
    house: Holding, folder: Path
) -> None:
    carrier = read_carrier(folder)
    (folder / "a.txt").write_bytes(b"changed")
    with pytest.raises(UnavailableError, match="changed while it was kept"):
        house.anchorer.anchor(carrier, Wish("n"))
    assert house.vault.records.all() == ()


@pytest.mark.parametrize("where", ["above", "itself", "inside", "through a link"])
def test_vault_is_not_anchored_in_itself(house: Holding, tmp_path: Path, where: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    place = {
        "above": tmp_path,
        "itself": house.vault.folder,
        "inside": house.vault.folder / "keys",
        "through a link": tmp_path / "link" / "vault" / "keys" / "signing.pem",
    }[where]
    with pytest.raises(MalformedError, match=r"the vault lies inside|lies inside the vault"):
        house.anchorer.check(place, Wish("n"))
    with pytest.raises((MalformedError, UnavailableError)):
        house.anchor(place)
    assert house.vault.records.all() == ()


@pytest.mark.parametrize(
    "wish",
    [
        Wish(""),
        Wish("n" * 1025),
        Wish("n", title="x" * 1025),
        Wish("n", title="caf\udce9"),
        Wish("n", kind="secret"),
        Wish("n", stage=""),
        Wish("n", note="x" * (64 * 1024 + 1)),
    ],
)
def test_wish_that_no_record_can_hold_is_refused_before_reading(
    house: Holding, folder: Path, wish: Wish
) -> None:
    with pytest.raises(MalformedError, match="claim"):
        house.anchorer.check(folder, wish)
    with pytest.raises(MalformedError, match="claim"):
        house.anchorer.anchor(read_carrier(folder), wish)
    assert house.vault.records.all() == ()


def test_names_that_are_one_under_nfc_are_refused_with_a_hint(house: Holding, folder: Path) -> None:
    for name in ("\u00e9", "e\u0301"):
        (folder / name).write_bytes(b"")
    if len(list(folder.iterdir())) < 4:
        pytest.skip("this file system takes the two names for one")
    with pytest.raises(MalformedError, match="twice under NFC") as caught:
        house.anchor(folder)
    assert caught.value.hint is not None
    assert house.vault.records.all() == ()


def test_records_are_sent_in_order_and_once(house: Holding, folder: Path) -> None:
    house.anchorer.cover()
    numbers = [house.anchor(folder / "a.txt", notebook=f"n{i}").record.number for i in range(3)]
    # A cover, the enrolments of the three chains' keys, and then the records.
    assert house.anchorer.send() == 7
    assert [house.vault.records.find(str(number)).index for number in numbers] == [4, 5, 6]
    assert house.anchorer.send() == 0


def test_a_day_without_entries_has_a_heartbeat_and_no_more_than_one(
    house: Holding, folder: Path
) -> None:
    house.anchor(folder / "a.txt")
    house.send()
    CLOCK.time += timedelta(hours=23)
    assert not house.anchorer.heartbeat()
    CLOCK.time += timedelta(hours=1)
    assert house.anchorer.heartbeat()
    assert house.anchorer.send() == 1
    assert not house.anchorer.heartbeat()
    CLOCK.time += timedelta(hours=25)
    assert house.anchorer.heartbeat()
    assert len(house.vault.records.queued_covers()) == 1
    # It is not queued twice while it cannot be sent.
    assert not house.anchorer.heartbeat()
    house.send()
    assert house.vault.records.queued_covers() == ()
    assert checkpoint_of(house.ledger.checkpoint()).size == 4


def test_a_clock_that_was_far_ahead_does_not_silence_the_heartbeat(house: Holding) -> None:
    CLOCK.time += timedelta(days=9999)
    house.anchorer.cover()
    CLOCK.time = START
    assert house.anchorer.heartbeat()


def test_a_vault_without_entries_has_a_heartbeat(house: Holding) -> None:
    assert house.anchorer.heartbeat()


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_batches_give_the_same_indexes(
    house: Holding, folder: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(anchoring, "MAX_BATCH", batch)
    for number in range(3):
        house.anchor(folder / "a.txt", notebook=f"n{number}")
    assert house.anchorer.send() == 6
    assert [record.index for record in house.vault.records.all()] == [3, 4, 5]


def test_what_could_not_be_sent_stays_queued_and_is_sent_later(
    house: Holding, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise UnavailableError("no route")

    record = house.anchor(folder).record
    with monkeypatch.context() as patch:
        patch.setattr(LocalLedger, "append", unreachable)
        with pytest.raises(UnavailableError, match="no route"):
            house.anchorer.send()
    enrolment = house.vault.records.find("k1")
    assert house.vault.records.queued() == (enrolment.entry, record.entry)
    assert house.anchorer.send() == 2
    assert house.vault.records.queued() == ()


def test_crash_between_ledger_and_vault_keeps_the_first_index(
    house: Holding, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.anchor(folder)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(house.vault.records), "set_indexes", die)
        with pytest.raises(KeyboardInterrupt):
            house.anchorer.send()
    house.anchor(folder / "a.txt")
    house.anchorer.send()
    assert [record.index for record in house.vault.records.all()] == [1, 2]


def test_crash_before_the_record_leaves_nothing_in_the_way(
    house: Holding, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for part, step in ((house.vault.manifests, "write"), (house.vault.records, "add")):
        with monkeypatch.context() as patch:
            patch.setattr(type(part), step, die)
            with pytest.raises(KeyboardInterrupt):
                house.anchor(folder)
        assert house.vault.records.all() == ()
    assert house.anchor(folder).record.seq == 1


def test_name_of_a_claim_without_value_is_not_in_the_record(house: Holding, folder: Path) -> None:
    claims = parse_record(house.anchor(folder / "a.txt").record.sdjwt).claims
    assert not {"title", "label", "note", "stage"} & set(claims)
    assert replace(Wish("n"), title="t").title == "t"


# Parts of a file


def parts_of(house: Holding, path: Path, **said: Any) -> object:
    return parse_record(house.anchor(path, again=True, **said).record.sdjwt).carrier.get("parts")


def test_lines_of_a_text_are_sealed_one_by_one_and_kept(house: Holding, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(10_000)))
    match parts_of(house, path):
        case {"scheme": "lines", "count": 10_000, "root": str(root)}:
            lines = house.vault.manifests.read(root)
        case other:
            pytest.fail(f"{other}")
    assert lines_root(lines) == (bytes.fromhex(root), 10_000)
    assert parse_part_line(lines[7]).offset == 14
    assert len({parse_triple(line)[0] for line in lines}) == 10_000
    assert parts_of(house, path, parts=False) is None


def test_other_files_have_parts_if_wished_and_folders_have_none(
    house: Holding, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(100_000))
    assert parts_of(house, path) is None
    match parts_of(house, path, parts=True):
        case {"scheme": "bytes-64k", "count": 2}:
            pass
        case other:
            pytest.fail(f"{other}")
    with pytest.raises(MalformedError, match="parts are of one file"):
        house.anchor(folder, parts=True)


def test_a_file_that_changes_before_its_parts_are_read_leaves_no_record(
    house: Holding, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"1\n")
    carrier = read_carrier(path)
    path.write_bytes(b"2\n")
    with pytest.raises(UnavailableError, match="changed"):
        house.anchorer.anchor(carrier, Wish("notebook", keep=False))
    assert house.vault.records.all() == ()
