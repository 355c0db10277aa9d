"""``tally init``, ``status``: a vault is made, and what in it waits or has changed."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cli.afar import pin_ledger
from cli.compose import Tally, make_tally, now, open_to_read, pending_words, vault_folder
from cli.listed import list_files
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    UsageError,
    hint,
    json_option,
    print_json,
    reading_progress,
    result,
    talk,
    vault_option,
)
from cli.passphrase import given_passphrase, new_passphrase
from cli.tsas import DEVELOPMENT_TRUST
from cli.waiting import notes, password_path, tsa_states
from ledger.doors.carrier import FileCarrier, FolderCarrier, read_carrier
from ledger.doors.client import Stamp
from ledger.doors.keys import KEY_TYPES
from ledger.doors.tsa_setting import TsaSetting
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.holder.anchoring import content_of
from ledger.holder.captures import Capture
from ledger.holder.checks import Item
from ledger.holder.config import PROFILES, Config, cn_config
from ledger.holder.prover import checkpoint_of
from ledger.holder.records import StoredRecord
from ledger.holder.said import DIGEST_PREFIX
from ledger.proof.revocation import find_captured
from ledger.record.claims import format_time
from ledger.record.manifest import FileEntry
from ledger.report.timestamp import say_captured


@click.command()
@vault_option
@click.option("--development", is_flag=True, help="Stamp with two TSAs of its own: proves nothing.")
@click.option("--tsa", "tsas", multiple=True, metavar="NAME=URL", help="A TSA to ask (repeatable).")
@click.option("--wanted", type=click.IntRange(1, 16), help="TSAs that must answer (default 2).")
@click.option("--profile", type=click.Choice(PROFILES), default="intl", show_default=True)
@click.option("--passphrase", "seal", is_flag=True, help="Seal the keys with a passphrase.")
@click.option(
    "--key-type",
    type=click.Choice(KEY_TYPES),
    default=KEY_TYPES[0],
    show_default=True,
    help="Of your own key.",
)
@click.option("--username", help="Account at the domestic TSA (profile cn).")
@click.option("--password-file", metavar="FILE", help="Its password; only you may read the file.")
@click.option(
    "--recovery",
    multiple=True,
    metavar="age1…",
    help="A key that opens kept originals too (repeatable).",
)
@click.option("--ledger", metavar="URL", help="Anchor in a ledger elsewhere, not in the vault.")
@click.option("--token-file", metavar="FILE", help="Its token; only you may read the file.")
@click.option("--ledger-keys", metavar="FILE", help="Its public keys (vkeys), if you have them.")
@json_option
def init(
    vault: str | None,
    development: bool,
    tsas: tuple[str, ...],
    wanted: int | None,
    profile: str,
    seal: bool,
    key_type: str,
    username: str | None,
    password_file: str | None,
    recovery: tuple[str, ...],
    ledger: str | None,
    token_file: str | None,
    ledger_keys: str | None,
    as_json: bool,
) -> int:
    """Make a vault with a ledger in it, or one that anchors in a ledger elsewhere."""
    folder = vault_folder(vault)
    settings = tuple(TsaSetting(*_split_tsa(text)) for text in tsas)
    if development and settings:
        raise click.UsageError("--development brings its own TSAs: leave out --tsa")
    config = Config(development=development, wanted=wanted or Config().wanted)
    if settings:
        config = Config(wanted=wanted or min(2, len(settings)), tsas=settings)
    if profile == "cn":
        config = cn_config(config, username, password_path(password_file))
    elif username or password_file:
        raise click.UsageError(
            "an account is for --profile cn: others are added by `tally tsa add`"
        )
    config = _elsewhere(replace(config, recovery=recovery), ledger, token_file, ledger_keys)
    # Whoever names a passphrase file wants its passphrase to be needed.
    passphrase = given_passphrase() or (new_passphrase() if seal else None)
    try:
        tally = make_tally(folder, config, passphrase=passphrase, key_type=key_type)
    except ConflictError as error:
        raise UsageError(str(error), error.hint or "tally init --help") from error
    report = tally.anchorer.stamp()
    value = {
        "vault": str(folder),
        "ledger": tally.ledger.origin,
        "development": development,
        "trust": str(folder / DEVELOPMENT_TRUST) if development else None,
        "pending": pending_words(report),
    }
    if as_json:
        print_json(value)
        return EXIT_DONE
    result(f"vault   {folder}")
    result(f"ledger  {tally.ledger.origin}")
    if development:
        result(f"trust   {folder / DEVELOPMENT_TRUST}   (development TSAs: prove nothing)")
    for words in [*pending_words(report), *notes(config)]:
        talk(words)
    _tell_pinned(config, given=ledger_keys is not None)
    talk(_say_protection(passphrase is not None))
    talk("never anchor state secrets here: they are under another law (Order 126 Art. 28)")
    hint("tally anchor FOLDER")
    return EXIT_DONE


def _elsewhere(
    config: Config, url: str | None, token_file: str | None, keys_file: str | None
) -> Config:
    """``config`` with the ledger at ``url``, if one is given."""
    if url is None and token_file is None and keys_file is None:
        return config
    if url is None or token_file is None:
        raise click.UsageError("a ledger elsewhere is given by --ledger and --token-file")
    if config.development or config.tsas != Config().tsas:
        raise click.UsageError("a ledger elsewhere is stamped by its operator: name no TSA")
    setting = pin_ledger(url, Path.cwd() / token_file, Path(keys_file) if keys_file else None)
    return replace(config, tsas=(), ledger=setting)


def _tell_pinned(config: Config, *, given: bool) -> None:
    if config.ledger is not None and not given:
        talk("the ledger's keys were asked of itself, and are pinned in the settings from now on")
        hint("compare them with what its operator published: [ledger] in tallystick.toml")


def _say_protection(sealed: bool) -> str:
    if sealed:
        return "your keys are sealed with the passphrase: without it they sign and open nothing"
    return "keys lie in the vault unencrypted, readable by you alone: back it up, and guard it"


def _split_tsa(text: str) -> tuple[str, str]:
    name, separator, url = text.partition("=")
    if not separator:
        raise MalformedError(f"--tsa is {text!r}, want NAME=URL")
    return name, url


@click.command()
@click.argument("path", required=False)
@vault_option
@json_option
def status(path: str | None, vault: str | None, as_json: bool) -> int:
    """What is queued and pending; with PATH, what changed there since it was anchored.

    Exit 3 while something is queued, pending or changed, or missing in the vault, and where the
    ledger is closed.
    """
    tally = open_to_read(vault_folder(vault))
    queued = tally.vault.records.queued_numbers()
    checkpoint = checkpoint_of(tally.ledger.checkpoint())
    newest = {one.tsa: one for one in tally.vault.receipts.newest_stamps(checkpoint.origin)}
    stamped = {name: stamp.size for name, stamp in newest.items()}
    material = {name: _captured(tally, stamp) for name, stamp in sorted(newest.items())}
    states = tsa_states(tally.vault.config, tally.attempts)
    alarms = tally.vault.checks.faults()
    captures = tally.vault.captures.all()
    waiting = tally.vault.receipts.lacking(checkpoint.origin, tally.vault.config.wanted)
    value: dict[str, Any] = {  # Any: a JSON document
        "vault": str(tally.vault.folder),
        "ledger": checkpoint.origin,
        "closed": None if tally.closed is None else str(tally.closed),
        "entries": checkpoint.size,
        "records": tally.vault.records.count(),
        "queued": [*queued],
        "stamps_pending": [*waiting],
        "waiting_for_key": [_capture_json(one) for one in captures],
        "last_stamped_size": stamped,
        "revocation": {name: [word, *lacking] for name, (word, lacking) in material.items()},
        "waits_for": pending_words(tally.tried),
        "tsas": [one.json(now()) for one in states],
        "notes": notes(tally.vault.config),
        "alarms": [{"kind": one.kind, "name": one.name, "fault": one.fault} for one in alarms],
    }
    changes = _changes(tally, Path(path)) if path else {}
    value |= {"path": path, "changes": changes} if path else {}
    if as_json:
        print_json(value)
    else:
        result(f"ledger   {checkpoint.origin}")
        result(f"entries  {checkpoint.size}, of them records: {value['records']}")
        result(f"queued   {_numbers(queued)}")
        result(f"pending  {_numbers(waiting)}   (fewer than {tally.vault.config.wanted} stamps)")
        _tell_captures(captures)
        for name, (word, lacking) in material.items():
            what = "; ".join((word, *lacking))
            result(f"stamped  {name}: up to entry {stamped[name] - 1}; revocation material: {what}")
        for one in states:
            result(f"tsa      {one.name}: {one.words(now())}")
        for words in notes(tally.vault.config):
            result(f"tsa      {words}")
        for words in pending_words(tally.tried):
            result(f"waits    {words}")
        _tell_changes(changes)
        _tell_alarms(alarms)
    if (queued or waiting or captures) and tally.closed is None:
        hint("tally sync")
    changed = any(names for state, names in changes.items() if state != "anchored")
    undone = queued or waiting or captures or changed or alarms or tally.closed is not None
    return EXIT_INCOMPLETE if undone else EXIT_DONE


def _capture_json(one: Capture) -> dict[str, Any]:  # Any: a JSON document
    return {"path": one.path, "notebook": one.notebook, "captured": format_time(one.captured)}


def _tell_captures(captures: Sequence[Capture]) -> None:
    for one in captures[:20]:
        result(f"captured {one.path or one.claims['kind']}: waits for the key")
    if len(captures) > 20:
        result(f"captured … and {len(captures) - 20} more: wait for the key")


def _tell_changes(changes: dict[str, list[str]]) -> None:
    for state, names in changes.items():
        for name in names[:50]:
            result(f"{state:9}{name}")
        if len(names) > 50:
            result(f"{state:9}… and {len(names) - 50} more")
    if "unknown" in changes:
        hint("put manifests/ back from a backup; `tally vault check` says what else is missing")


def _tell_alarms(alarms: Sequence[Item]) -> None:
    """What the last check of the vault found missing or damaged."""
    for one in alarms[:20]:
        result(f"ALARM    {one.kind} {one.name[:16]}: {one.fault}")
    if alarms:
        result(f"ALARM    {len(alarms)} missing or damaged in this vault")
        hint("`tally vault check` says of which records; put them back from a backup")


def _captured(tally: Tally, stamp: Stamp) -> tuple[str, tuple[str, ...]]:
    """What of revocation is kept for a stamp, in a word, and what is lacking."""
    ledger = tally.ledger
    found = find_captured(stamp.response, ledger.certificates(), ledger.material())
    return say_captured(found)


def _numbers(numbers: Sequence[int]) -> str:
    if not numbers:
        return "nothing"
    shown = ", ".join(map(str, numbers[:20]))
    return f"record {shown}" + (f" and {len(numbers) - 20} more" if len(numbers) > 20 else "")


def _changes(tally: Tally, path: Path) -> dict[str, list[str]]:
    """What is at ``path`` by state, against the newest record of it or of a folder above it."""
    if str(path).startswith(DIGEST_PREFIX):
        return _of_digest(tally, str(path).lower())
    return _on_disk(tally, path)


def _on_disk(tally: Tally, path: Path) -> dict[str, list[str]]:
    """Names under ``path`` by state."""
    record, inside = _nearest(tally, Path(os.path.realpath(path)))
    files, lost = ([], None) if record is None else list_files(tally.vault, record)
    if record is None or (inside and not any(_is_in(inside, one) for one in files)):
        if not os.path.lexists(path):
            raise NotFoundError(f"no such file or folder: {path}")
        return {"new": [str(path)]} if lost is None else {"unknown": [f"{path}: {lost}"]}
    try:
        with reading_progress("reading") as progress:
            carrier = read_carrier(path, skip_unreadable=True, progress=progress)
    except NotFoundError:
        return {"missing": [str(path)]}
    if not inside and content_of(carrier) == record.content:
        skipped = sum(entry.skipped is not None for entry in _by_name(carrier, "").values())
        but = f", {skipped} skipped" if skipped else ""
        return {"anchored": [f"{path} as record {record.number}{but}"]}
    if record.manifest is None:
        return {"changed": [str(path)]}
    if lost is not None:
        return {"changed": [str(path)], "unknown": [f"which files of it: {lost}"]}
    changes = _compare(files, _by_name(carrier, inside), inside)
    return changes if any(changes.values()) else {"anchored": [f"{path} in record {record.number}"]}


def _compare(
    files: Sequence[FileEntry], now: dict[str, FileEntry], inside: str
) -> dict[str, list[str]]:
    """Names of what is ``now`` at ``inside`` of a folder, by state, against its anchored files."""
    lines = {one.path: one for one in files if _is_in(inside, one)}
    both = [name for name in now if name in lines and _differ(now[name], lines[name])]
    return {
        "new": sorted(now.keys() - lines.keys()),
        "changed": sorted(both),
        "missing": sorted(lines.keys() - now.keys()),
    }


def _is_in(inside: str, file: FileEntry) -> bool:
    return inside in {"", file.path} or file.path.startswith(f"{inside}/")


def _of_digest(tally: Tally, digest: str) -> dict[str, list[str]]:
    """A carrier of which only the digest was given: there is no file to look at."""
    record = tally.vault.records.latest_of_path(digest)
    if record is None:
        return {"new": [digest]}
    return {"anchored": [f"{digest} as record {record.number}, digest only: nothing is kept"]}


def _nearest(tally: Tally, place: Path) -> tuple[StoredRecord | None, str]:
    """The newest record of ``place``, else of the nearest folder above it that has one.

    With it, the name of ``place`` inside of that folder ("" for itself).
    """
    record = tally.vault.records.latest_of_path(str(place))
    if record is not None:
        return record, ""
    for above in place.parents:
        record = tally.vault.records.latest_of_path(str(above))
        if record is not None and record.manifest is not None:
            return record, place.relative_to(above).as_posix()
    return None, ""


def _by_name(carrier: FileCarrier | FolderCarrier, inside: str) -> dict[str, FileEntry]:
    """What was read, by its name in the anchored folder."""
    if isinstance(carrier, FileCarrier):
        return {inside: carrier.entry}
    prefix = f"{inside}/" if inside else ""
    return {prefix + entry.path: entry for entry in carrier.entries}


def _differ(one: FileEntry, other: FileEntry) -> bool:
    return (one.sha256, one.skipped) != (other.sha256, other.skipped)
