"""The pages of a hosted ledger: both widths, both languages, by keyboard, as a reader is told."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Keys
from werkzeug.serving import WSGIRequestHandler, make_server

from ledger.operator.gaps import PARTIAL, SILENT, Gap
from service.app import read_openapi_file
from tests.browser.conftest import WIDTHS, Browser
from tests.service.test_pages import HOUR, NOW, Shown, make_app, make_state

pytestmark = pytest.mark.slow

PAGES = ("/", "/entries/300", "/docs", "/entries/x")
LANGUAGES = ("en", "zh")

CUT = """
return [...document.querySelectorAll("main *, footer *, header *")].filter((one) =>
  !one.closest(".picture, pre, thead") && one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML);
"""
"""What reaches beyond the window, but for what scrolls by itself."""

FAINT = """
const light = (colour) => {
  const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map((x) => x / 255)
    .map((x) => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const ground = (one) => {
  for (; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (!colour.endsWith(", 0)")) return colour;
  }
  return "rgb(255, 255, 255)";
};
const texts = [...document.querySelectorAll("body *")].filter((one) =>
  [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
return texts.filter((one) => {
  const style = getComputedStyle(one);
  const [a, b] = [light(one.closest("svg") ? style.fill : style.color), light(ground(one))];
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5;
}).map((one) => one.outerHTML);
"""
"""Texts with less contrast than WCAG 2.2, 1.4.3 asks for."""


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    gaps = (
        Gap(SILENT, NOW - 90 * HOUR, NOW - 50 * HOUR, 5),
        Gap(PARTIAL, NOW - 5 * HOUR, None, 7, ("two",)),
    )
    app = make_app(Shown(make_state(gaps=gaps)), openapi=read_openapi_file())
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def spoken(browser: Browser) -> list[tuple[str, str]]:
    """Role and name of everything a screen reader is told of, in order."""
    tree: Any = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree["nodes"]
        if not node["ignored"]
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", PAGES)
def test_page_fits_its_width_and_asks_nobody_else(
    browser: Browser, site: str, path: str, width: int, language: str
) -> None:
    browser.open(site + path, width=width, language=language)
    browser.find("footer dd")
    # That an address leads nowhere is what is asked of the last one.
    problems = [one for one in browser.problems() if "status of 404" not in one]
    assert problems == []
    ask = browser.driver.execute_script
    assert ask(CUT) == []
    assert ask("return document.documentElement.lang") == {"en": "en", "zh": "zh-CN"}[language]
    fetched = ask("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert sorted(fetched) == [f"{site}/pages/base.css", f"{site}/pages/pages.css"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_state_is_told_to_a_screen_reader(browser: Browser, site: str, language: str) -> None:
    browser.open(f"{site}/?lang={language}", width=360)
    told = spoken(browser)
    assert [role for role, _ in told].count("main") == 1
    assert ("heading", "ledger.example.org/one") in told
    table, field, picture = {
        "en": (
            "Time-stamping authorities",
            "Look up an entry by its number",
            "Entries stamped in 30 days",
        ),
        "zh": ("时间戳机构", "按序号查看登记项", "30 天内加盖 17,400 项"),
    }[language]
    assert ("table", table) in told
    assert ("textbox", field) in told
    (drawn,) = [name for role, name in told if role in {"image", "img"}]
    assert drawn.startswith(picture)
    assert all(name for role, name in told if role in {"link", "button", "region"})


def test_entry_is_found_by_keyboard_alone(browser: Browser, site: str) -> None:
    browser.open(f"{site}/?lang=en")
    stops = []
    for _ in range(12):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        focused = browser.driver.switch_to.active_element
        stops.append(focused.get_attribute("id") or focused.get_attribute("class"))
        assert focused.value_of_css_property("outline-style") == "solid", stops
        if stops[-1] == "index":
            break
    assert (stops[0], stops[-1]) == ("skip", "index")
    ActionChains(browser.driver).send_keys("300", Keys.ENTER).perform()
    browser.wait_for_path("/entries/300?lang=en")
    assert browser.find("h1").text == "Entry 300"


def test_language_is_changed_on_the_same_page(browser: Browser, site: str) -> None:
    browser.open(f"{site}/entries/300?lang=en", width=360)
    browser.find(".language").send_keys(Keys.ENTER)
    browser.wait_for_path("/entries/300?lang=zh")
    assert browser.find("h1").text == "登记项 300"


def test_text_can_be_read_against_its_ground(browser: Browser, site: str) -> None:
    for path in PAGES:
        browser.open(site + path, width=360)
        browser.find("footer dd")
        assert browser.driver.execute_script(FAINT) == []
