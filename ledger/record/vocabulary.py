"""The fixed terms of a record, each in Chinese and English with the source of the word.

``vocabulary.json`` is the one table, shared with the browser verifier: claim, then code, then
``zh``, ``en`` and ``source``. A source names the article of SAMR Order No. 126 (or another rule)
that uses the word; ``null`` means a word of this format, which no law is cited for.

>>> [term.code for term in terms("trigger")]
['automatic', 'manual', 'import']
>>> find_term("stage", "failed experiment").source
'Order 126 Art. 7'

Which claim holds which kind of term is left to ``claims``. Nothing here concludes about law.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ledger.errors import MalformedError, NotFoundError
from ledger.record.strict_json import parse_json

_MAX_BYTES = 64 * 1024  # our own file, some 12 KiB; the parser wants a limit


@dataclass(frozen=True, slots=True)
class Term:
    """One term: ``code`` stands in records, ``zh`` and ``en`` in displays.

    ``source``: the rule that uses the word, or None for a word of this format.
    """

    code: str
    zh: str
    en: str
    source: str | None


@cache
def vocabulary() -> dict[str, dict[str, Term]]:
    """Every term, by claim and code, in the order of ``vocabulary.json``. Not to be changed."""
    table = parse_json(
        files(__package__).joinpath("vocabulary.json").read_bytes(), limit_bytes=_MAX_BYTES
    )
    if not isinstance(table, dict):
        raise MalformedError("vocabulary is no object")
    return {claim: _terms_of(entries) for claim, entries in table.items()}


def _terms_of(entries: object) -> dict[str, Term]:
    if not isinstance(entries, dict):
        raise MalformedError("vocabulary claim is no object")
    return {code: Term(code, e["zh"], e["en"], e["source"]) for code, e in entries.items()}


def terms(claim: str) -> tuple[Term, ...]:
    """The terms of ``claim``, in the order of the table.

    Raises ValueError when ``claim`` has no vocabulary.
    """
    return tuple(_of(claim).values())


def check_term(claim: str, code: str) -> None:
    """Returns when ``code`` is a term of ``claim``. Case and spelling count.

    Raises MalformedError for another code, ValueError when ``claim`` has no vocabulary.
    """
    if code not in _of(claim):
        raise MalformedError(f"claim {claim} is no term of the vocabulary")


def find_term(claim: str, words: str) -> Term:
    """The term of ``claim`` that ``words`` names: its code, or its display in either language.

    Raises NotFoundError for other words, ValueError when ``claim`` has no vocabulary.
    """
    for term in _of(claim).values():
        if words in {term.code, term.zh, term.en}:
            return term
    known = ", ".join(_of(claim))
    raise NotFoundError(f"{claim} has no such term", hint=f"terms of {claim}: {known}")


def _of(claim: str) -> dict[str, Term]:
    try:
        return vocabulary()[claim]
    except KeyError:
        raise ValueError(f"claim {claim!r} has no vocabulary") from None
