"""A trust file for people: what it says, what it accepts in plain words, and what is amiss with it.

Words are in ``trust_words.json``.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from ledger.proof.lint import Anchor, Remark, find_anchors, lint_exit_code
from ledger.proof.trust import Trust, TrustedTsa
from ledger.proof.verdict import Language, format_lower, safe, shown_values
from ledger.tlog.note import COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44, ED25519
from ledger.tlog.policy import NO_QUORUM

Json = dict[str, Any]
"""A JSON document; Any: what it holds is its own description."""

Values = Mapping[str, str | int]

KEY_TYPES = {
    ED25519: "Ed25519",
    COSIGNATURE_ED25519: "Ed25519",
    COSIGNATURE_ML_DSA_44: "ML-DSA-44",
}

_COLOURS = {"dangerous": "31", "vacuous": "33", "note": "0"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an explanation; ``limits``: clauses that follow it."""

    code: str
    values: Values = field(default_factory=dict)
    limits: tuple["Sentence", ...] = ()


@cache
def words() -> Json:
    """The table of words (``trust_words.json``)."""
    table: Json = json.loads(files(__package__).joinpath("trust_words.json").read_bytes())
    return table


def _fill(section: str, code: str, values: Values, language: Language) -> str:
    text: str = words()[section][code][language]
    return text.format_map(shown_values(values, language))


def say_remark(remark: Remark, language: Language = "en") -> str:
    """The sentence of a remark."""
    return _fill("remarks", remark.code, remark.values, language)


def say_sentence(sentence: Sentence, language: Language = "en") -> str:
    """A sentence of an explanation, with the clauses that limit it."""
    parts = (sentence, *sentence.limits)
    return "".join(_fill("explain", part.code, part.values, language) for part in parts)


def explain(trust: Trust) -> tuple[Sentence, ...]:
    """What the trust file accepts, sentence by sentence, in a fixed order."""
    return (*_explain_time(trust), *_explain_rest(trust))


def _explain_time(trust: Trust) -> Iterator[Sentence]:
    if not trust.tsas:
        yield Sentence("nothing")
        return
    yield Sentence("k", {"k": trust.k, "count": len({tsa.name for tsa in trust.tsas})})
    yield from (_explain_anchor(anchor) for anchor in find_anchors(trust))
    by_seconds: dict[float, list[str]] = {}
    for tsa in trust.tsas:
        by_seconds.setdefault(_seconds(tsa.accuracy_default), []).append(tsa.name)
    for seconds, names in by_seconds.items():
        listed = ", ".join(dict.fromkeys(names))
        yield Sentence("accuracy", {"seconds": f"{seconds:g}", "tsa": listed})


def _explain_anchor(anchor: Anchor) -> Sentence:
    tsa, limits = anchor.tsa, []
    begin, end = tsa.valid_from, tsa.valid_to
    if begin is not None and end is not None:
        limits.append(Sentence("window", {"begin": format_lower(begin), "end": format_lower(end)}))
    elif begin is not None:
        limits.append(Sentence("window-from", {"begin": format_lower(begin)}))
    elif end is not None:
        limits.append(Sentence("window-to", {"end": format_lower(end)}))
    if tsa.policy_oid is not None:
        limits.append(Sentence("policy", {"policy": tsa.policy_oid}))
    if tsa.signer_spki is not None:
        limits.append(Sentence("signer", {"signer": tsa.signer_spki.hex()[:16]}))
    if tsa.development:
        limits.append(Sentence("development"))
    if anchor.facts is None:
        values = {"tsa": tsa.name, "anchor": tsa.anchor.hex()}
        return Sentence("tsa-unknown", values, tuple(limits))
    return Sentence("tsa", {"tsa": tsa.name, "subject": anchor.facts.subject}, tuple(limits))


