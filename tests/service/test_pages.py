"""The pages of a hosted ledger: what they show, in which language, and what they refuse."""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.operator.diary import Stamped
from ledger.operator.gaps import LATE, PARTIAL, SILENT, Day, Gap
from ledger.operator.tsa import REASONS as FAULTS
from service.pages import POLICY, Legal, make_pages
from service.pages_words import REASONS, WORDS
from service.state import DAYS, EntryState, State, TsaState

NOW = datetime(2026, 3, 31, 12, 30, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)

OPENAPI: Mapping[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "A ledger", "version": "1", "description": "What it does."},
    "security": [{"token": []}],
    "paths": {
        "/v1/entries": {
            "post": {
                "summary": "Append",
                "x-summary-zh": "登记",
                "description": "One to a thousand <b>entries</b>.",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Entries"}},
                        "application/octet-stream": {},
                    }
                },
                "responses": {
                    "200": {
                        "description": "Appended",
                        "headers": {"X-Size": {"schema": {"type": "integer", "minimum": 1}}},
                    },
                    "default": {"$ref": "#/components/responses/Problem"},
                },
            }
        },
        "/v1/receipts/{entry}": {
            "parameters": [
                {"name": "entry", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "get": {"summary": "Receipt", "security": [], "responses": {"200": {}}},
        },
    },
    "components": {
        "schemas": {
            "Entries": {
                "type": "array",
                "description": "In <order>",
                "x-description-zh": "按顺序",
                "items": {"$ref": "#/components/schemas/Tree"},
            },
            "Tree": {
                "type": "object",
                "properties": {
                    "title": {"type": "null"},
                    "b": {"$ref": "#/components/schemas/Tree"},
                },
            },
        },
        "responses": {"Problem": {"description": "A problem", "content": {"application/json": {}}}},
    },
}


def make_state(**changes: Any) -> State:
    first = NOW.date() - timedelta(days=DAYS - 1)
    days = tuple(
        Day(first + timedelta(days=n), 40 * n, None if n % 3 else timedelta(seconds=70 * n))
        for n in range(DAYS)
    )
    state = State(
        origin="ledger.example.org/one",
        keys=("ledger.example.org/one+0a0b0c0d+AbCd", "ledger.example.org/one+1a+" + "A" * 1800),
        now=NOW,
        size=12345,
        root=bytes(range(32)),
        stamped=12000,
        waiting_since=NOW - HOUR,
        closed=None,
        tsas=(
            TsaState("one", Stamped(12000, "one", NOW - 2 * HOUR), None),
            TsaState("two", None, "timeout: no answer <within> 30 s"),
        ),
        lacking=None,
        faults={},
        gaps=(),
        days=days,
        development=False,
    )
    return replace(state, **changes)


ENTRY = EntryState(
    index=300,
    entry=bytes(range(64)),
    leaf_hash=bytes(range(32)),
    size=12345,
    checkpoint=310,
    stamps=(Stamped(512, "one", NOW - 5 * HOUR),),
    paths=("tile/entries/001", "tile/0/001"),
)


@dataclass
class Shown:
    """What the pages are given."""

    state: State
    entry: EntryState = ENTRY
    error: Exception | None = None

    def read_state(self) -> State:
        if self.error is not None:
            raise self.error
        return self.state

    def read_entry(self, index: int) -> EntryState:
        if self.error is not None:
            raise self.error
        return replace(self.entry, index=index)


def make_app(
    shown: Shown,
    legal: Legal = Legal(),  # noqa: B008 - frozen
    openapi: Mapping[str, Any] = OPENAPI,
) -> flask.Flask:
    app = flask.Flask(__name__, static_folder=None)
    app.register_blueprint(make_pages(shown.read_state, shown.read_entry, openapi, legal))
    return app


@pytest.fixture
def shown() -> Shown:
    return Shown(make_state())


@pytest.fixture
def client(shown: Shown) -> Iterator[FlaskClient]:
    with make_app(shown).test_client() as made:
        yield made


def text(client: FlaskClient, path: str, status: int = 200, **options: Any) -> str:
    """The words of a page, without its markup."""
    answer = client.get(path, **options)
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


