"""``tally timestamp``: one RFC 3161 token by itself, for the appraiser. Never asks the network."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

import ledger.proof.roots
from cli.checking import read_trust_given, tool
from cli.given import parse_given, read_given, require_plain
from cli.output import (
    EXIT_DONE,
    UsageError,
    as_language,
    colour,
    hint,
    json_option,
    language_option,
    print_json,
    refuse_existing,
    result,
    talk,
)
from ledger.doors.files import read_blocks, write_durably
from ledger.errors import MalformedError
from ledger.proof.appraise import Appraisal, appraise
from ledger.proof.trust import Trust
from ledger.report.timestamp import Source, format_shown, format_text
from ledger.report.timestamp_html import format_html
from ledger.report.timestamp_json import format_json, format_shown_json
from ledger.report.timestamp_openssl import CertificateFile, format_commands
from ledger.timestamp.algorithms import digest_blocks
from ledger.timestamp.cms import MAX_TOKEN_BYTES
from ledger.timestamp.examine import Asked
from ledger.timestamp.material import (
    MAX_MATERIAL_FILE_BYTES,
    describe,
    is_pem,
    parse_certificates,
    parse_crls,
    parse_ocsps,
)
from ledger.timestamp.opened import OpenedToken, open_token
from ledger.timestamp.request import DIGEST_BYTES, MAX_REQUEST_BYTES, parse_request
from ledger.timestamp.token import Token

F = TypeVar("F", bound=Callable[..., object])

_ADVICE = {
    "no-data": "--data FILE or --digest HEX says what the token should be over",
    "no-anchor": "--root CERT or --trust FILE says whom you believe; a token never does",
    "no-certificate": "--intermediate CERT: the signer's certificate is not in the token",
    "no-path": "--intermediate CERT: those between the signer and a root that you believe, and the"
    " root itself if --trust names it only by its hash",
    "no-material": "--crl or --ocsp: revocation was required",
    "partly": "--crl or --ocsp: one for each certificate of the chain, covering genTime",
}
"""What helps where a required check could not be made."""

_DIGEST = re.compile(r"(?:([a-z0-9]{1,16}):)?((?:[0-9A-Fa-f]{2}){1,64})")


@click.group(invoke_without_command=True)
@click.pass_context
def timestamp(context: click.Context) -> None:
    """Check or show one RFC 3161 timestamp token, by itself and offline."""
    if context.invoked_subcommand is None:
        raise UsageError("no command was given", "tally timestamp --help")


@dataclass(frozen=True, slots=True)
class Given:
    """A file of certificates, CRLs or OCSP answers: its name, and what is in it as DER."""

    name: str
    pem: bool
    ders: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """The files that ``verify`` was given."""

    token: str
    over: str | None
    digest: str | None
    roots: tuple[Given, ...]
    intermediates: tuple[Given, ...]
    trust: str | None


def _repeated(name: str, kind: str, text: str) -> Callable[[F], F]:
    return click.option(name, metavar=kind, multiple=True, help=text)


@timestamp.command()
@click.argument("token", metavar="TOKEN")
@click.option("--data", metavar="FILE", help="What was stamped.")
@click.option("--digest", metavar="HEX", help="Or its digest: HEX, or as in sha256:HEX.")
@_repeated("--root", "CERT", "A root you believe (PEM or DER; repeatable).")
@click.option("--trust", metavar="FILE", help="Or a trust file, with its limits and windows.")
@_repeated("--intermediate", "CERT", "A certificate on the way to the root (repeatable).")
@_repeated("--crl", "CRL", "A revocation list (repeatable).")
@_repeated("--ocsp", "OCSP", "An OCSP answer (repeatable).")
@click.option("--request", metavar="TSQ", help="The request that the token answers.")
@click.option("--require-revocation", is_flag=True, help="Do not do without CRL or OCSP.")
@click.option("--html", metavar="FILE", help="Write the outcome as a page, too.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@language_option
@json_option
def verify(
    token: str,
    data: str | None,
    digest: str | None,
    root: tuple[str, ...],
    trust: str | None,
    intermediate: tuple[str, ...],
    crl: tuple[str, ...],
    ocsp: tuple[str, ...],
    request: str | None,
    require_revocation: bool,
    html: str | None,
    force: bool,
    language: str,
    as_json: bool,
) -> int:
    """Check TOKEN (a response or a bare token) at its own time, under roots that you name.

    Never touches the network. Exit 0 proven, 1 refuted, 3 could not be checked.
    """
    _refuse_both("--data", data, "--digest", digest)
    _refuse_both("--root", root, "--trust", trust)
    refuse_existing(html, force=force)
    content = read_given(token, MAX_TOKEN_BYTES)
    opened = _open(token, content)
    roots = _read_all(root, parse_certificates)
    intermediates = _read_all(intermediate, parse_certificates)
    believed = None if trust is None else read_trust_given(trust)
    asked = Asked(
        imprint=_imprint(opened, data, digest),
        request=None if request is None else parse_given(request, parse_request, MAX_REQUEST_BYTES),
        certificates=_flat(intermediates),
        anchors=_flat(roots) if root else None,
        crls=_flat(_read_all(crl, parse_crls)),
        ocsps=_flat(_read_all(ocsp, parse_ocsps)),
    )
    appraisal = appraise(opened, asked, trust=believed, require_revocation=require_revocation)
    options = Options(token, data, digest, roots, intermediates, trust)
    source = _source(options, content, appraisal, believed)
    spoken = as_language(language)
    if html is not None:
        page = format_html(appraisal, source, spoken).encode("utf-8")
        write_durably(Path(html), page, mode=0o644, overwrite=force)
    if as_json:
        print_json(format_json(appraisal, source))
    else:
        result(format_text(appraisal, source, spoken, colour=colour()))
    _advise(appraisal)
    return appraisal.exit_code


@timestamp.command()
@click.argument("token", metavar="TOKEN")
@language_option
@json_option
def show(token: str, language: str, as_json: bool) -> int:
    """Show what TOKEN says: time, serial, imprint, certificates. Nothing of it is checked."""
    content = read_given(token, MAX_TOKEN_BYTES)
    opened = _open(token, content)
    source = Source(token, content)
    if as_json:
        print_json(format_shown_json(opened, source))
    else:
        result(format_shown(opened, source, as_language(language)))
    return EXIT_DONE


def _refuse_both(name: str, value: object, other: str, second: object) -> None:
    if value and second:
        raise UsageError(f"{name} and {other} do not go together", f"give {name} or {other}")


def _open(name: str, content: bytes) -> OpenedToken:
    try:
        return open_token(content)
    except MalformedError as error:
        advice = "TOKEN is the .tsr or .tst file in DER, as the TSA sent it"
        if is_pem(content):
            advice = "it is PEM: take the BEGIN and END lines off and decode the base64 first"
        raise MalformedError(f"{name}: {error}", hint=advice) from error


def _read_all(
    names: Sequence[str], parse: Callable[[bytes], tuple[bytes, ...]]
) -> tuple[Given, ...]:
    def given(content: bytes) -> tuple[bool, tuple[bytes, ...]]:
        return is_pem(content), parse(content)

    return tuple(Given(name, *parse_given(name, given, MAX_MATERIAL_FILE_BYTES)) for name in names)


def _flat(files: Sequence[Given]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(der for file in files for der in file.ders))


def _imprint(opened: OpenedToken, name: str | None, digest: str | None) -> bytes | None:
    """The digest to compare, under the token's algorithm; None if there is nothing to compare."""
    if digest is not None:
        return _parse_digest(digest, opened.token)
    if name is None:
        return None
    require_plain(name)
    if opened.token is None or opened.token.imprint_algorithm not in DIGEST_BYTES:
        return None
    return digest_blocks(opened.token.imprint_algorithm, read_blocks(Path(name)))


