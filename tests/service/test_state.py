"""The state that the pages show, read from a real ledger and its schedule."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import flask
import pytest

from ledger.doors.http import NoAnswer
from ledger.errors import NotFoundError
from ledger.operator.gaps import SILENT
from ledger.operator.schedule import Schedule
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import format_vkey
from service.pages import Legal, make_pages
from service.state import DAYS, FRESH_SECONDS, EntryState, StateReader, read_entry
from tests.ledger.operator.test_schedule import DAY, HOUR, MINUTE, NOW, Hosted
from tests.sequencer_checks import KEYS, entries
from tests.service.test_pages import OPENAPI


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[Hosted]:
    made = Hosted(tmp_path)
    yield made
    made.diary.close()
    made.guard.close()


@pytest.fixture
def schedule(hosted: Hosted) -> Schedule:
    return hosted.schedule()


@pytest.fixture
def reader(hosted: Hosted, schedule: Schedule) -> StateReader:
    return StateReader(
        hosted.ledger,
        schedule,
        hosted.diary,
        tsas=["one"],
        wanted=1,
        stamp_interval=timedelta(0),
        clock=hosted.clock,
        development=False,
    )


def test_new_ledger_is_empty_and_waits_for_nothing(reader: StateReader) -> None:
    state = reader.read()
    assert (state.size, state.root, state.stamped, state.waiting_since) == (0, None, 0, None)
    assert (state.gaps, state.closed, dict(state.faults)) == ((), None, {})
    assert len(state.days) == DAYS
    assert state.origin == KEYS.origin
    assert state.keys == tuple(map(format_vkey, KEYS.public_keys()))


def test_stamped_ledger_shows_its_last_token(
    hosted: Hosted, schedule: Schedule, reader: StateReader
) -> None:
    schedule.round()
    state = reader.read()
    assert (state.size, state.stamped, state.waiting_since) == (1, 1, None)
    (one,) = state.tsas
    assert one.last is not None
    assert (one.last.size, one.last.moment, one.reason) == (1, NOW, None)
    assert [(day.day, day.entries) for day in state.days if day.entries] == [(NOW.date(), 1)]


def test_what_is_waited_for_is_told_since_when_and_why(
    hosted: Hosted, schedule: Schedule, reader: StateReader
) -> None:
    schedule.round()
    hosted.tsa.fault = NoAnswer("timeout", "no answer")
    hosted.clock.now = NOW + HOUR
    hosted.ledger.append(entries(0, 5))
    schedule.round()
    hosted.clock.now = NOW + HOUR + MINUTE
    state = reader.read()
    assert (state.size, state.stamped, state.waiting_since) == (6, 1, NOW + HOUR)
    assert state.tsas[0].reason == "timeout: no answer"
    hosted.tsa.fault = None
    schedule.round()
    hosted.clock.now += timedelta(seconds=FRESH_SECONDS)
    state = reader.read()
    assert (state.stamped, state.waiting_since, state.tsas[0].reason) == (6, None, None)
    assert max(day.delay for day in state.days if day.delay is not None) == MINUTE


def test_outage_of_days_shows_as_a_gap_after_the_restart(
    hosted: Hosted, schedule: Schedule, reader: StateReader
) -> None:
    schedule.round()
    hosted.clock.now = NOW + 3 * DAY
    hosted.schedule().round()
    (gap,) = reader.read().gaps
    assert (gap.kind, gap.start, gap.stop) == (SILENT, NOW, NOW + 3 * DAY)


def test_one_reading_serves_for_some_seconds(
    hosted: Hosted, schedule: Schedule, reader: StateReader
) -> None:
    first = reader.read()
    schedule.round()
    assert reader.read() is first
    hosted.clock.now += timedelta(seconds=FRESH_SECONDS)
    assert reader.read().size == 1


def test_entry_tells_the_first_tree_and_the_first_stamp_with_it(
    hosted: Hosted, schedule: Schedule
) -> None:
    schedule.round()
    hosted.ledger.append(entries(0, 3))
    hosted.ledger.append(entries(3, 4))
    hosted.clock.now = NOW + HOUR
    schedule.round()
    hosted.ledger.append(entries(4, 300))
    read = read_entry(hosted.ledger, hosted.store, ["one"], 2)
    assert (read.entry, read.leaf_hash) == (entries(1, 2)[0], leaf_hash(entries(1, 2)[0]))
    assert (read.size, read.checkpoint) == (301, 4)
    assert [(one.size, one.moment) for one in read.stamps] == [(5, NOW + HOUR)]
    assert read.paths == ("tile/entries/000", "tile/0/000")
    late = read_entry(hosted.ledger, hosted.store, ["one"], 300)
    assert (late.checkpoint, late.stamps) == (301, ())
    assert late.paths == ("tile/entries/001.p/45", "tile/0/001.p/45")


def test_entry_shows_a_stamp_of_each_tsa_however_late_it_came(hosted: Hosted) -> None:
    hosted.ledger.append(entries(0, 1))
    hosted.ledger.stamp()
    hosted.ledger.append(entries(1, 2))
    hosted.tsa.name = "two"
    hosted.clock.now = NOW + HOUR
    hosted.ledger.stamp()
    read = read_entry(hosted.ledger, hosted.store, ["one", "two", "three"], 0)
    assert {one.tsa: one.size for one in read.stamps} == {"one": 1, "two": 2}


@pytest.mark.parametrize("index", [-1, 1, 2**70])
def test_entry_that_is_not_there_is_not_found(hosted: Hosted, index: int) -> None:
    with pytest.raises(NotFoundError):
        read_entry(hosted.ledger, hosted.store, [], 0)
    hosted.ledger.append(entries(0, 1))
    with pytest.raises(NotFoundError, match="the ledger has 1"):
        read_entry(hosted.ledger, hosted.store, [], index)


def test_pages_of_a_real_ledger_show_it(
    hosted: Hosted, schedule: Schedule, reader: StateReader
) -> None:
    app = flask.Flask(__name__, static_folder=None)

    def read_one(index: int) -> EntryState:
        return read_entry(hosted.ledger, hosted.store, ["one"], index)

    app.register_blueprint(make_pages(reader.read, read_one, OPENAPI, Legal()))
    with app.test_client() as client:
        assert "nothing was appended yet" in client.get("/").text
        assert client.get("/entries/0").status_code == 404
        schedule.round()
        hosted.clock.now += HOUR
        page = client.get("/").text
        assert "1 of 1<" in page
        assert "Entries stamped in 30 days: 1;" in page
        assert hosted.diary.covers()[0].entry.hex() in client.get("/entries/0").text
