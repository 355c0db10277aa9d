"""The library: commitments, the Merkle log, timestamps, and the verdict.

Rooms from the ground up; a file imports only from lower floors or from its own folder.

    errors     five error classes
    tlog       PURE  the log's mathematics and text formats
    record     PURE  what is committed
    timestamp  PURE  when
    proof      PURE  trust file, bundle, verdict
    doors      I/O   the only doors to the world
    report           verdict to text, HTML, pictures
    operator   I/O   keeps a ledger
    holder     I/O   keeps records and carriers

PURE rooms never open, send, sleep, log, ask the time or draw a random number: these come in as
arguments. ``tests/test_floors.py`` holds this.
"""

__version__ = "0.1.0"
