"""A ledger over HTTP: what it says is checked, and what contradicts itself is kept as evidence."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from ledger.doors.sqlite import open_database
from ledger.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from ledger.holder.material import Material
from ledger.holder.prover import Prover, checkpoint_of
from ledger.holder.receipts import Receipts
from ledger.holder.remote import RemoteLedger
from ledger.holder.schema import migrate
from ledger.holder.seen import FORK, ROLLBACK, WHAT, Evidence, Seen
from ledger.holder.tile_cache import TileCache
from ledger.holder.wire import Wire
from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.merkle import leaf_hashes, tree_root
from ledger.tlog.note import format_note, parse_note
from ledger.tlog.tile import Tile, parse_tile_path, tile_hash_reader
from tests.sequencer_checks import KEYS, entries
from tests.serving import TOKEN, Answer, Service, local_ledger, serving
from tests.store_contract import entry


@dataclass
class Far:
    """A vault's side of a ledger that ``service`` has."""

    service: Service
    folder: Path
    database: Database
    token_file: Path

    def ledger(self, timeout_seconds: float = 5.0) -> RemoteLedger:
        """As a new process sees it."""
        wire = Wire(self.service.url, self.token_file, timeout_seconds=timeout_seconds)
        return RemoteLedger(
            wire,
            KEYS.public_keys(),
            Seen(self.database, KEYS.origin),
            Evidence(self.folder, KEYS.origin),
            TileCache(self.folder / "ledger"),
            Material(self.folder / "ledger" / "material"),
            Receipts(self.database),
            2,
        )

    def evidence(self, kind: str) -> list[Path]:
        return sorted((self.folder / "evidence").glob(f"{kind}-*"))


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    monkeypatch.setenv("no_proxy", "*")
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    token_file.chmod(0o600)
    database = open_database(tmp_path / "vault.sqlite")
    migrate(database, create=True)
    with serving(local_ledger(tmp_path)) as service:
        yield Far(service, tmp_path, database, token_file)
    database.close()


def signed(size: int, root: bytes, origin: str = KEYS.origin) -> bytes:
    return sign_checkpoint(Checkpoint(origin, size, root), KEYS.ed25519, KEYS.ml_dsa_44)


def with_answer(**changes: object) -> object:
    """A lie: other values in a JSON answer."""

    def lie(honest: Answer) -> Answer:
        return replace(honest, body=json.dumps(json.loads(honest.body) | changes).encode())

    return lie


def test_entries_are_appended_found_and_seen(far: Far) -> None:
    ledger = far.ledger()
    assert ledger.append(entries(0, 3)) == (0, 1, 2)
    assert ledger.append(entries(3, 1000)) == tuple(range(3, 1000))
    assert checkpoint_of(ledger.checkpoint()).size == 1000
    assert far.ledger().checkpoint() == ledger.checkpoint() == far.service.ledger.checkpoint()
    assert (ledger.origin, ledger.keys, ledger.closed) == (KEYS.origin, KEYS.public_keys(), None)


def test_entries_sent_again_keep_their_indexes(far: Far) -> None:
    assert far.ledger().append(entries(0, 3)) == (0, 1, 2)
    assert far.ledger().append(entries(0, 4)) == (0, 1, 2, 3)


def test_only_appending_shows_the_token(far: Far) -> None:
    ledger = far.ledger()
    ledger.append(entries(0, 300))
    ledger.stamp()
    Prover(ledger).inclusion(entry(7), 7, 300)
    assert far.service.authorized == [f"v1/entries Bearer {TOKEN}"]
    assert not any("receipts" in path for path in far.service.asked)


def test_tiles_are_checked_once_and_then_read_from_the_disk(far: Far) -> None:
    far.service.ledger.append(entries(0, 700))
    ledger = far.ledger()
    ledger.refresh()
    proof = Prover(ledger).inclusion(entry(300), 300, 700)
    assert "tile/0/001" in far.service.asked
    far.service.asked.clear()
    again = far.ledger()
    assert Prover(again).inclusion(entry(300), 300, 700) == proof
    assert set(far.service.asked) == {"tile/0/002.p/188", "tile/1/000.p/2"}


