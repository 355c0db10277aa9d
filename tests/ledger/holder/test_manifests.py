"""Manifests: kept as they are written, under their root."""

import pytest

from ledger.errors import MalformedError, NotFoundError
from ledger.holder.vault import Vault
from ledger.record.shown import lines_root


def test_lines_are_kept_as_they_are_and_damage_is_told(vault: Vault) -> None:
    lines = [f"line{number}" for number in range(3000)]
    root, count = vault.manifests.write([lines[:1000], lines[1000:]])
    assert (root, count) == lines_root(lines)
    assert vault.manifests.read(root.hex()) == lines
    assert [path.name for path in (vault.folder / "manifests").iterdir()] == [root.hex()]
    with pytest.raises(NotFoundError):
        vault.manifests.read("02" * 32)
    (vault.folder / "manifests" / root.hex()).write_bytes(b"\xff")
    with pytest.raises(MalformedError, match="damaged"):
        vault.manifests.read(root.hex())
