"""A CA, one below it, and a signer below that."""

from typing import Any

import pytest

from ledger.timestamp.path import TrustedPath, check_path
from tests.ledger.timestamp.authority import GEN_TIME, Authority, Signer


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def middle(root: Authority) -> Authority:
    return root.child("Test Middle")


@pytest.fixture(scope="module")
def signer(middle: Authority) -> Signer:
    return middle.signer()


@pytest.fixture
def trusted(root: Authority, middle: Authority, signer: Signer) -> Any:
    def check(**material: Any) -> TrustedPath:
        moment = material.pop("moment", GEN_TIME)
        return check_path(signer.certificate, [middle.der], [root.der], moment, **material)

    return check
