"""Whether a folder lies on a network drive, where a SQLite database in WAL mode must not be.

WAL shares memory between the processes of one machine (sqlite.org/wal.html): over a network two
machines would each see their own, and break the file. What the system does not tell is not guessed.
"""

import os
import sys
from pathlib import Path

from ledger.errors import UnavailableError

MOUNTS = Path("/proc/self/mountinfo")
"""proc(5): Linux's own list of what is mounted where."""

NETWORK_TYPES = frozenset(
    "nfs nfs3 nfs4 cifs smb smb2 smb3 smbfs ncpfs afs coda 9p ceph glusterfs lustre gpfs beegfs"
    " orangefs pvfs2 davfs webdav afpfs fuse.sshfs fuse.davfs2 fuse.rclone fuse.s3fs fuse.gcsfuse"
    " fuse.glusterfs fuse.ceph fuse.curlftpfs fuse.smbnetfs fuse.juicefs fuse.goofys".split()
)
"""Types of file systems whose files are on another machine. 9p: of a virtual machine's host too."""

_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}
"""How proc(5) writes the characters that part its fields."""


def network_drive(folder: Path, mounts: Path = MOUNTS) -> str | None:
    r"""The type of the network drive that ``folder`` is on (it need not be there yet), else None.

    None as well where the system does not tell: known are Linux's ``mounts`` and the
    ``\\server`` paths of Windows.
    """
    place = os.path.realpath(folder)
    if sys.platform == "win32":
        return "unc" if place.startswith("\\\\") and not place.startswith("\\\\?\\") else None
    try:
        rows = mounts.read_bytes().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    found, kind = "", ""
    for point, mounted in map(_mounted, rows):
        # Of two mounted at one place the later hides the earlier.
        if len(point) >= len(found) and Path(place).is_relative_to(point or "/"):
            found, kind = point, mounted
    return kind if kind in NETWORK_TYPES else None


def refuse_network_drive(folder: Path) -> None:
    """UnavailableError if ``folder`` is on a network drive; there is no way around it."""
    kind = network_drive(folder)
    if kind is not None:
        hint = "choose a folder on a disk of this machine; carriers may be anywhere"
        text = f"{folder} is on a network drive ({kind}), where no database is safe"
        raise UnavailableError(text, hint=hint)


def _mounted(row: str) -> tuple[str, str]:
    """Where a row of mountinfo says something is mounted, and of what type."""
    before, _, after = row.partition(" - ")
    fields, kinds = before.split(" "), after.split(" ")
    if len(fields) < 5:
        return "", ""
    point = fields[4]
    for escape, character in _ESCAPES.items():
        point = point.replace(escape, character)
    return point, kinds[0]
