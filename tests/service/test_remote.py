"""A holder's side of the service: every answer that ``RemoteLedger`` asks for is as it wants it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from ledger.doors.sqlite import open_database
from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.holder.material import Material
from ledger.holder.prover import Prover, checkpoint_of
from ledger.holder.receipts import Receipts
from ledger.holder.remote import RemoteLedger
from ledger.holder.schema import migrate
from ledger.holder.seen import Evidence, Seen
from ledger.holder.tile_cache import TileCache
from ledger.holder.wire import Wire
from ledger.tlog.tile import Tile
from tests.hosting import ORIGIN, entries
from tests.service.conftest import Service


@pytest.fixture
def wire(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Wire]]:
    """Makes wires to the service, on the loopback, that append with a token."""
    monkeypatch.setenv("no_proxy", "*")
    server = make_server("127.0.0.1", 0, service.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()

    def make(token: str) -> Wire:
        path = tmp_path / "token"
        path.write_text(token)
        path.chmod(0o600)
        return Wire(f"http://127.0.0.1:{server.server_port}", path)

    yield make
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def far(service: Service, wire: Callable[[str], Wire], tmp_path: Path) -> Iterator[RemoteLedger]:
    """The ledger as a holder with a good token has it."""
    database = open_database(tmp_path / "vault.sqlite")
    migrate(database, create=True)
    yield RemoteLedger(
        wire(service.token),
        service.hosted.ledger.keys,
        Seen(database, ORIGIN),
        Evidence(tmp_path, ORIGIN),
        TileCache(tmp_path / "cache"),
        Material(tmp_path / "material"),
        Receipts(database),
        2,
    )
    database.close()


def test_a_holder_appends_is_stamped_and_proves(far: RemoteLedger, service: Service) -> None:
    assert far.refresh().size == 0
    assert far.stamp() is None
    assert far.append(entries(300)) == tuple(range(300))
    service.hosted.ledger.stamp()
    assert far.append(entries(400)) == tuple(range(400))
    assert checkpoint_of(far.checkpoint()).size == 400
    report = far.stamp()
    assert report is not None
    assert report.answered == ("development-1", "development-2")
    assert {one.size for one in far.stamps()} == {300}
    assert far.signed_file(300) == service.hosted.ledger.signed_file(300)
    for size in (300, 400):
        assert Prover(far).inclusion(entries(300)[299], 299, size)
    assert far.tiles([Tile(0, 0, 256), Tile(0, 1, 44)])
    assert far.recapture() == ()
    assert set(far.certificates()) >= set(service.hosted.ledger.certificates())


def test_the_wire_reads_what_the_service_says(
    service: Service, wire: Callable[[str], Wire]
) -> None:
    made = wire(service.token)
    assert made.keys() == service.hosted.ledger.keys
    made.append(entries(3))
    assert dict(made.waiting(3)).keys() == {"development-1", "development-2"}
    assert made.stamps(0).stamps == ()
    for ask in (lambda: made.signed_file(2), lambda: made.tile(Tile(1, 0, 1))):
        with pytest.raises(NotFoundError):
            ask()


def test_what_the_service_refuses_is_told(service: Service, wire: Callable[[str], Wire]) -> None:
    with pytest.raises(UnavailableError, match="does not take the token"):
        wire("tally_00000000_" + "A" * 43).append(entries(1))
    poor = wire(service.new_token(quota=2))
    assert poor.append(entries(2))[0] == (0, 1)
    with pytest.raises(UnavailableError, match="refused: quota of 2 entries a day has 0") as raised:
        poor.append(entries(2, 5))
    assert "tried again in" in str(raised.value.hint)


def test_a_ledger_that_is_closed_is_told_from_one_that_is_busy(
    service: Service, wire: Callable[[str], Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wire(service.token)
    monkeypatch.setattr(service.hosted.ledger, "_closed", ConflictError("its guard is not there"))
    with pytest.raises(UnavailableError, match="the ledger is closed") as raised:
        made.append(entries(1))
    assert "its operator" in str(raised.value.hint)
