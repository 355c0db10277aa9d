"""How to check a token with openssl alone: the exact lines, for files that people already have.

It judges at genTime too (``-attime``). Revocation is left out: openssl wants CRLs that were in
force at genTime, and the ones kept are often issued later.
"""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.timestamp.token import Token


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """A file with certificates; openssl has to be told if it is DER."""

    name: str
    pem: bool


def format_commands(
    token: Token,
    *,
    bare: bool,
    token_name: str,
    over: tuple[str, str],
    roots: Sequence[CertificateFile],
    intermediates: Sequence[CertificateFile],
    partial: bool,
) -> tuple[str, ...]:
    """The lines, in order, for a POSIX shell; the last one verifies.

    ``over``: ``("data", name of the file)`` or ``("digest", hex)``. ``roots``: one or more.
    ``partial``: the anchor is not self-signed, so openssl must be let stop at it.
    """
    lines: list[str] = []
    root = _one_pem(roots, "roots.pem", lines)
    words = ["openssl", "ts", "-verify", "-in", token_name]
    words += ["-token_in"] if bare else []
    words += [f"-{over[0]}", over[1], "-CAfile", root]
    if intermediates:
        words += ["-untrusted", _one_pem(intermediates, "intermediates.pem", lines)]
    words += ["-partial_chain"] if partial else []
    # The certificate may have expired since: the token is judged at its own time.
    words += ["-attime", str(math.ceil(token.gen_time.timestamp()))]
    return (*lines, shlex.join(words))


def _one_pem(found: Sequence[CertificateFile], name: str, lines: list[str]) -> str:
    """The one PEM file with all of found; adds to lines how it is made, if it is not there yet."""
    names = []
    for one in found:
        if one.pem:
            names.append(one.name)
            continue
        names.append(f"{one.name}.pem")
        lines.append(shlex.join(["openssl", "x509", "-in", one.name, "-out", f"{one.name}.pem"]))
    if len(names) == 1:
        return names[0]
    lines.append(f"{shlex.join(['cat', *names])} > {name}")
    return name
