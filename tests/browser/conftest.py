"""Pages in a real Chromium, headless, driven through the system's own driver."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

WIDTHS = (1280, 360)
"""A desk and a telephone, in CSS pixels."""

WAIT_SECONDS = 30
"""An answer that takes longer has not come; a busy machine needs some."""

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root, as which tests run in a container, has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    # Nothing but this machine is asked: not for updates, lists or names.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


@dataclass(frozen=True, slots=True)
class Browser:
    """One Chromium; every page that ``open`` shows is held to what all pages promise."""

    driver: Chrome

    def open(self, url: str, *, width: int = 1280, language: str = "en") -> None:
        """Show ``url`` to a reader of ``language`` on a screen of ``width``."""
        self._tell("Network.enable", {})
        self._tell("Network.setExtraHTTPHeaders", {"headers": {"Accept-Language": language}})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._tell("Emulation.setDeviceMetricsOverride", size)
        self.driver.get_log("browser")  # what was said of the page before
        self.driver.get(url)

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS ``selector``, once it is there."""
        wait = WebDriverWait(self.driver, WAIT_SECONDS)
        return wait.until(lambda driver: driver.find_element("css selector", selector))

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def wait_for_path(self, part: str) -> None:
        WebDriverWait(self.driver, WAIT_SECONDS).until(lambda driver: part in driver.current_url)

    @contextlib.contextmanager
    def inside(self, selector: str) -> Iterator[None]:
        """Look into the frame at ``selector``."""
        self.driver.switch_to.frame(self.find(selector))
        yield
        self.driver.switch_to.default_content()

    def problems(self) -> list[str]:
        """What a reader would trip over: refused scripts and styles, and what must be scrolled to.

        Looked for in the document that is looked at, a frame or a page.
        """
        said = [str(entry["message"]) for entry in self.driver.get_log("browser")]
        wide = self.driver.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if wide > 0:
            said.append(f"{wide} px wider than the screen")
        unnamed = self.driver.execute_script(UNNAMED)
        return [*said, *(f"has no name to read out: {one}" for one in unnamed)]

    def _tell(self, command: str, values: dict[str, object]) -> None:
        self.driver.execute_cdp_cmd(command, values)


UNNAMED = """
const named = (one) => one.getAttribute("aria-label") || one.getAttribute("aria-labelledby")
  || one.textContent.trim() || (one.labels && one.labels.length) || one.title;
const all = [...document.querySelectorAll("a, button, input, select, textarea, iframe, svg")];
const shown = all.filter((one) => one.checkVisibility() && one.type !== "hidden");
const lost = shown.filter((one) => !named(one)).map((one) => one.outerHTML.slice(0, 80));
if (!document.documentElement.lang) lost.push("the page has no language");
if (!document.title) lost.push("the page has no title");
return lost;
"""


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium with an empty profile; a skip where there is none, or no driver of it."""
    chromium, program = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or program is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    log = os.fspath(tmp_path_factory.mktemp("driver") / "log")
    driver = Chrome(options=options, service=Service(program, log_output=log))
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def example(tmp_path: Path, project_root: Path) -> Path:
    """The bundle of docs/formats.md as a ZIP, its trust file and a carrier beside it."""
    source = project_root / "docs" / "formats"
    shutil.make_archive(os.fspath(tmp_path / "bundle"), "zip", source / "example")
    shutil.copy(source / "trust.toml", tmp_path)
    return tmp_path
