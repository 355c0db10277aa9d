"""golang.org/x/mod/sumdb reads the log from the running service, and proves what ours proves."""

import pytest

from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.merkle import (
    ConsistencyProof,
    InclusionProof,
    TreeHead,
    check_consistency,
    check_inclusion,
    leaf_hash,
)
from ledger.tlog.note import parse_note
from tests.hosting import Hosted, until
from tests.interop.log import entry
from tests.interop.peer import Peer, unbase64

pytestmark = pytest.mark.slow

SIZES = (2, 255, 256, 257, 513, 700)
"""Where the log stood when its checkpoint was fetched."""


@pytest.fixture(scope="module")
def heads(service: Hosted) -> dict[int, TreeHead]:
    """The log, grown through the service, and its heads on the way."""
    # The ledger itself appends the first entry: nothing was appended for a day.
    until(lambda: head_of(service).size == 1)
    found: dict[int, TreeHead] = {}
    start = 1
    for size in SIZES:
        answer = service.append([entry(number) for number in range(start, size)])
        assert answer.json["indexes"] == list(range(start, size))
        found[size] = head_of(service)
        start = size
    assert [head.size for head in found.values()] == list(SIZES)
    return found


def head_of(service: Hosted) -> TreeHead:
    return parse_checkpoint(parse_note(service.get("/checkpoint").body).text).head


def test_go_opens_the_checkpoint_under_our_key(
    sumdb: Peer, service: Hosted, heads: dict[int, TreeHead]
) -> None:
    signed_file = service.get("/checkpoint").body
    opened = sumdb.ask("open", Note=signed_file, Vkeys=[service.vkeys[0]])
    assert opened["Text"].startswith("ledger.example.org/one\n700\n")
    changed = signed_file.replace(b"\n700\n", b"\n701\n")
    assert sumdb.refuses("open", Note=changed, Vkeys=[service.vkeys[0]])


def test_go_proves_every_entry_and_every_older_head_from_the_tiles_served(
    sumdb: Peer, service: Hosted, heads: dict[int, TreeHead]
) -> None:
    for size, head in heads.items():
        indexes, olds = list(range(1, size)), [old for old in SIZES if old <= size]
        asked = {"Folder": service.url, "Size": size, "Root": head.root}
        answer = sumdb.ask("prove from tiles", Indexes=indexes, Olds=olds, **asked)
        assert unbase64([answer["Root"]]) == (head.root,)
        for index, path in zip(indexes, map(unbase64, answer["Records"]), strict=True):
            check_inclusion(InclusionProof(index, size, path), leaf_hash(entry(index)), head)
        for old, path in zip(olds, map(unbase64, answer["Trees"]), strict=True):
            check_consistency(ConsistencyProof(old, size, path), heads[old], head)


def test_go_refuses_the_tiles_served_under_another_root(
    sumdb: Peer, service: Hosted, heads: dict[int, TreeHead]
) -> None:
    for size in heads:
        asked = {"Folder": service.url, "Size": size, "Indexes": [0]}
        assert sumdb.refuses("prove from tiles", Root=leaf_hash(b"another"), **asked)
