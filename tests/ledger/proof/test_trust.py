"""The trust file: what it may say, and that nothing misspelt becomes a missing restriction."""

from datetime import UTC, datetime, timedelta

import pytest

from ledger.errors import MalformedError
from ledger.proof.trust import (
    DEFAULT_K,
    MAX_TRUST_BYTES,
    Trust,
    TrustedTsa,
    WeakFrom,
    algorithm_words,
    parse_trust,
)
from ledger.tlog.note import COSIGNATURE_ED25519, NoteKey, format_vkey
from tests.ledger.proof.world import ledger_keys

ANCHOR = "ab" * 32
OTHER = "cd" * 32
TSA = f'[[tsa]]\nname = "one"\nanchor = "{ANCHOR}"\n'
KEY = "A" * 43
LOG = format_vkey(ledger_keys("log.example").public[0])

WHOLE = f"""\
require = ["revocation", "ml-dsa", "ledger", "revocation"]
tlog = '''
log {LOG}
quorum none
'''
[time]
k = 3
[[tsa]]
name = "one"
anchor = "{ANCHOR}"
url = "http://tsa.example"
policy_oid = "1.3.6.1.4.1.99999.1"
signer_spki = "{OTHER}"
accuracy_default = 60
valid_from = 2020-01-01T00:00:00Z
valid_to = 2031-01-01T08:00:00+08:00
development = true
[[weak]]
algorithm = "sha1"
from = 2017-01-01T00:00:00Z
[[author]]
key = "{KEY}"
name = "Li Wei"
"""


def test_a_trust_file_with_everything_is_read() -> None:
    trust = parse_trust(WHOLE.encode())
    assert trust.tsas == (
        TrustedTsa(
            "one",
            bytes.fromhex(ANCHOR),
            "http://tsa.example",
            "1.3.6.1.4.1.99999.1",
            bytes.fromhex(OTHER),
            timedelta(minutes=1),
            datetime(2020, 1, 1, tzinfo=UTC),
            datetime(2031, 1, 1, tzinfo=UTC),
            development=True,
        ),
    )
    assert trust.k == 3
    assert trust.require == ("revocation", "checkpoint.ml-dsa", "checkpoint.ledger")
    assert trust.weak == (WeakFrom("sha1", datetime(2017, 1, 1, tzinfo=UTC)),)
    assert trust.author(KEY) == "Li Wei"
    assert trust.author("B" * 43) is None
    assert trust.policy is not None
    assert [log.key.name for log in trust.policy.logs] == ["log.example"]
    assert len(trust.sha256) == 64


def test_an_empty_trust_file_believes_nothing() -> None:
    trust = parse_trust(b"")
    assert (trust.tsas, trust.k, trust.require, trust.policy) == ((), DEFAULT_K, (), None)
    assert trust.tsa_of(b"any certificate") is None


