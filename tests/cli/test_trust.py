"""`tally trust`: the default file explained and found sound; every danger and void found out."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from ledger.proof.lint import NOT_JUDGED
from ledger.proof.roots import default_trust, read_roots
from ledger.proof.trust import parse_trust
from ledger.tlog.note import COSIGNATURE_ED25519, ED25519, NoteKey, format_vkey
from tests.cli.conftest import Tally
from tests.ledger.timestamp.authority import Authority

DIGICERT = "552f7bdcf1a7af9e6ce672017f4f12abf77240c78e761ac203d1d9d20ac89988"
QUOVADIS = "8a866fd1b276b57e578e921c65828a2bed58e9f2f288054134b7f1f4bfc9cc74"
SWISSSIGN = "b87f292a4d9feace2d669159eb26f56d85ec77c19e01098cd754e8abb310cde5"
APPLE = "b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024"
KEY = NoteKey("ledger.example", ED25519, bytes(31) + b"\x01")
WITNESS = NoteKey("witness.example", COSIGNATURE_ED25519, bytes(31) + b"\x02")
LOG = f"tlog = '''\nlog {format_vkey(KEY)}\nquorum none\n'''\n"
QUORUM = f"tlog = '''\nlog {format_vkey(KEY)}\nwitness w {format_vkey(WITNESS)}\nquorum w\n'''\n"


def tsa(name: str, anchor: str, *lines: str) -> str:
    return "\n".join(["[[tsa]]", f'name = "{name}"', f'anchor = "{anchor}"', *lines, ""])


TWO = tsa("digicert", DIGICERT) + tsa("swisssign", SWISSSIGN)
SOUND = f'require = ["revocation"]\n{LOG}'


def write(tally: Tally, text: str) -> Path:
    path = tally.work / "trust.toml"
    path.write_text(text, encoding="utf-8")
    return path


def codes(said: Any) -> list[str]:
    return [remark["code"] for remark in said["remarks"]]


def test_default_file_is_explained_in_both_languages(bare: Tally) -> None:
    names = {one.name for one in parse_trust(default_trust()).tsas}
    said = bare("trust", "explain", "--default")
    assert said.code == 0
    assert f"when 2 of these {len(names)} authorities say it" in said.out
    assert "digicert: tokens whose signer leads to “CN=DigiCert Trusted Root G4," in said.out
    assert said.out.rstrip().endswith("Nothing in a bundle can add to this.")
    chinese = bare("trust", "explain", "--default", "--lang", "zh").out
    assert f"下列 {len(names)} 家机构中有 2 家" in chinese
    assert all(name in chinese for name in names)
    assert "证明" not in chinese


def test_default_file_is_not_dangerous_and_can_prove(bare: Tally) -> None:
    said = bare.json("trust", "lint", "--default")
    assert (said["dangerous"], said["vacuous"]) == (False, False)
    assert {remark["level"] for remark in said["remarks"]} <= {"note"}


def test_default_file_is_shown_with_every_certificate_and_as_it_is(bare: Tally) -> None:
    said = bare.json("trust", "show", "--default")
    assert said["trust_sha256"] == hashlib.sha256(default_trust()).hexdigest()
    held = {hashlib.sha256(root).hexdigest() for root in read_roots()}
    assert {one["anchor"] for one in said["tsa"]} <= held
    assert all(one["certificate"] for one in said["tsa"])
    assert DIGICERT in bare("trust", "show", "--default").out
    raw = bare("trust", "show", "--default", "--raw").out
    assert raw.encode() == default_trust()
    assert bare("trust", "show", write(bare, raw), "--raw").out == raw


def test_sound_file_has_only_its_lack_of_witnesses_noted(bare: Tally) -> None:
    path = write(bare, SOUND + TWO)
    assert codes(bare.json("trust", "lint", path)) == ["no-witness"]
    assert bare("trust", "lint", path).out.endswith("usable; the notes are worth knowing\n")


K1 = "[time]\nk = 1\n"
K3 = "[time]\nk = 3\n"
PAST = "valid_to = 2020-01-01T00:00:00Z"
AHEAD = "valid_from = 2036-01-01T00:00:00Z"
OUTSIDE = "valid_to = 2010-01-01T00:00:00Z"
SPKI = f'signer_spki = "{"a" * 64}"'
ALL_WEAK = "".join(
    f'[[weak]]\nalgorithm = "{name}"\nfrom = 2000-01-01T00:00:00Z\n'
    for name in ("rsa-pkcs1", "rsa-pss", "ecdsa", "ed25519")
)

LINTED: list[tuple[str, int, str, dict[str, Any]]] = [
    ("", 3, "no-tsa", {}),
    (SOUND + K3 + TWO, 3, "k-unreachable", {"k": 3, "count": 2}),
    (SOUND + TWO + ALL_WEAK, 3, "k-unreachable", {"k": 2, "count": 0}),
    (
        SOUND + tsa("digicert", DIGICERT, OUTSIDE) + tsa("swisssign", SWISSSIGN),
        3,
        "k-unreachable",
        {"k": 2, "count": 1},
    ),
    (SOUND + K1 + TWO, 1, "k-one", {}),
    (SOUND + K1, 1, "k-one", {}),
    (SOUND + TWO + tsa("dev", "0" * 64, "development = true"), 1, "development", {"tsa": "dev"}),
    (
        SOUND + TWO + tsa("quovadis", QUOVADIS),
        1,
        "same-operator",
        {"first": "digicert", "second": "quovadis", "reason": "digicert"},
    ),
    (
        SOUND
        + tsa("a", "0" * 64, 'url = "http://one.example.co.uk/a"')
        + tsa("b", "1" * 64, 'url = "http://two.example.co.uk"'),
        1,
        "same-operator",
        {"first": "a", "second": "b", "reason": "example.co.uk"},
    ),
    (
        SOUND + tsa("a", "0" * 64, SPKI) + tsa("b", "1" * 64, SPKI),
        1,
        "same-operator",
        {"first": "a", "second": "b", "reason": "a" * 64},
    ),
    (f'require = ["evidence"]\n{LOG}{TWO}', 3, "not-judged", {"step": "evidence"}),
    (f'require = ["cosignatures"]\n{LOG}{TWO}', 3, "no-witness-key", {}),
    (f'require = ["ageing"]\n{LOG}{TWO}', 3, "not-judged", {"step": "ageing"}),
    (f'require = ["ledger"]\n{TWO}', 3, "no-log-key", {"step": "checkpoint.ledger"}),
    (f'require = ["ml-dsa"]\n{LOG}{TWO}', 3, "no-log-key", {"step": "checkpoint.ml-dsa"}),
    (LOG + TWO, 0, "no-revocation", {}),
    (
        SOUND + TWO + tsa("other", "0" * 64),
        0,
        "unknown-anchor",
        {"tsa": "other", "anchor": "0" * 16},
    ),
    (
        SOUND + TWO + tsa("apple", APPLE, PAST),
        0,
        "window-ended",
        {"tsa": "apple", "anchor": APPLE[:16], "time": "2020-01-01"},
    ),
    (
        SOUND + TWO + tsa("other", "0" * 64, AHEAD),
        0,
        "window-ahead",
        {"tsa": "other", "anchor": "0" * 16, "time": "2036-01-01"},
    ),
    (
        SOUND + TWO + tsa("apple", APPLE, "valid_to = 2000-01-01T00:00:00Z"),
        0,
        "window-empty",
        {"tsa": "apple", "anchor": APPLE[:16]},
    ),
    (
        SOUND + TWO + '[[weak]]\nalgorithm = "sha256"\nfrom = 2040-01-01T00:00:00Z',
        0,
        "weak-ahead",
        {"algorithm": "sha256", "time": "2040-01-01"},
    ),
    (f'require = ["revocation"]\n{TWO}', 0, "no-ledger", {}),
]


@pytest.mark.parametrize(("text", "code", "remark", "values"), LINTED)
def test_what_is_amiss_is_found_and_said_in_both_languages(
    bare: Tally, text: str, code: int, remark: str, values: dict[str, Any]
) -> None:
    path = write(bare, text)
    said = bare.json("trust", "lint", path, code=code)
    assert said["exit_code"] == code
    assert remark in codes(said)
    assert values in [one["values"] for one in said["remarks"] if one["code"] == remark]
    for language in ("en", "zh"):
        ran = bare("trust", "lint", path, "--lang", language)
        assert ran.code == code
        sentences = [one["sentence"][language] for one in said["remarks"]]
        assert all(sentence in ran.out for sentence in sentences)
        assert bare("trust", "explain", path, "--lang", language).code == 0
        assert bare("trust", "show", path, "--lang", language).code == 0


def test_given_certificates_tell_whose_an_anchor_is(bare: Tally) -> None:
    root = Authority("Upper")
    middle = root.child("Lower")
    expired = Authority("Old")
    for name, der in (("root", root.der), ("middle", middle.der), ("old", expired.der)):
        (bare.work / name).write_bytes(der)
    pinned = [hashlib.sha256(der).hexdigest() for der in (root.der, middle.der)]
    path = write(bare, SOUND + tsa("upper", pinned[0]) + tsa("lower", pinned[1]))
    assert codes(bare.json("trust", "lint", path)).count("unknown-anchor") == 2
    both = ["--certificate", "root", "--certificate", "middle"]
    said = bare.json("trust", "lint", path, *both, code=1)
    assert codes(said) == ["same-operator", "no-witness"]
    assert "CN=Upper" in bare("trust", "explain", path, *both).out


def test_limits_and_names_are_explained(bare: Tally) -> None:
    limits = [
        "valid_from = 2020-01-01T00:00:00Z",
        "valid_to = 2030-01-01T00:00:00Z",
        'policy_oid = "1.2.3"',
        SPKI,
        "accuracy_default = 60",
    ]
    author = f'[[author]]\nkey = "{"k" * 43}"\nname = "李伟"\n'
    path = write(bare, SOUND.replace(LOG, QUORUM) + TWO + tsa("x", "0" * 64, *limits) + author)
    said = bare("trust", "explain", path).out
    for text in (
        "times from 2020-01-01 00:00:00 UTC to 2030-01-01 00:00:00 UTC; only under policy 1.2.3",
        "only signed by the key aaaaaaaaaaaaaaaa…",
        "60 s is taken (x)",
        "these must be proven: revocation, cosignatures",
        "the ledger ledger.example are known by its Ed25519 key",
        "meet “w” of 1 witnesses",
        "The key kkkkkkkk… is that of 李伟.",
    ):
        assert text in said
    assert "witness.example" not in said
    assert "DEVELOPMENT" not in said
    write(bare, tsa("d", "0" * 64, "development = true"))
    assert "DEVELOPMENT TSA: proves nothing" in bare("trust", "explain", path).out
    assert "DEVELOPMENT TSA: proves nothing" in bare("trust", "show", path).out


def test_steps_that_lint_calls_not_judged_have_no_finding_anywhere(project_root: Path) -> None:
    sources = [path.read_text("utf-8") for path in (project_root / "ledger/proof").glob("*.py")]
    found = {step for text in sources for step in re.findall(r'Finding\(\s*"([a-z.-]+)"', text)}
    assert not found & NOT_JUDGED


BAD: list[tuple[list[str], int, str, str]] = [
    ([], 2, "E001", "no command was given"),
    (["lint"], 2, "E001", "give a trust file or --default"),
    (["lint", "good", "--default"], 2, "E001", "give a trust file or --default"),
    (["lint", "none"], 2, "E003", "no such file: none"),
    (["explain", "."], 2, "E003", ". is a folder"),
    (["show", "pipe"], 2, "E002", "pipe is not a plain file"),
    (["lint", "junk"], 2, "E002", "junk: trust file is not TOML"),
    (["lint", "odd"], 2, "E002", "odd: trust file has unknown key 'tas'"),
    (
        ["lint", "good", "--certificate", "junk"],
        2,
        "E002",
        "junk: neither PEM nor DER, want CERTIFICATE",
    ),
    (["show", "--default", "--raw", "--json"], 2, "E001", "do not go together"),
]


@pytest.mark.parametrize(("words", "code", "name", "text"), BAD)
def test_bad_input_is_refused_with_its_code_and_file(
    bare: Tally, words: list[str], code: int, name: str, text: str
) -> None:
    (bare.work / "junk").write_bytes(b"\xff\xff")
    (bare.work / "odd").write_text("[[tas]]\n")
    (bare.work / "good").write_text(TWO)
    os.mkfifo(bare.work / "pipe")
    ran = bare("trust", *words)
    assert (ran.code, ran.out) == (code, "") or "--json" in words
    assert f"[TALLY-{name}]" in ran.err
    assert text in ran.err
    as_json = bare("trust", *words, "--json").out
    assert json.loads(as_json)["error"]["code"] == f"TALLY-{name}"
