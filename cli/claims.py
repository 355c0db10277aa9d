"""What a record is to say besides its carrier: the options of ``tally anchor``, and a claims file.

Nothing personal is said unless it is asked for: author, persons, user and host are off by default.
"""

import base64
import getpass
import platform
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.given import parse_given
from ledger.errors import MalformedError
from ledger.holder.records import Records
from ledger.holder.said import Wish
from ledger.record.claims import check_claim
from ledger.record.strict_json import JsonValue, parse_json
from ledger.record.vocabulary import terms
from ledger.timestamp.material import parse_certificates

MAX_CLAIMS_BYTES = 1 << 20
"""More than a record holds."""
MAX_CERTIFICATE_BYTES = 1 << 16
"""X.509 of a person: 1 to 4 KiB, in PEM a third more."""

FIELDS = ("kind", "stage", "title", "label", "note", "trigger")
"""Claims that a Wish has a field for."""

F = TypeVar("F", bound=Callable[..., Any])  # Any: click passes what a command declares


def _terms(claim: str) -> click.Choice[str]:
    return click.Choice([term.code for term in terms(claim)])


_OPTIONS = (
    click.option("--title", help="Real title (withheld unless disclosed)."),
    click.option("--label", help="Neutral label for public use."),
    click.option("--note", help="Free text."),
    click.option("--kind", type=_terms("kind"), help="What is recorded (default: carrier)."),
    click.option("--stage", type=_terms("stage"), help="Stage of the work."),
    click.option("--category", type=_terms("category"), help="Sort of information (Art. 5)."),
    click.option("--article", type=_terms("article"), help="What it is for (Order 126)."),
    click.option("--meaning", type=_terms("meaning"), help="Of a countersignature."),
    click.option("--trigger", type=_terms("trigger"), help="How it came (default: manual)."),
    click.option("--author", metavar="NAME", help="Who made it (a claim)."),
    click.option("--role", metavar="TEXT", help="The author's role."),
    click.option("--organisation", metavar="TEXT", help="The author's organisation."),
    click.option(
        "--person", "persons", multiple=True, metavar="NAME[,ROLE[,ORG]]", help="Also concerned."
    ),
    click.option("--point", "points", multiple=True, metavar="TEXT", help="Secret point touched."),
    click.option("--in-force", metavar="FROM..[TO]", help="Period of a measure (dates)."),
    click.option(
        "--provenance",
        multiple=True,
        metavar="KEY=TEXT",
        help="source, generation, storage, notarisation, third_party, corroboration.",
    ),
    click.option("--environment", metavar="user,host", help="Also name the user, the host."),
    click.option("--revises", metavar="RECORD", help="The record this is a new version of."),
    click.option(
        "--ref", "refs", multiple=True, metavar="REL=RECORD", help="Another relation to a record."
    ),
    click.option("--certificate", metavar="FILE", help="The author's X.509 certificate."),
    click.option("--claims", "file", metavar="FILE", help="Any claims, as TOML or JSON."),
)


