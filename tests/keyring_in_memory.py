"""A keyring of the package ``keyring``'s own kind that keeps what it is given in memory."""

from typing import Any


def in_memory(*, forgets: bool = False, fails: bool = False) -> Any:  # its backend class is untyped
    """A backend; one that ``forgets`` keeps nothing, one that ``fails`` refuses everything."""
    # Only tests that ask for the package need it installed.
    from keyring import backend, errors

    class Memory(backend.KeyringBackend):  # type: ignore[misc]
        priority = 1

        def __init__(self) -> None:
            super().__init__()
            self.held: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            if fails:
                raise errors.KeyringLocked("no prompt was answered")
            return self.held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            if fails:
                raise errors.PasswordSetError("refused")
            if not forgets:
                self.held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.held[service, username]

    return Memory()