def test_a_tile_that_the_disk_changed_is_fetched_again(far: Far) -> None:
    far.service.ledger.append(entries(0, 700))
    far.ledger().refresh()
    ledger = far.ledger()
    whole = ledger.tiles([Tile(0, 0, 256)])
    path = far.folder / "ledger" / "tile/0/000"
    for content in (b"", path.read_bytes()[:-1], b"\0" + path.read_bytes()[1:]):
        path.write_bytes(content)
        assert far.ledger().tiles([Tile(0, 0, 256)]) == whole
        assert len(path.read_bytes()) == 256 * 32 + 32


def test_partial_tile_that_is_gone_is_read_from_the_full_one(far: Far) -> None:
    ledger = far.ledger()
    ledger.append(entries(0, 200))
    far.service.ledger.append(entries(200, 300))
    far.service.lies["tile/0/000.p/200"] = lambda honest: replace(honest, status=404)
    again = far.ledger()
    assert Prover(again).inclusion(entry(5), 5, 200)
    assert "tile/0/000" in far.service.asked


def test_nothing_is_told_before_anything_was_seen(far: Far) -> None:
    ledger = far.ledger()
    assert ledger.stamp() is None
    for ask in (ledger.checkpoint, lambda: ledger.signed_file(1)):
        with pytest.raises(NotFoundError, match="nothing was seen"):
            ask()


WRONG_INDEXES = [
    ({"indexes": [1, 0]}, "not where"),
    ({"indexes": [0, 0]}, "not where"),
    ({"indexes": [0]}, "1 indexes"),
    ({"indexes": [0, 1, 1]}, "3 indexes"),
    ({"indexes": [0, 2]}, "not below"),
    ({"indexes": [0, 2**53 - 1]}, "not below"),
]


def test_a_wrong_index_is_refused(far: Far) -> None:
    for changes, message in WRONG_INDEXES:
        far.service.lies["v1/entries"] = with_answer(**changes)
        with pytest.raises(VerificationError, match=message):
            far.ledger().append(entries(0, 2))


NO_FORMAT = [
    b"",
    b"[]",
    b"{}",
    b'{"indexes":[0,-1],"checkpoint":""}',
    b'{"indexes":[0,true],"checkpoint":""}',
    b'{"indexes":[0,1.0],"checkpoint":""}',
    b'{"indexes":0,"checkpoint":""}',
    b'{"indexes":[0,1],"checkpoint":null}',
    b'{"indexes":[0,1],"checkpoint":""}',
    b'{"indexes":[0,1],"indexes":[0,1],"checkpoint":""}',
    b"\xff",
]


def test_an_answer_in_no_format_is_malformed(far: Far) -> None:
    for body in NO_FORMAT:
        far.service.lies["v1/entries"] = lambda honest, body=body: replace(honest, body=body)
        with pytest.raises(MalformedError):
            far.ledger().append(entries(0, 2))


def test_a_checkpoint_that_is_not_the_ledgers_is_refused(far: Far) -> None:
    far.service.ledger.append(entries(0, 2))
    honest = far.service.ledger.checkpoint()
    root = checkpoint_of(honest).root
    note = parse_note(honest)
    one_key = format_note(replace(note, signatures=note.signatures[:1]))
    spoiled = honest.replace(b"\n2\n", b"\n1\n")
    for file, message in (
        (one_key, "not signed by every key"),
        (spoiled, "signature by"),
        (signed(2, root, "example.org/other"), "a checkpoint of example.org/other"),
    ):
        far.service.lies["checkpoint"] = lambda answer, file=file: replace(answer, body=file)
        with pytest.raises(VerificationError, match=message):
            far.ledger().refresh()
    with pytest.raises(NotFoundError):
        far.ledger().checkpoint()


