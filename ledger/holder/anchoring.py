"""Anchoring: from a carrier to a record in the vault, and from there to the ledger.

The order is the promise. Kept originals and manifest first, then the record, durably; only then
the ledger. If we die at any point, what the vault has is sent at the next opportunity, in order;
a record the ledger has already keeps its first index.
"""

import hashlib
import mimetypes
import os
import platform
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from ledger import __version__
from ledger.doors.carrier import FileCarrier, FolderCarrier
from ledger.doors.client import Ledger, StampReport
from ledger.doors.pieces import choose_scheme, read_parts
from ledger.errors import MalformedError
from ledger.holder.captures import Capture
from ledger.holder.records import KEYS, StoredRecord
from ledger.holder.said import Unread, Wish, check_wish
from ledger.holder.signing import Signer
from ledger.holder.successions import SUCCESSIONS, Succession
from ledger.holder.vault import Vault
from ledger.record.claims import format_time
from ledger.record.manifest import FileEntry, make_lines
from ledger.record.parts import make_part_lines
from ledger.record.record import cover_entry, heartbeat_due
from ledger.record.sdjwt import RandomBytes
from ledger.record.strict_json import JsonValue

MAX_BATCH = 1000
"""Entries sent to the ledger in one call."""

LINES_AT_ONCE = 4096
"""Manifest lines held in memory: each is as big as all else that is known of its file."""

_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}")


