"""PURE. What is committed: signed records whose claims are disclosed one by one, and manifests.

    strict_json   the one JSON dialect of the project
    rfc4648       base64url, canonical only
    vocabulary    the fixed terms of a record, in both languages
    claims        the shape of every claim
    sdjwt         RFC 9901 SD-JWT, compact, under this project's header
    record        issue, parse, check and narrow a record; its entry
    manifest      a folder as one tree of salted lines
    chain         the links of one chain, without fork or gap

A file imports only from ``ledger.errors``, ``ledger.tlog`` and from files above it in this list.
Nothing here opens a file of the user, sends, sleeps, logs, asks the time or draws random numbers.
"""
