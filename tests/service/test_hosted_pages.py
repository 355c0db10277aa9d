"""The pages within the real service: over its own ledger, beside its interface."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from ledger.operator.hosted import HostedLedger, make_hosted, read_settings
from ledger.operator.hosted_settings import HostedSettings
from service.app import create_app
from service.metrics import Metrics
from service.pages import POLICY
from tests.sequencer_checks import entries

STATEMENT = "We keep <hashes>."


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedLedger]:
    folder = tmp_path_factory.mktemp("hosted")
    home, guard = folder / "home", folder / "guard" / "g.sqlite"
    settings = HostedSettings(
        "ledger.example.org/one",
        str(guard),
        development=True,
        statement=STATEMENT,
        cac_filing="京网信备11000000000000000号",
    )
    make_hosted(home, settings)
    with HostedLedger(home, read_settings(home, {})) as made:
        made.start()
        deadline = time.monotonic() + 60
        made.batcher.submit(entries(0, 3)).result()
        while made.schedule.report is None and time.monotonic() < deadline:
            made.batcher.submit(entries(0, 3)).result()  # changes nothing
        yield made


@pytest.fixture(scope="module")
def client(hosted: HostedLedger) -> Iterator[FlaskClient]:
    with create_app(hosted, Metrics()).test_client() as made:
        yield made


@pytest.mark.parametrize("path", ["/", "/entries/0", "/docs"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_are_there_under_their_own_policy_with_the_operators_texts(
    client: FlaskClient, path: str, language: str
) -> None:
    answer = client.get(path, query_string={"lang": language})
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "We keep &lt;hashes&gt;." in answer.text
    assert "京网信备11000000000000000号" in answer.text


def test_state_and_entry_are_the_ledgers(client: FlaskClient, hosted: HostedLedger) -> None:
    size = hosted.store.head().size
    assert size == 4  # the first cover, and three
    page = client.get("/").text
    assert "ledger.example.org/one" in page
    assert "prove nothing" in page  # a development ledger
    shown = [client.get(f"/entries/{index}").text for index in range(size)]
    for entry, page in zip(hosted.store.entries(0, size), shown, strict=True):
        assert entry.hex() in page
    (cover,) = hosted.diary.covers()
    assert cover.entry.hex() in shown[cover.index or 0]
    assert client.get(f"/entries/{size}").status_code == 404


def test_every_link_of_the_pages_leads_somewhere_in_the_service(client: FlaskClient) -> None:
    for path in ("/", "/entries/0", "/entries/3", "/docs"):
        for link in set(re.findall(r'href="(/[^"]*)"', client.get(path).text)):
            assert client.get(link.replace("&amp;", "&")).status_code == 200, link


def test_docs_name_every_address_of_the_service(client: FlaskClient) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json["paths"]:  # type: ignore[index] # it is JSON
        assert path in page


def test_home_of_a_ledger_has_what_the_pages_keep(hosted: HostedLedger) -> None:
    home: Path = hosted.home
    for name in ("access.sqlite", "diary.sqlite"):
        assert (home / name).stat().st_mode & 0o777 == 0o600
