"""I/O. Where a ledger's entries, tiles, head and side rows are kept.

``protocol`` names the six promises; each other file is one keeper of them and may touch only the
database it was given. ``tests/store_contract.py`` is run against every one.
"""
