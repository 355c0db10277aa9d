"""The desk as somebody without a shell uses it: a bundle is dropped, the verdict is read."""

import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.wait import WebDriverWait

from cli.checking import check_bundle
from ledger.proof.verdict import Verdict
from service.desk import make_desk_server
from tests.browser.conftest import WAIT_SECONDS, WIDTHS, Browser

pytestmark = pytest.mark.slow

TOKEN = "5" * 64
LIMIT_BYTES = 1 << 22

TITLES = {"en": "Check an evidence bundle", "zh": "核验证据包"}
HEADLINES = {"en": "no later than", "zh": "不晚于"}

DROP = """
const [zone, files] = [document.getElementById("drop"), arguments[0]];
const transfer = new DataTransfer();
for (const [name, base64] of Object.entries(files))
  transfer.items.add(new File([Uint8Array.fromBase64(base64)], name));
const said = {dataTransfer: transfer, bubbles: true, cancelable: true};
zone.dispatchEvent(new DragEvent("drop", said));
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[str]:
    """The address of a desk that checks for real."""

    def check(bundle: Path, carriers: Sequence[Path], trust: Path | None, _: str) -> Verdict:
        return check_bundle(bundle, carriers, trust)

    folder = tmp_path / "desk"
    folder.mkdir()
    server = make_desk_server(check, token=TOKEN, port=0, folder=folder, limit_bytes=LIMIT_BYTES)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.port}/{TOKEN}/"
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_chosen_bundle_is_judged(
    browser: Browser, desk: str, example: Path, width: int, language: str
) -> None:
    browser.open(desk, width=width, language=language)
    assert TITLES[language] in browser.find("h1").text
    assert browser.problems() == []
    browser.find("#bundle").send_keys(str(example / "bundle.zip"))
    browser.find("#trust").send_keys(str(example / "trust.toml"))
    browser.find("button[type=submit]").click()
    browser.wait_for_path("/verdicts/")
    assert browser.problems() == []
    with browser.inside("iframe"):
        assert HEADLINES[language] in browser.find(".headline").text
        assert browser.find(".picture svg").is_displayed()
        assert browser.all("tbody tr")
        assert browser.problems() == []


def test_what_is_dropped_together_is_sorted_and_judged(
    browser: Browser, desk: str, example: Path
) -> None:
    browser.open(desk)
    browser.find("#drop")
    carrier = example.parent / "c.txt"
    carrier.write_bytes(b"not the carrier\n")
    files = [example / "trust.toml", carrier, example / "bundle.zip"]
    encoded = {path.name: b64encode(path.read_bytes()).decode() for path in files}
    browser.driver.execute_script(DROP, encoded)
    browser.find("button[type=submit]").click()
    browser.wait_for_path("/verdicts/")
    with browser.inside("iframe"):
        assert "c.txt" in browser.find("main").text
        assert "NOT PROVEN" in browser.find(".headline").text


def test_it_is_used_by_keyboard_alone(browser: Browser, desk: str, example: Path) -> None:
    browser.open(desk)
    stops = []
    for _ in range(12):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        focused = browser.driver.switch_to.active_element
        stops.append(focused.get_attribute("id") or focused.get_attribute("type") or "")
        if stops[-1] == "bundle":
            focused.send_keys(str(example / "bundle.zip"))
        if stops[-1] == "submit":
            break
    assert [stop for stop in stops if stop] == ["bundle", "carriers", "trust", "submit"]
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    browser.wait_for_path("/verdicts/")


def test_what_is_wrong_is_told_on_the_page_and_the_files_stay_chosen(
    browser: Browser, desk: str, tmp_path: Path
) -> None:
    no_bundle, large = tmp_path / "no.zip", tmp_path / "large"
    no_bundle.write_bytes(b"no bundle")
    large.write_bytes(bytes(LIMIT_BYTES + 1))
    browser.open(desk, width=360)
    browser.find("#bundle").send_keys(str(no_bundle))
    browser.find("button[type=submit]").click()
    wait = WebDriverWait(browser.driver, WAIT_SECONDS)
    problem = browser.find("#problem")
    wait.until(lambda _: "no.zip is not a bundle" in problem.text)
    browser.find("#carriers").send_keys(str(large))
    browser.find("button[type=submit]").click()
    wait.until(lambda _: "larger than the desk takes" in problem.text)
    chosen = browser.driver.execute_script("return document.getElementById('bundle').files.length")
    assert chosen == 1
    browser.find("button[type=reset]").click()
    wait.until(lambda _: not problem.is_displayed())