def test_tiles_that_do_not_give_the_root_are_no_fork(far: Far) -> None:
    ledger = far.ledger()
    ledger.append(entries(0, 2))
    far.service.lies["tile/0/000.p/3"] = lambda honest: replace(honest, body=bytes(96))
    with pytest.raises(VerificationError, match="do not give the root"):
        ledger.append(entries(2, 3))
    del far.service.lies["tile/0/000.p/3"]
    assert far.ledger().append(entries(2, 3)) == (2,)
    assert not far.evidence("*")


def rolled_back(far: Far, tmp_path: Path, kept: int) -> None:
    """The ledger comes out of a backup with ``kept`` of its entries."""
    far.service.ledger = local_ledger(tmp_path, name=f"restored-{kept}")
    if kept:
        far.service.ledger.append(entries(0, kept))


@pytest.mark.parametrize("kept", [1, 2])
def test_a_ledger_that_went_back_is_refused_with_evidence(
    far: Far, tmp_path: Path, kept: int
) -> None:
    far.ledger().append(entries(0, 300))
    seen = far.ledger().checkpoint()
    rolled_back(far, tmp_path, kept)
    with pytest.raises(ConflictError, match=f"back from 300 to {kept} entries") as raised:
        far.ledger().refresh()
    assert "evidence" in str(raised.value.hint)
    with pytest.raises(ConflictError, match="back from 300"):
        far.ledger().append(entries(400, 401))
    [first, _] = far.evidence(ROLLBACK)
    files = {(one / name).read_bytes() for one in far.evidence(ROLLBACK) for name in ("shown",)}
    assert (first / "seen").read_bytes() == seen
    assert {checkpoint_of(file).size for file in files} == {kept, kept + 1}
    assert KEYS.origin in (first / WHAT).read_text("utf-8")
    assert far.ledger().checkpoint() == seen


def test_a_ledger_that_is_put_back_where_it_was_goes_on(far: Far, tmp_path: Path) -> None:
    far.ledger().append(entries(0, 300))
    whole = far.service.ledger
    rolled_back(far, tmp_path, 1)
    with pytest.raises(ConflictError):
        far.ledger().refresh()
    far.service.ledger = whole
    assert far.ledger().closed is None
    assert far.ledger().append(entries(300, 301)) == (300,)


def test_an_older_checkpoint_from_a_cache_is_no_rollback(far: Far) -> None:
    far.service.ledger.append(entries(0, 2))
    old = far.service.ledger.checkpoint()
    ledger = far.ledger()
    ledger.append(entries(2, 300))
    far.service.lies["checkpoint"] = lambda honest: replace(honest, body=old)
    assert ledger.refresh().size == 300
    assert far.ledger().refresh().size == 300
    assert not far.evidence("*")


def is_fork(far: Far) -> Path:
    """That a fork was kept whole, that it can be shown from what is kept, and that it stands."""
    [folder] = far.evidence(FORK)
    seen, shown = (checkpoint_of((folder / name).read_bytes()) for name in ("seen", "shown"))
    smaller, larger = sorted((seen, shown), key=lambda one: one.size)
    if smaller.size == larger.size:
        assert smaller.root != larger.root
    else:
        tiles = {
            parse_tile_path(path.relative_to(folder).as_posix()): path.read_bytes()
            for path in folder.rglob("tile/**/*")
            if path.is_file()
        }

        def read(wanted: object) -> list[bytes]:
            found = []
            for tile in wanted:  # type: ignore[attr-defined]  # a sequence of tiles
                [one] = [t for t in tiles if (t.level, t.index) == (tile.level, tile.index)]
                found.append(tiles[one][: tile.size_bytes])
            return found

        assert tree_root(larger.size, tile_hash_reader(larger.size, read)) == larger.root
        assert tree_root(smaller.size, tile_hash_reader(smaller.size, read)) != smaller.root
    ledger = far.ledger()
    assert ledger.closed is not None
    for act in (lambda: ledger.append([entry(0)]), ledger.refresh, ledger.stamp):
        with pytest.raises(ConflictError, match="two histories"):
            act()
    return folder


