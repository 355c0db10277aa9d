"""Backups of a vault in a folder: what is there already is not copied again.

    README.txt          what this is
    content/ab/<sha256> every file, once, under the SHA-256 of its bytes
    lists/0001          what each backup holds (``snapshot``), written last

A file of ``content`` is never changed, so an interrupted backup harms none before it. Databases are
copied through SQLite's own backup, while others write: first the vault, then the ledgers and what
else it names. So whatever a restored vault speaks of is there.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ledger.doors.files import (
    digest_stream,
    durable_writer,
    make_folder,
    read_blocks,
    read_limited,
    sync_folder,
    unavailable,
    write_durably,
)
from ledger.doors.sqlite import copy_database
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.holder.snapshot import (
    MAX_SNAPSHOT_BYTES,
    PATHS,
    SavedFile,
    Snapshot,
    format_snapshot,
    parse_snapshot,
)
from ledger.holder.vault import SETTINGS, UNFINISHED
from ledger.record.claims import format_time, parse_time

README = "README.txt"
_README = """\
A backup of a Tallystick vault. Never change a file in it. content/ has every file under its
SHA-256, lists/ says which file is which. Restore: tally vault restore HERE --vault NEW
Whoever can read this folder has the vault's keys, as protected as they are in the vault.

左券保险库的备份。请勿改动任何文件。content/ 按 SHA-256 存放每个文件，lists/ 说明各是什么。
恢复：tally vault restore 此处 --vault 新处
能读此文件夹者即持有保险库的密钥，其保护与库中相同。
"""

_LIST = re.compile(r"[0-9]{4,}")

Files = Iterator[SavedFile]
Progress = Callable[[Sequence[str]], Iterator[str]]
"""Goes through paths, and shows how far it is."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup just made: its list's number, what it holds, and what had to be copied for it."""

    number: int
    snapshot: Snapshot
    new_files: int
    new_bytes: int


