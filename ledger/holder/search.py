"""Finding records by what their holder calls them: titles, notes, labels, notebooks and paths.

The index is of trigrams, so that any three characters in a row are found in any script; shorter
words are looked for in every row. Nothing of it leaves the vault.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from ledger.holder.records import KEYS
from ledger.holder.said import DIGEST_PREFIX
from ledger.holder.schema import asking
from ledger.record.claims import format_time

SHORTEST = 3
"""Characters of a word that the index can find."""

FIELDS = ("title", "note", "label", "notebook", "path")
"""What is searched; columns of the table ``search``."""

_COLUMNS = (
    "number, entry, notebook, seq, created, kind, stage, title, label, path, idx, ledger, stamps, "
    f"note, CASE WHEN path LIKE '{DIGEST_PREFIX}%' THEN sdjwt END"
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A record in a list: ``StoredRecord`` without what it says and shows.

    ``unread``: what one says of which only the digest was given, since it alone has the name.
    """

    number: int
    entry: bytes
    notebook: str
    seq: int
    created: str
    kind: str
    stage: str | None
    title: str | None
    label: str | None
    path: str | None
    index: int | None
    ledger: str | None
    stamps: int
    note: str | None
    unread: bytes | None


@dataclass(frozen=True, slots=True)
class Query:
    """Which records to list; what is None does not narrow. The key chain's have to be asked for.

    ``text``: words that each stand somewhere in the record's names, upper or lower case. ``since``,
    ``until``: aware; the first is included, the last is not. ``limit``: so many of the newest.
    """

    text: str | None = None
    notebook: str | None = None
    kind: str | None = None
    stage: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    number: int | None = None


def find_listed(database: Database, query: Query) -> tuple[Listed, ...]:
    """The records of the vault's ``database`` that ``query`` means, oldest first.

    UnavailableError if the database cannot be asked; MalformedError for text that is not utf-8.
    """
    clauses, values = _conditions(query)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    tail = "" if query.limit is None else f"LIMIT {query.limit:d}"
    sql = f"SELECT {_COLUMNS} FROM records {where} ORDER BY number DESC {tail}"  # noqa: S608
    with asking():
        rows = database.conn.execute(sql, values).fetchall()
    return tuple(Listed(*row) for row in reversed(rows))


def count_listed(database: Database, query: Query) -> int:
    """How many records ``query`` means, whatever its limit."""
    clauses, values = _conditions(query)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    with asking():
        sql = f"SELECT count(*) FROM records {where}"  # noqa: S608 - clauses are constants
        return int(database.conn.execute(sql, values).fetchone()[0])


def _conditions(query: Query) -> tuple[list[str], list[str | int]]:
    """The query's SQL conditions, all of constants, and the values of their marks."""
    times = {
        "created >= ?": None if query.since is None else format_time(query.since),
        "created < ?": None if query.until is None else format_time(query.until),
    }
    same = {
        "number = ?": query.number,
        "notebook = ?": query.notebook,
        "kind = ?": query.kind,
        "stage = ?": query.stage,
    }
    given = [(sql, value) for sql, value in (same | times).items() if value is not None]
    clauses, values = [sql for sql, _ in given], [value for _, value in given]
    if query.notebook != KEYS and query.number is None:
        clauses.append("number > 0")
    words = [_word(word) for word in (query.text or "").split()]
    if words:
        inner = " AND ".join(sql for sql, _ in words)
        clauses.append(f"number IN (SELECT rowid FROM search WHERE {inner})")  # noqa: S608
        values += [mark for _, marks in words for mark in marks]
    return clauses, values


def _word(word: str) -> tuple[str, Sequence[str]]:
    """A condition on the table ``search`` for one word, and the values of its marks."""
    if len(word) >= SHORTEST:
        quoted = word.replace('"', '""')
        return "search MATCH ?", [f'"{quoted}"']
    escaped = word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    alike = " OR ".join(rf"{name} LIKE ? ESCAPE '\'" for name in FIELDS)
    return f"({alike})", [f"%{escaped}%"] * len(FIELDS)