@dataclass(frozen=True, slots=True)
class Anchored:
    """What became of one carrier: its record, and whether it is new or was there unchanged.

    ``kept`` originals are new in this call; ``not_kept``, of a new record, were above the limit.
    """

    record: StoredRecord
    new: bool
    kept: int = 0
    not_kept: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of one carrier while the keys were locked; ``capture``: None if it is recorded.

    The rest is as in ``Anchored``.
    """

    capture: Capture | None
    new: bool
    kept: int = 0
    not_kept: tuple[tuple[str, int], ...] = ()


class Anchorer:
    """Makes records in one vault and sends them to one ledger. ``signer``: signs them."""

    def __init__(
        self,
        vault: Vault,
        ledger: Ledger,
        *,
        clock: Callable[[], datetime],
        random_bytes: RandomBytes,
    ) -> None:
        self._vault = vault
        self._ledger = ledger
        self._clock = clock
        self._random_bytes = random_bytes
        self._originals = vault.originals
        self.signer = Signer(vault, ledger, clock=clock, random_bytes=random_bytes)

    def anchor(self, carrier: FileCarrier | FolderCarrier, wish: Wish) -> Anchored:
        """Record ``carrier`` as it was read; the same content again makes no new record.

        MalformedError for a wish or names that no record can hold; UnavailableError if the carrier
        changed since it was read, or the vault is another's turn.
        """
        self.check(carrier.path, wish)
        if wish.parts and isinstance(carrier, FolderCarrier):
            hint = "leave out --parts: of a folder, single files can be shown"
            raise MalformedError(f"{carrier.path} is a folder: parts are of one file", hint=hint)
        content = content_of(carrier)
        # Copies are kept by content and take long: outside of the turn. If we die here they lie in
        # the vault without a record, and serve the next try.
        kept, not_kept = self._keep(carrier, wish)
        with self._vault.turn():
            previous = self._vault.records.latest_of_path(str(carrier.path), wish.notebook)
            if previous is not None and previous.content == content and not wish.again:
                return Anchored(previous, False, kept)
            record = self.signer.issue(self._capture(carrier, wish, content), previous)
            return Anchored(record, True, kept, not_kept)

    def check(self, path: Path, wish: Wish) -> None:
        """MalformedError if ``path`` cannot be anchored here, or ``wish`` not be recorded.

        Asked before a carrier is read, it spares reading what is refused anyway.
        """
        vault, place = (Path(os.path.realpath(one)) for one in (self._vault.folder, path))
        hint = "move the vault out, or anchor the folders beside it one by one"
        if vault.is_relative_to(place):
            raise MalformedError(f"the vault lies inside {place}", hint=hint)
        if place.is_relative_to(vault):
            raise MalformedError(f"{place} lies inside the vault", hint="anchor your own files")
        self._check_wish(wish)

    def _check_wish(self, wish: Wish) -> None:
        if wish.notebook == KEYS:
            text = f"the notebook {KEYS!r} is the key chain's"
            raise MalformedError(text, hint="choose another name")
        check_wish(wish)

    def anchor_unread(self, carrier: Unread, wish: Wish) -> Anchored:
        """Record ``carrier``, of which nothing was read here; nothing is kept of it.

        The same digest again makes no new record. Errors as in ``anchor``.
        """
        self._check_wish(wish)
        if wish.parts:
            hint = "leave out --parts, or give the file itself"
            raise MalformedError("parts are of a file that is read", hint=hint)
        with self._vault.turn():
            previous = None
            if carrier.path is not None:
                previous = self._vault.records.latest_of_path(carrier.path, wish.notebook)
            if previous is not None and not wish.again:
                return Anchored(previous, False)
            return Anchored(self.signer.issue(self._capture_unread(carrier, wish), previous), True)

    def queue(self, carrier: FileCarrier | FolderCarrier | Unread, wish: Wish) -> Queued:
        """As ``anchor`` while the keys are locked: ``carrier`` is captured, and signed later.

        What waits, or was recorded, with the same content is not captured again.
        """
        kept: int = 0
        not_kept: tuple[tuple[str, int], ...] = ()
        if isinstance(carrier, Unread):
            self._check_wish(wish)
            content = carrier.sha256 or ""
        else:
            self.check(carrier.path, wish)
            content = content_of(carrier)
            kept, not_kept = self._keep(carrier, wish)
        with self._vault.turn():
            place = str(carrier.path or ""), wish.notebook
            waiting = self._vault.captures.latest_of_path(*place)
            last = waiting or self._vault.records.latest_of_path(*place)
            if last is not None and last.content == content and not wish.again:
                return Queued(waiting, False, kept)
            if isinstance(carrier, Unread):
                capture = self._capture_unread(carrier, wish)
            else:
                capture = self._capture(carrier, wish, content)
            return Queued(self._vault.captures.add(capture), True, kept, not_kept)

    def cover(self) -> None:
        """Append one cover entry: a heartbeat that says nothing, its secret kept."""
        secret = self._random_bytes(32)
        with self._vault.turn():
            self._vault.records.add_cover(cover_entry(secret), secret, self._clock())

    def heartbeat(self) -> bool:
        """A cover, for ``send``, if no entry was made for a day; whether there is one.

        So a ledger in which nothing is anchored shows that it ran, and its outages.
        """
        if not heartbeat_due(self._vault.records.latest_entry(), self._clock()):
            return False
        self.cover()
        return True

    def announce(self, closed: Succession, earlier: Ledger) -> None:
        """Record which ledger this one follows, unless it is recorded; and cover its first entry.

        ``earlier``: the closed ledger. Its last receipts are kept.
        """
        secret, now = self._random_bytes(32), self._clock()
        predecessor: dict[str, JsonValue] = {
            "origin": closed.origin,
            "size": closed.size,
            "root": closed.root.hex(),
        }
        claims: dict[str, JsonValue] = {
            "kind": "successor",
            "trigger": "automatic",
            "notebook": SUCCESSIONS,
            "captured_time": format_time(now),
            "predecessor": predecessor,
        }
        if not self._announced():
            # The passphrase is asked for before the turn: who types holds up nobody.
            self._vault.lock.identity()
        with self._vault.turn():
            self._vault.receipts.keep(earlier, self._vault.config.wanted)
            if self._announced():
                return
            self._vault.records.add_cover(cover_entry(secret), secret, now)
            # If we die here, the next call adds one more cover.
            capture = Capture(now, SUCCESSIONS, claims, {}, None, closed.root.hex(), None)
            self.signer.issue(capture, None)

    def _announced(self) -> bool:
        head = self._vault.records.head(SUCCESSIONS)
        return head is not None and head.chain == self._vault.records.chain_of(SUCCESSIONS)

    def send(self) -> int:
        """Send what the ledger has not acknowledged, in order; how many there were."""
        with self._vault.turn():
            records = self._vault.records
            waiting = [*records.queued_covers(), *records.queued()]
            for start in range(0, len(waiting), MAX_BATCH):
                batch = waiting[start : start + MAX_BATCH]
                indexes = self._ledger.append(batch)
                # If we die here the same entries are sent again, and keep their indexes.
                self._vault.records.set_indexes(
                    dict(zip(batch, indexes, strict=True)), self._ledger.origin
                )
            return len(waiting)

    def stamp(self) -> StampReport | None:
        """Ask the ledger for stamps over its newest checkpoint, and keep the receipts they make.

        None if the ledger is empty. If we die in between, the next stamp or bundle keeps them.
        """
        with self._vault.turn():
            report = self._ledger.stamp()
            self._vault.receipts.keep(self._ledger, self._vault.config.wanted)
            return report

    def _keep(
        self, carrier: FileCarrier | FolderCarrier, wish: Wish
    ) -> tuple[int, tuple[tuple[str, int], ...]]:
        if wish.keep is False:
            return 0, ()
        limit = self._vault.config.keep_limit_bytes
        not_kept: list[tuple[str, int]] = []
        new: list[bytes] = []
        for path, entry in files_of(carrier):
            if wish.keep is None and entry.size > limit:
                not_kept.append((entry.path, entry.size))
            elif self._originals.keep(path, entry.sha256):
                new.append(entry.sha256)
        # If we die before this line they are found in the folder when it is next gone through.
        self._vault.kept.note(new)
        return len(new), tuple(not_kept)

    def _carrier_claims(
        self, carrier: FileCarrier | FolderCarrier
    ) -> tuple[dict[str, JsonValue], str | None]:
        """The claims under ``carrier``, and the hex root of a folder's manifest."""
        if isinstance(carrier, FileCarrier):
            entry = carrier.entry
            claims: dict[str, JsonValue] = {
                "name": entry.path,
                "size": entry.size,
                "mtime": entry.mtime,
                "sha256": entry.sha256.hex(),
            }
            if entry.sm3 is not None:
                claims["sm3"] = entry.sm3.hex()
            media_type = mimetypes.guess_type(entry.path)[0] or ""
            if _MEDIA_TYPE.fullmatch(media_type):
                claims["media_type"] = media_type
            return claims, None
        root, count = self._vault.manifests.write(self._lines(carrier.entries))
        manifest: dict[str, JsonValue] = {"root": root.hex(), "count": count}
        size = sum(entry.size for entry in carrier.entries)
        return {"name": carrier.path.name or "/", "size": size, "manifest": manifest}, root.hex()

    def _parts_claim(self, carrier: FileCarrier, wanted: bool | None) -> dict[str, JsonValue]:
        """The claim ``parts`` if the file has them, its lines kept as those of a manifest are."""
        scheme = choose_scheme(carrier.path, carrier.entry.size, wanted)
        if scheme is None:
            return {}
        parts = read_parts(carrier.path, carrier.entry, scheme)
        batches = iter(lambda: list(islice(parts, LINES_AT_ONCE)), [])
        lines = (make_part_lines(batch, self._random_bytes) for batch in batches)
        root, count = self._vault.manifests.write(lines)
        return {"parts": {"scheme": scheme, "root": root.hex(), "count": count}}

    def _lines(self, entries: Sequence[FileEntry]) -> Iterator[list[str]]:
        """The manifest lines of ``entries``, which are in order of path, some at a time."""
        # make_lines sees only the names it is given: those alike in two batches are found here.
        seen: set[str] = set()
        for entry in entries:
            name = unicodedata.normalize("NFC", entry.path)
            if name in seen:
                hint = "two such names are one file on some systems: rename one"
                raise MalformedError(f"path {name!r} is there twice under NFC", hint=hint)
            seen.add(name)
        del seen
        for start in range(0, len(entries), LINES_AT_ONCE):
            yield make_lines(entries[start : start + LINES_AT_ONCE], self._random_bytes)

    def _capture(self, carrier: FileCarrier | FolderCarrier, wish: Wish, content: str) -> Capture:
        """All that the record of ``carrier`` will say but its place and its bounds."""
        now = self._clock()
        claims = self._claims(wish, now)
        carrier_claims, manifest = self._carrier_claims(carrier)
        if isinstance(carrier, FileCarrier):
            carrier_claims |= self._parts_claim(carrier, wish.parts)
        path = str(carrier.path)
        return Capture(now, wish.notebook, claims, carrier_claims, path, content, manifest)

    def _capture_unread(self, carrier: Unread, wish: Wish) -> Capture:
        now = self._clock()
        claims, content = self._claims(wish, now), carrier.sha256 or ""
        return Capture(now, wish.notebook, claims, carrier.claims, carrier.path, content, None)

    def _claims(self, wish: Wish, now: datetime) -> dict[str, JsonValue]:
        """What ``wish`` says, and what every record of this vault says."""
        made = {"tool": f"tallystick {__version__}", "os": platform.system() or "?"}
        said = wish.said
        match said.get("environment"):
            case dict() as environment:
                made |= environment
        return {**said, "captured_time": format_time(now), "environment": {**made}}


def content_of(carrier: FileCarrier | FolderCarrier) -> str:
    """Hex of what tells two versions of a carrier apart: names, sizes and digests, not times."""
    if isinstance(carrier, FileCarrier):
        return carrier.entry.sha256.hex()
    digest = hashlib.sha256()
    for entry in carrier.entries:
        row = f"{len(entry.path.encode())}:{entry.path}{entry.sha256.hex()}{entry.skipped or ''}\n"
        digest.update(row.encode("utf-8"))
    return digest.hexdigest()


def files_of(carrier: FileCarrier | FolderCarrier) -> Iterator[tuple[Path, FileEntry]]:
    """Each file that was read, with where it lies on disk."""
    if isinstance(carrier, FileCarrier):
        yield carrier.path, carrier.entry
        return
    for one in carrier.entries:
        if one.skipped is None:
            yield carrier.path / one.path, one
