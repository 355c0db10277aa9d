"""Reasons in Chinese: each message that can reach a verdict has its row, each row its message."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ledger
from ledger.proof.reasons import MAX_CHARACTERS, in_chinese, table
from ledger.proof.verdict import Finding, Outcome, say, say_reason

SOURCE = Path(ledger.__file__).parent
ROOMS = ("tlog", "record", "timestamp", "proof")
ELSEWHERE = {
    "tlog/authentic.py",
    "tlog/policy.py",
    "tlog/subtree.py",
    "tlog/tile.py",
    "record/vocabulary.py",
    "timestamp/material.py",
    "timestamp/request.py",
    "proof/trust.py",
}
"""What is read before there is a verdict, or without one: commands fail with its messages."""

STATE = (
    "doors/http.py",
    "doors/files.py",
    "operator/tsa.py",
    "operator/second_reader.py",
    "operator/stamper.py",
    "operator/sequencer.py",
)
"""What the state page of a hosted ledger tells: why a token is missing, why it is closed."""

ERRORS = {"MalformedError", "VerificationError"}
OF_LIBRARIES = {"superseded", "unspecified"}
BUILT = (
    "no trusted path: The path could not be validated because",  # a library's sentence after ours
    "{count} CRLs and OCSP answers",
    "weak: ",
    "unchecked: ",
    "{why}; asked again from ",
    "the token is kept, but ",  # after its stable word, as the next ones
    "only {have} configured, ",
    "it was asked at ",
    "none of the tokens ",
    "a token signed with SM2 ",
    "another process is asking it",
    "not asked yet",
    "TALLY_OFFLINE is set",
)
BLANK = re.compile(r"\{[a-z]+\}")
HAN = re.compile("[\u4e00-\u9fff]")
FORBIDDEN = re.compile("证明|确认|认定|合格证|区块链")


def skeleton(node: ast.expr) -> str | None:
    """A text as the source has it, each value ``{}``; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    return "".join(_part(part) for part in node.values)


def _part(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.FormattedValue)
    # These are kinds, and have rows of their own.
    kind = isinstance(node.value, ast.Name) and node.value.id in {"WEAK", "UNCHECKED"}
    return "" if kind else "{}"


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((SOURCE / room).glob("*.py")):
            yield f"{room}/{path.name}", ast.parse(path.read_text(encoding="utf-8"))


def parse(name: str) -> ast.Module:
    return ast.parse((SOURCE / name).read_text(encoding="utf-8"))


def raised(module: ast.Module) -> Iterator[str]:
    """The messages of errors, and of the ValueErrors of values, which parsers pass on."""
    inits = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef) and node.name == "__post_init__"
    ]
    passed_on = {id(node) for init in inits for node in ast.walk(init)}
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        name = node.func.id
        if name in ERRORS or (name == "ValueError" and id(node) in passed_on):
            said = node.args[:1]
        else:
            said = node.args[1:2] if name in {"fault", "_fail"} else []
        yield from (text for one in said if (text := skeleton(one)) and text.strip("{}"))


def known() -> set[str]:
    """Every row, blanks alike."""
    return {BLANK.sub("{}", row) for section in table().values() for row in section}


def test_every_message_that_can_reach_a_verdict_has_its_chinese() -> None:
    rows, found = known(), set[str]()
    for name, module in sources():
        found |= set() if name in ELSEWHERE else {*raised(module)}
    assert len(found) > 200
    missing = {one for one in found - rows if not HAN.search(in_chinese(one.replace("{}", "7")))}
    # No bundle leads to the first two; what is weak in a chain has a row for each weakness.
    assert missing == {"frontier has {} nodes, want {}", "unknown step {}", "{} in the chain"}