def test_a_tsa_without_limits_has_none_and_is_not_a_development_one() -> None:
    tsa = parse_trust(TSA.encode()).tsas[0]
    assert tsa == TrustedTsa("one", bytes.fromhex(ANCHOR))
    assert tsa.accuracy_default == timedelta(seconds=1)
    assert not tsa.development


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("k = 2", "unknown key 'k'"),
        ("[time]\nk = 2\nmin = 1", "unknown key 'min'"),
        ("[[tsa]]\nnmae = 'one'", "unknown key 'nmae'"),
        (f"{TSA}valid_til = 2030-01-01T00:00:00Z", "unknown key 'valid_til'"),
        ("[[weak]]\nalgo = 'sha1'", "unknown key 'algo'"),
        ("[[author]]\nkeys = 'x'", "unknown key 'keys'"),
        ("a =", "not TOML"),
        ("a = 1\na = 2", "not TOML"),
        ("[time]\nk = 1" + 5000 * "0", "not TOML"),
        ("a = " + 5000 * "[", "not TOML"),
        ("[time]\nk = 0", "want 1 to 16"),
        ("[time]\nk = 17", "want 1 to 16"),
        ("[time]\nk = true", "k is bool, want int"),
        ("[time]\nk = 2.0", "k is float, want int"),
        ("[time]\nk = '2'", "k is str, want int"),
        ("time = 2", "time is int, want dict"),
        ("require = 'revocation'", "require is str, want list"),
        ("require = ['revokation']", "require names 'revokation'"),
        ("require = [['index']]", "require names"),
        ("require = [1]", "require names 1"),
        ("tlog = 5", "tlog is int, want str"),
        ("tlog = ''", "policy does not end in a newline"),
        ("tlog = 'log x\n'", "not TOML"),
        ("tlog = '''\nlog x\nquorum none\n'''", "policy line 1"),
        (f"tlog = '''\nlog {LOG}\n'''", "no quorum line"),
        (f"tlog = '''\nlog {LOG}\nlog {LOG}\nquorum none\n'''", "twice"),
        (f"tsa = '{ANCHOR}'", "tsa is str, want list"),
        ("tsa = ['one']", r"write \[\[tsa\]\]"),
        (f"[tsa]\nname = 'one'\nanchor = '{ANCHOR}'", "tsa is dict, want list"),
        (f"[[tsa]]\nanchor = '{ANCHOR}'", "name is missing"),
        ("[[tsa]]\nname = 'one'", "anchor is missing"),
        (f"[[tsa]]\nname = 'One'\nanchor = '{ANCHOR}'", "name is 'One'"),
        (f"[[tsa]]\nname = ''\nanchor = '{ANCHOR}'", "name is ''"),
        (f"[[tsa]]\nname = 'one'\nanchor = '{ANCHOR.upper()}'", "anchor is"),
        (f"[[tsa]]\nname = 'one'\nanchor = '{ANCHOR[2:]}'", "anchor is"),
        (f"{TSA}signer_spki = 'ab'", "signer_spki is"),
        (f"{TSA}policy_oid = '1.02'", "policy_oid is"),
        (f"{TSA}policy_oid = '3.1'", "policy_oid is"),
        (f"{TSA}url = 1", "url is int, want str"),
        (f"{TSA}development = 1", "development is int, want bool"),
        (f"{TSA}development = 'yes'", "development is str, want bool"),
        (f"{TSA}accuracy_default = -1", "want 0 to 86400"),
        (f"{TSA}accuracy_default = 86401", "want 0 to 86400"),
        (f"{TSA}accuracy_default = true", "accuracy_default is bool, want int"),
        (f"{TSA}accuracy_default = 0.5", "accuracy_default is float, want int"),
        (f"{TSA}valid_to = 2030-01-01T00:00:00", "no time zone"),
        (
            f"{TSA}valid_to = 2030-01-01",
            "valid_to is date, want a time: 2025-01-01T",
        ),
        (
            f"{TSA}valid_to = '2030-01-01T00:00:00Z'",
            "is str, want a time: 2025-01-01T00:00:00Z without",
        ),
        (
            f"{TSA}valid_from = 2030-01-01T00:00:00Z\nvalid_to = 2029-01-01T00:00:00Z",
            "valid_to is before valid_from",
        ),
        (TSA + TSA, f"tsa anchor occurs twice: {ANCHOR}"),
        (TSA + TSA.replace("one", "two"), f"tsa anchor occurs twice: {ANCHOR}"),
        ("[[weak]]\nalgorithm = 'sha1'", "from is missing"),
        ("[[weak]]\nfrom = 2030-01-01T00:00:00Z", "algorithm is missing"),
        ("[[weak]]\nalgorithm = 'SHA-1'\nfrom = 2030-01-01T00:00:00Z", "algorithm is 'SHA-1'"),
        ("[[weak]]\nalgorithm = ''\nfrom = 2030-01-01T00:00:00Z", "algorithm is ''"),
        ("[[weak]]\nalgorithm = 'sha1'\nfrom = 2030-01-01T00:00:00", "no time zone"),
        (f"[[author]]\nkey = '{KEY}'", "name is missing"),
        ("[[author]]\nname = 'Li Wei'", "key is missing"),
        (f"[[author]]\nkey = '{KEY}='\nname = 'Li Wei'", "key is"),
        (2 * f"[[author]]\nkey = '{KEY}'\nname = 'Li Wei'\n", "author key occurs twice"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        parse_trust(text.encode())


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(MalformedError, match="not TOML"):
        parse_trust(b"# \xff\n")


def test_a_trust_file_of_over_a_megabyte_is_refused() -> None:
    with pytest.raises(MalformedError, match="want at most"):
        parse_trust(b"#" * (MAX_TRUST_BYTES + 1))
    assert parse_trust(b"#" * MAX_TRUST_BYTES) == Trust(sha256=parse_trust(b"#" * (1 << 20)).sha256)


def test_a_quorum_in_the_policy_asks_for_cosignatures() -> None:
    witness = "witness w w.example+" + _witness_key() + "\n"
    text = f"require = ['chain']\ntlog = '''\nlog {LOG}\n{witness}quorum w\n'''"
    assert parse_trust(text.encode()).required_steps == ("chain", "cosignatures")
    none = text.replace("quorum w", "quorum none")
    assert parse_trust(none.encode()).required_steps == ("chain",)


def _witness_key() -> str:
    public = ledger_keys(number=9).public[0].public_key
    return format_vkey(NoteKey("w.example", COSIGNATURE_ED25519, public)).partition("+")[2]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sha1", {"sha1"}),
        ("sha256_rsa", {"sha256", "rsa", "rsa-pkcs1"}),
        ("rsa-pkcs1-sha512", {"rsa", "rsa-pkcs1", "sha512"}),
        ("rsassa_pss", {"rsa", "rsa-pss"}),
        ("rsa-pss-sha384", {"rsa", "rsa-pss", "sha384"}),
        ("sha256_ecdsa", {"sha256", "ecdsa"}),
        ("ecdsa-sha256", {"sha256", "ecdsa"}),
        ("ed25519", {"ed25519"}),
        ("sm2-sm3", {"sm2", "sm3"}),
        ("1.2.3.4", set()),
    ],
)
def test_algorithm_names_of_both_spellings_are_found_again(name: str, words: set[str]) -> None:
    assert algorithm_words([name]) == words
