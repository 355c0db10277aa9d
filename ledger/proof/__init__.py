"""PURE. What a verifier does with a bundle: the trust file, the bundle's files, the verdict.

Bytes and dates come in as arguments; nothing here opens a file, asks the time or the network.
A bundle never adds to what the verifier trusts.
"""
