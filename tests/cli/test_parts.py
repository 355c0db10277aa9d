"""Lines of a file, from anchoring it to a verdict without the vault: those lines and no other."""

import base64
import hashlib
import random
import re
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.doors.bundle_files import read_bundle
from ledger.proof.attack import apply_flip, choose_flips
from ledger.proof.bundle import Bundle, make_index, parse_index
from ledger.proof.trust import parse_trust
from ledger.proof.verdict import Outcome
from ledger.proof.verify import verify
from tests.cli.conftest import Tally

SCRIPT = Path(__file__).parents[2] / "docs" / "check.sh"
COUNT, SOME = 50_000, 300
HEADER = "编号,炉温,CANARY\n".encode()
ROWS = [HEADER, *(b"%05d,%d,CANARY-row\n" % (n, (n * 7919) % 1_000_003) for n in range(1, COUNT))]


def anchored(tally: Tally, rows: list[bytes]) -> Path:
    """A table of these rows, anchored, and gone from where it was."""
    path = tally.work / "CANARY-table.csv"
    path.write_bytes(b"".join(rows))
    assert tally("anchor", path).code == 0
    path.unlink()
    return path


@pytest.fixture
def table(tally: Tally) -> Path:
    """A table of some rows."""
    return anchored(tally, ROWS[:SOME])


def bundled(tally: Tally, *words: object, name: str = "x.zip") -> Path:
    path = tally.work / name
    ran = tally("bundle", "1", "-o", path, *words)
    assert ran.code == 0, ran.err
    return path


