"""The five errors of the house, and what each asks of the caller.

Every error that a caller can act on is one of these; a caller's own mistake (a negative size, a
wrong type) is a plain ``ValueError``. Messages are lower case, have no full stop, say what was
wanted and what came, and never contain a secret or a salt.
"""


class LedgerError(Exception):
    """Base of the five errors. ``hint`` is one line on what to do next, or None."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class MalformedError(LedgerError):
    """The bytes are not in the format: do not retry, do not repair, refuse them."""


class VerificationError(LedgerError):
    """Well formed but not true (a signature, a hash, a proof): treat the evidence as refuted."""


class ConflictError(LedgerError):
    """Someone else was first, or the state moved: read the present state again, then decide."""


class NotFoundError(LedgerError):
    """What was asked for is not here: ask for something else, or elsewhere."""


class UnavailableError(LedgerError):
    """It could not be asked (network, disk, lock): nothing is known, try again later."""
