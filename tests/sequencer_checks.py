"""What the tests of a sequencer look at: its keys, its published files, the whole of its log."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.operator.guard import Guard
from ledger.operator.sequencer import CHECKPOINT, LedgerKeys, Sequencer
from ledger.operator.store.protocol import Attachment, Store
from ledger.tlog.checkpoint import Checkpoint, check_signatures, parse_checkpoint
from ledger.tlog.merkle import TreeHead, leaf_hash, root_of_leaves
from ledger.tlog.note import parse_note
from tests.store_contract import entry

KEYS = LedgerKeys(
    "example.org/log",
    Ed25519PrivateKey.from_private_bytes(bytes(32)),
    MLDSA44PrivateKey.from_seed_bytes(bytes(32)),
)


def entries(start: int, stop: int) -> list[bytes]:
    return [entry(number) for number in range(start, stop)]


def opened(signed_file: bytes) -> Checkpoint:
    """The checkpoint in ``signed_file``, whose two signatures are checked."""
    note = parse_note(signed_file)
    assert len(check_signatures(note, KEYS.public_keys())) == 2
    return parse_checkpoint(note.text)


def published(store: Store, start: int = 0) -> tuple[Attachment, ...]:
    return store.attachments(CHECKPOINT, start, 2**63 - 1)


def check_whole(store: Store, guard: Guard, sequencer: Sequencer) -> None:
    """The log's root is that of its entries, and what is published is what the guard has."""
    head = store.head()
    leaves = [leaf_hash(e) for e in store.entries(0, head.size)]
    assert head == TreeHead(head.size, root_of_leaves(leaves))
    assert sequencer.checkpoint() == guard.latest() == guard.file(head.size)
    assert opened(sequencer.checkpoint()).head == head
    rows = published(store)
    assert rows[-1].content == guard.latest()
    for row in rows:
        assert row.content == guard.file(row.size)
        assert opened(row.content).root == root_of_leaves(leaves[: row.size])
