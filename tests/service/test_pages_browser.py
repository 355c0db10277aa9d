"""The pages in a real browser: both widths, both languages, by keyboard, as a reader is told."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from ledger.operator.gaps import PARTIAL, SILENT, Gap
from tests.browser import ENTER, TAB, Browser, browser
from tests.service.test_pages import HOUR, NOW, Shown, make_app, make_state

pytestmark = pytest.mark.slow

PAGES = ("/", "/entries/300", "/docs", "/entries/x")
WIDTHS = (1280, 360)
LANGUAGES = ("en", "zh")


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    gaps = (
        Gap(SILENT, NOW - 90 * HOUR, NOW - 50 * HOUR, 5),
        Gap(PARTIAL, NOW - 5 * HOUR, None, 7, ("two",)),
    )
    app = make_app(Shown(make_state(gaps=gaps)))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", PAGES)
def test_page_fits_its_width_and_asks_nobody_else(
    chromium: Browser, site: str, path: str, width: int, language: str, tmp_path: Path
) -> None:
    chromium.open(site + path, width, language=language)
    assert chromium.ask("document.documentElement.scrollWidth") == width
    # Nothing is cut off but what scrolls by itself and can be reached by keyboard.
    cut = chromium.ask(
        "[...document.querySelectorAll('main *, footer *, header *')].filter(e =>"
        " !e.closest('.picture, pre, thead') &&"
        " e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"
    )
    assert cut == []
    assert all(one.startswith((site, "data:")) for one in chromium.requested)
    allowed = "status of 404" if path.endswith("x") else "nothing"
    assert [one for one in chromium.complained if allowed not in one] == []
    assert chromium.ask("document.documentElement.lang") == {"en": "en", "zh": "zh-CN"}[language]
    chromium.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 5_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_state_is_told_to_a_screen_reader(chromium: Browser, site: str, language: str) -> None:
    chromium.open(f"{site}/?lang={language}", 360)
    spoken = chromium.spoken()
    roles = [role for role, _ in spoken]
    assert roles.count("main") == 1
    assert ("heading", "ledger.example.org/one") in spoken
    words = {
        "en": ("Time-stamping authorities", "Look up an entry by its number", "17,400 entries"),
        "zh": ("时间戳机构", "按序号查看登记项", "30 天内加盖 17,400 项"),
    }[language]
    tables = [name for role, name in spoken if role == "table"]
    assert words[0] in tables
    assert ("textbox", words[1]) in spoken
    pictures = [name for role, name in spoken if role in {"image", "img"}]
    assert len(pictures) == 1
    assert pictures[0].startswith(words[2])
    assert all(name for role, name in spoken if role in {"link", "button", "region"})


def test_entry_is_found_by_keyboard_alone(chromium: Browser, site: str) -> None:
    chromium.open(f"{site}/?lang=en", 1280)
    visited = []
    for _ in range(12):
        chromium.press(TAB)
        visited.append(
            chromium.ask("document.activeElement.className || document.activeElement.id")
        )
        outline = chromium.ask("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", visited
        if visited[-1] == "index":
            break
    assert visited[0] == "skip"
    assert visited[-1] == "index"
    chromium.type("300")
    chromium.press(ENTER)
    chromium.follow()
    assert chromium.ask("location.pathname + location.search") == "/entries/300?lang=en"
    assert chromium.ask("document.querySelector('h1').textContent") == "Entry 300"


def test_language_is_changed_on_the_same_page(chromium: Browser, site: str) -> None:
    chromium.open(f"{site}/entries/300?lang=en", 360)
    chromium.ask("document.querySelector('.language').focus()")
    chromium.press(ENTER)
    chromium.follow()
    assert chromium.ask("location.pathname + location.search") == "/entries/300?lang=zh"
    assert chromium.ask("document.querySelector('h1').textContent") == "登记项 300"


def test_text_can_be_read_against_its_ground(chromium: Browser, site: str) -> None:
    chromium.open(site, 360)
    faint = chromium.ask(
        "(() => { const lum = c => { const v = c.match(/[0-9.]+/g).slice(0, 3).map(x => x / 255)"
        " .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);"
        " return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };"
        " const ground = e => { for (; e; e = e.parentElement) {"
        " const c = getComputedStyle(e).backgroundColor; if (!c.endsWith(', 0)')) return c; }"
        " return 'rgb(255, 255, 255)'; };"
        " return [...document.querySelectorAll('body *')].filter(e => [...e.childNodes]"
        " .some(n => n.nodeType === 3 && n.data.trim())).filter(e => {"
        " const s = getComputedStyle(e), ink = e.closest('svg') ? s.fill : s.color;"
        " const a = lum(ink), b = lum(ground(e));"
        " return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5; })"
        " .map(e => e.outerHTML); })()"
    )
    assert faint == []  # WCAG 2.2, 1.4.3
