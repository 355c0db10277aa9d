"""Access: tokens shown once, one refusal for whatever is wrong, quotas of a day and rates."""

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.operator.access import FRESH_SECONDS, WRITE_SECONDS, Access, LimitError
from ledger.operator.grant import format_token, parse_expiry, parse_token_text

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clocks:
    """A wall clock and a monotonic one that stand still until they are told."""

    def __init__(self) -> None:
        self.now = START
        self.seconds = 100.0

    def wall(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "access.sqlite"


@pytest.fixture
def access(path: Path, clocks: Clocks) -> Iterator[Access]:
    made = Access(path, clock=clocks.wall, monotonic=clocks.monotonic)
    yield made
    made.close()


def test_token_text_is_written_and_read_back() -> None:
    text = format_token("0a1b2c3d", bytes(range(32)))
    assert text == "tally_0a1b2c3d_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert parse_token_text(text) == ("0a1b2c3d", bytes(range(32)))


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=32, max_size=32))
def test_token_text_has_one_form(id_: bytes, secret: bytes) -> None:
    text = format_token(id_.hex(), secret)
    assert parse_token_text(text) == (id_.hex(), secret)
    for number in range(len(text)):
        with pytest.raises(MalformedError):
            parse_token_text(text[:number])
        try:
            changed = text[:number] + chr(ord(text[number]) ^ 1) + text[number + 1 :]
            assert parse_token_text(changed) != (id_.hex(), secret)
            assert format_token(*parse_token_text(changed)) == changed
        except MalformedError:
            continue


