"""I/O. The only doors to the world, and small: files, SQLite, keys, HTTP, carriers, the ledger.

Everything above the PURE rooms reaches disk and network through here; nothing here decides what
the bytes mean.
"""
