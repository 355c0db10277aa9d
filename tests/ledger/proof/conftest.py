"""The bundle that most tests change: three records, the middle one withheld, two TSAs."""

import pytest

from ledger.proof.bundle import Bundle
from tests.ledger.proof.world import World

FILES = {
    "data/batch-12.csv": b"batch,yield\n12,0.93\n",
    "data/batch-13.csv": b"batch,yield\n13,0.41\n",
    "notes.txt": b"anneal at 310 K\n",
}


def standard_world() -> World:
    """A cover entry, stamped; three records, the first of them bound from below by that stamp, and
    entries of others between them. One TSA stamps after the first record, both after the last.
    """
    world = World()
    world.append()
    world.stamp()
    world.record()
    world.append()
    world.stamp("dev-one")
    world.record(files=FILES, not_before=())
    world.append()
    world.record(files=FILES, claims={"title": "final"}, not_before=())
    world.stamp()
    return world


@pytest.fixture(scope="session")
def world() -> World:
    """Read only: tests that go on with a world make their own."""
    return standard_world()


@pytest.fixture(scope="session")
def bundle(world: World) -> Bundle:
    return world.bundle(
        {0: ("kind", "title"), 2: ("kind", "title", "captured_time", "carrier.manifest")},
        files={2: ("data/batch-12.csv", "notes.txt")},
        with_carriers=True,
    )


@pytest.fixture(scope="session")
def small() -> Bundle:
    """One record, one TSA, one other entry: the least that is proven (k = 1), so it is quick."""
    world = World(names=("dev-one",))
    world.append()
    world.stamp()
    world.record(files=FILES)
    world.append()
    world.stamp()
    return world.bundle(
        {0: ("title", "carrier.manifest")}, files={0: ("notes.txt",)}, with_carriers=True
    )
