"""docs/operations.md: its metrics are those exported, its figures those of code and files."""

import re
from pathlib import Path

from ledger.operator.hosted import HostedLedger, make_hosted
from ledger.operator.hosted_settings import HostedSettings
from ledger.operator.local import LOW_DISK_BYTES
from service.app import create_app
from service.appending import MAX_BODY_BYTES
from service.metrics import Metrics
from service.problems import CODES
from service.server import HEAD_BYTES, HEADER_SECONDS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operations.md").read_text("utf-8")
NGINX = (DOCS / "deploy" / "nginx.conf").read_text("utf-8")
MAX_LINES = 250

INCIDENTS = (
    "Disk full",
    "Clock wrong",
    "TSA down",
    "Guard lost",
    "Store damaged",
    "Key stolen",
    "A fork",
)


def exported(folder: Path) -> set[str]:
    """The names in /metrics of a service that appended and was stamped; `_bucket` etc. are one."""
    settings = HostedSettings(
        "ledger.example/one", str(folder / "guard"), development=True, stamp_interval_seconds=0
    )
    make_hosted(folder / "home", settings)
    metrics = Metrics()
    with HostedLedger(
        folder / "home", settings, observe=metrics.observe, committed=metrics.committed
    ) as hosted:
        hosted.start(scheduled=False)
        hosted.batcher.submit([bytes(64)]).result()
        hosted.ledger.stamp()
        given = {"Authorization": f"Bearer {hosted.access.new('monitoring', ('admin',))}"}
        client = create_app(hosted, metrics).test_client()
        assert client.get("/healthz").status_code == 200
        text = client.get("/metrics", headers=given).text
    names = re.findall(r"^([a-z_]+)(?:\{.*\})? ", text, re.MULTILINE)
    return {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in names}


def test_each_metric_exported_is_named_once_with_its_alert_and_no_other(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `(tally_\w+)` \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert sorted(name for name, *_ in rows) == sorted(exported(tmp_path))
    assert set(re.findall(r"`(tally_\w+)`", PAGE)) == {name for name, *_ in rows}


def test_its_figures_are_those_of_the_code() -> None:
    assert f"{MAX_BODY_BYTES:,} bytes | {CODES['too-large']}" in PAGE
    assert f"431; it keeps some {HEAD_BYTES >> 10} KiB" in PAGE
    assert f"cut off after {HEADER_SECONDS} s" in PAGE
    assert f"appends stop at {LOW_DISK_BYTES >> 20} MiB" in PAGE
    assert f"client_max_body_size {MAX_BODY_BYTES >> 10}k;" in NGINX
    assert HostedSettings("a/b", "/guard").port == 8600
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", PAGE + NGINX)) == {"8600"}


def test_each_incident_has_its_commands() -> None:
    text = PAGE.split("\n## 9. Incidents\n")[1].split("\n## ")[0]
    parts = re.split(r"^\*\*(?=[A-Z])", text, flags=re.MULTILINE)[1:]
    assert len(parts) == len(INCIDENTS)
    for name, part in zip(INCIDENTS, parts, strict=True):
        assert part.startswith(name)
        assert "```" in part or re.search(r"`(?:journalctl|systemctl) ", part)


def test_it_is_short_and_what_it_leads_to_is_there() -> None:
    assert len(PAGE.splitlines()) <= MAX_LINES
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (DOCS / link).exists(), link
