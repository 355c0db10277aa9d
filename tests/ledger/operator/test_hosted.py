"""A hosted ledger's home: made in one go or several, held by one process, never made anew."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest

from ledger.doors.sqlite import turn
from ledger.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    UnavailableError,
)
from ledger.operator.audit import audit
from ledger.operator.batcher import Group
from ledger.operator.guard import Guard
from ledger.operator.hosted import (
    KEYS_FILE,
    SERVING,
    STORE_FILE,
    HostedLedger,
    hosted_keys,
    make_hosted,
    read_settings,
)
from ledger.operator.hosted_settings import SETTINGS_FILE, HostedSettings
from ledger.operator.receipts import find_receipt
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.note import parse_note
from tests.hosting import ORIGIN, START, Clock, entries

SECONDS = 30.0
NAMES = {"attempts.sqlite", "access.sqlite", "diary.sqlite", KEYS_FILE, SERVING, STORE_FILE}


def settings_in(folder: Path) -> HostedSettings:
    return HostedSettings(ORIGIN, str(folder / "away" / "guard.sqlite"), development=True, tsas=())


def opened(home: Path) -> HostedLedger:
    return HostedLedger(home, read_settings(home, {}), clock=Clock())


def guard_of(home: Path) -> Path:
    return Path(read_settings(home, {}).guard)


def lose(path: Path) -> None:
    for tail in ("", "-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)


def size(hosted: HostedLedger) -> int:
    return parse_checkpoint(parse_note(hosted.ledger.checkpoint()).text).size


def test_made_ledger_takes_entries_and_goes_on_when_opened_again(home: Path) -> None:
    groups: list[Group] = []
    commits: list[float] = []
    settings = read_settings(home, {})
    with HostedLedger(
        home, settings, clock=Clock(), observe=groups.append, committed=commits.append
    ) as hosted:
        assert hosted.ledger.closed is None
        hosted.start(scheduled=False)
        assert hosted.batcher.submit(entries(3)).result(SECONDS).indexes == (0, 1, 2)
        assert [group.entries for group in groups] == [3]
        assert len(commits) == 1
        assert commits[0] > 0
        assert hosted.checkpoint_age_seconds >= 0
        assert hosted.has_room
        assert not hosted.schedule.running
    with opened(home) as again:
        assert size(again) == 3
        again.start(scheduled=False)
        assert again.batcher.submit(entries(2, 2)).result(SECONDS).indexes == (2, 3)


def test_scheduled_work_runs_from_start_to_close(home: Path) -> None:
    with opened(home) as hosted:
        hosted.start()
        schedule = hosted.schedule
        assert schedule.running
    assert not schedule.running
    # Nothing was appended for a day, so its first round appended a cover.
    with opened(home) as again:
        assert size(again) == 1
        assert [(cover.index, cover.made) for cover in again.diary.covers()] == [(0, START)]


def test_close_commits_what_waits_and_can_be_said_twice(home: Path) -> None:
    hosted = opened(home)
    hosted.start(scheduled=False)
    answers = [hosted.batcher.submit(entries(1, number)) for number in range(20)]
    hosted.close()
    assert sorted(answer.result(0).indexes[0] for answer in answers) == list(range(20))
    hosted.close()
    with pytest.raises(UnavailableError, match="stopping"):
        hosted.batcher.submit(entries(1))


def test_second_ledger_in_one_folder_is_refused_and_changes_nothing(home: Path) -> None:
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    with pytest.raises(ConflictError, match=f"^there is a ledger in {home}$"):
        make_hosted(home, settings_in(home.parent), Clock())
    assert {path.name: path.read_bytes() for path in home.iterdir()} == before


def test_ledger_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    make_hosted(home, settings_in(tmp_path), Clock())
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}
    assert read_settings(home, {}) == settings_in(tmp_path)


class Crash(BaseException):
    """As if the process had died there, but for what closes behind it."""


WRITES = ("fsync", "link", "mkdir", "execute")
"""What every write goes through, by the names of the system's and SQLite's own functions."""


@contextmanager
def dying_before(number: int) -> Iterator[Callable[[], int]]:
    """Die before write ``number`` (from 1) of the block; gives how many writes there were."""
    count = 0

    def look(frame: FrameType, event: str, function: object) -> None:
        nonlocal count
        if event == "c_call" and getattr(function, "__name__", "") in WRITES:
            count += 1
            if count == number:
                raise Crash

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield lambda: count
    finally:
        sys.setprofile(before)


def die_making(folder: Path, number: int) -> bool:
    """Make a ledger and die before write ``number``; whether there were so many."""
    try:
        with dying_before(number):
            make_hosted(folder / "home", settings_in(folder), Clock())
    except Crash:
        return True
    return False


def check_gone_on_with(folder: Path) -> None:
    """The same call makes the ledger of what is in ``folder``, and it is a sound one."""
    home = folder / "home"
    kept = {path: path.read_bytes() for path in home.glob("*.pem")}
    if (home / SETTINGS_FILE).exists():
        # It was whole already, and this is said.
        with pytest.raises(ConflictError, match="there is a ledger in"):
            make_hosted(home, settings_in(folder), Clock())
    else:
        make_hosted(home, settings_in(folder), Clock())
    assert all(path.read_bytes() == content for path, content in kept.items())
    with opened(home) as hosted:
        assert hosted.ledger.closed is None
        assert hosted.ledger.append(entries(2)) == (0, 1)
        hosted.ledger.stamp()
        with closing(Guard(guard_of(home), create=False)) as guard:
            found = audit(hosted.store, guard, hosted.ledger.keys)
    assert (found.first, found.unchecked, found.size) == ((), (), 2)


@pytest.mark.slow
def test_making_that_died_before_any_write_is_gone_on_with_by_the_same_call(
    tmp_path: Path,
) -> None:
    number = 1
    while die_making(tmp_path / str(number), number):
        check_gone_on_with(tmp_path / str(number))
        number += 1
    assert number > 30


def test_making_that_died_again_and_again_is_gone_on_with(tmp_path: Path) -> None:
    """Each time a little later, in one folder."""
    number = 1
    while not (tmp_path / "home" / SETTINGS_FILE).exists() and die_making(tmp_path, number):
        number += 3
    check_gone_on_with(tmp_path)


def test_two_at_once_are_refused_by_name(home: Path) -> None:
    with opened(home):
        with pytest.raises(UnavailableError, match=f"^another process serves .* {home}$") as raised:
            opened(home)
        assert raised.value.hint == "stop it first"
    opened(home).close()


def test_making_what_another_makes_just_now_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with turn(home / SERVING), pytest.raises(UnavailableError, match="another process serves"):
        make_hosted(home, settings_in(tmp_path), Clock())
    assert not (home / SETTINGS_FILE).exists()
    check_gone_on_with(tmp_path)


def check_closed_but_readable(home: Path, said: str) -> None:
    with opened(home) as hosted:
        assert said in str(hosted.ledger.closed)
        hosted.start()
        assert not hosted.schedule.running
        answer = hosted.batcher.submit(entries(1, 500))
        with pytest.raises(ConflictError, match=said):
            answer.result(SECONDS)
        with pytest.raises(ConflictError, match=said):
            hosted.ledger.stamp()
        assert size(hosted) == 3
        found = find_receipt(hosted.ledger, hosted.store, entries(1)[0])
        assert (found.index, found.size, len(found.stamps)) == (0, 3, 2)


@pytest.fixture
def filled(home: Path) -> Path:
    """The home of a ledger with three entries and their stamps."""
    with opened(home) as hosted:
        hosted.ledger.append(entries(3))
        hosted.ledger.stamp()
    return home


def test_ledger_whose_guard_is_lost_is_closed_and_can_be_read(filled: Path) -> None:
    guard = guard_of(filled)
    guard.rename(guard.with_name("unmounted"))
    for _ in range(2):  # whatever the first opening left behind
        check_closed_but_readable(filled, "its guard is not there")
        assert not guard.exists()
    guard.with_name("unmounted").rename(guard)
    with opened(filled) as hosted:
        assert hosted.ledger.append(entries(2, 3)) == (3, 4)


def test_home_that_cannot_be_locked_is_not_said_to_be_served(filled: Path) -> None:
    (filled / SERVING).unlink(missing_ok=True)
    (filled / SERVING).mkdir()
    with pytest.raises(UnavailableError, match="cannot take a turn"):
        opened(filled)


def test_store_behind_its_guard_is_closed_and_can_be_read(filled: Path) -> None:
    kept = filled.parent / "kept"
    shutil.copytree(filled, kept)
    with opened(filled) as hosted:
        hosted.ledger.append(entries(2, 3))
    lose(filled / STORE_FILE)
    shutil.copy(kept / STORE_FILE, filled)
    check_closed_but_readable(filled, "the store has 3 entries, the guard signed 5")


def test_ledger_that_lost_its_store_is_an_error_and_no_new_one(filled: Path) -> None:
    lose(filled / STORE_FILE)
    for _ in range(2):
        with pytest.raises(NotFoundError, match=f"no such database: {filled / STORE_FILE}"):
            opened(filled)
    assert not (filled / STORE_FILE).exists()


def test_guard_of_another_ledger_is_refused_when_one_is_made(filled: Path, tmp_path: Path) -> None:
    taken = replace(settings_in(tmp_path), guard=str(guard_of(filled)))
    with pytest.raises(ConflictError, match=r"guard\.sqlite is another ledger's"):
        make_hosted(tmp_path / "other", taken, Clock())
    assert not (tmp_path / "other" / SETTINGS_FILE).exists()
    with opened(filled) as hosted:
        assert (hosted.ledger.closed, size(hosted)) == (None, 3)


def test_guard_that_is_there_without_its_ledger_is_not_used_again(filled: Path) -> None:
    settings = read_settings(filled, {})
    shutil.rmtree(filled)
    with pytest.raises(ConflictError, match=r"guard\.sqlite is another ledger's"):
        make_hosted(filled, settings, Clock())


def test_keys_that_others_may_read_are_refused(home: Path) -> None:
    (home / KEYS_FILE).chmod(0o640)
    for _ in range(2):
        with pytest.raises(MalformedError, match="others may read") as raised:
            opened(home)
        assert raised.value.hint == f"chmod 600 {home / KEYS_FILE}"
    with pytest.raises(MalformedError, match="others may read"):
        hosted_keys(home, ORIGIN)
    (home / KEYS_FILE).chmod(0o600)
    opened(home).close()


@pytest.mark.parametrize("name", [KEYS_FILE, "development-1.pem"])
def test_key_files_that_are_damaged_or_gone_are_told_of(home: Path, name: str) -> None:
    content = (home / name).read_bytes()
    (home / name).write_bytes(content[:100])
    with pytest.raises(MalformedError):
        opened(home)
    (home / name).unlink()
    with pytest.raises((NotFoundError, UnavailableError), match=name):
        opened(home)
    assert not (home / name).exists()


def test_folder_without_settings_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=f"^no hosted ledger in {tmp_path}$") as raised:
        read_settings(tmp_path, {})
    assert raised.value.hint == "tally ledger init makes one"


def test_settings_out_of_all_measure_are_not_read(home: Path) -> None:
    (home / SETTINGS_FILE).write_bytes(b"#" * (1 << 20))
    with pytest.raises(MalformedError, match="has more than"):
        read_settings(home, {})


def test_environment_says_where_it_listens(home: Path) -> None:
    assert read_settings(home, {"TALLY_LEDGER_PORT": "1234"}).port == 1234


def test_ledger_with_public_tsas_is_opened_without_asking_them(tmp_path: Path) -> None:
    settings = HostedSettings(ORIGIN, str(tmp_path / "guard.sqlite"))
    make_hosted(tmp_path / "home", settings, Clock())
    assert {path.name for path in (tmp_path / "home").iterdir()} == {*NAMES, SETTINGS_FILE}
    with opened(tmp_path / "home") as hosted:
        assert hosted.ledger.append(entries(1)) == (0,)
        assert hosted.settings.tsa_names == ("digicert", "sectigo", "globalsign")


def test_room_is_what_is_free_where_there_is_least(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {home: 1 << 40, home.parent: 1 << 20}
    monkeypatch.setattr("ledger.operator.hosted.free_bytes", free.__getitem__)
    with opened(home) as hosted:
        assert (hosted.free_bytes(), hosted.has_room) == (1 << 20, False)
        with pytest.raises(UnavailableError, match="1 MiB free"):
            hosted.ledger.append(entries(1))