@given(st.text())
def test_what_is_no_token_is_refused_whatever_it_is(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_token_text(text)


def test_new_token_is_good_for_what_it_was_made_for(access: Access) -> None:
    end = START + timedelta(days=30)
    text = access.new("lab-7", ("admin", "append", "append"), end, quota=10, rate=3)
    grant = access.check(text)
    assert re.fullmatch(r"tally_[0-9a-f]{8}_[0-9A-Za-z_-]{43}", text)
    assert text.startswith(f"tally_{grant.id}_")
    assert (grant.account, grant.scopes) == ("lab-7", ("append", "admin"))
    assert (grant.made, grant.expires, grant.revoked) == (START, end, None)
    assert (grant.quota, grant.rate) == (10, 3)


def test_token_file_is_its_owners_and_has_no_secret_in_it(access: Access, path: Path) -> None:
    text = access.new("lab")
    secret = parse_token_text(text)[1]
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT * FROM tokens").fetchone()
    assert row[3] == hashlib.sha256(secret).digest()
    kept = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert secret not in kept
    assert text.rsplit("_", 1)[1].encode() not in kept
    assert text not in repr(access.check(text))


def test_whatever_is_wrong_with_a_token_the_refusal_is_the_same(
    access: Access, clocks: Clocks
) -> None:
    good = access.new("lab")
    id_, secret = parse_token_text(good)
    expired = access.new("lab", expires=START + timedelta(seconds=1))
    revoked = access.new("lab")
    access.revoke(revoked[6:14])
    clocks.now += timedelta(seconds=1)
    bad = (
        format_token(id_, bytes(32)),
        format_token("00000000", secret),
        expired,
        revoked,
        good[:-1],
        good + "A",
        good.upper(),
        f" {good}",
        "",
        "\ud800",
        "tally_",
        "x" * 100_000,
    )
    refusals = set()
    for text in bad:
        with pytest.raises(NotFoundError) as caught:
            access.check(text)
        refusals.add((str(caught.value), caught.value.hint))
        assert caught.value.__cause__ is None
    assert len(refusals) == 1
    assert access.check(good).id == id_


def test_token_expires_at_its_moment_and_not_before(access: Access, clocks: Clocks) -> None:
    text = access.new("lab", expires=START + timedelta(hours=1))
    clocks.now += timedelta(minutes=59, seconds=59)
    access.check(text)
    clocks.now += timedelta(seconds=1)
    with pytest.raises(NotFoundError):
        access.check(text)


def test_expiry_without_a_time_zone_is_a_callers_mistake(access: Access) -> None:
    with pytest.raises(ValueError, match="time zone"):
        access.new("lab", expires=datetime(2027, 1, 1))  # noqa: DTZ001


def test_revoking_is_seen_by_another_process_and_stays_in_the_list(
    access: Access, path: Path, clocks: Clocks
) -> None:
    text = access.new("lab")
    other = Access(path, clock=clocks.wall)
    first = other.revoke(access.check(text).id)
    other.close()
    clocks.seconds += FRESH_SECONDS
    with pytest.raises(NotFoundError, match="no such token"):
        access.check(text)
    clocks.now += timedelta(hours=1)
    assert access.revoke(first.id) == first
    assert [grant for grant, _ in access.list()] == [first]
    assert first.revoked == START


def test_a_token_is_read_anew_after_a_while_and_whoever_guesses_fills_nothing(
    access: Access, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, asked = access.new("lab"), []
    read = access._asking
    monkeypatch.setattr(access, "_asking", lambda: asked.append(1) or read())
    for seconds, reads in ((0, 1), (0, 1), (FRESH_SECONDS / 2, 1), (FRESH_SECONDS / 2, 2), (0, 2)):
        clocks.seconds += seconds
        access.check(text)
        assert len(asked) == reads
    for number in range(3):
        with pytest.raises(NotFoundError):
            access.check(format_token(f"{number:08x}", bytes(32)))
    assert len(access._read) == 1
    # In the process that revokes it is over at once.
    access.revoke(text[6:14])
    with pytest.raises(NotFoundError):
        access.check(text)


def test_revoking_what_is_not_there_says_so(access: Access) -> None:
    with pytest.raises(NotFoundError, match="no token has the id"):
        access.revoke("00000000")


@pytest.mark.parametrize("account", ["", "Lab", "-lab", "a b", "lab\n", "x" * 65, "é", "٣"])
def test_account_that_would_confuse_a_log_is_refused(access: Access, account: str) -> None:
    with pytest.raises(MalformedError, match="account is"):
        access.new(account)
    assert access.list() == ()


@pytest.mark.parametrize("scopes", [(), ("read",), ("append", "root")])
def test_unknown_scope_is_refused(access: Access, scopes: tuple[str, ...]) -> None:
    with pytest.raises(MalformedError, match="scopes are"):
        access.new("lab", scopes)


@pytest.mark.parametrize("limit", [0, -1, 10**9 + 1, 10**25])
def test_limit_that_cannot_be_is_refused(access: Access, limit: int) -> None:
    with pytest.raises(MalformedError, match=f"quota is {limit}, want 1 to 1000000000"):
        access.new("lab", quota=limit)
    with pytest.raises(MalformedError, match=f"rate is {limit}, want 1 to 1000000000"):
        access.new("lab", rate=limit)


def test_id_that_is_taken_is_drawn_again(path: Path) -> None:
    drawn = iter([b"aaaa", b"1" * 32, b"aaaa", b"2" * 32, b"bbbb", b"3" * 32])
    access = Access(path, random_bytes=lambda _: next(drawn))
    first, second = access.new("lab"), access.new("lab")
    assert (first[6:14], second[6:14]) == ("61616161", "62626262")
    assert parse_token_text(second)[1] == b"3" * 32
    assert access.check(first).id == "61616161"
    access.close()


def test_quota_is_of_one_utc_day(access: Access, clocks: Clocks) -> None:
    grant = access.check(access.new("lab", quota=100))
    assert access.spend(grant, 60) == 40
    with pytest.raises(LimitError, match="has 40 left, want 41") as caught:
        access.spend(grant, 41)
    assert caught.value.retry_after_seconds == 12 * 3600
    assert access.spend(grant, 40) == 0
    clocks.now = datetime(2026, 3, 2, tzinfo=UTC)
    assert access.spend(grant, 1) == 99


def test_what_was_not_appended_is_given_back(access: Access, clocks: Clocks) -> None:
    grant = access.check(access.new("lab", quota=100))
    access.give_back(grant, 5)
    access.spend(grant, 60)
    access.give_back(grant, 60)
    assert access.spend(grant, 100) == 0
    clocks.now += timedelta(days=1)
    access.give_back(grant, 100)
    assert access.spend(grant, 100) == 0


def test_token_without_a_quota_is_counted_and_not_limited(access: Access) -> None:
    grant = access.check(access.new("lab"))
    assert access.spend(grant, 1_000_000) is None
    assert access.list() == ((grant, 1_000_000),)


def test_spending_nothing_is_a_callers_mistake(access: Access) -> None:
    with pytest.raises(ValueError, match="want 1 or more"):
        access.spend(access.check(access.new("lab")), 0)


def test_quota_is_written_behind_and_goes_on_after_a_restart(path: Path, clocks: Clocks) -> None:
    first = Access(path, clock=clocks.wall, monotonic=clocks.monotonic)
    text = first.new("lab", quota=100)
    first.spend(first.check(text), 10)
    onlooker = Access(path, clock=clocks.wall)
    assert onlooker.list()[0][1] == 0
    first.write_if_due()
    assert onlooker.list()[0][1] == 0
    clocks.seconds += WRITE_SECONDS
    first.write_if_due()
    first.spend(first.check(text), 10)
    assert onlooker.list()[0][1] == 10
    assert first.list()[0][1] == 20
    first.spend(first.check(text), 10)
    first.close()
    assert onlooker.list()[0][1] == 30
    assert onlooker.spend(onlooker.check(text), 70) == 0
    onlooker.close()


def test_quota_of_many_threads_is_never_overspent(access: Access) -> None:
    grant = access.check(access.new("lab", quota=100))
    spent = []

    def spend() -> None:
        for _ in range(50):
            try:
                spent.append(access.spend(grant, 1))
            except LimitError:
                return

    threads = [Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(left for left in spent if left is not None) == list(range(100))


def test_rate_lets_two_seconds_of_requests_through_at_once(access: Access, clocks: Clocks) -> None:
    grant = access.check(access.new("lab", rate=3))
    for _ in range(6):
        access.pace(grant)
    with pytest.raises(LimitError, match="more than 3 requests a second") as caught:
        access.pace(grant)
    assert caught.value.retry_after_seconds == 1
    # A refused request costs nothing: nobody locks himself out.
    clocks.seconds += 0.34
    access.pace(grant)
    with pytest.raises(LimitError):
        access.pace(grant)
    clocks.seconds += 1000
    for _ in range(6):
        access.pace(grant)
    with pytest.raises(LimitError):
        access.pace(grant)


def test_rate_of_one_token_is_not_anothers(access: Access) -> None:
    one, two = (access.check(access.new("lab", rate=1)) for _ in range(2))
    for grant in (one, one, two, two):
        access.pace(grant)
    with pytest.raises(LimitError):
        access.pace(one)


def test_token_without_a_rate_is_not_held_up(access: Access) -> None:
    grant = access.check(access.new("lab"))
    for _ in range(1000):
        access.pace(grant)


def test_file_of_another_kind_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (one)")
    with pytest.raises(MalformedError, match="access has schema 0, want 1"):
        Access(path)


def test_file_that_is_no_database_is_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, for sure" * 100)
    with pytest.raises(UnavailableError):
        Access(path)
    assert path.read_bytes() == b"not a database, for sure" * 100


def test_tokens_that_cannot_be_asked_are_unavailable_and_not_refused(
    access: Access, path: Path
) -> None:
    text = access.new("lab")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE spent")
        connection.execute("DROP TABLE tokens")
    with pytest.raises(UnavailableError, match="the tokens could not be asked"):
        access.check(text)


def test_quota_is_not_taken_if_what_was_spent_cannot_be_written(
    access: Access, path: Path, clocks: Clocks
) -> None:
    grant = access.check(access.new("lab", quota=100))
    access.spend(grant, 10)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE spent RENAME TO moved")
    clocks.seconds += WRITE_SECONDS
    access.write_if_due()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            access.spend(grant, 10)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE moved RENAME TO spent")
    assert access.spend(grant, 1) == 89


def test_expiry_is_days_from_now_or_the_beginning_of_a_day() -> None:
    assert parse_expiry("90d", START) == START + timedelta(days=90)
    assert parse_expiry("2026-03-02", START) == datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "d", "0d", "-1d", "90", "1.5d", "2026-02-30", "2026-03-01", "20270301", "٣d"]
)
def test_expiry_that_is_neither_or_past_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="expiry is"):
        parse_expiry(text, START)