def held(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def moved(tally: Tally) -> Path:
    """The verifier's machine: only the trust file is left of the vault."""
    trust = tally.work / "trust.toml"
    shutil.copy(tally.vault / "development-trust.toml", trust)
    shutil.rmtree(tally.vault)
    shutil.rmtree(tally.state)
    return trust


def findings(answer: Any, step: str) -> list[Any]:
    return [one for one in answer["findings"] if one["step"] == step]


def changed(path: Path, to: Path, changes: dict[str, bytes | None]) -> Path:
    """The bundle with files changed or, if None, left out, and its index made anew."""
    bundle = read_bundle(path)
    entries = dict(parse_index(bundle.files["bundle.json"]).records)
    files = {**bundle.files, **changes}
    bundle = type(bundle)({n: c for n, c in files.items() if c is not None}, bundle.carriers)
    shutil.rmtree(to, ignore_errors=True)
    for name, content in make_index(bundle, entries).files.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(content)
    return to


def named(files: dict[str, bytes], beginning: str) -> str:
    [name] = [name for name in files if name.startswith(beginning)]
    return name


def test_lines_of_a_table_are_proven_elsewhere_and_no_other_is_in_the_bundle(
    tally: Tally,
) -> None:
    anchored(tally, ROWS)
    path = bundled(tally, "--part", "120-140", "--header", "--with-carriers")
    trust = moved(tally)
    files = held(path)
    sealed = re.findall(rb"[A-Za-z0-9_-]{40,}", b" ".join(files.values()))
    opened = [base64.urlsafe_b64decode(one[: len(one) // 4 * 4]) for one in sealed]
    everything = b" ".join([*files.values(), *opened])
    shown = [ROWS[0], *ROWS[119:140]]
    assert all(row in everything for row in shown)
    withheld = [row for row in ROWS if row not in shown]
    assert len(withheld) == COUNT - 22

    def windows(size: int) -> set[bytes]:
        return {everything[at : at + size] for at in range(len(everything))}

    assert windows(12).isdisjoint(row[:12] for row in withheld)
    assert windows(32).isdisjoint(hashlib.sha256(row).digest() for row in withheld)
    assert windows(64).isdisjoint(hashlib.sha256(row).hexdigest().encode() for row in withheld)
    whole = hashlib.sha256(b"".join(ROWS))
    for secret in (whole.digest(), whole.hexdigest().encode(), b"CANARY-table"):
        assert secret not in everything
    answer = tally.json("verify", path, "--trust", trust)
    assert ": the pieces shown of the carrier existed no later than" in answer["headline"]["en"]
    assert [one["code"] for one in findings(answer, "manifest")] == ["parts"]
    first, second = findings(answer, "carrier")
    assert (first["code"], second["code"]) == ("excerpt", "excerpt")
    values = second["values"]
    assert (values["first"], values["last"], values["count"]) == (120, 140, COUNT)
    run = b"".join(ROWS[119:140])
    start = len(b"".join(ROWS[:119]))
    assert (values["start"], values["stop"]) == (start + 1, start + len(run))
    assert values["digest"] == hashlib.sha256(run).hexdigest()
    for language, words in (
        ("en", "pieces 120 to 140 of 50000, lines"),
        ("zh", "第 120 至 140 片"),
    ):
        told = tally("verify", path, "--trust", trust, "--lang", language).out
        assert words in told
        assert "CANARY" not in told


def test_what_will_be_seen_is_listed_first(tally: Tally, table: Path) -> None:
    ran = tally("bundle", "1", "--part", "2-3,5", "--with-carriers", "--dry-run")
    assert ran.code == 0
    start, stop = len(HEADER) + 1, len(b"".join(ROWS[:3]))
    place = f"pieces 2 to 3 of 300 (lines), bytes {start} to {stop}"
    assert f"{place}: size and digest of each" in ran.out
    assert f"{place}: every one" in ran.out
    assert "piece 5 of 300 (lines)" in ran.out
    assert ran.out.count("carrier bytes") == 2
    assert not re.search("carrier.(sha256|size|name)", ran.out)
    listed = tally.json("bundle", "1", "--part", "2-3,5", "--dry-run")["files"]
    assert [name for name in listed if name.startswith(("parts/", "excerpts/"))] == [
        named(dict.fromkeys(listed, b""), "parts/")
    ]


def test_excerpts_on_the_command_line_are_told_or_left_open_but_not_refuted_wrongly(
    tally: Tally, table: Path
) -> None:
    path = bundled(tally, "--part", "120-122", "--part", "130")
    with_bytes = bundled(tally, "--part", "120-122", "--with-carriers", name="bytes.zip")
    whole = bundled(tally, "--part", "120", "--disclose", "carrier", name="whole.zip")
    trust = moved(tally)

    def code(bundle: Path, content: bytes, want: int, name: str = "some.txt") -> str:
        given = tally.work / name
        given.write_bytes(content)
        answer = tally.json("verify", bundle, given, "--trust", trust, code=want)
        return str(findings(answer, "carrier")[-1]["code"])

    run = b"".join(ROWS[119:122])
    assert code(path, ROWS[119], 0) == code(path, ROWS[129], 0) == "excerpt"
    # A run of shown pieces without its bytes, a withheld piece, anything else: it cannot be told.
    for content in (run, ROWS[7], b"other\n"):
        assert code(path, content, 3) == "unknown"
    assert code(with_bytes, run, 0) == "excerpt"
    assert code(with_bytes, b"".join(ROWS[119:121]), 3) == "unknown"
    assert code(with_bytes, b"other", 1, "120-122") == "no-match"
    # The size of the file is known here, and its digest.
    assert code(whole, ROWS[119], 0) == "excerpt-of-size"
    assert code(whole, b"".join(ROWS[:SOME]), 0) == "file"
    assert code(whole, b"".join(ROWS[:SOME])[:-1] + b"x", 1) == "no-match"
    assert code(whole, run, 3) == "unknown"


def test_the_file_itself_is_held_to_the_pieces_shown_and_to_nothing_else(
    tally: Tally, table: Path
) -> None:
    path = bundled(tally, "--part", "2-3,130")
    of_size = bundled(tally, "--part", "2-3", "--disclose", "carrier.size", name="size.zip")
    last = bundled(tally, "--part", "300", name="last.zip")
    named = bundled(tally, "--part", "2-3", "--with-carriers", name="named.zip")
    digest = bundled(tally, "--part", "2", "--disclose", "carrier.sha256", name="digest.zip")
    trust = moved(tally)
    whole, place = b"".join(ROWS[:SOME]), len(b"".join(ROWS[:129]))

    def judge(bundle: Path, content: bytes, want: int, name: str = "some.csv") -> list[Any]:
        (tally.work / name).write_bytes(content)
        answer = tally.json("verify", bundle, name, "--trust", trust, code=want)
        found = [one for one in findings(answer, "carrier") if "path" not in one["values"]]
        assert want or "the pieces shown of the carrier existed" in answer["headline"]["en"]
        return [one for one in found if one["values"]["name"] == name]

    [found] = judge(path, whole, 0)
    assert (found["code"], found["outcome"]) == ("pieces", "proven")
    begin = len(HEADER) + 1
    places = f"{begin}-{begin - 1 + len(ROWS[1] + ROWS[2])}, {place + 1}-{place + len(ROWS[129])}"
    said = {"shown": 3, "count": SOME, "places": places, "scheme": "lines", "number": 1}
    assert said.items() <= found["values"].items()
    tried = tally("attack", path, "some.csv", "--trust", trust)
    assert (tried.code, "SLIPPED" in tried.out) == (0, False)
    for language, words in (("en", "the rest of it was not compared"), ("zh", "其余内容未作比对")):
        assert words in tally("verify", path, "some.csv", "--trust", trust, "--lang", language).out
    # Nothing is said of the rest of it.
    assert judge(path, whole[: place + len(ROWS[129])] + b"x" * 9999, 0)[0]["code"] == "pieces"
    changed_piece = whole[:place] + b"x" + whole[place + 1 :]
    moved_on = b"x" + whole
    cut = whole[: place + 3]
    # Fewer bytes behind the last shown piece than there are pieces.
    short = whole[: place + len(ROWS[129]) + 9]
    for content in (changed_piece, moved_on, cut, short, b""):
        assert [one["code"] for one in judge(path, content, 3)] == ["unknown"]
    assert judge(of_size, whole, 0)[0]["code"] == "pieces"
    assert judge(of_size, whole[:-1], 3)[0]["code"] == "unknown"
    assert judge(of_size, whole + b"x", 1)[0]["code"] == "no-match"
    assert judge(last, whole, 0)[0]["code"] == "pieces"
    assert judge(last, whole + b"x", 3)[0]["code"] == "unknown"
    # Where more is known of a file, its pieces are not enough.
    assert judge(named, whole, 1, "2-3")[0]["code"] == "no-match"
    assert judge(digest, whole[:-1] + b"x", 3)[0]["code"] == "unknown"


def test_forged_moved_and_swapped_pieces_are_refuted(tally: Tally, table: Path) -> None:
    path = bundled(tally, "--part", "120-122", "--with-carriers", "--disclose", "carrier.size")
    trust = moved(tally)
    files = held(path)
    lines, excerpt = named(files, "parts/"), named(files, "excerpts/")
    header, *rows, last = files[lines].decode().split("\n")

    def refuted(changes: dict[str, bytes | None], step: str) -> None:
        other = changed(path, tally.work / "changed", changes)
        answer = tally.json("verify", other, "--trust", trust, code=1)
        bad = [one["step"] for one in answer["findings"] if one["outcome"] == "refuted"]
        assert bad[0] == step, answer

    def relined(*now: str) -> bytes:
        return "\n".join([header, *now, last]).encode()

    assert tally("verify", changed(path, tally.work / "same", {}), "--trust", trust).code == 0
    number, text, path_up = rows[1].split(" ")
    other = rows[2].split(" ")[1]
    for now in (
        relined(rows[0], f"{number} {other} {path_up}", rows[2]),
        relined(rows[0], f"{int(number) + 2} {text} {path_up}"),
        relined(
            rows[0], f"{number} {text[:60]}{'A' if text[60] != 'A' else 'B'}{text[61:]} {path_up}"
        ),
        relined(rows[1], rows[0], rows[2]),
        relined(),
        files[lines].replace(b"part-lines", b"manifest-lines"),
        files[lines] + b"\n",
    ):
        refuted({lines: now}, "manifest")
    content = files[excerpt]
    for wrong in (
        content[::-1],
        content[:-1],
        content + b"\n",
        b"",
        ROWS[120] + ROWS[119] + ROWS[121],
    ):
        refuted({excerpt: wrong}, "carrier")
    moved_name = excerpt.replace("120-122", "121-123")
    refuted({excerpt: None, moved_name: content}, "carrier")
    refuted({excerpt: None, excerpt.replace("120-122", "122-120"): content}, "carrier")
    refuted({lines: relined(rows[0], rows[2])}, "carrier")
    for name in (lines.replace("parts/", "parts/0"), "excerpts/0000000000000000/1-2"):
        refuted({name: content}, "index")
    # What is left out is not refuted, and not proven.
    gone = changed(path, tally.work / "gone", {lines: None})
    codes = [
        one["code"]
        for one in findings(tally.json("verify", gone, "--trust", trust, code=3), "carrier")
    ]
    assert codes == ["excerpt-not-shown"]


def test_every_attack_on_the_new_files_is_caught(tally: Tally, table: Path) -> None:
    path = bundled(tally, "--part", "120-122", "--with-carriers")
    trust = moved(tally)
    bundle = read_bundle(path)
    flips = {flip.what: flip for flip in choose_flips(bundle, {})}
    for what in ("excerpt", "line of a piece"):
        flip = flips[what]
        content = apply_flip(bundle.files[flip.path], flip)
        other = changed(path, tally.work / "attacked", {flip.path: content})
        answer = tally.json("verify", other, "--trust", trust, code=1)
        bad = {one["step"] for one in answer["findings"] if one["outcome"] == "refuted"}
        assert flip.step in bad


def test_lines_of_the_readme_check_an_excerpt_by_hand(tally: Tally, table: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    path = bundled(tally, "--part", "120-122", "--with-carriers")
    place = tally.work / "unpacked"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(place)
    text = (place / "README.txt").read_text("utf-8").split("The excerpts, by hand")[1]
    text = text.split("The stamps")[0]
    commands = [line.strip() for line in text.split("\n") if " | " in line]
    told = [
        subprocess.run(
            ["/bin/sh", "-c", line], cwd=place, capture_output=True, text=True, check=True
        )
        for line in commands
    ]
    assert len(told) == 3
    digest = hashlib.sha256(ROWS[119]).hexdigest()
    assert told[0].stdout.split()[0] == digest
    assert digest in text
    assert told[1].stdout.startswith('["')
    assert f',119,{{"offset":{len(b"".join(ROWS[:119]))},"sha256":"{digest}"' in told[1].stdout
    assert told[2].stdout.split()[-1] in text


def test_cells_of_a_notebook_and_pieces_of_any_file_can_be_shown(tally: Tally) -> None:
    notebook, picture = tally.work / "a.ipynb", tally.work / "b.bin"
    cells = b'{"cells": [{"cell_type": "code"}, {"cell_type": "raw"}], "nbformat": 4}'
    notebook.write_bytes(cells)
    picture.write_bytes(bytes(200_000))
    assert tally("anchor", notebook).code == 0
    assert tally("anchor", "--parts", picture).code == 0
    for record, part, words in (("1", "2", "ipynb-cells"), ("2", "4", "bytes-64k")):
        path = tally.work / f"{record}.zip"
        ran = tally("bundle", record, "--part", part, "--with-carriers", "-o", path)
        assert ran.code == 0, ran.err
        told = tally("verify", path, "--trust", tally.vault / "development-trust.toml")
        assert told.code == 0, told.out
        assert words in told.out


def test_what_cannot_be_shown_is_said_plainly(tally: Tally, table: Path) -> None:
    table.write_bytes(b"1\n")
    tally("anchor", "--no-parts", table)
    for words, text in (
        (("1", "--part", "301"), "record 1 has no piece 301"),
        (("2", "--part", "1"), "record 2 has no parts"),
        (("1", "2", "--part", "1"), "parts are of one record, not of 2"),
        (("1", "--part", "0"), "'0' names no pieces"),
        (("1", "--part", "3-2"), "'3-2' names no pieces"),
        (("1", "--part", "1-"), "'1-' names no pieces"),
        (("1", "--header"), "--header shows piece 1"),
    ):
        ran = tally("bundle", *words, "--dry-run")
        assert ran.code == 2
        assert text in ran.err
    for words in ([tally.work], ["--digest", "ab" * 32]):
        assert tally("anchor", "--parts", *words).code == 2


def test_changed_and_unkept_files_have_no_bytes_to_show(tally: Tally) -> None:
    path = tally.work / "a.txt"
    path.write_bytes(b"1\n2\n")
    tally("anchor", "--no-keep", path)
    assert tally("bundle", "1", "--part", "2", "--with-carriers", "--dry-run").code == 0
    path.write_bytes(b"1\n3\n")
    ran = tally("bundle", "1", "--part", "2", "--with-carriers", "--dry-run")
    assert ran.code == 2
    assert "no longer what was anchored" in ran.err
    assert tally("bundle", "1", "--part", "2", "--dry-run").code == 0


@pytest.mark.slow
def test_the_shell_script_reads_the_same_pieces(tally: Tally, table: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    path = bundled(tally, "--part", "120-122", "--header", "--with-carriers")
    place, roots = tally.work / "unpacked", tally.work / "roots.pem"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(place)
    roots.write_bytes(b"".join(one.read_bytes() for one in sorted(tally.vault.glob("*-root.pem"))))

    def check() -> subprocess.CompletedProcess[str]:
        line = ["sh", str(SCRIPT), str(roots)]
        return subprocess.run(line, cwd=place, capture_output=True, text=True, check=False)

    ran = check()
    assert ran.returncode == 0, ran.stdout
    for number in (1, 120, 121, 122):
        assert f": parts {number}: " in ran.stdout
        assert f": part {number}" in ran.stdout
    [excerpt] = place.glob("excerpts/*/120-122")
    excerpt.write_bytes(ROWS[119] + ROWS[121] + ROWS[120])
    assert check().returncode == 1


def test_damaged_or_missing_lines_of_the_vault_are_told(tally: Tally, table: Path) -> None:
    assert tally("vault", "check", "--all").code == 0
    [kept] = (tally.vault / "manifests").iterdir()
    lines = kept.read_bytes().split(b"\n")
    for damaged in (
        b"\n".join([*lines[:7], b"A" + lines[7][1:], *lines[8:]]),
        b"\n".join(lines[:7]),
        b"\n".join(lines[:-2]),
        b"\xff",
        b"",
    ):
        kept.write_bytes(damaged)
        ran = tally("bundle", "1", "--part", "8", "--dry-run")
        assert ran.code == 2
        assert "of the vault are damaged" in ran.err
        told = tally("vault", "check", "--all")
        assert told.code != 0
        assert "damaged" in told.out + told.err
    kept.unlink()
    assert tally("vault", "check", "--all").code != 0
    assert "of the vault is missing" in tally("bundle", "1", "--part", "8", "--dry-run").err


def test_any_byte_changed_in_the_new_files_is_never_proven(tally: Tally, table: Path) -> None:
    path = bundled(tally, "--part", "120-121", "--with-carriers")
    trust = parse_trust((tally.vault / "development-trust.toml").read_bytes())
    bundle = read_bundle(path)
    entries = dict(parse_index(bundle.files["bundle.json"]).records)

    def outcome(files: dict[str, bytes]) -> Outcome:
        made = make_index(Bundle({**bundle.files, **files}, {}), entries)
        moment = datetime(2027, 1, 1, tzinfo=UTC)
        return verify(made, trust, {}, checked_at=moment, clock="", tool="").outcome

    assert outcome({}) is Outcome.PROVEN
    dice = random.Random(3)
    for name in (named(dict(bundle.files), "parts/"), named(dict(bundle.files), "excerpts/")):
        content = bundle.files[name]
        for at in {0, len(content) - 1, *(dice.randrange(len(content)) for _ in range(40))}:
            other = content[:at] + bytes([content[at] ^ 1 << dice.randrange(8)]) + content[at + 1 :]
            assert outcome({name: other}) is Outcome.REFUTED, (name, at)
        for length in (0, 1, len(content) // 2, len(content) - 1):
            assert outcome({name: content[:length]}) is Outcome.REFUTED
