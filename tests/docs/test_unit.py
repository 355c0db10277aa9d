"""docs/deploy/tally-ledger.service: systemd reads it without a word, and finds it well closed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.operator.hosted_settings import HostedSettings

UNIT = Path(__file__).parents[2] / "docs" / "deploy" / "tally-ledger.service"
TEXT = UNIT.read_text("utf-8")
MAX_EXPOSURE = 2.0
"""Of 10: below 2 `systemd-analyze security` calls a unit OK; one without any limits has 9.6."""


def analyze(*words: object) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze is here")
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)


def test_systemd_reads_it_without_a_word(tmp_path: Path) -> None:
    """The program is put in: an installed one is not here."""
    path = tmp_path / UNIT.name
    changed = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", TEXT, flags=re.MULTILINE)
    path.write_text(changed, "utf-8")
    done = analyze("verify", path)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    path.write_text(changed.replace("ProtectHome=", "ProtectHouse="), "utf-8")
    assert "ProtectHouse" in analyze("verify", path).stderr


def test_systemd_finds_it_well_closed() -> None:
    done = analyze("security", "--offline=true", f"--threshold={MAX_EXPOSURE * 10:.0f}", UNIT)
    assert done.returncode == 0, done.stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) < MAX_EXPOSURE


def test_it_may_listen_where_the_settings_say_by_default() -> None:
    settings = HostedSettings("ledger.example.org/one", "/guard")
    assert f"SocketBindAllow=ipv4:tcp:{settings.port}\n" in TEXT
