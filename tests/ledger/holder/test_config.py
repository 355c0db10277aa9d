"""Settings: what is written is read back, and what is not understood is refused by name."""

import pytest

from ledger.doors.tsa_setting import TsaSetting
from ledger.errors import MalformedError, NotFoundError
from ledger.holder.config import (
    Config,
    add_tsa,
    cn_config,
    format_config,
    parse_config,
    remove_tsa,
    set_recovery,
)

TSA = TsaSetting("a", "https://a.example/tsa")
RECIPIENT = "age1j20k6h37u66gldfet7p62a9pjvfkp06jm2trxqdd83hlyhzs2cvqq2vqzg"
ACCOUNT = TsaSetting("c", "https://c.example", 15, '李 "\\ 😀', "/home/x/passwort 😀")


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(development=True),
        Config(recovery=(RECIPIENT,)),
        Config(wanted=1, minimum_interval_seconds=0, keep_limit_bytes=0, tsas=(TSA,)),
        Config(wanted=1, tsas=(ACCOUNT, TsaSetting("b", "http://b.example", 0)), profile="cn"),
    ],
)
def test_settings_round_trip(config: Config) -> None:
    assert parse_config(format_config(config)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wanted = ", "not TOML"),
        ("\xff", "not TOML"),
        (f"wanted = {'1' * 5000}", "not TOML"),
        ("colour = 1", "unknown key 'colour'"),
        ("wanted = 0", "want a whole number from 1"),
        ("wanted = true", "want a whole number"),
        ("wanted = 1.0", "want a whole number"),
        ("keep_limit_bytes = -1", "want a whole number from 0"),
        ("development = 1", "not true or false"),
        ("tsa = 1", "a name and a url"),
        ("[[tsa]]\nname = 'a'", "a name and a url"),
        ("[[tsa]]\nname = 'a'\nurl = 1", "url is not a text"),
        ("[[tsa]]\nname = 'a'\nurl = 'http://a'\ncolour = 1", "unknown key 'colour'"),
        ("[[tsa]]\nname = 'a'\nurl = 'http://a'\ninterval_seconds = -1", "whole number from 0"),
        ("[[tsa]]\nname = 'a'\nurl = 'http://a'\ninterval_seconds = 99999", "want 0 to 86400"),
        ("[[tsa]]\nname = 'a'\nurl = 'http://['", "tsa url is"),
        ("[[tsa]]\nname = 'a'\nurl = 'http://?'", "want a host"),
        ("[[tsa]]\nname = 'a'\nurl = 'https://u:p@a'", "has an account in it"),
        ("[[tsa]]\nname = 'a'\nurl = 'https://a'\nusername = 'u'", "or neither"),
        ("development = true\nprofile = 'us'", "want one of intl, cn"),
        ("profile = 1", "profile is not a text"),
        ("recovery = 1", "not a list of texts"),
        ("recovery = [1]", "not a list of texts"),
        ("recovery = ['age1']", "no age recipient"),
        (f"recovery = ['{RECIPIENT.upper()}']", "not in lower case"),
        (f"recovery = ['{RECIPIENT}', '{RECIPIENT}']", "named twice"),
        ("recovery = ['AGE-SECRET-KEY-1']", "secret age key"),
        ("[[tsa]]\nname = 'A b'\nurl = 'http://a'", "tsa name is 'A b'"),
        ("[[tsa]]\nname = 'a'\nurl = 'ftp://a'", "want http"),
        ("[[tsa]]\nname = 'a'\nurl = \"http://a\\nb\"", "want http"),
        ("wanted = 1\n" + "[[tsa]]\nname = 'a'\nurl = 'http://a'\n" * 2, "two TSAs have the name"),
        ("wanted = 2\n[[tsa]]\nname = 'a'\nurl = 'http://a'", "only 1 are there"),
        ("development = true\nwanted = 3", "only 2 are there"),
    ],
)
def test_settings_that_are_not_understood_are_refused(text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_config(text.encode("latin-1"))


@pytest.mark.parametrize(
    ("url", "username", "password_file", "message"),
    [
        ("http://a.example", "u", "/p", "has to be https"),
        ("https://a.example", "u:v", "/p", "no colon"),
        ("https://a.example", "u\nv", "/p", "no plain text"),
        ("https://a.example", "u", "", "no plain text"),
        ("https://a.example", "u", "/\udc80", "no plain text"),
    ],
)
def test_account_is_plain_text_and_goes_over_https_alone(
    url: str, username: str, password_file: str, message: str
) -> None:
    with pytest.raises(MalformedError, match=message):
        TsaSetting("a", url, None, username, password_file)


def test_account_may_be_sent_to_this_machine() -> None:
    assert TsaSetting("a", "http://127.0.0.1:8000/", None, "u", "/p").username == "u"


def test_interval_is_as_set_else_what_is_known_of_the_host() -> None:
    sectigo = "http://timestamp.sectigo.com"
    assert TsaSetting("a", sectigo).minimum_interval_seconds == 15
    assert TsaSetting("a", sectigo, 60).minimum_interval_seconds == 60
    assert TSA.minimum_interval_seconds == 0
    assert [tsa.minimum_interval_seconds for tsa in Config().tsas] == [0, 15, 0]


COMMENTED = b"""# mine
wanted = 1   # enough
[[tsa]]      # the first
name = "a"
url = "https://a.example/tsa"

  [[tsa]]
# the second
url = "http://b.example"
name = "b"
"""


def test_added_tsa_leaves_the_rest_of_the_file_as_it_was() -> None:
    text, kept = add_tsa(COMMENTED, ACCOUNT)
    assert kept
    assert text.startswith(COMMENTED)
    assert parse_config(text).tsas[2] == ACCOUNT
    with pytest.raises(MalformedError, match="two TSAs have the name 'c'"):
        add_tsa(text, ACCOUNT)


def test_removed_tsa_takes_only_its_own_lines_with_it() -> None:
    text, kept = remove_tsa(COMMENTED, "b")
    assert (text, kept) == (COMMENTED[: COMMENTED.index(b"\n  [[tsa]]")], True)
    text, kept = remove_tsa(COMMENTED, "a")
    assert kept
    assert text.startswith(b"# mine\nwanted = 1   # enough\n  [[tsa]]\n# the second\n")
    assert remove_tsa(add_tsa(COMMENTED, ACCOUNT)[0], "c") == (COMMENTED, True)


def test_removed_tsa_has_to_be_there_and_enough_have_to_be_left() -> None:
    with pytest.raises(NotFoundError, match="no TSA 'x'") as caught:
        remove_tsa(COMMENTED, "x")
    assert caught.value.hint == "there are: a, b"
    only, _ = remove_tsa(COMMENTED, "a")
    with pytest.raises(MalformedError, match="only 0 are there"):
        remove_tsa(only, "b")


@pytest.mark.parametrize(
    "text",
    [
        b'wanted = 1 # x\ntsa = [{name = "a", url = "http://a"}, {name = "b", url = "http://b"}]\n',
        b'wanted = 1\n[["tsa"]]\nname = "a"\nurl = "http://a"\n[["tsa"]]\nname = "b"\nurl = "http://b"\n',
    ],
)
def test_settings_written_in_another_way_are_edited_all_the_same(text: bytes) -> None:
    added, _ = add_tsa(text, ACCOUNT)
    assert [tsa.name for tsa in parse_config(added).tsas] == ["a", "b", "c"]
    removed, _ = remove_tsa(text, "a")
    assert [tsa.name for tsa in parse_config(removed).tsas] == ["b"]


def test_settings_that_must_be_written_anew_say_that_their_comments_are_lost() -> None:
    inline = b'wanted = 1 # x\ntsa = [{name = "a", url = "http://a"}]\n'
    text, kept = add_tsa(inline, TsaSetting("b", "http://b"))
    assert (b"# x" in text, kept) == (False, False)


def test_profile_cn_names_a_domestic_tsa_first_only_with_an_account() -> None:
    without = cn_config(Config(), None, None)
    assert (without.lacks_domestic_tsa, without.tsas) == (True, Config().tsas)
    config = cn_config(Config(), "u", "/p")
    assert not config.lacks_domestic_tsa
    assert (config.tsas[0].url, config.tsas[1:]) == ("https://tsa.cn/tsa", Config().tsas)
    assert parse_config(format_config(config)) == config
    assert not Config().lacks_domestic_tsa
    with pytest.raises(MalformedError, match="or neither"):
        cn_config(Config(), "u", None)


@pytest.mark.parametrize("before", ["", f"recovery = ['{RECIPIENT}']\n"])
@pytest.mark.parametrize("recovery", [(), (RECIPIENT,)])
def test_recovery_is_set_and_the_rest_of_the_settings_stays(
    before: str, recovery: tuple[str, ...]
) -> None:
    text = f"wanted = 1\n{before}# why\n[[tsa]]  # ours\nname = 'a'\nurl = 'http://a'\n"
    edited, kept = set_recovery(text.encode(), recovery)
    assert kept
    assert (b"# why" in edited, b"# ours" in edited) == (True, True)
    assert parse_config(edited) == Config(
        wanted=1, tsas=(TsaSetting("a", "http://a"),), recovery=recovery
    )


def test_recovery_over_several_lines_is_written_anew() -> None:
    text = f"development = true\nrecovery = [\n  '{RECIPIENT}',\n]\n# lost\n"
    edited, kept = set_recovery(text.encode(), ())
    assert (kept, parse_config(edited)) == (False, Config(development=True, tsas=()))
