"""The command line with a ledger elsewhere: the same life, with and without the network."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli.tsas import development_trust
from ledger.holder.prover import checkpoint_of
from ledger.holder.records import Records
from ledger.tlog.note import format_vkey
from tests.cli.conftest import Ran, Tally
from tests.holding import TSAS
from tests.sequencer_checks import KEYS, entries
from tests.serving import TOKEN, Service, local_ledger, serving


@dataclass(frozen=True)
class Far:
    """A vault, and the service whose ledger it anchors in."""

    tally: Tally
    service: Service
    token_file: Path

    def __call__(self, *words: object) -> Ran:
        return self.tally(*words)

    @property
    def size(self) -> int:
        return checkpoint_of(self.service.ledger.checkpoint()).size


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("no_proxy", "*")
    with serving(local_ledger(tmp_path)) as made:
        yield made


@pytest.fixture
def unmade(bare: Tally, service: Service, tmp_path: Path) -> Far:
    token_file = tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n")
    token_file.chmod(0o600)
    return Far(bare, service, token_file)


@pytest.fixture
def far(unmade: Far) -> Far:
    """A new vault; the ledger had other entries before."""
    unmade.service.ledger.append(entries(0, 300))
    ran = unmade("init", "--ledger", unmade.service.url, "--token-file", unmade.token_file)
    assert ran.code == 0, ran.err
    return unmade


@pytest.fixture
def file(bare: Tally) -> Path:
    path = bare.work / "a.txt"
    path.write_bytes(b"a\n")
    return path


def test_init_pins_what_the_ledger_says_of_itself_and_tells_so(unmade: Far) -> None:
    words = ("init", "--ledger", unmade.service.url, "--token-file", unmade.token_file)
    ran = unmade(*words)
    assert (ran.code, "compare them with what its operator published" in ran.err) == (0, True)
    assert f"ledger  {KEYS.origin}" in ran.out
    settings = (unmade.tally.vault / "tallystick.toml").read_text("utf-8")
    assert all(format_vkey(key) in settings for key in KEYS.public_keys())
    assert TOKEN not in settings
    assert not (unmade.tally.vault / "ledger" / "keys.pem").exists()
    assert not unmade.tally.state.exists()
    assert unmade(*words).code == 2


def test_keys_in_a_file_are_pinned_and_not_asked_for(unmade: Far, tmp_path: Path) -> None:
    keys = tmp_path / "vkeys"
    keys.write_text("".join(f"{format_vkey(key)}\n" for key in KEYS.public_keys()))
    words = ("init", "--ledger", unmade.service.url, "--token-file", unmade.token_file)
    ran = unmade(*words, "--ledger-keys", keys)
    assert (ran.code, "compare" in ran.err) == (0, False)
    assert "v1/ledger" not in unmade.service.asked


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ledger", "https://example.org/log"), "--token-file"),
        (("--token-file", "token"), "--ledger"),
        (("--ledger-keys", "keys"), "--ledger"),
        (("--ledger", "http://127.0.0.1:1", "--token-file", "t", "--development"), "no TSA"),
        (("--ledger", "http://127.0.0.1:1", "--token-file", "t", "--tsa", "a=http://b"), "no TSA"),
    ],
)
def test_options_that_do_not_go_together(bare: Tally, words: tuple[str, ...], message: str) -> None:
    ran = bare("init", *words)
    assert (ran.code, message in ran.err) == (2, True)
    assert not bare.vault.exists()


@pytest.mark.parametrize(
    "url",
    ["http://example.org/log", "ftp://example.org", "https://a:b@example.org", "https://x/?a"],
)
def test_a_url_that_would_show_the_token_is_refused(unmade: Far, url: str) -> None:
    ran = unmade("init", "--ledger", url, "--token-file", unmade.token_file)
    assert (ran.code, "ledger url" in ran.err) == (2, True)
    assert not unmade.tally.vault.exists()


@pytest.mark.skipif(os.name != "posix", reason="there are no such bits")
def test_a_token_that_others_may_read_is_refused_before_anything_is_made(unmade: Far) -> None:
    unmade.token_file.chmod(0o644)
    ran = unmade("init", "--ledger", unmade.service.url, "--token-file", unmade.token_file)
    assert (ran.code, "others may read" in ran.err, TOKEN in ran.err) == (2, True, False)
    assert not unmade.service.asked


def trust_of_tsas(far: Far) -> Path:
    """A trust file that accepts the double's TSAs, which prove nothing, and its ledger."""
    path = far.tally.work / "trust.toml"
    lines = [f"log {format_vkey(key)}" for key in KEYS.public_keys()]
    policy = "\n".join([*lines, "quorum none"])
    tables = [line for tsa in TSAS for line in development_trust(tsa)]
    path.write_text("\n".join([f'tlog = """\n{policy}\n"""', *tables]) + "\n", "utf-8")
    return path