class BackupFolder:
    """The backups of one vault in ``folder``. UnavailableError if the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def numbers(self) -> tuple[int, ...]:
        """The backups that are whole, by number, oldest first; NotFoundError if it is no backup."""
        try:
            if not (self._folder / README).is_file():
                hint = "`tally vault backup` makes one"
                raise NotFoundError(f"no backup in {self._folder}", hint=hint)
            names = [path.name for path in (self._folder / "lists").iterdir()]
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise unavailable("read", self._folder, error) from error
        return tuple(sorted(int(name) for name in names if _LIST.fullmatch(name)))

    def read(self, number: int | None = None) -> tuple[int, Snapshot]:
        """The backup of this number, or the newest; NotFoundError, MalformedError."""
        there = self.numbers()
        if not there:
            hint = "the first one was interrupted: make it again"
            raise NotFoundError(f"no whole backup in {self._folder}", hint=hint)
        number = there[-1] if number is None else number
        return number, parse_snapshot(read_limited(self._list(number), MAX_SNAPSHOT_BYTES))

    def make(
        self,
        vault: Path,
        added: Mapping[str, bytes],
        origin: str,
        clock: Callable[[], datetime],
        progress: Progress = iter,
    ) -> Made:
        """Back up the vault in folder ``vault``; ``added``: files by path that are not in it.

        ConflictError if the folder has other files, or lies in the vault.
        """
        self._begin(vault)
        numbers = self.numbers()
        before, newest = self._before(numbers)
        made = format_time(clock())
        saver = _Saver(self._folder / "content", vault, before, newest)
        paths = list(_paths(vault))
        # The order is the promise of this module's first lines.
        databases = sorted((one for one in paths if one.endswith(".sqlite")), reverse=True)
        for path in databases:
            saver.save_database(path)
        for path in progress([one for one in _paths(vault) if not one.endswith(".sqlite")]):
            saver.save(path)
        for path, content in added.items():
            saver.save_bytes(path, content)
        snapshot = Snapshot(made, origin, tuple(sorted(saver.saved)))
        number = (numbers[-1] if numbers else 0) + 1
        # If we die before this line, nothing but files that no list names is left.
        write_durably(self._list(number), format_snapshot(snapshot))
        return Made(number, snapshot, saver.new_files, saver.new_bytes)

    def faults(
        self, files: Iterable[SavedFile], progress: Callable[[Sequence[SavedFile]], Files] = iter
    ) -> tuple[tuple[SavedFile, str], ...]:
        """What is missing or damaged of ``files``, each content once, and why."""
        found: list[tuple[SavedFile, str]] = []
        for one in progress(list({file.sha256: file for file in files}.values())):
            place = self._content(one)
            name = place.relative_to(self._folder).as_posix()
            try:
                with place.open("rb") as file:
                    seen = digest_stream(file)
            except FileNotFoundError:
                found.append((one, f"{name} is missing"))
                continue
            except OSError as error:
                found.append((one, f"{name} cannot be read: {error.strerror or error}"))
                continue
            if (seen.size, seen.sha256) != (one.size, one.sha256):
                found.append((one, f"{name} is damaged"))
        return tuple(found)

    def restore(self, snapshot: Snapshot, vault: Path, progress: Progress = iter) -> None:
        """Write the files of ``snapshot`` to a new vault; ConflictError if there is one.

        Its settings are written last: if we die before, the same call goes on.
        """
        _begin_vault(vault)
        files = {one.path: one for one in snapshot.files}
        settings = files.pop(SETTINGS)
        for path in progress(list(files)):
            self._copy(files[path], vault / path)
        self._copy(settings, vault / SETTINGS)
        (vault / UNFINISHED).unlink(missing_ok=True)

    def _copy(self, one: SavedFile, target: Path) -> None:
        digest = hashlib.sha256()
        with durable_writer(target, overwrite=True) as file:
            for block in read_blocks(self._content(one)):
                digest.update(block)
                file.write(block)
            if digest.digest() != one.sha256:
                raise UnavailableError(f"{one.path} of the backup changed while it was read")

    def _begin(self, vault: Path) -> None:
        target, source = self._folder.resolve(), vault.resolve()
        if target.is_relative_to(source) or source.is_relative_to(target):
            hint = "a folder on another disk"
            raise ConflictError("vault and backup lie within each other", hint=hint)
        try:
            make_folder(target, mode=0o700)
            if not (target / README).exists():
                if any(target.iterdir()):
                    hint = "choose an empty folder, or one that has backups of this vault"
                    raise ConflictError(f"{target} has other files", hint=hint)
                write_durably(target / README, _README.encode("utf-8"))
        except OSError as error:
            raise unavailable("make a backup in", target, error) from error

    def _before(self, numbers: Sequence[int]) -> tuple[dict[str, SavedFile], int]:
        """The files of the newest backup that can be read, and when it was begun (ns)."""
        for number in reversed(numbers):
            try:
                snapshot = self.read(number)[1]
            except MalformedError:
                continue
            begun = int(parse_time(snapshot.made).timestamp()) * 10**9
            return {one.path: one for one in snapshot.files}, begun
        return {}, 0

    def _list(self, number: int) -> Path:
        return self._folder / "lists" / f"{number:04}"

    def _content(self, one: SavedFile) -> Path:
        return _place(self._folder / "content", one.sha256)


class _Saver:
    """Copies files into ``content``. ``before``: files of a backup begun at ``newest`` (ns)."""

    def __init__(
        self, content: Path, vault: Path, before: Mapping[str, SavedFile], newest: int
    ) -> None:
        self._content = content
        self._vault = vault
        self._before = before
        self._newest = newest
        self.saved: list[SavedFile] = []
        self.new_files = 0
        self.new_bytes = 0

    def save(self, path: str) -> None:
        """One file. A kept original or manifest of before is not read again if nobody wrote it."""
        known = self._before.get(path)
        try:
            state = (self._vault / path).stat()
        except OSError as error:
            raise unavailable("back up", self._vault / path, error) from error
        if (
            known is not None
            and path.startswith(("originals/", "manifests/"))
            and (state.st_size == known.size and state.st_mtime_ns < self._newest)
            and self._has(known.sha256, known.size)
        ):
            self.saved.append(known)
            return
        self._put(path, read_blocks(self._vault / path))

    def save_bytes(self, path: str, content: bytes) -> None:
        """One file that has this content."""
        self._put(path, [content])

    def save_database(self, path: str) -> None:
        """A database as it is at one moment, while others write to it."""
        copy = self._content / f"draft-{secrets.token_hex(8)}.sqlite"
        try:
            make_folder(self._content)
            copy_database(self._vault / path, copy)
            self._put(path, read_blocks(copy))
        finally:
            copy.unlink(missing_ok=True)

    def _has(self, sha256: bytes, size: int) -> bool:
        try:
            return _place(self._content, sha256).stat().st_size == size
        except OSError:
            return False

    def _put(self, path: str, blocks: Iterable[bytes]) -> None:
        digest, size = hashlib.sha256(), 0
        draft = self._content / f"draft-{secrets.token_hex(8)}"
        with durable_writer(draft) as file:
            for block in blocks:
                digest.update(block)
                size += len(block)
                file.write(block)
        place = _place(self._content, digest.digest())
        try:
            if self._has(digest.digest(), size):
                draft.unlink()
            else:
                make_folder(place.parent)
                draft.replace(place)
                sync_folder(place.parent)
                self.new_files += 1
                self.new_bytes += size
        except OSError as error:
            raise unavailable("write", place, error) from error
        self.saved.append(SavedFile(path, size, digest.digest()))


def _place(content: Path, sha256: bytes) -> Path:
    name = sha256.hex()
    return content / name[:2] / name


def _paths(vault: Path) -> Iterator[str]:
    """The files of a vault that go into a backup, in order."""
    try:
        found = [path for path in vault.rglob("*") if path.is_file() and not path.is_symlink()]
    except OSError as error:
        raise unavailable("list", vault, error) from error
    names = sorted(path.relative_to(vault).as_posix() for path in found)
    yield from (name for name in names if PATHS.fullmatch(name))


def _begin_vault(vault: Path) -> None:
    """An empty folder for a vault, or one in which a restore was interrupted."""
    try:
        if (vault / SETTINGS).exists():
            hint = "restore never writes into a vault: choose another folder with --vault"
            raise ConflictError(f"there is a vault in {vault} already", hint=hint)
        make_folder(vault, mode=0o700)
        if any(vault.iterdir()) and not (vault / UNFINISHED).exists():
            raise ConflictError(f"{vault} is not empty", hint="choose an empty folder")
    except OSError as error:
        raise unavailable("restore to", vault, error) from error
    write_durably(vault / UNFINISHED, b"", overwrite=True)
