"""The bounds of each record as one SVG picture: what is proven, what is claimed, what is withheld.

A row is a record, in the order of the verdict: a bar from its not-before to its not-after, faded
towards the side where no bound is proven, hatched if the record is withheld; the claimed time is a
hollow mark. Below, a row for each TSA with its tokens. Everything is also said in words (captions,
``desc``), so that neither colour nor sight is needed. No scripts, fonts, styles or links: it can
stand in a page with the strictest policy, and in print.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from ledger.proof.verdict import (
    Language,
    RecordBounds,
    TokenReport,
    Verdict,
    format_lower,
    format_upper,
    safe,
)
from ledger.record.vocabulary import vocabulary
from ledger.report.axis import Axis, make_axis, ticks

MAX_ROWS = 400
"""Records drawn; a bundle of a whole chain of years would be a picture nobody can open."""
MAX_TSAS = 12
"""TSAs drawn in rows of their own; names in a bundle are anybody's."""

_WIDTH, _LEFT, _RIGHT = 720, 24, 696
_ROW, _TSA_ROW = 62, 36
_LEAST_BAR = 9
_LABEL_COLUMNS = 88
"""A letter of the label is about 7.5 units wide, a Chinese character two of them."""
_INK, _PALE, _BAR, _CLAIM, _GRID = "#1b2733", "#5b6875", "#54728f", "#9c2f2f", "#d5dbe1"
_FONT = "system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"

_WORDS = {
    "title": ("When each record existed", "各记录的时间范围"),
    "none": ("no record", "没有记录"),
    "lower": ("no earlier than {}", "不早于 {}"),
    "upper": ("no later than {}", "不晚于 {}"),
    "no-lower": ("no lower bound", "无下限"),
    "no-upper": ("no upper bound", "无上限"),
    "clash": ("the bounds contradict each other", "上下限相互矛盾"),
    "claim": ("◇ claimed {}", "◇ 自述 {}"),
    "withheld": ("withheld", "未披露"),
    "entry": ("entry {}", "登记项 {}"),
    "tokens": ("{}: {} counted, {} not counted", "{}：计入 {}，未计入 {}"),
    "development": ("development TSA: proves nothing", "开发用时间戳：不具证据意义"),
    "others": ("other TSAs", "其他时间戳机构"),
    "unnamed": ("TSAs not trusted", "未受信任的机构"),
    "more": ("and {} more records, in the table", "另有 {} 项记录，见表"),
    "key-bar": ("between the bounds", "上下限之间"),
    "key-hatch": ("record withheld", "未披露的记录"),
    "key-claim": ("claimed time: a claim, not proven", "自述时间：仅为陈述，未核验"),
    "key-token": ("timestamp counted", "计入的时间戳"),
    "key-other": ("not counted", "未计入"),
}

_DEFS = (
    "<defs>"
    '<linearGradient id="timeline-from"><stop offset="0" stop-color="#ffffff"/>'
    '<stop offset="0.8" stop-color="#ffffff" stop-opacity="0"/></linearGradient>'
    '<linearGradient id="timeline-on"><stop offset="0.2" stop-color="#ffffff" stop-opacity="0"/>'
    '<stop offset="1" stop-color="#ffffff"/></linearGradient>'
    '<pattern id="timeline-hatch" width="6" height="6" patternUnits="userSpaceOnUse"'
    ' patternTransform="rotate(45)"><rect width="6" height="6" fill="#ffffff"/>'
    f'<rect width="2" height="6" fill="{_INK}"/></pattern></defs>'
)


def draw_timeline(verdict: Verdict, language: Language) -> str:
    """The picture as one ``svg`` element. All text is escaped, and safe to display."""
    picture = _Picture(language, _axis_of(verdict))
    records = verdict.records[:MAX_ROWS]
    parts: list[str] = []
    y = 44.0 if picture.axis else 8.0
    for number, record in enumerate(records, 1):
        parts += picture.record(y, number, record)
        y += _ROW
    if len(verdict.records) > MAX_ROWS:
        more = picture.word("more").format(len(verdict.records) - MAX_ROWS)
        parts.append(_text(_LEFT, y + 14, more, size=12, fill=_PALE))
        y += 24
    y += 10
    for name, tokens in _by_tsa(verdict.tokens, picture.word("others")):
        parts += picture.tsa(y, name, tokens)
        y += _TSA_ROW
    bottom = y
    parts += picture.legend(y + 22)
    height = int(y + 54)
    title = picture.word("title")
    said = [picture.sentence(number, record) for number, record in enumerate(records, 1)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        f' aria-labelledby="timeline-title timeline-desc" font-family="{_FONT}">'
        f'<title id="timeline-title">{_escape(title)}</title>'
        f'<desc id="timeline-desc">{_escape("; ".join(said) or picture.word("none"))}</desc>'
        f'{_DEFS}<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
        f"{''.join(picture.grid(bottom))}{''.join(parts)}</svg>"
    )


