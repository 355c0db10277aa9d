"""Certificates, CRLs and OCSP answers that a ledger elsewhere captured, kept for bundles.

They are strangers' word, and so is the ledger's about them: a verifier checks their signatures.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from ledger.doors.files import make_folder, read_limited, unavailable, write_durably
from ledger.errors import MalformedError
from ledger.proof.revocation import READERS, Answer, read_all
from ledger.timestamp.der import load_certificate
from ledger.timestamp.path import MAX_MATERIAL_BYTES

CERTIFICATE, CRL, OCSP = "certificate", "crl", "ocsp"

_NAME = re.compile(rf"[0-9a-f]{{64}}\.({CERTIFICATE}|{CRL}|{OCSP})")


class Material:
    """The files in ``folder``, each named by its SHA-256 and kind. UnavailableError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lacking(self, pieces: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those of ``pieces``, kind and SHA-256 each, that are not kept."""
        names = set(self._names())
        return [(kind, sha256) for kind, sha256 in pieces if f"{sha256}.{kind}" not in names]

    def keep(self, kind: str, der: bytes) -> None:
        """Keep one, durably; MalformedError for what is none."""
        if len(der) > MAX_MATERIAL_BYTES:
            raise MalformedError(f"a {kind} of {len(der)} bytes, want at most {MAX_MATERIAL_BYTES}")
        path = self._folder / f"{hashlib.sha256(der).hexdigest()}.{kind}"
        if path.name in self._names():
            return
        if kind == CERTIFICATE:
            load_certificate(der)
        elif kind in (CRL, OCSP):
            READERS[kind](der)
        else:
            raise MalformedError(f"material of kind {kind!r}, want certificate, crl or ocsp")
        try:
            make_folder(self._folder, mode=0o700)
        except OSError as error:
            raise unavailable("make", self._folder, error) from error
        write_durably(path, der, overwrite=True)

    def certificates(self) -> tuple[bytes, ...]:
        """DER of the certificates."""
        return tuple(self._of(CERTIFICATE))

    def answers(self) -> tuple[Answer, ...]:
        """The CRLs and OCSP answers."""
        return read_all(self._of(CRL), self._of(OCSP))

    def _of(self, kind: str) -> list[bytes]:
        names = [name for name in self._names() if name.endswith(f".{kind}")]
        return [read_limited(self._folder / name, MAX_MATERIAL_BYTES) for name in names]

    def _names(self) -> list[str]:
        try:
            found = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unavailable("list", self._folder, error) from error
        return sorted(name for name in found if _NAME.fullmatch(name))