@pytest.mark.parametrize("path", ["/", "/entries/300", "/docs", "/entries/x", "/pages/base.css"])
def test_every_answer_has_the_strict_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Content-Security-Policy"] == POLICY
    assert "script" not in POLICY
    assert "unsafe" not in POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Accept-Language" in headers["Vary"]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", ["/", "/entries/300", "/docs", "/entries/x"])
def test_pages_have_no_script_no_inline_style_and_nothing_of_others(
    client: FlaskClient, path: str, language: str
) -> None:
    page = client.get(path, query_string={"lang": language}).text
    assert "<script" not in page
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)
    addresses = re.findall(r'(?:href|src|action)="([^"]*)"', page)
    assert addresses
    assert all(one.startswith(("/", "#", "?", "data:,")) for one in addresses)
    assert not any(one.startswith("//") for one in addresses)


def test_every_address_of_the_pages_own_leads_somewhere(client: FlaskClient) -> None:
    for path in ("/", "/entries/300", "/docs"):
        page = client.get(path).text
        for one in set(re.findall(r'href="(/[^"]*)"', page)):
            if not one.startswith(("/checkpoint", "/tile/", "/v1/")):  # the public log's
                assert client.get(html.unescape(one)).status_code == 200, one


def test_state_tells_size_stamps_and_what_is_waited_for(client: FlaskClient) -> None:
    page = text(client, "/?lang=en")
    assert "ledger.example.org/one" in page
    assert "12,000 of 12,345 waiting: 345" in page
    assert "waiting: 345, since 2026-03-31 11:30:15 UTC" in page
    assert "one 2026-03-31 10:30:15 UTC 12,000 nothing" in page
    assert "two none yet 0 no answer in time (no answer <within> 30 s)" in page
    assert bytes(range(32)).hex() in page
    assert "agrees with the ledger" in page
    assert "No gap is seen" in page
    assert "As of 2026-03-31 12:30:15 UTC" in page


def test_state_in_chinese(client: FlaskClient) -> None:
    page = text(client, "/?lang=zh")
    assert "12,345 项中的 12,000 项" in page
    assert "345 项待加盖，自 2026-03-31 11:30:15 UTC 起" in page
    assert "超时未答复" in page
    assert "时间戳中未见缺口。" in page
    assert 'lang="zh-CN"' in client.get("/?lang=zh").text


def test_entries_that_only_just_came_wait_without_a_moment(
    client: FlaskClient, shown: Shown
) -> None:
    shown.state = make_state(waiting_since=None)
    assert "new, waiting: 345" in text(client, "/")


def test_gaps_and_faults_are_told(client: FlaskClient, shown: Shown) -> None:
    gaps = (
        Gap(SILENT, NOW - 90 * HOUR, NOW - 50 * HOUR, 5),
        Gap(LATE, NOW - 40 * HOUR, NOW - 30 * HOUR, 6),
        Gap(PARTIAL, NOW - 5 * HOUR, None, 7, ("two", "three")),
    )
    shown.state = make_state(gaps=gaps, faults={"stamp": "the disk is <full>"}, lacking="sm2: x")
    page = text(client, "/")
    assert "the service or every authority was out 2026-03-27 18:30:15 UTC" in page
    assert "waited too long for a stamp" in page
    assert "too few authorities; missing: two, three 2026-03-31 07:30:15 UTC lasts" in page
    assert "stamps the disk is <full>" in page
    assert "a token with SM2 does not count here" in page
    assert "仍在持续" in text(client, "/?lang=zh")


@pytest.mark.parametrize("task", ["heartbeat", "stamp", "capture", "schedule"])
def test_each_fault_of_the_schedule_has_its_words(
    client: FlaskClient, shown: Shown, task: str
) -> None:
    shown.state = make_state(faults={task: "why"})
    for language in (0, 1):
        word = WORDS[f"fault-{task}"][language]
        assert f"{word} why" in text(client, f"/?lang={('en', 'zh')[language]}")


def test_closed_ledger_says_why(client: FlaskClient, shown: Shown) -> None:
    shown.state = make_state(closed="the store has 3 entries, the guard signed 4")
    assert "nothing more is taken: the store has 3 entries" in text(client, "/")
    assert "已关闭，不再接受登记：存储中有 3 项，守护签署至 4 项" in text(client, "/?lang=zh")


