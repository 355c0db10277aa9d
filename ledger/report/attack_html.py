"""Attempts on a bundle as one page to print: an appendix for whoever doubts a verdict.

The style and the policy of the verdict's page: no scripts, no links, nothing fetched. Whatever a
bundle says is escaped, and control and bidi characters are shown, not obeyed.
"""

from collections.abc import Sequence

from ledger.proof.attack import Attempt
from ledger.proof.verdict import Language, Outcome, format_lower, headline, words
from ledger.report.attack import (
    Attacked,
    caught_by_step,
    describe,
    describe_field,
    outcome_of,
    place,
    reason,
    reasons,
    summary,
    telling,
    text,
    told,
)
from ledger.report.style import escaped, format_page

_SIGNS = {"caught": "✓", "free": "–", "slipped": "✗"}
_SHADES = {"caught": "proven", "free": "quiet", "slipped": "refuted"}


def format_html(attacked: Attacked, language: Language) -> str:
    """The page, complete; UTF-8 when encoded. ``POLICY`` is its policy as a header would say it."""
    page = _Page(attacked, language)
    return format_page(page.word("title"), page.body(), language)


class _Page:
    """One run in one language, part by part. Every method gives escaped HTML."""

    def __init__(self, attacked: Attacked, language: Language) -> None:
        self.attacked, self.language = attacked, language

    def word(self, key: str) -> str:
        return escaped(text(key, self.language))

    def body(self) -> str:
        return f"{self.top()}{self.counts()}{self.changes()}{self.free()}{self.colophon()}"

    def top(self) -> str:
        verdict = self.attacked.verdict
        doubtful = self.attacked.slipped
        shade = Outcome.REFUTED if doubtful else Outcome.UNCHECKED if verdict.development else None
        said = escaped(summary(self.attacked, self.language))
        notice = f'<p class="notice" role="note"><strong>{self.word("development")}</strong></p>\n'
        return (
            f"<h1>{self.word('title')}</h1>\n"
            f'<p class="headline {(shade or Outcome.PROVEN).value}">{said}</p>\n'
            f"{notice if verdict.development else ''}"
            f"<p>{self.word('about')}</p>\n"
            f"<dl><dt>{self.word('bundle-says')}</dt>"
            f"<dd>{escaped(headline(verdict, self.language))}</dd></dl>\n"
        )

    def counts(self) -> str:
        rows = "".join(
            f"<tr>{self.cell('step', f'{self.step(step)} <code>{step}</code>')}"
            f"{self.cell('count', str(count))}</tr>\n"
            for step, count in caught_by_step(self.attacked.attempts).items()
        )
        return self.table("by-step", ("step", "count"), rows)

    def step(self, step: str) -> str:
        return escaped(words()["steps"][step]["label"][self.language])

    def changes(self) -> str:
        names = ("number", "change", "outcome", "caught")
        columns = [f"columns.{name}" for name in names]
        rows = [self.row(n, tried) for n, tried in enumerate(self.attacked.attempts, 1)]
        return self.table("outcome-times", columns, "".join(rows))

    def row(self, number: int, tried: Sequence[Attempt]) -> str:
        one, outcome = telling(tried), outcome_of(tried)
        where = f"<code>{escaped(place(one.mutation, self.language))}</code>"
        change = f"{escaped(describe(one.mutation, self.language))}<br>{where}"
        return (
            f'<tr><td class="outcome">{number}</td>'
            f'<td class="long" data-label="{self.word("columns.change")}">{change}</td>'
            f'<td class="outcome {_SHADES[outcome]}">{_SIGNS[outcome]} {self.word(outcome)}</td>'
            f'<td class="long" data-label="{self.word("columns.caught")}">'
            f"{escaped(told(one, self.language))}</td></tr>\n"
        )

    def free(self) -> str:
        rows = "".join(
            f"<tr>{self.cell('column-where', '<br>'.join(map(self.field, names)))}"
            f"{self.cell('column-reason', escaped(reason(key, self.language)))}</tr>\n"
            for key, names in reasons()
        )
        return self.table("not-evidence", ("column-where", "column-reason"), rows)

    def field(self, name: str) -> str:
        return escaped(describe_field(name, self.language))

    def colophon(self) -> str:
        verdict = self.attacked.verdict
        rows = (
            ("tool", verdict.tool),
            ("checked_at", format_lower(verdict.checked_at)),
            ("trust.toml SHA-256", verdict.trust_sha256),
            ("bundle.json SHA-256", verdict.bundle_sha256),
            (text("seed", self.language), str(self.attacked.seed)),
        )
        pairs = "".join(
            f"<dt>{escaped(name)}</dt><dd><code>{escaped(value)}</code></dd>\n"
            for name, value in rows
        )
        return f'<dl class="colophon">{pairs}</dl>\n'

    def table(self, title: str, columns: Sequence[str], body: str) -> str:
        heads = "".join(f'<th scope="col">{self.word(key)}</th>' for key in columns)
        return (
            f'<h2 id="{title}">{self.word(title)}</h2>\n<table aria-labelledby="{title}">'
            f"<thead><tr>{heads}</tr></thead>\n<tbody>{body}</tbody></table>\n"
        )

    def cell(self, key: str, value: str) -> str:
        return f'<td data-label="{self.word(key)}">{value}</td>'
