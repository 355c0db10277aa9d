"""A token's appraisal as one page that needs nothing else: to read, to print, to hand over.

The style and the policy of the verdict's page: no scripts, no links, nothing fetched. Whatever a
token or a certificate says is escaped, and control and bidi characters are shown, not obeyed.
"""

import hashlib
from collections.abc import Iterable

from ledger.errors import MalformedError
from ledger.proof.appraise import Appraisal
from ledger.proof.verdict import Language, Outcome, format_lower, format_upper, say_reason
from ledger.proof.verdict import words as verdict_words
from ledger.report.style import escaped, format_page
from ledger.report.timestamp import (
    Source,
    fact,
    facts,
    headline,
    label,
    openssl_fact,
    proves,
    say,
)
from ledger.timestamp.examine import Check
from ledger.timestamp.material import describe
from ledger.timestamp.token import openssl_verifiable

_SIGNS = {"proven": "✓", "refuted": "✗", "unchecked": "?"}


def format_html(appraisal: Appraisal, source: Source, language: Language) -> str:
    """The page, complete; UTF-8 when encoded. ``POLICY`` is its policy as a header would say it."""
    page = _Page(appraisal, source, language)
    return format_page(page.word("title"), page.body(), language)


class _Page:
    """One appraisal in one language, part by part. Every method gives escaped HTML."""

    def __init__(self, appraisal: Appraisal, source: Source, language: Language) -> None:
        self.appraisal, self.source, self.language = appraisal, source, language

    def word(self, key: str) -> str:
        return escaped(fact(key, self.language))

    def body(self) -> str:
        parts = (self.top(), self.what(), self.checks(), self.certificates(), self.by_hand())
        return "".join((*parts, self.colophon()))

    def top(self) -> str:
        outcome = self.appraisal.outcome
        # What a development TSA "proves" must not shine in the colour of what is proven.
        doubtful = self.appraisal.development and outcome is Outcome.PROVEN
        shade = Outcome.UNCHECKED if doubtful else outcome
        said = escaped(headline(self.appraisal, self.language))
        notice = f"<strong>{self.word('development')}</strong>"
        return (
            f"<h1>{self.word('title')}</h1>\n"
            f'<p class="headline {shade.value}">{_SIGNS[outcome.value]} {said}</p>\n'
            + (
                f'<p class="notice" role="note">{notice}</p>\n'
                if self.appraisal.development
                else ""
            )
        )

    def what(self) -> str:
        rows = [
            (escaped(word), f"<code>{escaped(value)}</code>")
            for word, value in facts(self.appraisal.opened, self.language, self.appraisal)
            if word != "!"
        ]
        bounds = self.appraisal.bounds
        # Where the token is not proven no time stands as one; its genTime is what it says.
        if bounds is not None and self.appraisal.outcome is Outcome.PROVEN:
            between = f"{format_lower(bounds[0])} – {format_upper(bounds[1])}"
            rows.append((self.word("between"), between))
        if self.source.against is not None:
            rows.append((self.word("against"), f"<code>{escaped(self.source.against)}</code>"))
        return f"<h2>{self.word('what')}</h2>\n{_pairs(rows)}"

    def checks(self) -> str:
        rows = "".join(self.check(check) for check in self.appraisal.checks)
        return self.table("checks", ("outcome", "check", "finding"), rows)

    def check(self, check: Check) -> str:
        outcome = escaped(verdict_words()["outcomes"][check.outcome][self.language])
        return (
            f'<tr><td class="outcome {check.outcome}">{_SIGNS[check.outcome]} {outcome}</td>'
            f'<td class="quiet">{escaped(label(check, self.language))}<br>'
            f"<code>{check.name}</code></td>"
            f'<td class="long">{escaped(say(check, self.language))}<br><span class="quiet">'
            f"{self.word('proves')}{escaped(proves(check, self.language))}</span></td></tr>\n"
        )

    def certificates(self) -> str:
        path, opened = self.appraisal.path, self.appraisal.opened
        if path is not None:
            roles = ["signer", *["intermediate"] * (len(path.certificates) - 1), "anchor"]
            placed = list(zip(roles, (*path.certificates, path.anchor), strict=True))
        elif opened.token is not None:
            placed = [("embedded", der) for der in opened.token.certificates]
        else:
            placed = []
        rows = "".join(self.certificate(role, der) for role, der in placed)
        columns = ("role", "subject", "validity", "key", "numbers")
        return self.table("certificates", columns, rows) if rows else ""

    def certificate(self, role: str, der: bytes) -> str:
        digest = f"<code>{hashlib.sha256(der).hexdigest()}</code>"
        try:
            said = describe(der)
        except MalformedError as error:
            why = escaped(say_reason(str(error), self.language))
            return (
                f'<tr><td class="outcome">{self.word(role)}</td>'
                f'<td class="long">{self.word("unreadable")}: {why}</td>'
                f"<td></td><td></td><td>{digest}</td></tr>\n"
            )
        validity = (
            f'<span class="time">{format_lower(said.not_before)} –</span><br>'
            f'<span class="time">{format_lower(said.not_after)}</span>'
        )
        return (
            f'<tr><td class="outcome">{self.word(role)}</td>'
            f'<td class="long">{escaped(said.subject)}<br><span class="quiet">'
            f"{self.word('issuer')}: {escaped(said.issuer)}</span></td>"
            f"<td>{validity}</td><td>{escaped(said.key)}<br>{escaped(said.signature)}</td>"
            f"<td><code>{said.serial:x}</code><br>{digest}</td></tr>\n"
        )

    def by_hand(self) -> str:
        token = self.appraisal.opened.token
        if token is None:
            return ""
        verifiable = openssl_verifiable(token)
        said = self.word(openssl_fact(verifiable, self.source))
        lines = self.source.commands if verifiable else ()
        code = "<br>".join(f"<code>{escaped(line)}</code>" for line in lines)
        return f"<h2>{self.word('by-hand')}</h2>\n<p>openssl {said}</p>\n<p>{code}</p>\n"

    def colophon(self) -> str:
        source = self.source
        digest = hashlib.sha256(source.content).hexdigest()
        rows = [
            (self.word("file"), f"<code>{escaped(source.name)}</code>"),
            (self.word("sha256"), f"<code>{digest}</code>"),
            (self.word("tool"), f"<code>{escaped(source.tool)}</code>"),
        ]
        if source.checked_at is not None:
            rows.append((self.word("checked"), format_lower(source.checked_at)))
        if source.trust_sha256 is not None:
            rows.append((self.word("trust"), f"<code>{source.trust_sha256}</code>"))
        return (
            f"<h2>{self.word('about-page')}</h2>\n"
            f"{_pairs(rows, 'colophon')}"
            f'<p class="quiet">{self.word("limits")}</p>\n'
        )

    def table(self, title: str, columns: Iterable[str], rows: str) -> str:
        heads = "".join(f'<th scope="col">{self.word(column)}</th>' for column in columns)
        return (
            f'<h2 id="{title}">{self.word(title)}</h2>\n'
            f'<table aria-labelledby="{title}"><thead><tr>{heads}</tr></thead>\n'
            f"<tbody>{rows}</tbody></table>\n"
        )


def _pairs(rows: Iterable[tuple[str, str]], kind: str = "") -> str:
    inside = "".join(f"<dt>{word}</dt><dd>{value}</dd>\n" for word, value in rows)
    return f'<dl class="{kind}">{inside}</dl>\n' if kind else f"<dl>{inside}</dl>\n"