def test_the_whole_life(far: Far, file: Path) -> None:
    before = far.size
    far.service.ledger.stamp()
    anchored = far.tally.json("anchor", file, code=3)
    assert anchored["anchored"][0]["index"] == far.size - 1
    assert "not asked yet" in anchored["pending"][0]
    assert far.tally.json("status", code=3)["stamps_pending"] == [1]
    far.service.ledger.stamp()
    assert far.tally.json("sync") == {"sent": 0, "waiting_for_key": 0, "pending": [], "lacking": []}
    status = far.tally.json("status")
    assert (status["ledger"], status["entries"]) == (KEYS.origin, far.size)
    assert far.tally.json("log")["records"][0]["receipt"] is True
    assert far.tally("bundle", "-o", "x.zip").code == 0
    ran = far("verify", "x.zip", "--trust", trust_of_tsas(far))
    assert ran.code == 0, ran.out
    assert far("vault", "check", "--all").code == 0
    assert far.size == before + 2


def interrupted(*_: object) -> None:
    """What a crash is like."""
    raise KeyboardInterrupt


def make_files(far: Far, names: str) -> list[Path]:
    files = [far.tally.work / f"{name}.txt" for name in names]
    for path in files:
        path.write_bytes(path.name.encode())
    return files


def places(far: Far) -> list[int]:
    rows = far.tally.json("log")["records"]
    return [row["index"] for row in rows]