def _parse_digest(text: str, token: Token | None) -> bytes:
    """The bytes of HEX or ALGORITHM:HEX; MalformedError if it cannot be of the token's kind."""
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise MalformedError(
            f"--digest is {text!r}, want hex digits", hint="as `sha256sum FILE` prints it"
        )
    algorithm, value = match[1], bytes.fromhex(match[2])
    if token is None:
        return value
    wanted = token.imprint_algorithm
    advice = f"give the {wanted} digest, or the file itself with --data"
    if algorithm not in (None, wanted):
        raise MalformedError(f"the digest is {algorithm}, the token is over {wanted}", hint=advice)
    length = DIGEST_BYTES.get(wanted, len(value))
    if len(value) != length:
        raise MalformedError(
            f"--digest has {len(value)} bytes, want {length} ({wanted})", hint=advice
        )
    return value


def _source(options: Options, content: bytes, appraisal: Appraisal, trust: Trust | None) -> Source:
    digest = None if options.digest is None else options.digest.split(":")[-1].lower()
    return Source(
        name=options.token,
        content=content,
        against=options.over if digest is None else digest,
        commands=_commands(options, digest, appraisal),
        trust_sha256=None if trust is None else trust.sha256,
        tool=tool(),
        checked_at=datetime.now(UTC),
    )


def _commands(options: Options, digest: str | None, appraisal: Appraisal) -> tuple[str, ...]:
    """The same with openssl; nothing where a file that it needs is not known."""
    token, path = appraisal.opened.token, appraisal.path
    over = ("digest", digest) if digest is not None else ("data", options.over)
    if token is None or over[1] is None:
        return ()
    roots = [CertificateFile(file.name, file.pem) for file in options.roots]
    if options.trust is not None and path is not None:
        root = _file_of(path.anchor, options.intermediates)
        roots = [] if root is None else [root]
    if not roots:
        return ()
    return format_commands(
        token,
        bare=appraisal.opened.response.status is None,
        token_name=options.token,
        over=(over[0], over[1]),
        roots=roots,
        intermediates=[CertificateFile(file.name, file.pem) for file in options.intermediates],
        partial=path is not None and not describe(path.anchor).is_self_issued,
    )


def _file_of(anchor: bytes, files: Sequence[Given]) -> CertificateFile | None:
    """Where a trust file's anchor is by itself: a file given, or of the package; None: nowhere."""
    for file in files:
        if file.ders == (anchor,):
            return CertificateFile(file.name, file.pem)
    digest = hashlib.sha256(anchor).hexdigest()
    folder = Path(ledger.proof.roots.__file__).parent / "roots"
    held = sorted(folder.glob(f"*-{digest[:16]}.pem"))
    return CertificateFile(str(held[0]), pem=True) if held else None


def _advise(appraisal: Appraisal) -> None:
    """What to do about what could not be checked, on stderr."""
    if appraisal.development:
        talk("development TSA: proves nothing")
    missing = [c for c in appraisal.checks if c.outcome == "unchecked"]
    for code, advice in _ADVICE.items():
        if any(c.code == code and c.name in appraisal.required for c in missing):
            hint(advice)