def test_reason_of_a_tsa_is_said_in_the_language_of_the_page(
    client: FlaskClient, shown: Shown
) -> None:
    why = "timeout: no answer within 30 s; asked again from 07:31:00 UTC"
    shown.state = make_state(tsas=(TsaState("two", None, why),), lacking="few-tsas: a <new> reason")
    english, chinese = (client.get(f"/?lang={one}").text for one in ("en", "zh"))
    said = "(no answer within 30 s; asked again from 07:31:00 UTC)"
    assert f'no answer in time <span class="quiet" lang="en">{said}</span>' in english
    said = "(30 秒内未答复；自 07:31:00 UTC 起再次请求)"
    assert f'超时未答复 <span class="quiet">{said}</span>' in chinese
    unknown = '设置的机构数不足 <span class="quiet" lang="en">(a &lt;new&gt; reason)</span>'
    assert unknown in chinese


def test_ledger_for_trying_out_says_that_it_proves_nothing(
    client: FlaskClient, shown: Shown
) -> None:
    assert "prove nothing" not in text(client, "/?lang=en")
    shown.state = make_state(development=True)
    assert "authorities are its own, and prove nothing" in text(client, "/?lang=en")
    assert "不具证明作用" in text(client, "/?lang=zh")


def test_new_ledger_has_a_page_too(client: FlaskClient, shown: Shown) -> None:
    days = tuple(replace(day, entries=0, delay=None) for day in make_state().days)
    shown.state = make_state(size=0, root=None, stamped=0, waiting_since=None, days=days)
    page = text(client, "/")
    assert "nothing was appended yet" in page
    assert "Entries stamped in 30 days: 0; longest wait: none." in page


def test_chart_has_a_bar_a_day_and_says_the_same_as_a_table(client: FlaskClient) -> None:
    page = client.get("/").text
    assert page.count('class="chart-entries"') == DAYS - 1  # nothing on the first day
    assert page.count('class="chart-waits"') == len(range(3, DAYS, 3))
    assert page.count('<th scope="row">2026-') == DAYS
    assert "Entries stamped in 30 days: 17,400; longest wait: 31 min 30 s." in page


def test_browsers_language_is_used_until_one_is_chosen(client: FlaskClient) -> None:
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.1"}
    assert "登记项" in text(client, "/", headers=chinese)
    assert "Entries" in text(client, "/?lang=en", headers=chinese)
    assert "Entries" in text(client, "/?lang=xx", headers={"Accept-Language": "fr"})


def test_entry_shows_its_bytes_and_says_they_tell_nothing(client: FlaskClient) -> None:
    page = text(client, "/entries/300?lang=en")
    assert bytes(range(64)).hex() in page
    assert "nothing about who appended them or what they stand for" in page
    assert "First checkpoint with it size 310" in page
    assert "tile/entries/001 tile/0/001" in page
    assert "one 2026-03-31 07:30:15 UTC 512" in page
    assert "不透露由谁登记、所指为何" in text(client, "/entries/300?lang=zh")


def test_entry_without_a_stamp_says_so(client: FlaskClient, shown: Shown) -> None:
    shown.entry = replace(ENTRY, stamps=())
    assert "No stamp covers it yet" in text(client, "/entries/300")


def test_first_and_last_entry_have_one_neighbour(client: FlaskClient) -> None:
    assert 'rel="prev"' not in client.get("/entries/0").text
    assert 'rel="next"' in client.get("/entries/0").text
    assert 'rel="next"' not in client.get("/entries/12344").text


def test_form_leads_to_the_entry_in_its_language(client: FlaskClient) -> None:
    answer = client.get("/entries?index=%20007&lang=zh")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/entries/7?lang=zh")


@pytest.mark.parametrize("number", ["", "x", "-1", "1.0", "1e3", "٣", "9" * 20, "²"])
def test_what_is_no_number_is_refused(client: FlaskClient, number: str) -> None:
    assert "0 or more" in text(client, "/entries", 400, query_string={"index": number})
    if number:
        assert "0 or more" in text(client, f"/entries/{number}", 404)


@pytest.mark.parametrize("number", ["00", "01", "+1", "9" * 5000])
def test_an_entry_has_one_address(client: FlaskClient, number: str) -> None:
    assert "0 or more" in text(client, f"/entries/{number}", 404)


