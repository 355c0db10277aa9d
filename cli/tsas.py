"""The TSAs of a vault whose ledger is in it: those of its settings, or two of its own."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from ledger.doors.files import read_limited, write_durably
from ledger.holder.vault import Vault
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.tsa import Tsa, http_tsa
from ledger.proof.stamps import format_certificate

DEVELOPMENT_NAMES = ("development-1", "development-2")
DEVELOPMENT_TRUST = "development-trust.toml"
MAX_TSA_BYTES = 1 << 16
"""A development TSA's keys and certificates as PEM: some 3 KB."""

Clock = Callable[[], datetime]


def make_tsas(vault: Vault, clock: Clock) -> tuple[Sequence[Tsa], Sequence[bytes]]:
    """The TSAs of the vault's settings, and the certificates that go into bundles."""
    if not vault.config.development:
        return [http_tsa(tsa) for tsa in vault.config.tsas], ()
    folder = vault.folder / "ledger"
    tsas = [
        DevelopmentTsa.from_pem(read_limited(folder / f"{name}.pem", MAX_TSA_BYTES), clock)
        for name in DEVELOPMENT_NAMES
    ]
    return tsas, [tsa.root for tsa in tsas]


def make_development_tsas(folder: Path, clock: Clock) -> None:
    """The development TSAs that are missing, and the trust file that accepts them."""
    tsas: list[DevelopmentTsa] = []
    for name in DEVELOPMENT_NAMES:
        path = folder / "ledger" / f"{name}.pem"
        if not path.exists():
            write_durably(path, DevelopmentTsa.create(name, clock).to_pem())
        tsas.append(DevelopmentTsa.from_pem(read_limited(path, MAX_TSA_BYTES), clock))
    write_development_trust(folder, tsas)


def development_trust(tsa: DevelopmentTsa) -> list[str]:
    """The lines of a trust file that accept ``tsa``, as one that proves nothing."""
    anchor = hashlib.sha256(tsa.root).hexdigest()
    return ["[[tsa]]", f'name = "{tsa.name}"', f'anchor = "{anchor}"', "development = true"]


def write_development_trust(folder: Path, tsas: Sequence[DevelopmentTsa]) -> None:
    """The trust file for a ledger's own development TSAs, and their roots as PEM for openssl."""
    lines = [
        "# Accepts development TSAs. They prove nothing: their keys are the ledger's own.",
        "",
    ]
    for tsa in tsas:
        _, pem = format_certificate(tsa.root)
        write_durably(folder / f"{tsa.name}-root.pem", pem, mode=0o644, overwrite=True)
        lines += [*development_trust(tsa), ""]
    trust = "\n".join(lines).encode("ascii")
    write_durably(folder / DEVELOPMENT_TRUST, trust, mode=0o644, overwrite=True)
