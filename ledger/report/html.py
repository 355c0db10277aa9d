"""The verdict as one page that needs nothing else: to read, to print, to hand over.

No scripts, no links, no fonts, nothing fetched; its policy forbids them. Whatever a bundle says is
escaped, and control and bidi characters are shown instead of obeyed. Times are rounded outward.
The page states what was checked; it concludes nothing about law.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby

from ledger.proof.verdict import (
    Finding,
    Language,
    Outcome,
    RecordBounds,
    TokenReport,
    Verdict,
    format_lower,
    format_upper,
    headline,
    meaning,
    say,
    say_folder,
    say_reason,
    words,
)
from ledger.report.style import escaped, format_page
from ledger.report.timeline import draw_timeline, term

_SIGNS = {Outcome.PROVEN: "✓", Outcome.REFUTED: "✗", Outcome.UNCHECKED: "?"}

_WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("Tallystick: verdict on an evidence bundle", "Tallystick：证据包核验结果"),
    "development": ("Development TSA: proves nothing.", "开发用时间戳：不具证据意义。"),
    "development-why": (
        (
            "Times below come from a timestamping service made for trying out; whoever runs it"
            " sets its clock."
        ),
        "下列时间来自试用的时间戳服务，其时钟由运行者任意设定。",
    ),
    "no-later": ("no later than", "不晚于"),
    "first": ("first timestamp alone", "仅凭最早的时间戳"),
    "no-earlier": ("signed no earlier than", "签署不早于"),
    "independent": ("time proven without trusting the operator", "时间无需信任运营者即可核验"),
    "compared": ("carrier compared", "已比对载体"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "not-proven": ("not proven", "未核验"),
    "timeline": ("Timeline", "时间轴"),
    "findings": ("Findings", "核验项"),
    "outcome": ("outcome", "结果"),
    "about": ("about", "对象"),
    "finding": ("finding", "内容"),
    "proves": ("proves: ", "表明："),
    "does-not-prove": ("does not prove: ", "界限："),
    "records": ("Records", "记录"),
    "record": ("record {}", "记录 {}"),
    "number": ("no.", "序号"),
    "withheld": ("withheld", "未披露"),
    "name": ("title", "标题"),
    "kind": ("kind, stage", "类别与阶段"),
    "claimed": ("claimed time (a claim)", "自述时间（仅为陈述）"),
    "entry": ("entry", "登记项"),
    "tokens": ("Timestamp tokens", "时间戳"),
    "tsa": ("TSA", "时间戳机构"),
    "file": ("file", "文件"),
    "between": ("time stamped, with accuracy", "时间（含精度）"),
    "unnamed": ("a TSA not trusted", "未受信任的机构"),
    "numbers": ("serial, policy OID, accuracy", "序列号、策略 OID、精度"),
    "openssl": ("openssl verifiable", "openssl 可核验"),
    "counted": ("counted", "计入"),
    "about-page": ("What was checked, and with what", "核验对象与工具"),
    "tool": ("tool", "工具"),
    "trust": ("trust file, SHA-256", "信任清单 SHA-256"),
    "bundle": ("bundle.json, SHA-256", "bundle.json SHA-256"),
    "checked": ("checked at", "核验时间"),
    "limits": (
        (
            "This page states what was checked and what came of it. It concludes nothing about law,"
            " and not that something is a trade secret."
        ),
        "本页仅陈述核验内容及结果，不作法律结论，也不表明某项内容构成商业秘密。",
    ),
}


def format_html(verdict: Verdict, language: Language) -> str:
    """The page, complete; UTF-8 when encoded. ``POLICY`` is its policy as a header would say it."""
    page = _Page(verdict, language)
    return format_page(page.word("title"), "".join(page.parts()), language)


class _Page:
    """One verdict in one language, part by part. Every method gives escaped HTML."""

    def __init__(self, verdict: Verdict, language: Language) -> None:
        self.verdict = verdict
        self.language = language
        self.numbers = {record.name: n for n, record in enumerate(verdict.records, 1)}

    def word(self, key: str) -> str:
        return escaped(_WORDS[key][self.language == "zh"])

    def parts(self) -> Iterator[str]:
        outcome = self.verdict.outcome
        # What a development TSA "proves" must not shine in the colour of what is proven.
        doubtful = self.verdict.development and outcome is Outcome.PROVEN
        shade = Outcome.UNCHECKED if doubtful else outcome
        yield f"<h1>{self.word('title')}</h1>\n"
        yield (
            f'<p class="headline {shade.value}">{_SIGNS[outcome]} '
            f"{escaped(headline(self.verdict, self.language))}</p>\n"
        )
        if any(token.development for token in self.verdict.tokens):
            yield (
                f'<p class="notice" role="note"><strong>{self.word("development")}</strong>'
                f" {self.word('development-why')}</p>\n"
            )
        yield self.summary()
        yield f'<h2 id="timeline">{self.word("timeline")}</h2>\n'
        yield '<div class="picture" role="region" aria-labelledby="timeline" tabindex="0">'
        yield f"{draw_timeline(self.verdict, self.language)}</div>\n"
        yield from self.findings()
        yield from self.records()
        yield from self.tokens()
        yield self.colophon()

    def summary(self) -> str:
        """The bounds and what they rest on. Where anything is refuted, no time stands up here."""
        verdict = self.verdict
        upper, first, lower = verdict.not_after, verdict.first_not_after, verdict.not_before
        stands = verdict.outcome is not Outcome.REFUTED
        if not stands:
            upper = first = lower = None
        rows = [
            ("no-later", self.upper(upper)),
            ("first", self.upper(first)),
            ("no-earlier", self.lower(lower)),
            ("independent", self.yes(verdict.independent and stands)),
            ("compared", self.yes(verdict.carrier_checked)),
        ]
        folders = "".join(
            f"<p>{escaped(say_folder(folder, self.language))}</p>\n" for folder in verdict.folders
        )
        return f"<dl>{''.join(self.pair(*row) for row in rows)}</dl>\n{folders}"

    def pair(self, key: str, value: str) -> str:
        return f"<dt>{self.word(key)}</dt><dd>{value}</dd>\n"

    def yes(self, value: bool) -> str:
        return self.word("yes" if value else "no")

    def upper(self, time: datetime | None) -> str:
        return self.word("not-proven") if time is None else _time(format_upper(time))

    def lower(self, time: datetime | None) -> str:
        return self.word("not-proven") if time is None else _time(format_lower(time))

    def table(self, title: str, columns: tuple[str, ...], body: str) -> str:
        """A table under its heading; ``columns`` are keys of the words."""
        heads = "".join(f'<th scope="col">{self.word(key)}</th>' for key in columns)
        return (
            f'<h2 id="{title}">{self.word(title)}</h2>\n'
            f'<table aria-labelledby="{title}"><thead><tr>{heads}</tr></thead>\n{body}</table>\n'
        )

    def cell(self, key: str, value: str, kind: str = "") -> str:
        return f'<td class="{kind}" data-label="{self.word(key)}">{value}</td>'

    def findings(self) -> Iterator[str]:
        bodies = []
        for step, group in groupby(self.verdict.findings, key=lambda finding: finding.step):
            found = list(group)
            proves, does_not_prove = meaning(found[0], self.language)
            label = words()["steps"][step]["label"][self.language]
            bodies.append(
                f'<tbody><tr class="step"><th colspan="3" scope="rowgroup">{escaped(label)}'
                f" <code>{step}</code><p>{self.word('proves')}{escaped(proves)}<br>"
                f"{self.word('does-not-prove')}{escaped(does_not_prove)}</p></th></tr>\n"
                f"{''.join(self.finding(one) for one in found)}</tbody>\n"
            )
        yield self.table("findings", ("outcome", "about", "finding"), "".join(bodies))

    def finding(self, finding: Finding) -> str:
        outcome, said = finding.outcome, escaped(say(finding, self.language))
        label = words()["outcomes"][outcome.value][self.language]
        return (
            f'<tr><td class="outcome {outcome.value}">{_SIGNS[outcome]} {escaped(label)}</td>'
            f'<td class="record quiet">{self.about(finding)}</td>'
            f'<td class="long">{said}{self.doubt(finding)}</td></tr>\n'
        )

    def about(self, finding: Finding) -> str:
        """The record or the TSA a finding is about, by the number the page gives it."""
        if finding.record is not None:
            return self.word("record").format(
                self.numbers.get(finding.record, escaped(finding.record))
            )
        return "" if finding.tsa is None else escaped(finding.tsa)

    def doubt(self, finding: Finding) -> str:
        """What must stand at every proven time that a development TSA has part in."""
        timed = finding.step.startswith("time.") and finding.outcome is Outcome.PROVEN
        if not (timed and self.verdict.development):
            return ""
        return f' <strong class="refuted">{self.word("development")}</strong>'

    def records(self) -> Iterator[str]:
        columns = ("number", "name", "kind", "claimed", "no-earlier", "no-later", "entry")
        rows = [self.record(n, one) for n, one in enumerate(self.verdict.records, 1)]
        if rows:
            yield self.table("records", columns, f"<tbody>{''.join(rows)}</tbody>")

    def record(self, number: int, record: RecordBounds) -> str:
        kinds = [term("kind", record.kind, self.language)]
        kinds.append(term("stage", record.stage, self.language))
        title = escaped(record.title or "") if record.opened else self.word("withheld")
        claim = "" if record.claimed_time is None else _time(format_lower(record.claimed_time))
        name = f'<code class="time">{escaped(record.name)}</code>'
        index = "" if record.index is None else str(record.index)
        return (
            f'<tr><td class="outcome">{number}</td>{self.cell("name", title)}'
            f"{self.cell('kind', escaped(', '.join(kind for kind in kinds if kind)))}"
            f"{self.cell('claimed', claim, 'quiet')}"
            f"{self.cell('no-earlier', self.lower(record.not_before))}"
            f"{self.cell('no-later', self.upper(record.not_after))}"
            f"{self.cell('entry', f'{index}<br>{name}')}</tr>\n"
        )

    def tokens(self) -> Iterator[str]:
        rows = "".join(self.token(token) for token in self.verdict.tokens)
        if rows:
            columns = ("tsa", "between", "numbers", "openssl", "counted")
            yield self.table("tokens", columns, f"<tbody>{rows}</tbody>")

    def token(self, token: TokenReport) -> str:
        name = escaped(token.tsa) or self.word("unnamed")
        doubt = f'<br><strong class="refuted">{self.word("development")}</strong>'
        reason = ""
        if token.reason is not None:
            reason = f"<br>{escaped(say_reason(token.reason, self.language))}"
        accuracy = f"± {token.accuracy / timedelta(seconds=1):g} s"
        numbers = f"<code>{escaped(token.serial)}</code><br><code>{escaped(token.policy)}</code>"
        return (
            f"<tr>{self.cell('tsa', f'{name}<br><code>{escaped(token.path)}</code>')}"
            f"{self.cell('between', _between(token) + (doubt if token.development else ''))}"
            f"{self.cell('numbers', f'{numbers}<br>{accuracy}')}"
            f"{self.cell('openssl', self.yes(token.openssl_verifiable))}"
            f"{self.cell('counted', self.yes(token.counted) + reason)}</tr>\n"
        )

    def colophon(self) -> str:
        verdict = self.verdict
        checked = f"{_time(format_lower(verdict.checked_at))} ({escaped(verdict.clock)})"
        rows = [
            ("checked", checked),
            ("tool", f"<code>{escaped(verdict.tool)}</code>"),
            ("trust", f"<code>{escaped(verdict.trust_sha256)}</code>"),
            ("bundle", f"<code>{escaped(verdict.bundle_sha256)}</code>"),
        ]
        return (
            f"<h2>{self.word('about-page')}</h2>\n"
            f'<dl class="colophon">{"".join(self.pair(*row) for row in rows)}</dl>\n'
            f'<p class="quiet">{self.word("limits")}</p>\n'
        )


def _between(token: TokenReport) -> str:
    """From the earliest to the latest moment the token can mean; a far one stays as it is."""
    try:
        lower, upper = token.gen_time - token.accuracy, token.gen_time + token.accuracy
    except OverflowError:
        lower = upper = token.gen_time
    return f"{_time(format_lower(lower) + ' –')}<br>{_time(format_upper(upper))}"


def _time(displayed: str) -> str:
    return f'<span class="time">{displayed}</span>'
