"""The public log is what c2sp.org/tlog-tiles says, at every size, and shows nothing unsigned."""

import pytest

from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.merkle import leaf_hashes, root_of_leaves, tree_root
from ledger.tlog.note import parse_note
from ledger.tlog.tile import (
    TILE_WIDTH,
    Tile,
    format_entries_path,
    format_tile_path,
    parse_entry_bundle,
    tile_hash_reader,
    tiles_of,
)
from service.log import FRESH, IMMUTABLE
from tests.hosting import entries
from tests.service.conftest import Service

COUNT = 600


@pytest.fixture
def filled(service: Service) -> Service:
    service.post(b"".join(entries(COUNT)))
    return service


def test_the_empty_log_has_a_signed_checkpoint(service: Service) -> None:
    answer = service.client.get("/checkpoint")
    assert parse_checkpoint(parse_note(answer.data).text).size == 0
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.headers["Cache-Control"] == FRESH


def test_tiles_and_bundles_lead_to_the_checkpoints_root(filled: Service) -> None:
    checkpoint = parse_checkpoint(parse_note(filled.client.get("/checkpoint").data).text)
    assert checkpoint.size == COUNT

    def fetch(tiles: list[Tile]) -> list[bytes]:
        answers = [filled.client.get("/" + format_tile_path(tile)) for tile in tiles]
        assert {answer.mimetype for answer in answers} == {"application/octet-stream"}
        assert {answer.headers["Cache-Control"] for answer in answers} == {IMMUTABLE}
        return [answer.data for answer in answers]

    assert tree_root(COUNT, tile_hash_reader(COUNT, fetch)) == checkpoint.root
    assert all(len(fetch([tile])[0]) == tile.size_bytes for tile in tiles_of(COUNT))
    found: list[bytes] = []
    for number, start in enumerate(range(0, COUNT, TILE_WIDTH)):
        path = format_entries_path(number, min(TILE_WIDTH, COUNT - start))
        found += parse_entry_bundle(filled.client.get("/" + path).data)
    assert found == entries(COUNT)
    assert root_of_leaves(leaf_hashes(found)) == checkpoint.root


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002.p/89",
        "tile/0/003",
        "tile/0/002",
        "tile/1/000",
        "tile/1/000.p/3",
        "tile/2/000.p/1",
        "tile/entries/002.p/89",
        "tile/entries/003",
        "tile/0/x999/999",
        "tile/7/000.p/1",
    ],
)
def test_what_is_beyond_the_checkpoint_is_not_there(filled: Service, path: str) -> None:
    assert filled.client.get(f"/{path}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/00/000",
        "tile/0/0",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000/",
        "tile/0/x000/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/0/../../checkpoint",
        "tile/entries/000.p/256",
        "tile/entries/000.p/",
        "tile/entries/x001",
        "tile/8/000",
    ],
)
def test_a_path_that_names_no_tile_is_no_tile(filled: Service, path: str) -> None:
    answer = filled.client.get(f"/{path}")
    assert answer.status_code in {400, 404}
    assert answer.mimetype == "application/problem+json"


def test_what_is_committed_and_not_signed_is_not_shown(
    filled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As between commit and signature: the store is ahead of what is published."""
    before = filled.client.get("/checkpoint").data
    filled.post(entries(1, COUNT)[0])
    monkeypatch.setattr(filled.hosted.ledger, "checkpoint", lambda: before)
    assert filled.client.get("/tile/0/002.p/88").status_code == 200
    assert filled.client.get("/tile/0/002.p/89").status_code == 404
    assert filled.client.get("/tile/entries/002.p/89").status_code == 404


def test_every_partial_tile_of_a_signed_size_is_there(service: Service) -> None:
    for size in range(1, 9):
        service.post(entries(1, size)[0])
    for size in range(1, 9):
        for tile in tiles_of(size):
            answer = service.client.get("/" + format_tile_path(tile))
            assert len(answer.data) == tile.size_bytes


def test_head_requests_have_no_body(filled: Service) -> None:
    answer = filled.client.head("/tile/0/000")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == str(TILE_WIDTH * 32)