def test_what_is_anchored_offline_is_sent_in_order_later(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = far.size
    with monkeypatch.context() as patch:
        patch.setenv("TALLY_OFFLINE", "1")
        for path in make_files(far, "abc"):
            ran = far("anchor", path)
            assert (ran.code, "offline" in ran.err) == (3, True)
        assert far.tally.json("status", code=3)["queued"] == [1, 2, 3]
        assert far("log").code == 0
        assert far("sync").code == 3
        assert far("bundle", "-o", "x.zip").code == 3
    assert far.size == before
    assert far("sync").code == 3
    # The enrolment of the key comes first.
    assert places(far) == [before + 1, before + 2, before + 3]
    assert far.size == before + 4
    far.service.ledger.stamp()
    assert far("sync").code == 0
    with monkeypatch.context() as patch:
        patch.setenv("TALLY_OFFLINE", "1")
        assert far("status").code == 0
        assert far("bundle", "1", "2", "3", "-o", "x.zip").code == 0
        assert far("vault", "check", "--all").code == 0
    ran = far("verify", "x.zip", "--trust", trust_of_tsas(far))
    assert ran.code == 0, ran.out


def test_a_crash_between_sending_and_noting_loses_and_doubles_nothing(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = far.size
    files = make_files(far, "abc")

    with monkeypatch.context() as patch:
        patch.setattr(Records, "set_indexes", interrupted)
        assert far("anchor", *files[:2]).code == 130
    assert far.size == before + 3
    assert far.tally.json("status", code=3)["queued"] == [1, 2]
    assert far("anchor", files[2]).code == 3
    assert far.size == before + 4
    assert places(far) == [before + 1, before + 2, before + 3]


def test_an_answer_that_is_lost_on_the_way_is_asked_for_again(far: Far) -> None:
    before = far.size
    [file] = make_files(far, "a")
    far.service.lies["v1/entries"] = lambda honest: replace(honest, cut=10)
    assert far("anchor", file).code == 3
    assert far.size == before + 2
    del far.service.lies["v1/entries"]
    assert far("sync").code == 3
    assert (places(far), far.size) == ([before + 1], before + 2)


def test_a_ledger_that_went_back_is_told_and_nothing_is_sent(far: Far, tmp_path: Path) -> None:
    [one, two] = make_files(far, "ab")
    far("anchor", one)
    far.service.ledger = local_ledger(tmp_path, name="restored")
    far.service.ledger.append(entries(0, 300))
    ran = far("anchor", two)
    assert (ran.code, "went back from 303 to 301 entries; evidence: " in ran.err) == (3, True)
    assert far.tally.json("status", code=3)["queued"] == [2]
    [folder] = (far.tally.vault / "evidence").iterdir()
    assert folder.name.startswith("rollback-")
    assert far("vault", "backup", tmp_path / "backup").code == 0
    listed = (tmp_path / "backup" / "lists" / "0001").read_text()
    assert f" evidence/{folder.name}/shown" in listed


def test_a_fork_is_told_wherever_the_vault_is_opened(far: Far, tmp_path: Path) -> None:
    [one, two] = make_files(far, "ab")
    far("anchor", one)
    whole = far.service.ledger
    far.service.ledger = local_ledger(tmp_path, name="forked")
    far.service.ledger.append(entries(1000, 1400))
    ran = far("log")
    assert (ran.code, "two histories" in ran.err) == (0, True)
    far.service.ledger = whole
    status = far.tally.json("status", code=3)
    assert "two histories" in status["closed"]
    for words in (("sync",), ("anchor", two)):
        ran = far(*words)
        assert (ran.code, "two histories" in ran.err, "evidence" in ran.err) == (3, True, True)
    [folder] = (far.tally.vault / "evidence").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["WHAT.txt", "seen", "shown", "tile"]
    ran = far("vault", "successor")
    assert (ran.code, "elsewhere" in ran.err) == (3, True)


def test_a_restored_vault_goes_on_in_new_chains_of_the_same_ledger(
    far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one, two, three] = make_files(far, "abc")
    far("anchor", one)
    far.service.ledger.stamp()
    far("sync")
    assert far("vault", "backup", tmp_path / "backup").code == 0
    lost = far.tally.json("anchor", two, code=3)["anchored"][0]
    target = tmp_path / "again"
    ran = far("vault", "restore", tmp_path / "backup", "--vault", target)
    assert (ran.code, "the same ledger" in ran.err) == (0, True), ran.err
    monkeypatch.setenv("TALLY_VAULT", os.fspath(target))
    assert not (target / "ledger" / "vkeys").exists()
    row = far.tally.json("anchor", three, code=3)["anchored"][0]
    assert (row["seq"], row["index"]) == (1, lost["index"] + 2)
    shown = [far.tally.json("show", number) for number in (1, 2)]
    assert shown[0]["chain"] != shown[1]["chain"]
    assert {"rel": "continues", "entry": shown[0]["entry"]} in shown[1]["claims"]["refs"]
    far.service.ledger.stamp()
    assert far("sync").code == 0
    for number in (1, 2):
        name = f"{number}.zip"
        assert far("bundle", number, "-o", name).code == 0
        ran = far("verify", name, "--trust", trust_of_tsas(far))
        assert ran.code == 0, ran.out
    assert far("vault", "successor").code == 3


def test_what_was_seen_goes_along_with_a_backup(far: Far, tmp_path: Path) -> None:
    assert far("vault", "backup", tmp_path / "backup").code == 0
    target = tmp_path / "again"
    far.service.ledger = local_ledger(tmp_path, name="back")
    far.service.ledger.append(entries(0, 3))
    ran = far("vault", "restore", tmp_path / "backup", "--vault", target)
    assert ran.code == 3, ran.err
    assert "went back from 301 to 3 entries" in ran.err


def test_the_operators_commands_say_that_the_ledger_is_elsewhere(far: Far, tmp_path: Path) -> None:
    for words in (("ledger", "audit"), ("ledger", "backup", tmp_path / "x")):
        ran = far(*words)
        assert ran.code in (2, 3)
        assert f"the ledger is at {far.service.url}" in ran.err
    ran = far("tsa", "add", "one", "http://example.org")
    assert (ran.code, "its operator asks the TSAs" in ran.err) == (2, True)
    ran = far("doctor")
    assert f"ledger at {far.service.url}" in ran.out


def test_a_ledger_that_shows_another_key_is_refused(far: Far, tmp_path: Path) -> None:
    [file] = make_files(far, "a")
    other = replace(KEYS, ed25519=Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
    far.service.ledger = local_ledger(tmp_path, other, "other")
    ran = far("anchor", file)
    assert (ran.code, "not signed by every key" in ran.err) == (1, True)
    assert far.tally.json("status", code=3)["queued"] == [1]


def test_a_restored_vault_without_its_token_begins_its_chains_all_the_same(
    far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one, two] = make_files(far, "ab")
    far("anchor", one)
    assert far("vault", "backup", tmp_path / "backup").code == 0
    content = far.token_file.read_bytes()
    far.token_file.unlink()
    target = tmp_path / "again"
    with monkeypatch.context() as patch:
        patch.setattr(Records, "begin_chains", interrupted)
        assert far("vault", "restore", tmp_path / "backup", "--vault", target).code == 130
    monkeypatch.setenv("TALLY_VAULT", os.fspath(target))
    ran = far("anchor", two)
    assert ran.code != 0
    assert "no such file" in ran.err
    far.token_file.write_bytes(content)
    far.token_file.chmod(0o600)
    far("sync")
    shown = [far.tally.json("show", number) for number in (1, 2)]
    assert shown[0]["chain"] != shown[1]["chain"]
    assert shown[1]["index"] is not None
