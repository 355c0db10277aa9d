"""What every test may ask for, and what none may do.

`--full` adds the slow tier. TALLY_CI_NO_SKIP=1 turns a skip into a failure, so that a check which
silently stopped running is seen; ALLOWED_SKIPS names the exceptions. No test may talk to another
machine: a connection that is not to this one raises.
"""

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

ALLOWED_SKIPS: dict[str, str] = {
    "tests/interop/test_fsck.py": "needs Go 1.24, newer than Debian's; where it is, it runs",
    "tests/interop/test_torchwood.py": "needs Go 1.25, newer than Debian's; where it is, it runs",
}
"""File -> why its tests may skip even under TALLY_CI_NO_SKIP."""

collect_ignore_glob = ["bench/*", "fuzz/fuzz.py"]
"""Scripts, not tests: what they import is not there, or is looked for beside them."""

LOOPBACK = ("127.0.0.1", "::1", "localhost", "", None)

# The same examples in every run: a red build is then a change's fault, not the dice's. No deadline:
# the clock of a busy machine is not what is tested.
settings.register_profile("fast", deadline=None, derandomize=True, max_examples=100)
settings.register_profile("full", deadline=None, derandomize=True, max_examples=300)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the slow tier too")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("full" if config.getoption("--full") else "fast")
    sys.addaudithook(refuse_other_machines)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report, is_expected_failure=hasattr(report, "wasxfail"))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report, is_expected_failure=False)
    return report


def fail_if_skipped(
    report: pytest.TestReport | pytest.CollectReport, *, is_expected_failure: bool
) -> None:
    """Make a skipped `report` a failed one where skips are not allowed, keeping its reason."""
    if os.environ.get("TALLY_CI_NO_SKIP") != "1" or not report.skipped or is_expected_failure:
        return
    if report.nodeid.split("::")[0] in ALLOWED_SKIPS:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"skipped where nothing may skip: {reason}"


def refuse_other_machines(event: str, args: tuple[object, ...]) -> None:
    """Audit hook: connecting to, or looking up, anything but this machine raises."""
    if event == "socket.connect":
        address = args[1]
        host = address[0] if isinstance(address, tuple) else None  # a Unix socket has no host
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    if host not in LOOPBACK:
        message = f"a test tried to reach {host!r}: only this machine may be asked"
        raise PermissionError(message)


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Third parties' vectors for the log formats, kept beside the checkout."""
    return shared_folder("vectors")


@pytest.fixture(scope="session")
def timestamps() -> Path:
    """Real timestamp tokens and their certificates, kept beside the checkout."""
    return shared_folder("timestamps")


@pytest.fixture(scope="session")
def index_reachable(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where pip reaches no package index. (Only slow tests ask one, through pip or uv.)"""
    ask = ["download", "--quiet", "--no-deps", "--retries", "0", "iniconfig"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *ask],
        cwd=tmp_path_factory.mktemp("download"),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("no package index is reachable")


def shared_folder(name: str) -> Path:
    """The folder `name` of ../shared, or a skip that says it is not there."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"../shared/{name} is not here")
    return folder
