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
    assert list(vault.manifests.each(root.hex())) == lines
    for missing in (vault.manifests.read, lambda name: list(vault.manifests.each(name))):
        with pytest.raises(NotFoundError):
            missing("02" * 32)
    (vault.folder / "manifests" / root.hex()).write_bytes(b"\xff")
    with pytest.raises(MalformedError, match="damaged"):
        vault.manifests.read(root.hex())
    with pytest.raises(MalformedError, match="damaged"):
        list(vault.manifests.each(root.hex()))


@pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 8192, 12289])
@pytest.mark.parametrize("batch", [1000, 4096, 20000])
def test_root_is_that_of_all_lines_however_they_come(vault: Vault, count: int, batch: int) -> None:
    lines = [f"line{number}" for number in range(count)]
    batches = [lines[at : at + batch] for at in range(0, count, batch)]
    assert vault.manifests.write(batches) == lines_root(lines)
