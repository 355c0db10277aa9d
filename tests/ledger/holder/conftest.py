"""A vault without a ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.holder.config import Config
from ledger.holder.vault import Vault, begin_vault, finish_vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = begin_vault(tmp_path / "vault", Config(development=True))
    finish_vault(made)
    yield made
    made.close()