@pytest.mark.parametrize("size", [300, 301, 600])
def test_another_tree_is_a_fork_and_stands_for_ever(far: Far, tmp_path: Path, size: int) -> None:
    far.ledger().append(entries(0, 300))
    whole = far.service.ledger
    far.service.ledger = local_ledger(tmp_path, name="forked")
    far.service.ledger.append(entries(1000, 1000 + size))
    with pytest.raises(ConflictError, match="two histories"):
        far.ledger().refresh()
    is_fork(far)
    far.service.ledger = whole
    with pytest.raises(ConflictError, match="two histories"):
        far.ledger().refresh()
    assert checkpoint_of(far.ledger().checkpoint()).size == 300


def test_an_append_that_answers_with_a_fork_is_refused(far: Far, tmp_path: Path) -> None:
    far.ledger().append(entries(0, 300))
    far.service.ledger = local_ledger(tmp_path, name="forked")
    far.service.ledger.append(entries(1000, 1300))
    with pytest.raises(ConflictError, match="two histories"):
        far.ledger().append(entries(300, 301))
    is_fork(far)


def test_another_root_at_a_size_that_was_passed_is_a_fork(far: Far) -> None:
    ledger = far.ledger()
    ledger.append(entries(0, 300))
    far.service.ledger.stamp()
    ledger.append(entries(300, 400))
    other = signed(300, leaf_hashes([b""])[0])
    far.service.lies["v1/checkpoints/300"] = lambda honest: replace(honest, body=other)
    with pytest.raises(ConflictError, match="two histories"):
        ledger.signed_file(300)
    is_fork(far)


def test_an_older_checkpoint_with_another_root_is_a_fork(far: Far) -> None:
    far.ledger().append(entries(0, 300))
    other = signed(7, leaf_hashes([b""])[0])
    far.service.lies["checkpoint"] = lambda honest: replace(honest, body=other)
    with pytest.raises(ConflictError, match="two histories"):
        far.ledger().refresh()
    is_fork(far)


def test_one_signed_file_per_size_the_first_that_was_seen(far: Far) -> None:
    ledger = far.ledger()
    ledger.append(entries(0, 3))
    first = ledger.checkpoint()
    note = parse_note(first)
    other = format_note(replace(note, signatures=note.signatures[::-1]))
    far.service.lies["checkpoint"] = lambda honest: replace(honest, body=other)
    ledger.refresh()
    assert ledger.checkpoint() == ledger.signed_file(3) == first


def test_every_other_answer_is_unavailable_and_nothing_is_seen(far: Far) -> None:
    far.service.ledger.append(entries(0, 3))
    lies = {
        "status 500": lambda honest: replace(honest, status=500),
        "status 503": lambda honest: replace(honest, status=503, headers={"Retry-After": "7"}),
        "status 302": lambda honest: replace(honest, status=302, headers={"Location": "/"}),
        "text/html": lambda honest: replace(honest, kind="text/html"),
        "longer than": lambda honest: replace(honest, body=b"x" * ((1 << 20) + 1)),
    }
    for message, lie in lies.items():
        far.service.lies["checkpoint"] = lie
        with pytest.raises(UnavailableError, match=message):
            far.ledger().refresh()
    with pytest.raises(NotFoundError):
        far.ledger().checkpoint()


def test_a_cut_answer_is_unavailable_and_the_entries_are_sent_again(far: Far) -> None:
    far.service.lies["v1/entries"] = lambda honest: replace(honest, cut=10)
    with pytest.raises(UnavailableError):
        far.ledger().append(entries(0, 3))
    del far.service.lies["v1/entries"]
    assert far.ledger().append(entries(0, 3)) == (0, 1, 2)