def told(module: ast.Module) -> Iterator[str]:
    """What is said of a TSA that gave no token, and the conflicts that close a ledger."""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "text":
            said = [node.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = {"NoAnswer": slice(1, 2), "ConflictError": slice(1)}.get(node.func.id)
            said = node.args[place] if place else []
        else:
            continue
        yield from (text for one in said if (text := skeleton(one)))


def test_every_reason_on_the_state_page_has_its_chinese() -> None:
    found = {text for name in STATE if name != "doors/files.py" for text in told(parse(name))}
    assert len(found) > 15
    assert {one for one in found if not HAN.search(in_chinese(one.replace("{}", "7")))} == set()


def test_every_row_is_a_message_of_the_source() -> None:
    texts = set[str | None]()
    modules = [module for _, module in sources()]
    for module in [*modules, *map(parse, STATE)]:
        texts |= {skeleton(node) for node in ast.walk(module) if isinstance(node, ast.expr)}
    for section in table().values():
        assert list(section) == sorted(section)
        for row in section:
            named = "_" in row or row in OF_LIBRARIES  # words of the formats, read from tokens
            built = row.startswith(BUILT) or row.endswith(" in the chain")
            assert BLANK.sub("{}", row) in texts or named or built, row


def test_chinese_keeps_what_the_english_names_and_says_no_more_than_a_verdict_can() -> None:
    for section in table().values():
        for english, chinese in section.items():
            assert sorted(BLANK.findall(english)) == sorted(BLANK.findall(chinese)), english
            assert len(set(BLANK.findall(english))) == len(BLANK.findall(english)), english
            assert not FORBIDDEN.search(chinese), english
            numbers = [n for n in re.findall(r"[0-9]{2,}", english) if n != "7638"]
            assert all(number in chinese for number in numbers), english


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("inclusion proof leads to another root", "按包含路径推得的是另一根值"),
        ("expired at 2025-03-01T00:00:00Z", "证书已于 2025-03-01T00:00:00Z 到期"),
        ("weak: rsa key of 1024 bits in the chain", "强度不足：证书链中有 1024 位 RSA 密钥"),
        ("weak: dsa key of 1024 bits in the chain", "强度不足：证书链中有 1024 位 DSA 密钥"),
        ("elliptic curve of 192 bits in the chain", "证书链中有 192 位椭圆曲线"),
        ("weak: sha1 signature in the chain", "强度不足：证书链中有 sha1 签名"),
        ("time after the trusted window of A b C", "时间晚于信任清单中 A b C 的期间"),
        ("claim carrier.parts.count is not an integer", "carrier.parts.count 项不是整数"),
        (
            "Ed25519 signature by ledger.example: Ed25519 signature has 1 bytes, want 64",
            "ledger.example 的签名（Ed25519）：Ed25519 签名为 1 字节，应为 64 字节",
        ),
        # What is unknown stays in full, by itself and where a row has room for it.
        (
            "revoked at 2026-06-01T00:00:00Z (new_word)",
            "revoked at 2026-06-01T00:00:00Z (new_word)",
        ),
        (
            "tsa.example could not be asked: timed out; asked again from 07:31:00 UTC",
            "无法请求 tsa.example（系统原文：timed out）；自 07:31:00 UTC 起再次请求",
        ),
        ("proof file: nobody knows", "路径文件：nobody knows"),
        ("everything has 3 bytes, want 4", "everything has 3 bytes, want 4"),
        ("", ""),
    ],
)
def test_reasons_are_said_in_chinese_with_their_values(english: str, chinese: str) -> None:
    assert in_chinese(english) == chinese


def test_a_reason_beyond_any_fixed_one_stays_as_it_is() -> None:
    known = "checkpoint: " * (MAX_CHARACTERS // 12)
    assert in_chinese(known).startswith("检查点：检查点：")
    longer = known + "checkpoint: x"
    assert in_chinese(longer) == longer


def test_sentences_have_the_reason_in_their_language_and_values_have_it_in_english() -> None:
    values = {"path": "proofs/a", "reason": "one size has two roots"}
    finding = Finding("inclusion", Outcome.REFUTED, "refuted", values)
    assert say(finding, "en") == "proofs/a: one size has two roots"
    assert say(finding, "zh") == "proofs/a：同一大小有两个根值"
    assert finding.values["reason"] == say_reason("one size has two roots", "en")


def test_a_name_is_not_taken_for_a_reason() -> None:
    values = {"path": "one size has two roots", "tsa": "x"}
    said = say(Finding("stamp", Outcome.PROVEN, "counted", values), "zh")
    assert said == "x：one size has two roots 计入"
