"""What a ledger elsewhere showed last, durably; and the evidence if it showed something else.

    evidence/fork-<16 hex>/       two trees of which neither is a beginning of the other
    evidence/rollback-<16 hex>/   what it signed before, it has no more
      seen, shown                 the signed checkpoint files, as received
      tile/…                      the tiles that came with the second
      WHAT.txt                    what it is, written last

The name is of the two files' bytes: the same evidence is kept once. A fork stands for ever: both
files bear the ledger's signature, and no ledger that is one history can have signed both.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from ledger.doors.files import make_folder, unavailable, write_durably
from ledger.doors.sqlite import transaction
from ledger.holder.schema import asking

FOLDER: Final = "evidence"
FORK: Final = "fork"
ROLLBACK: Final = "rollback"
WHAT: Final = "WHAT.txt"

_WHAT = """\
The ledger {origin} signed both files here: "seen" first, and later "shown".
{text}
Check the signatures of both with the ledger's keys (`tally` has them pinned in tallystick.toml,
other tools read them as c2sp.org/signed-note keys), and compute the tree from the tiles.
Keep this folder, show it to the ledger's operator and to others who use the ledger.

此处两个文件均由账本 {origin} 签名：先有 seen，后有 shown，二者不属于同一历史。
请保存此文件夹，并出示给账本运营方及其他使用者。
"""


class Seen:
    """The newest signed file that the ledger of ``origin`` showed, in the vault's ``database``.

    UnavailableError if the database cannot be asked.
    """

    def __init__(self, database: Database, origin: str) -> None:
        self._database = database
        self._origin = origin

    def newest(self) -> bytes | None:
        """The signed file, None before the first."""
        with asking():
            sql = "SELECT file FROM seen WHERE origin = ?"
            row = self._database.conn.execute(sql, (self._origin,)).fetchone()
        return None if row is None else bytes(row[0])

    def replace(self, old: bytes | None, new: bytes) -> bool:
        """Put ``new`` in the place of ``old``, durably; False if another process was first."""
        with transaction(self._database):
            connection = self._database.conn
            if old is None:
                sql = "INSERT OR IGNORE INTO seen (file, origin) VALUES (?, ?)"
                return connection.execute(sql, (new, self._origin)).rowcount == 1
            sql = "UPDATE seen SET file = ? WHERE origin = ? AND file = ?"
            return connection.execute(sql, (new, self._origin, old)).rowcount == 1


class Evidence:
    """The folder of evidence in ``vault``."""

    def __init__(self, vault: Path, origin: str) -> None:
        self._folder = vault / FOLDER
        self._origin = origin

    def save(
        self, kind: str, seen: bytes, shown: bytes, tiles: Mapping[str, bytes], text: str
    ) -> Path:
        """Keep the evidence, durably; the folder it is in. UnavailableError.

        ``tiles``: by path below the log's prefix. If we die in between, the next time it shows
        the same it is written whole.
        """
        name = f"{kind}-{hashlib.sha256(seen + shown).hexdigest()[:16]}"
        folder = self._folder / name
        what = _WHAT.format(origin=self._origin, text=text).encode("utf-8")
        try:
            for path, content in {"seen": seen, "shown": shown, **tiles, WHAT: what}.items():
                target = folder / path
                make_folder(target.parent, mode=0o700)
                write_durably(target, content, overwrite=True)
        except OSError as error:
            raise unavailable("keep evidence in", folder, error) from error
        return folder

    def fork(self) -> Path | None:
        """The folder of a fork that was seen, None if there is none. UnavailableError."""
        try:
            found = sorted(self._folder.glob(f"{FORK}-*/{WHAT}"))
        except OSError as error:
            raise unavailable("read", self._folder, error) from error
        return found[0].parent if found else None
