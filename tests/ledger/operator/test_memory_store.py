from collections.abc import Callable

import pytest

from ledger.operator.store.memory import MemoryStore
from ledger.operator.store.protocol import Attachment, Store
from tests.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()

    @pytest.fixture
    def open_again(self, store: Store) -> Callable[[], Store]:
        return lambda: store


def test_an_attachment_below_size_0_or_of_no_kind_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="size"):
        Attachment(-1, "token", "a", b"")
    with pytest.raises(ValueError, match="kind"):
        Attachment(0, "", "a", b"")
