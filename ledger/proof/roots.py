"""The package's own files of trust: roots of public TSAs, and the default trust file.

Holding a root is not believing it: a root counts only if the verifier's trust file pins the
SHA-256 of its DER. Where each came from is in ``docs/tsa-roots.md``.

>>> import hashlib
>>> from ledger.proof.trust import parse_trust
>>> held = {hashlib.sha256(root).digest() for root in read_roots()}
>>> held == {tsa.anchor for tsa in parse_trust(default_trust()).tsas}
True
"""

import base64
import re
from functools import cache
from importlib.resources import files

from ledger.errors import MalformedError

_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----\n((?:[A-Za-z0-9+/=]{1,64}\n)*)-----END CERTIFICATE-----\n"
)


@cache
def read_roots() -> tuple[bytes, ...]:
    """Return the DER of every root in ``roots/``, in the order of their file names.

    Reads package files, once. Whether they are certificates is asked where one is used.
    MalformedError: a file is not one certificate in PEM.
    """
    placed = files(__package__).joinpath("roots").iterdir()
    pems = sorted((file for file in placed if file.name.endswith(".pem")), key=lambda f: f.name)
    return tuple(parse_pem(file.name, file.read_bytes()) for file in pems)


def default_trust() -> bytes:
    """The trust file of a verifier that names none: public TSAs, k = 2, no development TSA."""
    return files(__package__).joinpath("default-trust.toml").read_bytes()


def parse_pem(name: str, content: bytes) -> bytes:
    """The DER in content, which is exactly what ``format_pem`` makes of it (RFC 7468 §3, strict).

    MalformedError, which names the file: it is anything else. Whether the DER is a certificate is
    not asked.
    """
    match = _PEM.fullmatch(content)
    if match is None:
        raise MalformedError(f"{name} is not one PEM certificate")
    try:
        der = base64.b64decode(match[1].replace(b"\n", b""), validate=True)
    except ValueError as error:
        raise MalformedError(f"{name} is not base64") from error
    # Base64 has spare bits and PEM free line lengths: what does not decide is not let vary.
    if format_pem(der) != content:
        raise MalformedError(f"{name} is not in the one form of a PEM certificate")
    return der


def format_pem(der: bytes) -> bytes:
    """The PEM of one certificate: lines of 64 characters, nothing before or after."""
    text = base64.b64encode(der).decode("ascii")
    lines = "".join(f"{text[i : i + 64]}\n" for i in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n".encode("ascii")
