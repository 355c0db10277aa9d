"""The operating system's keyring, where a passphrase can be kept: the package ``keyring``.

It is an extra (``tallystick[keyring]``), and imported only when a vault asks for it.
"""

from ledger.errors import UnavailableError

SERVICE = "tallystick"
_HINT = "install it beside tally: pip install keyring"


def read_passphrase(name: str) -> str | None:
    """The passphrase kept under ``name``, None if there is none; UnavailableError."""
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise UnavailableError("the package keyring is not installed", hint=_HINT) from error
    try:
        found: str | None = keyring.get_password(SERVICE, name)
    except keyring.errors.KeyringError as error:
        raise UnavailableError(f"the system's keyring did not answer: {error}") from error
    return found


def keep_passphrase(name: str, passphrase: str) -> None:
    """Keep ``passphrase`` under ``name``, and read it again to be sure; UnavailableError."""
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise UnavailableError("the package keyring is not installed", hint=_HINT) from error
    try:
        keyring.set_password(SERVICE, name, passphrase)
        kept = keyring.get_password(SERVICE, name)
    except keyring.errors.KeyringError as error:
        raise UnavailableError(f"the system's keyring did not take it: {error}") from error
    if kept != passphrase:
        raise UnavailableError("the system's keyring did not keep it: use a passphrase file")
