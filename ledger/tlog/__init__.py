"""PURE. The log's mathematics and its text formats; nothing here knows what an entry means.

    text         decimals and base64, as all the formats below write them
    merkle       tree heads, inclusion and consistency proofs (RFC 6962, RFC 9162)
    subtree      aligned ranges of the tree and their proofs (draft-ietf-plants-merkle-tree-certs)
    tile         the tree cut into tiles, entries in bundles (c2sp.org/tlog-tiles)
    signature    Ed25519 and ML-DSA-44, checked strictly
    note         signed notes and verifier keys (c2sp.org/signed-note)
    checkpoint   tree heads as notes, cosignatures (c2sp.org/tlog-checkpoint, tlog-cosignature)
    proof        proof files (c2sp.org/tlog-proof)
    policy       which logs and witnesses are believed (c2sp.org/tlog-policy)

A file imports only from ``ledger.errors`` and from files earlier in this list. Hashes and tiles
are asked for in one call to a reader that the caller gives; keys, like everything else that comes
from outside, are arguments. Nothing here opens, sends, sleeps, logs or asks the time.
"""
