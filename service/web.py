"""What every page of ours has alike: its headers, its language, its words."""

from collections.abc import Mapping
from pathlib import Path

import flask
from werkzeug.exceptions import NotFound

from ledger.proof.verdict import Language

HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not no-referrer: with it browsers send "Origin: null" when they post a page's form.
    "Referrer-Policy": "same-origin",
}

STATIC: Mapping[str, str] = {
    "base.css": "text/css",
    "desk.css": "text/css",
    "desk.js": "text/javascript",
    "pages.css": "text/css",
}
"""The files beside the pages, and what they are."""

Words = Mapping[str, tuple[str, str]]
"""What pages say, by key: English and Chinese."""


def language() -> Language:
    """The language asked for in the address, else the browser's."""
    asked = flask.request.args.get("lang")
    if asked not in {"en", "zh"}:
        asked = flask.request.accept_languages.best_match(["en", "zh"], default="en")
    return "zh" if asked == "zh" else "en"


def words_in(words: Words, chosen: Language) -> dict[str, str]:
    """``words`` in the one language."""
    return {key: pair[chosen == "zh"] for key, pair in words.items()}


def read_static(name: str, served: frozenset[str]) -> flask.Response:
    """The file ``name`` if it is among those ``served``; NotFound (an answer of 404)."""
    if name not in served:
        raise NotFound
    content = (Path(__file__).parent / "static" / name).read_bytes()
    return flask.Response(content, mimetype=STATIC[name])
