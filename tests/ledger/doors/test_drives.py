"""Network drives are told from the system's own list, and what it does not tell is not guessed."""

from pathlib import Path

import pytest

from ledger.doors import drives
from ledger.doors.drives import NETWORK_TYPES, network_drive
from ledger.doors.sqlite import open_database
from ledger.errors import UnavailableError
from ledger.holder.config import Config
from ledger.holder.vault import begin_vault, finish_vault, open_vault

ROWS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /mnt/lab rw,relatime shared:2 - nfs4 server:/lab rw
31 22 0:27 / /mnt/my\\040disk rw,relatime - fuse.sshfs me@host: rw
32 30 8:2 / /mnt/lab/local rw - xfs /dev/sdb1 rw
33 22 0:28 / /mnt/twice rw - ext4 /dev/sdc1 rw
34 22 0:29 / /mnt/twice rw shared:3 master:1 - cifs //server/x rw
35 22 0:30 / /mnt/back\\134slash rw - 9p share rw
a row that is none
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(ROWS, "utf-8")
    return path


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", None),
        ("/home/me/vault", None),
        ("/mnt/lab", "nfs4"),
        ("/mnt/lab/not/there/yet", "nfs4"),
        ("/mnt/laboratory", None),
        ("/mnt/lab/local/vault", None),
        ("/mnt/my disk/vault", "fuse.sshfs"),
        ("/mnt/twice/vault", "cifs"),
        ("/mnt/back\\slash", "9p"),
    ],
)
def test_the_innermost_mount_decides(mounts: Path, folder: str, kind: str | None) -> None:
    assert network_drive(Path(folder), mounts) == kind


def test_a_link_into_a_network_drive_is_followed(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/mnt/lab")
    assert network_drive(tmp_path / "link" / "vault", mounts) == "nfs4"


def test_where_the_system_does_not_tell_nothing_is_said(tmp_path: Path) -> None:
    assert network_drive(tmp_path, tmp_path / "absent") is None
    (tmp_path / "empty").write_bytes(b"")
    assert network_drive(tmp_path, tmp_path / "empty") is None


def test_every_type_is_one_word() -> None:
    assert all(kind == kind.strip().lower() for kind in NETWORK_TYPES)
    assert {"nfs", "cifs", "smb3", "9p", "fuse.sshfs"} <= NETWORK_TYPES


def test_no_vault_is_made_or_opened_there_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = begin_vault(tmp_path / "here", Config(development=True))
    finish_vault(here)
    here.close()
    kinds: list[str | None] = ["nfs4"]
    monkeypatch.setattr(drives, "network_drive", lambda _folder: kinds[-1])
    for act in (
        lambda: begin_vault(tmp_path / "vault", Config(development=True)),
        lambda: open_vault(tmp_path / "here"),
        lambda: open_database(tmp_path / "new.sqlite"),
    ):
        with pytest.raises(UnavailableError, match=r"on a network drive \(nfs4\)") as caught:
            act()
        assert caught.value.hint is not None
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
