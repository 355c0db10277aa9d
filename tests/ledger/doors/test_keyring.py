"""The system's keyring, against the real package with a keyring in memory in place of the system's.

What a system's own keyring does is its matter; here the package's way of asking one is held.
"""

import sys
from collections.abc import Iterator

import pytest

from ledger.doors.keyring import SERVICE, keep_passphrase, read_passphrase
from ledger.errors import UnavailableError
from tests.keyring_in_memory import in_memory

keyring = pytest.importorskip("keyring", reason="the dev lock has it")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The keyring that was set before, whichever a test sets."""
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


def test_a_passphrase_that_is_kept_is_read_again_under_its_name_only() -> None:
    keyring.set_keyring(in_memory())
    assert read_passphrase("age1one") is None
    keep_passphrase("age1one", "配方 pass")
    assert read_passphrase("age1one") == "配方 pass"
    assert keyring.get_password(SERVICE, "age1one") == "配方 pass"
    assert read_passphrase("age1two") is None


def test_a_keyring_that_does_not_answer_or_does_not_keep_is_told() -> None:
    keyring.set_keyring(in_memory(fails=True))
    with pytest.raises(UnavailableError, match="did not answer: no prompt"):
        read_passphrase("name")
    with pytest.raises(UnavailableError, match="did not take it: refused"):
        keep_passphrase("name", "word")
    keyring.set_keyring(in_memory(forgets=True))
    with pytest.raises(UnavailableError, match="did not keep it"):
        keep_passphrase("name", "word")


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    for act in (lambda: read_passphrase("name"), lambda: keep_passphrase("name", "word")):
        with pytest.raises(UnavailableError, match="is not installed") as caught:
            act()
        assert caught.value.hint == "install it beside tally: pip install keyring"