def test_silence_is_unavailable(far: Far) -> None:
    with far.service.lock, pytest.raises(UnavailableError, match="timed out"):
        far.ledger(timeout_seconds=0.05).refresh()


def test_nobody_there_is_unavailable(far: Far) -> None:
    far.service.server_close()
    far.service.shutdown()
    with pytest.raises(UnavailableError):
        far.ledger().append(entries(0, 3))


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_not_taken_is_told_without_it(far: Far, status: int) -> None:
    far.service.lies["v1/entries"] = lambda honest: replace(honest, status=status)
    with pytest.raises(UnavailableError, match="does not take the token") as raised:
        far.ledger().append(entries(0, 3))
    assert TOKEN not in f"{raised.value}{raised.value.hint}"


@pytest.mark.skipif(os.name != "posix", reason="there are no such bits")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_file_that_others_may_read_is_refused(far: Far, mode: int) -> None:
    far.token_file.chmod(mode)
    with pytest.raises(MalformedError, match="others may read"):
        far.ledger().append(entries(0, 3))
    assert not far.service.asked


def test_a_file_without_a_token_is_refused_and_not_shown(far: Far) -> None:
    token = TOKEN.encode()
    for content in (b"", b"tally_", b"\xff", token + b"A", b"x" * 2000, b"a\n" + token):
        far.token_file.write_bytes(content)
        with pytest.raises(MalformedError) as raised:
            far.ledger().append(entries(0, 3))
        assert "AAAA" not in str(raised.value)
    far.token_file.unlink()
    with pytest.raises(NotFoundError):
        far.ledger().append(entries(0, 3))


def test_a_checkpoint_without_its_tree_is_not_seen(far: Far) -> None:
    lie = with_answer(checkpoint=signed(9, bytes(32)).decode())
    far.service.lies["v1/entries"] = lie
    with pytest.raises(VerificationError, match="does not have the tree of size 9"):
        far.ledger().append(entries(0, 3))
    del far.service.lies["v1/entries"]
    assert far.ledger().append(entries(0, 3)) == (0, 1, 2)


