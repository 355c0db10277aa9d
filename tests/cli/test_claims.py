"""Every claim a record can make, a person can say; what nobody asked for is not said."""

import getpass
import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import pytest

from ledger.holder.said import MADE_HERE
from ledger.proof.stamps import format_certificate
from ledger.record.claims import CLAIMS
from tests.cli.conftest import Tally
from tests.holding import TSAS


def claims_of(tally: Tally, *words: object) -> dict[str, Any]:
    """The claims of a record made with these options."""
    made = tally.json("anchor", *words)["anchored"][0]
    claims: dict[str, Any] = tally.json("show", made["record"])["claims"]
    return claims


@pytest.fixture
def file(tally: Tally) -> Path:
    path = tally.work / "nda.pdf"
    path.write_bytes(b"signed\n")
    return path


OPTIONS: list[tuple[list[str], str, Any]] = [
    (["--category", "formula"], "category", "formula"),
    (["--article", "9(2)"], "article", "9(2)"),
    (["--meaning", "read-and-understood"], "meaning", "read-and-understood"),
    (["--trigger", "import"], "trigger", "import"),
    (["--author", "李"], "author", {"name": "李"}),
    (
        ["--author", "李", "--role", "PI", "--organisation", "Lab"],
        "author",
        {"name": "李", "role": "PI", "organisation": "Lab"},
    ),
    (
        ["--person", "A", "--person", "B, witness", "--person", "C,counsel,Firm"],
        "persons",
        [
            {"name": "A"},
            {"name": "B", "role": "witness"},
            {"name": "C", "role": "counsel", "organisation": "Firm"},
        ],
    ),
    (["--point", "1", "--point", "2"], "points", ["1", "2"]),
    (
        ["--in-force", "2026-01-01..2026-12-31"],
        "in_force",
        {"from": "2026-01-01T00:00:00Z", "to": "2026-12-31T23:59:59Z"},
    ),
    (["--in-force", "2026-01-01T08:00:00Z.."], "in_force", {"from": "2026-01-01T08:00:00Z"}),
    (
        ["--provenance", "source=a=b", "--provenance", "storage=safe"],
        "provenance",
        {"source": "a=b", "storage": "safe"},
    ),
    (["--kind", "agreement"], "kind", "agreement"),
]


@pytest.mark.parametrize(("options", "name", "value"), OPTIONS)
def test_an_option_makes_its_claim(
    tally: Tally, file: Path, options: list[str], name: str, value: Any
) -> None:
    assert claims_of(tally, file, *options)[name] == value


def test_nothing_personal_is_said_unless_it_is_asked_for(tally: Tally, file: Path) -> None:
    claims = claims_of(tally, file)
    assert claims.keys() == {
        "link", "kind", "trigger", "notebook", "captured_time", "not_before", "environment",
        "ledger", "refs",
    }  # fmt: skip
    assert claims["environment"].keys() == {"tool", "os"}
    asked = claims_of(tally, file, "--again", "--environment", "user,host")["environment"]
    assert asked["user"] == getpass.getuser()
    assert asked["host"] == platform.node()
    assert asked["tool"] == claims["environment"]["tool"]


def test_relations_name_records_by_number_or_entry(tally: Tally, file: Path) -> None:
    first = tally.json("anchor", file)["anchored"][0]["entry"]
    other = tally.work / "v2.pdf"
    other.write_bytes(b"2")
    words = [
        "--revises",
        "1",
        "--ref",
        f"wasDerivedFrom={first[:12]}",
        "--ref",
        f"destroys={'a' * 128}",
    ]
    assert claims_of(tally, other, *words)["refs"] == [
        {"rel": "wasDerivedFrom", "entry": first},
        {"rel": "destroys", "entry": "a" * 128},
        {"rel": "wasRevisionOf", "entry": first},
    ]


def test_a_new_version_revises_the_one_before_unless_another_is_named(
    tally: Tally, file: Path
) -> None:
    first = tally.json("anchor", file)["anchored"][0]["entry"]
    file.write_bytes(b"2")
    derived = claims_of(tally, file, "--ref", "wasDerivedFrom=1")["refs"]
    assert [one["rel"] for one in derived] == ["wasDerivedFrom", "wasRevisionOf"]
    file.write_bytes(b"3")
    assert claims_of(tally, file, "--revises", "1")["refs"] == [
        {"rel": "wasRevisionOf", "entry": first}
    ]


def test_a_certificate_is_taken_as_pem_or_der(tally: Tally, file: Path) -> None:
    _, pem = format_certificate(TSAS[0].root)
    for name, content in (("c.pem", pem), ("c.der", TSAS[0].root)):
        (tally.work / name).write_bytes(content)
        claims = claims_of(tally, file, "--again", "--certificate", name)
        assert claims["certificate"].startswith("MII")
    (tally.work / "two.pem").write_bytes(pem + pem)
    assert "want one" in tally("anchor", file, "--certificate", "two.pem").err


TOML = """
kind = "measure"
article = "9(1)"
title = "保密制度"
persons = [{name = "A, B and C", role = "all staff"}]
in_force = {from = "2026-01-01T00:00:00Z"}
environment = {clock_offset_ms = -12}
"""


def test_a_claims_file_says_whatever_a_record_can(tally: Tally, file: Path) -> None:
    (tally.work / "c.toml").write_text(TOML, "utf-8")
    claims = claims_of(tally, file, "--claims", "c.toml", "--label", "measure 1")
    assert claims["persons"] == [{"name": "A, B and C", "role": "all staff"}]
    assert (claims["kind"], claims["title"], claims["label"]) == (
        "measure",
        "保密制度",
        "measure 1",
    )
    assert claims["environment"]["clock_offset_ms"] == -12
    assert "tool" in claims["environment"]
    said = {"provenance": {"source": "x"}, "points": ["p"]}
    (tally.work / "c.json").write_text(json.dumps(said), "utf-8")
    claims = claims_of(tally, file, "--again", "--claims", "c.json")
    assert {name: claims[name] for name in said} == said


