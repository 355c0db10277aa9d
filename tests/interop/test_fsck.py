"""Tessera's fsck, as its makers build it, reads the whole log from the running service."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.note import parse_note
from tests.hosting import Hosted
from tests.interop.log import entry
from tests.interop.peer import build

pytestmark = pytest.mark.slow

COMMAND = "github.com/transparency-dev/tessera/cmd/fsck"
WORKERS = "8"
"""One alone that finds a fault ends, and fsck waits for it for ever (v1.0.4)."""


@pytest.fixture(scope="module")
def fsck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("fsck", tmp_path_factory.mktemp("fsck"), COMMAND)


@pytest.fixture(scope="module")
def grown(service: Hosted) -> Hosted:
    """The service with some entries more: tiles of two levels, some partial."""
    for start in range(0, 800, 400):
        given = [entry(number) for number in range(start + 10_000, start + 10_400)]
        assert service.append(given).status == 200
    return service


def judgement(fsck: Path, url: str, vkey: str, folder: Path) -> str:
    """What fsck says: its exit code is 0 whatever it finds."""
    (folder / "vkey").write_text(vkey)
    line = [fsck, "-storage_url", url, "-public_key", folder / "vkey", "-ui=false", "-N", WORKERS]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    return done.stderr


@contextmanager
def changing(service: Hosted, changed: str, asked: list[str]) -> Iterator[str]:
    """The address of a server that hands on what ``service`` has, but for one byte of a path.

    Of a checkpoint the first: most of it is a signature of a kind that fsck does not know.
    """

    class Between(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = service.get(self.path)
            body = bytearray(answer.body)
            asked.append(self.path)
            if self.path == changed:
                body[0 if "checkpoint" in changed else len(body) // 2] ^= 1
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_fsck_accepts_the_log(fsck: Path, grown: Hosted, tmp_path: Path) -> None:
    head = parse_checkpoint(parse_note(grown.get("/checkpoint").body).text).head
    said = judgement(fsck, grown.url, grown.vkeys[0], tmp_path)
    assert f"Successfully fsck'd log with size {head.size} and root" in said
    assert head.root.hex() in said
    assert "failed" not in said


def test_fsck_refuses_one_changed_byte_of_each_thing_it_reads(
    fsck: Path, grown: Hosted, tmp_path: Path
) -> None:
    asked: list[str] = []
    with changing(grown, "nothing", asked) as url:
        assert "Successfully fsck'd" in judgement(fsck, url, grown.vkeys[0], tmp_path)
    kinds = {path.split("/")[2] for path in asked if path.startswith("/tile/")}
    assert kinds == {"0", "1", "entries"}
    assert any(".p/" in path for path in asked)
    for path in sorted(set(asked)):
        with changing(grown, path, []) as url:
            said = judgement(fsck, url, grown.vkeys[0], tmp_path)
        assert "fsck failed" in said, path
        assert "Successfully" not in said, path


def test_fsck_refuses_the_log_under_another_key(fsck: Path, grown: Hosted, tmp_path: Path) -> None:
    other = "ledger.example.org/one+5ad5d8c4+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    assert "Successfully" not in judgement(fsck, grown.url, other, tmp_path)
