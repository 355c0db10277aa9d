"""The Go peers, each built and started once a run; and a service for them to read."""

from collections.abc import Iterator

import pytest

from tests.hosting import Hosted, make_hosted
from tests.interop.peer import Peer, build


@pytest.fixture(scope="session")
def sumdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """golang.org/x/mod/sumdb: tlog and note."""
    peer = Peer(build("sumdb", tmp_path_factory.mktemp("sumdb")))
    yield peer
    peer.close()


@pytest.fixture(scope="session")
def torchwood(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """filippo.io/torchwood, and filippo.io/mldsa."""
    peer = Peer(build("torchwood", tmp_path_factory.mktemp("torchwood")))
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """A hosted ledger without entries, served by a process of its own."""
    hosted = make_hosted(tmp_path_factory.mktemp("hosted"))
    with hosted.served():
        yield hosted