def recorded(far: Far, *indexes: int) -> None:
    """The vault has records at these places, and no receipts."""
    rows = [
        (number, entry(index), "n", f"{number:032x}", 1, b"", "note", "", "", index, KEYS.origin)
        for number, index in enumerate(indexes, start=1)
    ]
    connection = far.database.conn
    connection.execute("INSERT INTO notebooks VALUES ('n', 'c', '')")
    connection.executemany(
        "INSERT INTO records (number, entry, notebook, chain, seq, sdjwt, kind, content, created,"
        " idx, ledger) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def grow(far: Far, *sizes: int) -> None:
    """The ledger grows to each of these sizes, and has each of these trees stamped."""
    start = 0
    for size in sizes:
        far.service.ledger.append(entries(start, size))
        far.service.ledger.stamp()
        start = size


def asked_from(far: Far) -> list[int]:
    return [int(one.split("=")[1]) for one in far.service.asked if "from=" in one]


def test_stamps_are_asked_for_by_tile_and_only_those_needed_are_kept(far: Far) -> None:
    grow(far, 100, 260, 300, 310, 320, 600, 610, 620)
    recorded(far, 300, 301, 309, 555)
    ledger = far.ledger()
    report = ledger.stamp()
    assert report is not None
    assert (report.size, report.complete, report.pending) == (556, True, ())
    assert sorted((one.size, one.tsa) for one in ledger.stamps(0)) == [
        (size, tsa) for size in (310, 600) for tsa in ("one", "two")
    ]
    assert {start % 256 for start in asked_from(far) if start not in (301, 311)} == {1}
    assert Receipts(far.database).keep(ledger, 2) == 4
    again = far.ledger()
    assert again.stamp() is not None
    assert Receipts(far.database).lacking_indexes(KEYS.origin, 2) == ()


def test_a_record_after_the_last_stamp_is_pending(far: Far) -> None:
    grow(far, 100)
    far.service.ledger.append(entries(100, 200))
    recorded(far, 50, 150)
    report = far.ledger().stamp()
    assert report is not None
    assert (report.size, report.answered, report.complete) == (151, (), False)
    assert report.pending == (("one", "not asked yet"),)


def test_with_nothing_lacking_the_newest_stamps_are_had(far: Far) -> None:
    grow(far, 100, 300, 400)
    far.service.ledger.append(entries(400, 3000))
    ledger = far.ledger()
    report = ledger.stamp()
    assert report is not None
    assert (report.complete, report.pending, report.answered) == (True, (), ("one", "two"))
    assert {one.size for one in ledger.stamps()} <= {100, 300, 400}
    assert len(asked_from(far)) < 8


NO_STAMPS = [
    {"stamps": [{"size": 1, "tsa": "a", "response": "AA=="}], "next": None},
    {"stamps": [], "next": 2},
    {"stamps": [], "next": -1},
    {"stamps": [], "next": "9"},
    {"stamps": {}, "next": None},
    {"stamps": [1], "next": None},
    {"stamps": [{"size": 300, "tsa": "a", "response": "AA"}], "next": None},
    {"stamps": [{"size": 300, "tsa": 1, "response": "AA=="}], "next": None},
    {"stamps": [{"size": 300, "tsa": "a"}], "next": None},
    {"next": None},
]


def test_stamps_in_another_form_are_malformed(far: Far) -> None:
    far.service.ledger.append(entries(0, 300))
    recorded(far, 299)
    for answer in NO_STAMPS:
        body = json.dumps(answer).encode()
        far.service.lies["v1/stamps?from=257"] = lambda honest, body=body: replace(
            honest, body=body
        )
        with pytest.raises(MalformedError):
            far.ledger().stamp()


def test_a_token_over_other_bytes_is_refused_and_not_kept(far: Far) -> None:
    grow(far, 300, 301)
    recorded(far, 299)
    receipts = Receipts(far.database)

    def swap(honest: Answer) -> Answer:
        value = json.loads(honest.body)
        rows = value["stamps"]
        rows[0]["response"], rows[2]["response"] = rows[2]["response"], rows[0]["response"]
        return replace(honest, body=json.dumps(value).encode())

    far.service.lies["v1/stamps?from=257"] = swap
    ledger = far.ledger()
    ledger.stamp()
    with pytest.raises(VerificationError):
        receipts.keep(ledger, 2)
    assert receipts.reach(KEYS.origin).newest == {}


def test_material_is_kept_once_and_other_things_are_not(far: Far) -> None:
    ledger = far.ledger()
    assert (ledger.certificates(), ledger.material(), ledger.recapture()) == ((), (), ())
    roots = far.service.ledger.certificates()
    assert set(far.ledger().certificates()) == set(roots)
    sha256 = hashlib.sha256(b"\0").hexdigest()
    for named in (sha256, "0" * 64):
        far.service.lies[f"v1/material/{named}"] = lambda _: Answer(b"\0")
    for row, why in (
        ({"kind": "crl", "sha256": sha256}, "CRL"),
        ({"kind": "../x", "sha256": sha256}, "kind"),
        ({"kind": "crl", "sha256": "0" * 64}, "other bytes"),
        ({"kind": "crl", "sha256": "1" * 64}, "has no v1/material"),
        ({"kind": "crl", "sha256": "../../x"}, "no SHA-256"),
    ):
        body = json.dumps({"material": [row]}).encode()
        far.service.lies["v1/material"] = lambda honest, body=body: replace(honest, body=body)
        [(name, reason)] = ledger.recapture()
        assert name == "the ledger"
        assert why in reason
    far.service.lies["v1/material"] = lambda honest: replace(honest, status=500)
    assert "status 500" in ledger.recapture()[0][1]
    assert len(list((far.folder / "ledger" / "material").iterdir())) == len(roots)
