"""I/O. Keeps a ledger: its store, its guard, its one sequencer, its timestamps.

Who lives here sees commitments of 64 bytes and never a record. They may write the store and the
guard, hold the ledger's signing keys, and ask timestamp authorities through ``doors``. They never
import ``holder``: the two meet in ``ledger.doors.client``.

    store       entries, tiles, the head, side rows; six promises, several keepers
    guard       one signed file per tree size, for ever
    repeats     which entries are certainly new, in memory
    sequencer   the only writer: commit, read again, sign, publish
    sources     where a certificate says its CRL, its OCSP responder and its issuer are
    capture     what stamps are judged with later: certificates, CRLs, OCSP answers
    access      who may append to a hosted ledger, and how much
    schedule    what a hosted ledger does by itself: stamps, a cover a day; its diary
    gaps        outages, told from the stamps that are missing
"""
