"""The whole life of a vault whose ledger is the real service, in a process of its own."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cli.tsas import development_trust
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.hosted import system_clock
from ledger.tlog.note import parse_vkey
from tests.cli.conftest import Tally
from tests.hosting import ORIGIN, make_hosted, until


def trust_of(home: Path, vkeys: Sequence[str], place: Path) -> Path:
    """A trust file for this ledger and its development TSAs."""
    names = [f"development-{number}" for number in (1, 2)]
    pems = [(home / f"{name}.pem").read_bytes() for name in names]
    tsas = [DevelopmentTsa.from_pem(pem, system_clock) for pem in pems]
    policy = "\n".join([*(f"log {vkey}" for vkey in vkeys), "quorum none"])
    tables = [line for tsa in tsas for line in development_trust(tsa)]
    path = place / "trust.toml"
    path.write_text("\n".join([f'tlog = """\n{policy}\n"""', *tables]) + "\n", "utf-8")
    return path


@pytest.mark.slow
def test_whole_life_with_the_real_service_and_a_restart_of_it(
    bare: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    folder, token_file = tmp_path / "far", tmp_path / "token"
    folder.mkdir()
    far = make_hosted(folder)
    token_file.write_text(f"{far.token}\n")
    token_file.chmod(0o600)
    files = [bare.work / f"{name}.txt" for name in "abcd"]
    for path in files:
        path.write_bytes(path.name.encode())

    with far.served():
        ran = bare("init", "--ledger", far.url, "--token-file", token_file)
        assert (ran.code, ORIGIN in ran.out) == (0, True), ran.err
        ran = bare("anchor", files[0])
        assert "anchored" in ran.out
        until(lambda: bare("sync").code == 0)

    # The network is away: no service is there.
    for path in files[1:3]:
        assert bare("anchor", path).code == 3
    assert bare.json("status", code=3)["queued"] == [2, 3]
    assert bare("bundle", "1", "-o", "offline.zip").code == 0

    with far.served():
        assert bare.json("sync", code=3)["sent"] == 2
        assert "anchored" in bare("anchor", files[3]).out
        until(lambda: bare("sync").code == 0)
        assert bare("bundle", "1", "2", "3", "4", "-o", "x.zip").code == 0
        rows = bare.json("log")["records"]

    # A cover, the enrolment of the notebook's key, and the records, in their order.
    assert [row["index"] for row in rows] == sorted(row["index"] for row in rows)
    assert all(row["receipt"] for row in rows)
    assert {parse_vkey(vkey).name for vkey in far.vkeys} == {ORIGIN}
    trust = trust_of(far.home, far.vkeys, bare.work)
    for name in ("offline.zip", "x.zip"):
        ran = bare("verify", name, "--trust", trust)
        assert ran.code == 0, ran.out
    assert bare("vault", "check", "--all").code == 0
    assert bare("status").code == 0
    assert not (bare.vault / "evidence").exists()