def describe_record(number: int, record: RecordBounds, language: Language) -> str:
    """A record's label: its number, then what of title, stage, kind and entry is disclosed."""
    parts = [record.title, term("stage", record.stage, language)]
    if not record.opened:
        parts = [_word("withheld", language)]
    elif record.title is None:
        parts.append(term("kind", record.kind, language))
    if record.index is not None:
        parts.append(_word("entry", language).format(record.index))
    return " · ".join([str(number), *(part for part in parts if part)])


def term(claim: str, code: str | None, language: Language) -> str | None:
    """The vocabulary's word for ``code``; a code it does not have, as it is."""
    found = vocabulary().get(claim, {}).get(code or "")
    if found is None:
        return code
    return found.zh if language == "zh" else found.en


@dataclass(frozen=True, slots=True)
class _Picture:
    """What every part of one picture shares. ``axis`` is None when there is no time to show."""

    language: Language
    axis: Axis | None

    def word(self, key: str) -> str:
        return _word(key, self.language)

    def x(self, time: datetime) -> float:
        place = self.axis.place(time) if self.axis else 0.0
        return _LEFT + place * (_RIGHT - _LEFT)

    def grid(self, bottom: float) -> Iterator[str]:
        for tick in ticks(self.axis) if self.axis else ():
            x = _LEFT + tick.place * (_RIGHT - _LEFT)
            yield _line(x, 36, x, bottom, _GRID, 1)
            anchor = "start" if x < 60 else "end" if x > _WIDTH - 60 else "middle"
            for line, label in enumerate(tick.label.split(" ")):
                yield _text(x, 14 + 14 * line, label, size=11, fill=_PALE, anchor=anchor)
        if self.axis:
            yield _line(_LEFT, 36, _RIGHT, 36, _PALE, 1)
            yield _text(_RIGHT, bottom + 12, "UTC", size=11, fill=_PALE, anchor="end")

    def record(self, y: float, number: int, record: RecordBounds) -> Iterator[str]:
        label = _cut(safe(describe_record(number, record, self.language)), _LABEL_COLUMNS)
        yield f"<g><title>{_escape(self.sentence(number, record))}</title>"
        yield _text(_LEFT, y + 15, label, size=13, weight="600")
        yield from self._bar(y + 22, record)
        if record.claimed_time is not None:
            yield from self._claim(y + 29, record.claimed_time)
        caption = " · ".join(self.bounds(record))
        yield _text(_LEFT, y + 51, caption, size=11, fill=_PALE)
        yield "</g>"

    def bounds(self, record: RecordBounds) -> list[str]:
        """The bounds and the claim in words, rounded outward."""
        lower, upper, claim = record.not_before, record.not_after, record.claimed_time
        said = [
            self.word("no-lower") if lower is None else self._time("lower", format_lower(lower)),
            self.word("no-upper") if upper is None else self._time("upper", format_upper(upper)),
        ]
        if lower is not None and upper is not None and lower > upper:
            said.append(self.word("clash"))
        if claim is not None:
            said.append(self._time("claim", format_lower(claim)))
        return said

    def sentence(self, number: int, record: RecordBounds) -> str:
        label = safe(describe_record(number, record, self.language))
        return f"{label}: {', '.join(self.bounds(record))}"

    def _time(self, key: str, time: str) -> str:
        return self.word(key).format(time)

    def _bar(self, y: float, record: RecordBounds) -> Iterator[str]:
        lower, upper = record.not_before, record.not_after
        if lower is None and upper is None:
            yield _line(_LEFT, y + 7, _RIGHT, y + 7, _PALE, 1.5, dash="2 5")
            return
        start = _LEFT if lower is None else self.x(lower)
        stop = _RIGHT if upper is None else self.x(upper)
        clash = start > stop
        start, stop = _at_least(min(start, stop), max(start, stop))
        if clash:
            yield _line(start, y + 7, stop, y + 7, _CLAIM, 2, dash="4 3")
        else:
            yield _rect(start, stop, y, _BAR if record.opened else "url(#timeline-hatch)")
        if lower is None or upper is None:
            yield _rect(start, stop, y, f"url(#timeline-{'from' if lower is None else 'on'})")
        for bound, x, side in ((lower, start, 1), (upper, stop, -1)):
            if bound is None:
                yield _path(f"M{x + side * 8:.1f} {y + 1}l{-side * 7} 6l{side * 7} 6", _PALE)
            else:
                inward = -side if clash else side
                yield _path(f"M{x + inward * 4:.1f} {y - 2}h{-inward * 4}v18h{inward * 4}", _INK)

    def _claim(self, y: float, time: datetime) -> Iterator[str]:
        x = self.x(time)
        yield _claim_mark(x, y)
        if self.axis is not None and not self.axis.holds(time):
            side = 1 if x > _WIDTH / 2 else -1
            yield _path(f"M{x + side * 10:.1f} {y - 5}l{side * 5} 5l{-side * 5} 5", _CLAIM)

    def tsa(self, y: float, name: str, tokens: Sequence[TokenReport]) -> Iterator[str]:
        counted = sum(token.counted for token in tokens)
        shown = _cut(safe(name), 40) or self.word("unnamed")
        label = self.word("tokens").format(shown, counted, len(tokens) - counted)
        if any(token.development for token in tokens):
            label += f" · {self.word('development')}"
        yield f"<g><title>{_escape(label)}</title>"
        yield _text(_LEFT, y + 12, label, size=11, fill=_PALE)
        yield _line(_LEFT, y + 24, _RIGHT, y + 24, _GRID, 1)
        for token in tokens:
            yield _token_mark(self.x(token.gen_time), y + 24, counted=token.counted)
        yield "</g>"

    def legend(self, y: float) -> Iterator[str]:
        """What each mark means, in two lines."""
        left, middle, right = _LEFT, _LEFT + 210.0, _LEFT + 420.0
        yield f'<rect x="{left}" y="{y - 8}" width="22" height="10" fill="{_BAR}"/>'
        yield _text(left + 30, y, self.word("key-bar"), size=11)
        yield f'<rect x="{middle}" y="{y - 8}" width="22" height="10" fill="url(#timeline-hatch)"/>'
        yield _text(middle + 30, y, self.word("key-hatch"), size=11)
        yield _claim_mark(left + 11, y + 16)
        yield _text(left + 30, y + 20, self.word("key-claim"), size=11)
        yield _token_mark(right + 6, y - 3, counted=True)
        yield _text(right + 30, y, self.word("key-token"), size=11)
        yield _token_mark(right + 6, y + 16, counted=False)
        yield _text(right + 30, y + 20, self.word("key-other"), size=11)