def _explain_rest(trust: Trust) -> Iterator[Sentence]:
    yield Sentence("floor")
    for weak in trust.weak:
        yield Sentence("weak", {"time": format_lower(weak.moment), "algorithm": weak.algorithm})
    steps = ", ".join(trust.required_steps)
    yield Sentence("require", {"steps": steps}) if steps else Sentence("require-none")
    policy = trust.policy
    logs = () if policy is None else policy.logs
    for log in logs:
        yield Sentence("log", {"name": log.key.name, "type": KEY_TYPES[log.key.type]})
    if not logs:
        yield Sentence("log-none")
    if policy is None or policy.quorum == NO_QUORUM:
        yield Sentence("quorum-none")
    else:
        yield Sentence("quorum", {"quorum": policy.quorum, "count": len(policy.witnesses)})
    for key, name in trust.authors:
        yield Sentence("author", {"key": key[:8], "name": name})
    if not trust.authors:
        yield Sentence("author-none")
    yield Sentence("closed")


def format_explained(trust: Trust, language: Language) -> str:
    """What the trust file accepts, in plain words; the TSAs as a list."""
    rows = []
    for sentence in explain(trust):
        indent = "  - " if sentence.code in ("tsa", "tsa-unknown") else ""
        rows.append(f"{indent}{say_sentence(sentence, language)}")
    return "\n".join(rows)


def format_explained_json(trust: Trust) -> Json:
    """The same as JSON."""
    return {
        "trust_sha256": trust.sha256,
        "sentences": [
            {
                "code": sentence.code,
                "values": dict(sentence.values),
                "limits": [
                    {"code": limit.code, "values": dict(limit.values)} for limit in sentence.limits
                ],
                "en": say_sentence(sentence, "en"),
                "zh": say_sentence(sentence, "zh"),
            }
            for sentence in explain(trust)
        ],
    }


def format_linted(remarks: tuple[Remark, ...], language: Language, *, colour: bool = False) -> str:
    """One line a remark, then what they come to, last."""
    rows = []
    for remark in remarks:
        level = str(words()["levels"][remark.level][language])
        padded = level + " " * (10 - sum(2 if ord(c) > 0x2E80 else 1 for c in level))
        code = _COLOURS[remark.level]
        padded = f"\x1b[{code}m{padded}\x1b[0m" if colour else padded
        rows.append(f"{padded} {say_remark(remark, language)}")
    return "\n".join([*rows, _conclusion(remarks, language)])


def _conclusion(remarks: tuple[Remark, ...], language: Language) -> str:
    quiet = "notes" if remarks else "clean"
    code = {1: "dangerous", 3: "vacuous"}.get(lint_exit_code(remarks), quiet)
    return _fill("lint", code, {}, language)


def format_linted_json(trust: Trust, remarks: tuple[Remark, ...], now: datetime) -> Json:
    """The remarks as JSON."""
    levels = {remark.level for remark in remarks}
    return {
        "trust_sha256": trust.sha256,
        "exit_code": lint_exit_code(remarks),
        "dangerous": "dangerous" in levels,
        "vacuous": "vacuous" in levels,
        "conclusion": {"en": _conclusion(remarks, "en"), "zh": _conclusion(remarks, "zh")},
        "remarks": [
            {
                "code": remark.code,
                "level": remark.level,
                "values": dict(remark.values),
                "sentence": {"en": say_remark(remark, "en"), "zh": say_remark(remark, "zh")},
            }
            for remark in remarks
        ],
        "checked_at": _time(now),
    }