def test_entry_that_is_not_there_is_not_found(client: FlaskClient, shown: Shown) -> None:
    shown.error = NotFoundError("no entry 9: the ledger has 3")
    assert "no entry with this number yet" in text(client, "/entries/9", 404)
    assert "尚无此序号的登记项" in text(client, "/entries/9?lang=zh", 404)


@pytest.mark.parametrize("path", ["/", "/entries/1"])
def test_ledger_that_cannot_be_asked_is_told_without_detail(
    client: FlaskClient, shown: Shown, path: str
) -> None:
    shown.error = UnavailableError("cannot open /srv/ledger/store.sqlite")
    page = text(client, path, 503)
    assert "could not be asked just now" in page
    assert "/srv" not in page


def test_only_the_pages_own_files_are_served(client: FlaskClient) -> None:
    assert client.get("/pages/pages.css").mimetype == "text/css"
    for name in ("desk.js", "../pages.py", "%2e%2e/pages.py", "x.css"):
        assert client.get(f"/pages/{name}").status_code == 404


def test_docs_show_every_operation_of_the_document(client: FlaskClient) -> None:
    page = text(client, "/docs?lang=en")
    assert "POST /v1/entries" in page
    assert "One to a thousand <b>entries</b>." in page
    assert "Append · needs a token" in page
    assert "Receipt Parameters Name In Type Meaning entry required path string" in page
    assert "X-Size integer minimum 1" in page
    assert "default A problem" in page
    assert '"$ref": "#/components/schemas/Tree"' in page
    assert '"description": "In <order>"' in page
    assert '"title": { "type": "null" }' in page
    chinese = text(client, "/docs?lang=zh")
    assert "登记 · 需令牌" in chinese
    assert '"description": "按顺序"' in chinese
    assert client.get("/openapi.json").json == OPENAPI


@pytest.mark.parametrize(
    "changes",
    [
        {"openapi": "3.0.3"},
        {"paths": None},
        {"info": {}},
        {"paths": {"/": {"get": {"responses": {"200": {"$ref": "#/none"}}}}}},
        {"paths": {"/": {"get": {"responses": {"200": {"$ref": "other.yaml"}}}}}},
        {
            "paths": {"/": {"get": {"responses": {"200": {"$ref": "#/circle"}}}}},
            "circle": {"$ref": "#/circle"},
        },
    ],
)
def test_document_that_is_no_openapi_is_refused_at_the_start(
    shown: Shown, changes: dict[str, Any]
) -> None:
    with pytest.raises(MalformedError):
        make_pages(shown.read_state, shown.read_entry, {**OPENAPI, **changes}, Legal())


def test_legal_texts_are_none_where_the_settings_have_none(client: FlaskClient) -> None:
    assert text(client, "/?lang=en").count(" none") >= 3
    assert "备案编号（国家网信办） 无" in text(client, "/?lang=zh")
    assert "Filing number of the blockchain information service (CAC) none" in text(client, "/")


def test_legal_texts_are_on_every_page(shown: Shown) -> None:
    legal = Legal("京网信备11000000000000000号", "Example & Co", "We <promise>.", "我们承诺。")
    with make_app(shown, legal).test_client() as client:
        for path, status in (("/", 200), ("/entries/1", 200), ("/docs", 200), ("/entries/x", 404)):
            page = text(client, path, status)
            assert "京网信备11000000000000000号" in page
            assert "Example & Co" in page
            assert "We <promise>." in page
        assert "我们承诺。" in text(client, "/?lang=zh")


def test_statement_in_one_language_is_shown_in_both() -> None:
    assert Legal(statement="only").said("zh") == "only"
    assert Legal(statement_zh="仅").said("en") == "仅"


def test_every_word_is_there_in_both_languages_and_used() -> None:
    assert FAULTS.keys() <= REASONS.keys()
    for key, pair in {**WORDS, **REASONS}.items():
        assert all(pair), key
        assert set(re.findall(r"{\w*}", pair[0])) == set(re.findall(r"{\w*}", pair[1])), key
    folder = Path(make_pages.__code__.co_filename).parent
    sources = "".join(
        path.read_text("utf-8")
        for path in (folder / "pages.py", *(folder / "templates" / "pages").glob("*.html"))
    )
    prefixes = ("gap-", "fault-")
    unused = [
        k for k in WORDS if not k.startswith(prefixes) and f"'{k}'" not in sources.replace('"', "'")
    ]
    assert unused == []