def _axis_of(verdict: Verdict) -> Axis | None:
    bounds = [t for r in verdict.records for t in (r.not_before, r.not_after) if t is not None]
    claims = [r.claimed_time for r in verdict.records if r.claimed_time is not None]
    return make_axis(bounds, claims + [token.gen_time for token in verdict.tokens])


def _by_tsa(tokens: Sequence[TokenReport], others: str) -> list[tuple[str, list[TokenReport]]]:
    """Tokens by TSA, in order of first sight; the last of too many are put together."""
    rows: dict[str, list[TokenReport]] = {}
    for token in tokens:
        name = token.tsa if token.tsa in rows or len(rows) < MAX_TSAS else others
        rows.setdefault(name, []).append(token)
    return list(rows.items())


def _at_least(start: float, stop: float) -> tuple[float, float]:
    """``start, stop`` drawn apart, so that bounds that fall together can be seen."""
    middle, half = (start + stop) / 2, max(stop - start, _LEAST_BAR) / 2
    return middle - half, middle + half


def _cut(text: str, columns: int) -> str:
    """``text`` cut to ``columns``; a Chinese character takes two."""
    for end, character in enumerate(text):
        columns -= 2 if ord(character) > 0x2E80 else 1
        if columns < 0:
            return text[:end] + "…"
    return text


def _word(key: str, language: Language) -> str:
    return _WORDS[key][language == "zh"]


def _escape(text: str) -> str:
    return escape(safe(text))


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int,
    fill: str = _INK,
    anchor: str = "start",
    weight: str = "400",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"'
        f' font-weight="{weight}">{_escape(text)}</text>'
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, stroke: str, width: float, dash: str = "none"
) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"'
        f' stroke-width="{width}" stroke-dasharray="{dash}"/>'
    )


def _rect(start: float, stop: float, y: float, fill: str) -> str:
    width = stop - start
    return f'<rect x="{start:.1f}" y="{y:.1f}" width="{width:.1f}" height="14" fill="{fill}"/>'


def _path(steps: str, stroke: str) -> str:
    return f'<path d="{steps}" fill="none" stroke="{stroke}" stroke-width="1.8"/>'


def _claim_mark(x: float, y: float) -> str:
    return (
        f'<path d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7 -7z" fill="#ffffff" stroke="{_CLAIM}"'
        ' stroke-width="1.8"/>'
    )


def _token_mark(x: float, y: float, *, counted: bool) -> str:
    if counted:
        return _line(x, y - 6, x, y + 6, _INK, 2)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#ffffff" stroke="{_PALE}"'
        ' stroke-width="1.5"/>'
    )