def format_trust(trust: Trust, language: Language) -> str:
    """The trust file's fields, each TSA with what its certificate says."""

    def word(key: str) -> str:
        return str(words()["show"][key][language])

    none = word("none")
    rows = [(word("trust"), trust.sha256), (word("k"), str(trust.k))]
    rows.append((word("require"), ", ".join(trust.required_steps) or none))
    for anchor in find_anchors(trust):
        rows += [("", ""), *((word(key), value) for key, value in _tsa_rows(anchor, language))]
    rows.append(("", ""))
    rows += [(word("weak"), f"{w.algorithm} {format_lower(w.moment)}") for w in trust.weak]
    if trust.policy is not None:
        rows += [
            (word("log"), f"{log.key.name} ({KEY_TYPES[log.key.type]})")
            for log in trust.policy.logs
        ]
        rows += [(word("witness"), one.name) for one in trust.policy.witnesses]
        rows.append((word("quorum"), trust.policy.quorum))
    rows += [(word("author"), f"{name} {key}") for key, name in trust.authors]
    return "\n".join(f"{_pad(key, 20)} {safe(value)}".rstrip() for key, value in rows).rstrip("\n")


def _tsa_rows(anchor: Anchor, language: Language) -> Iterator[tuple[str, str]]:
    tsa, facts, table = anchor.tsa, anchor.facts, words()["show"]
    yield "tsa", tsa.name
    if tsa.development:
        yield "tsa", table["development"][language]
    yield "anchor", tsa.anchor.hex()
    yield "subject", table["unknown"][language] if facts is None else facts.subject
    if facts is not None:
        yield "valid", f"{format_lower(facts.not_before)} – {format_lower(facts.not_after)}"
    if tsa.url is not None:
        yield "url", tsa.url
    if tsa.valid_from is not None or tsa.valid_to is not None:
        begin = "…" if tsa.valid_from is None else format_lower(tsa.valid_from)
        end = "…" if tsa.valid_to is None else format_lower(tsa.valid_to)
        yield "window", f"{begin} – {end}"
    if tsa.policy_oid is not None:
        yield "policy", tsa.policy_oid
    if tsa.signer_spki is not None:
        yield "signer", tsa.signer_spki.hex()
    seconds = f"{_seconds(tsa.accuracy_default):g}"
    yield "accuracy", table["seconds"][language].format(n=seconds)


def format_trust_json(trust: Trust) -> Json:
    """The trust file's fields as JSON."""
    policy = trust.policy
    return {
        "trust_sha256": trust.sha256,
        "k": trust.k,
        "require": list(trust.require),
        "required_steps": list(trust.required_steps),
        "tsa": [_tsa_json(anchor.tsa, anchor) for anchor in find_anchors(trust)],
        "weak": [{"algorithm": w.algorithm, "from": _time(w.moment)} for w in trust.weak],
        "author": [{"key": key, "name": name} for key, name in trust.authors],
        "log": [
            {"name": log.key.name, "type": KEY_TYPES[log.key.type], "url": log.url}
            for log in (policy.logs if policy else ())
        ],
        "witness": [
            {"name": one.name, "type": KEY_TYPES[one.key.type], "url": one.url}
            for one in (policy.witnesses if policy else ())
        ],
        "quorum": policy.quorum if policy else None,
    }


def _tsa_json(tsa: TrustedTsa, anchor: Anchor) -> Json:
    facts = anchor.facts
    return {
        "name": tsa.name,
        "anchor": tsa.anchor.hex(),
        "url": tsa.url,
        "policy_oid": tsa.policy_oid,
        "signer_spki": None if tsa.signer_spki is None else tsa.signer_spki.hex(),
        "accuracy_default_seconds": _seconds(tsa.accuracy_default),
        "valid_from": _time(tsa.valid_from),
        "valid_to": _time(tsa.valid_to),
        "development": tsa.development,
        "certificate": None
        if facts is None
        else {
            "subject": facts.subject,
            "issuer": facts.issuer,
            "serial": str(facts.serial),
            "not_before": _time(facts.not_before),
            "not_after": _time(facts.not_after),
            "key": facts.key,
        },
    }


def _seconds(duration: timedelta) -> float:
    return duration / timedelta(seconds=1)


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat().replace("+00:00", "Z")


def _pad(text: str, width: int) -> str:
    """``text`` padded to ``width`` columns; a CJK character takes two."""
    columns = sum(2 if ord(c) > 0x2E80 else 1 for c in text)
    return text + " " * max(0, width - columns)
