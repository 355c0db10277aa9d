"""The two Go peers, each built and started once a run; and logs laid out as tiles."""

from collections.abc import Iterator

import pytest

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