def claim_options(command: F) -> F:
    """Add every option by which a claim is made."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_wish(
    said: Mapping[str, Any],  # Any: what click gives
    records: Records,
) -> Wish:
    """The wish that the options in ``said`` make; records are looked up in ``records``.

    MalformedError for what no record can hold, and for a claim in the file and as an option too;
    NotFoundError, UnavailableError for files and records that are not there.
    """
    file = said["file"]
    claims = {} if file is None else parse_given(file, _parse_for(file), MAX_CLAIMS_BYTES)
    for name, value in _from_options(said, records).items():
        if name in claims:
            hint = "say it once: leave it out of the file, or leave out the option"
            raise MalformedError(f"claim {name} is in {file} and on the command line", hint=hint)
        check_claim(name, value)
        claims[name] = value
    fields: dict[str, Any] = {name: claims.pop(name) for name in FIELDS if name in claims}
    rest = {name: said[name] for name in ("notebook", "keep", "parts", "again")}
    return Wish(**rest, **fields, claims=claims)


def _from_options(said: Mapping[str, Any], records: Records) -> dict[str, JsonValue]:
    """The claims that options make; those of one word as they stand."""
    plain = (*FIELDS, "category", "article", "meaning")
    claims: dict[str, JsonValue] = {name: said[name] for name in plain if said[name] is not None}
    author = {"name": said["author"], "role": said["role"], "organisation": said["organisation"]}
    if any(author.values()):
        if said["author"] is None:
            raise click.UsageError("--role and --organisation are of the --author")
        claims["author"] = {name: text for name, text in author.items() if text is not None}
    if said["persons"]:
        claims["persons"] = [_person(text) for text in said["persons"]]
    if said["points"]:
        claims["points"] = list(said["points"])
    if said["in_force"] is not None:
        claims["in_force"] = _period(said["in_force"])
    if said["provenance"]:
        claims["provenance"] = dict(_pair(text, "--provenance") for text in said["provenance"])
    if said["environment"] is not None:
        claims["environment"] = _environment(said["environment"])
    refs = [_relation(text) for text in said["refs"]]
    refs += [] if said["revises"] is None else [("wasRevisionOf", said["revises"])]
    if refs:
        claims["refs"] = [
            {"rel": rel, "entry": _entry(reference, records)} for rel, reference in refs
        ]
    if said["certificate"] is not None:
        claims["certificate"] = parse_given(
            said["certificate"], _certificate, MAX_CERTIFICATE_BYTES
        )
    return claims


def _person(text: str) -> JsonValue:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 3 or not all(parts):
        hint = "a name with a comma in it: say it in a --claims file"
        raise MalformedError(f"person is {text!r}, want NAME[,ROLE[,ORGANISATION]]", hint=hint)
    return dict(zip(("name", "role", "organisation"), parts, strict=False))


def _period(text: str) -> JsonValue:
    begin, dots, end = text.partition("..")
    if not dots or not begin:
        raise MalformedError(f"--in-force is {text!r}, want FROM..TO, or FROM.. if it goes on")
    period: dict[str, JsonValue] = {"from": _moment(begin, "00:00:00")}
    return period | ({"to": _moment(end, "23:59:59")} if end else {})


def _moment(text: str, time: str) -> str:
    """A date is meant whole: from its first second, to its last."""
    return f"{text}T{time}Z" if "T" not in text else text


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise MalformedError(f"{option} is {text!r}, want a name, =, and what is said")
    return key, value


def _relation(text: str) -> tuple[str, str]:
    rel, reference = _pair(text, "--ref")
    known = [term.code for term in terms("rel")]
    if rel not in known:
        hint = f"there are: {', '.join(known)}"
        raise MalformedError(f"--ref is {text!r}: {rel!r} is no relation", hint=hint)
    return rel, reference


def _environment(text: str) -> JsonValue:
    known = {"user": getpass.getuser, "host": platform.node}
    names = text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise MalformedError(f"--environment names {unknown[0]!r}, want user, host or both")
    return {name: known[name]() for name in names}


def _entry(reference: str, records: Records) -> str:
    """The entry of a record here, or as it stands: that of a record in another vault."""
    return reference if len(reference) == 128 else records.find(reference).entry.hex()


def _certificate(content: bytes) -> str:
    found = parse_certificates(content)
    if len(found) != 1:
        raise MalformedError(f"there are {len(found)} certificates, want one")
    return base64.b64encode(found[0]).decode("ascii")


def _parse_for(name: str) -> Callable[[bytes], dict[str, JsonValue]]:
    return _parse_toml if Path(name).suffix == ".toml" else _parse_json


def _parse_json(content: bytes) -> dict[str, JsonValue]:
    return _checked(parse_json(content, limit_bytes=MAX_CLAIMS_BYTES))


def _parse_toml(content: bytes) -> dict[str, JsonValue]:
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # ValueError: not UTF-8, not TOML, or a number of 5000 digits.
        raise MalformedError(f"not TOML: {error}") from error
    return _checked(table)


def _checked(
    value: Any,  # noqa: ANN401 - what TOML and JSON hold
) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise MalformedError("claims are not a table of names and values")
    for name, one in value.items():
        check_claim(name, one)
    return value
