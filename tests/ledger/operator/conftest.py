"""A hosted ledger, copied for each test that asks for one."""

from tests.hosting import home, made_home

__all__ = ["home", "made_home"]
