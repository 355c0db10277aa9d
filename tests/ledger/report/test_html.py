import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from ledger.proof.verdict import Language, Verdict, headline, meaning, words
from ledger.report.html import format_html
from ledger.report.style import POLICY

VOID = {"meta", "br"}
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Page(HTMLParser):
    """Text, tags and attributes of a page; a tag closed out of order raises."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_well_formed_and_says_the_headline(
    verdict: Verdict, refuted: Verdict, unchecked: Verdict, language: Language
) -> None:
    for each in (verdict, refuted, unchecked):
        page = Page(format_html(each, language))
        assert headline(each, language) in page.text


def test_the_policy_allows_the_one_style_and_nothing_else(verdict: Verdict) -> None:
    text = format_html(verdict, "en")
    [style] = re.findall(r"<style>(.*?)</style>", text, flags=re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert POLICY.startswith("default-src 'none'")
    assert "unsafe" not in POLICY
    [policy] = [a["content"] for t, a in Page(text).tags if a.get("http-equiv")]
    assert policy == POLICY


def test_nothing_is_fetched_scripted_or_styled_inline(verdict: Verdict) -> None:
    for tag, attributes in Page(format_html(verdict, "zh")).tags:
        assert tag not in {"script", "link", "img", "iframe", "a", "object", "base"}
        assert not attributes.keys() & {"style", "src", "href"}
        assert not any(name.startswith("on") for name in attributes)


def test_what_a_bundle_says_is_escaped_and_shown_safely(refuted: Verdict) -> None:
    text = format_html(refuted, "en")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}gpj\\u{1b}[31m.csv" in text
    assert "\u202e" not in text


def test_a_lone_surrogate_in_a_name_does_not_break_the_encoding(verdict: Verdict) -> None:
    record = replace(verdict.records[2], title="\udc80")
    tokens = (replace(verdict.tokens[0], path="\udcff", tsa="\udcff", reason="\udcff"),)
    page = format_html(replace(verdict, records=(record,), tokens=tokens), "en")
    assert "\\u{dc80}" in page.encode("utf-8").decode()


def test_every_step_says_what_it_proves_and_what_not(verdict: Verdict) -> None:
    for language in LANGUAGES:
        text = Page(format_html(verdict, language)).text
        for finding in verdict.findings:
            for line in meaning(finding, language):
                assert line in text


def test_bounds_are_rounded_outward(verdict: Verdict) -> None:
    text = format_html(verdict, "en")
    assert '<dt>no later than</dt><dd><span class="time">2026-07-02 09:30:05 UTC' in text
    assert '<dt>signed no earlier than</dt><dd><span class="time">2026-06-15 09:30:04 UTC' in text
    assert ".25" not in Page(text).text.split("PROVEN")[1]


def test_a_token_is_shown_for_the_appraiser(verdict: Verdict) -> None:
    text = Page(format_html(verdict, "en")).text
    for wanted in (
        "123456789012345678",
        "1.3.6.1.4.1.99999.1",
        "± 1 s",
        "2026-07-02 09:30:03 UTC –",
        "2026-07-02 09:30:06 UTC",
        "no path to a pinned anchor",
    ):
        assert wanted in text


def test_a_token_at_the_end_of_time_is_shown(verdict: Verdict) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    tokens = (replace(verdict.tokens[0], gen_time=last, counted=False),)
    assert "9999-12-31" in format_html(replace(verdict, tokens=tokens), "en")


def test_development_times_say_so_in_a_banner_at_each_time_and_token(development: Verdict) -> None:
    text = format_html(development, "en")
    assert 'role="note"' in text
    assert text.count("Development TSA: proves nothing.") == 1 + 1 + len(development.tokens)
    assert '<p class="headline unchecked">' in text
    assert "开发用时间戳：不具证据意义。" in format_html(development, "zh")


def test_a_page_without_development_tokens_has_no_banner(verdict: Verdict) -> None:
    assert 'role="note"' not in format_html(verdict, "en")
    assert '<p class="headline proven">' in format_html(verdict, "en")


def test_no_time_stands_in_the_summary_of_a_refuted_bundle(refuted: Verdict) -> None:
    assert "<dt>no later than</dt><dd>not proven</dd>" in format_html(refuted, "en")


def test_the_page_says_with_what_it_was_made(verdict: Verdict) -> None:
    text = Page(format_html(verdict, "zh")).text
    for wanted in (verdict.tool, verdict.trust_sha256, verdict.bundle_sha256, "system clock"):
        assert wanted in text


def test_words_that_are_the_courts_are_not_used(
    verdict: Verdict, refuted: Verdict, unchecked: Verdict, development: Verdict
) -> None:
    for each in (verdict, refuted, unchecked, development):
        assert not re.search("证明|确认|认定", Page(format_html(each, "zh")).text)
        english = Page(format_html(each, "en")).text.lower()
        assert not re.search("created at|qualified|blockchain", english)


def test_a_withheld_record_is_said_to_be(verdict: Verdict) -> None:
    record = replace(verdict.records[0], title="not to be shown")
    text = format_html(replace(verdict, records=(record,)), "en")
    assert "withheld" in text
    assert "not to be shown" not in text


def test_a_verdict_on_nothing_has_a_page(verdict: Verdict) -> None:
    empty = replace(verdict, findings=(), records=(), tokens=())
    assert words()["headline"]["unchecked"]["en"].split("{")[0] in format_html(empty, "en")
