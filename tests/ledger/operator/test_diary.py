"""The diary of a hosted ledger: secrets of covers first, and since when trees wait."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.errors import MalformedError, UnavailableError
from ledger.operator.diary import Cover, Diary, Stamped, Wait
from ledger.record.record import cover_entry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = b"s" * 32
ENTRY = cover_entry(SECRET)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "diary.sqlite"


@pytest.fixture
def diary(path: Path) -> Iterator[Diary]:
    made = Diary(path)
    yield made
    made.close()


def test_new_diary_knows_nothing(diary: Diary) -> None:
    assert (diary.covers(), diary.queued(), diary.waits()) == ((), (), ())
    assert (diary.latest(), diary.last_wait()) == (None, None)


def test_cover_is_queued_until_it_has_its_index_and_its_secret_stays(
    diary: Diary, path: Path
) -> None:
    diary.add_cover(ENTRY, SECRET, NOW)
    assert diary.queued() == (ENTRY,)
    diary.place([ENTRY], [7])
    again = Diary(path)
    assert again.queued() == ()
    assert again.covers() == (Cover(ENTRY, SECRET, NOW, 7),)
    again.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_wait_is_kept_as_it_was_first_seen(diary: Diary) -> None:
    diary.note_wait(Wait(5, NOW))
    diary.note_wait(Wait(5, NOW + HOUR))
    diary.note_wait(Wait(9, NOW + 2 * HOUR))
    assert diary.waits() == (Wait(5, NOW), Wait(9, NOW + 2 * HOUR))
    assert diary.waits(NOW + HOUR) == (Wait(9, NOW + 2 * HOUR),)
    assert diary.last_wait() == Wait(9, NOW + 2 * HOUR)


def test_latest_is_of_covers_and_waits_alike(diary: Diary) -> None:
    diary.note_wait(Wait(1, NOW))
    assert diary.latest() == NOW
    diary.add_cover(ENTRY, SECRET, NOW + HOUR)
    assert diary.latest() == NOW + HOUR
    diary.note_wait(Wait(2, NOW + 2 * HOUR))
    assert diary.latest() == NOW + 2 * HOUR


def test_times_of_tokens_are_kept_wholly_and_given_from_the_last_tree_before(
    diary: Diary,
) -> None:
    tiny = timedelta(microseconds=1)
    kept = (
        Stamped(1, "one", NOW - 3 * HOUR),
        Stamped(2, "one", NOW - HOUR - tiny),
        Stamped(2, "two", NOW - HOUR + tiny),
        Stamped(5, "one", NOW),
    )
    diary.note_stamped(kept)
    diary.note_stamped([Stamped(5, "one", NOW + HOUR)])
    assert diary.stamped(NOW - HOUR) == kept[1:]
    assert diary.stamped(NOW - 9 * HOUR) == kept
    assert diary.stamped(NOW + HOUR) == kept[3:]


def test_diary_of_another_kind_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (one)")
    with pytest.raises(MalformedError, match="diary has schema 0, want 1"):
        Diary(path)


def test_diary_that_lost_its_tables_is_unavailable(diary: Diary, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE covers")
    with pytest.raises(UnavailableError, match="the diary could not be asked"):
        diary.queued()