WRONG: list[tuple[list[str], str]] = [
    (["--role", "PI"], "of the --author"),
    (["--person", ",x"], "NAME"),
    (["--person", "a,b,c,d"], "--claims file"),
    (["--in-force", "2026"], "FROM..TO"),
    (["--in-force", "..2026-01-01"], "FROM..TO"),
    (["--in-force", "2026-02-31.."], "time does not exist"),
    (["--in-force", "2026-02-01..2026-01-01"], "ends after it begins"),
    (["--provenance", "source"], "want a name, ="),
    (["--provenance", "rumour=x"], "claim provenance is not"),
    (["--environment", "user,shoe"], "'shoe'"),
    (["--ref", f"likes={'a' * 128}"], "'likes' is no relation"),
    (["--ref", "wasDerivedFrom"], "want a name, ="),
    (["--revises", "9"], "no record 9"),
    (["--category", "gossip"], "--category"),
    (["--claims", "absent.toml"], "absent.toml"),
    (["--claims", "list.json"], "not a table"),
    (["--claims", "bad.toml"], "not TOML"),
    (["--claims", "long.toml"], "not TOML"),
    (["--claims", "unknown.json"], "unknown to version 1"),
    (["--claims", "link.json"], "not yours to make"),
    (["--claims", "title.json", "--title", "t"], "and on the command line"),
    (["--certificate", "bad.toml"], "bad.toml"),
]


@pytest.mark.parametrize(("options", "said"), WRONG)
def test_what_no_record_can_hold_is_refused_before_anything_is_read(
    tally: Tally, file: Path, options: list[str], said: str
) -> None:
    for name, text in (
        ("list.json", "[]"),
        ("bad.toml", "= = ="),
        ("long.toml", f"title = {'1' * 5000}"),
        ("unknown.json", '{"colour":"red"}'),
        ("link.json", json.dumps({"ledger": "me"})),
        ("title.json", '{"title":"x"}'),
    ):
        (tally.work / name).write_text(text, "utf-8")
    ran = tally("anchor", file, *options)
    assert ran.code == 2
    assert said in ran.err
    assert tally.json("status")["records"] == 0


def test_every_claim_can_be_said_or_is_made_with_the_record() -> None:
    by_option = {name for _, name, _ in OPTIONS} | {"environment", "refs", "certificate"}
    assert CLAIMS.keys() == by_option | MADE_HERE | {"stage", "title", "label", "note"}


# Carriers that are not read


DIGEST = "6237123d" * 8


def test_a_digest_is_anchored_without_its_file_and_matches_it_later(tally: Tally) -> None:
    digest = hashlib.sha256(b"computed elsewhere").hexdigest()
    words = ["--digest", digest, "--name", "big.h5", "--size", "18"]
    made = tally.json("anchor", *words)["anchored"][0]
    assert (made["path"], made["read"], made["kept"]) == (f"sha256:{digest}", False, 0)
    assert tally.json("show", "1")["carrier"] == {"name": "big.h5", "size": 18, "sha256": digest}
    assert "none was kept" in tally("show", "1").out
    assert not tally.json("anchor", f"sha256:{digest.upper()}")["anchored"][0]["new"]
    assert "digest only, nothing kept" in tally("anchor", f"sha256:{digest}").out
    assert tally.json("status", f"sha256:{digest}")["changes"].keys() == {"anchored"}
    assert tally.json("status", f"sha256:{DIGEST}", code=3)["changes"].keys() == {"new"}
    assert tally("bundle", "-o", "x.zip", "--disclose", "carrier").code == 0
    trust = tally.vault / "development-trust.toml"
    for content, code in ((b"computed elsewhere", 0), (b"computed elsewherE", 1)):
        (tally.work / "big.h5").write_bytes(content)
        assert tally("verify", "x.zip", "big.h5", "--trust", trust).code == code
    ran = tally("bundle", "-o", "y.zip", "--disclose", "carrier", "--with-carriers")
    assert ran.code == 2
    assert "only its digest was given" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--digest", "ab"], "digest has 2 digits, want 64"),
        (["sha256:" + "g" * 64], "lower-case hex digits"),
        (["sha256:" + "a" * 128], "digest has 128 digits"),
        (["--digest", DIGEST, "--digest", "b" * 64, "--name", "x"], "are of one digest"),
        (["file", "--size", "3"], "are of one digest"),
        (["--digest", DIGEST, "--size", "-1"], "--size"),
        (["--digest", DIGEST, "--name="], "carrier.name"),
        ([], "nothing to anchor"),
        (["--kind", "carrier"], "nothing to anchor"),
    ],
)
def test_a_digest_that_is_none_is_refused(tally: Tally, words: list[str], said: str) -> None:
    ran = tally("anchor", *words)
    assert ran.code == 2
    assert said in ran.err


def test_a_record_of_another_kind_needs_no_carrier(tally: Tally) -> None:
    made = tally.json("anchor", "--kind", "note", "--note", "told the staff")["anchored"][0]
    assert (made["read"], made["new"]) == (False, True)
    shown = tally.json("show", "1")
    assert shown["carrier"] == {}
    assert shown["claims"]["note"] == "told the staff"
    assert "no carrier" in tally("anchor", "--kind", "note", "--note", "told the staff").out
    assert tally.json("status")["records"] == 2
    assert tally("bundle", "-o", "x.zip", "--disclose", "all", "--with-carriers").code == 0
    trust = tally.vault / "development-trust.toml"
    assert tally("verify", "x.zip", "--trust", trust).code == 0
