"""How a printed page looks: one frame, one style sheet, and the policy that allows nothing else.

A page is a document to print and to hand over: black on white, tables that break between rows,
outcomes told by a sign and a word and only then by colour, readable at 360 px.
"""

from base64 import b64encode
from hashlib import sha256
from html import escape

from ledger.proof.verdict import Language, safe

STYLE = """
:root { --ink: #17212b; --pale: #52606d; --line: #cfd6dd; --wash: #f4f6f8; color-scheme: light;
  --proven: #17603a; --refuted: #9b1c1c; --unchecked: #7a4d00; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink); overflow-wrap: break-word;
  font: 1rem/1.5 system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
h1 { margin: 0 0 1rem; font-size: 1rem; font-weight: 600; color: var(--pale); }
h2 { margin: 2.25rem 0 .5rem; font-size: 1.15rem; break-after: avoid; }
p { margin: .5rem 0; }
code, .long, .headline, dd { overflow-wrap: anywhere; }
code { font: .85em/1.5 ui-monospace, Consolas, "Liberation Mono", monospace; color: var(--pale); }
.headline { margin: 0; padding: 1rem 1.25rem; border: 2px solid; border-left-width: .6rem;
  font-size: clamp(1.2rem, 1rem + 1.2vw, 1.75rem); font-weight: 650; line-height: 1.35; }
.proven { color: var(--proven); } .refuted { color: var(--refuted); }
.unchecked { color: var(--unchecked); }
.notice { margin: 1rem 0; padding: .75rem 1rem; border: 2px dashed var(--refuted); }
.notice strong { color: var(--refuted); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; margin: 1.25rem 0; }
dt { color: var(--pale); } dd { margin: 0; font-weight: 600; }
.colophon dd { font-weight: 400; }
.picture { overflow-x: auto; border: 1px solid var(--line); }
.picture:focus-visible { outline: 3px solid #1a5fb4; }
.picture svg { display: block; width: 100%; min-width: 38rem; height: auto; }
table { width: 100%; border-collapse: collapse; font-size: .93rem; }
th, td { padding: .4rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
thead th { color: var(--pale); font-weight: 600; border-bottom: 2px solid var(--ink); }
tr { break-inside: avoid; }
.step th { padding-top: .7rem; background: var(--wash); font-weight: 600; break-after: avoid; }
.step p { margin: .1rem 0 0; font-size: .9em; font-weight: 400; color: var(--pale); }
.outcome { white-space: nowrap; font-weight: 600; }
.record { white-space: nowrap; }
.time { white-space: nowrap; font-variant-numeric: tabular-nums; }
.quiet { color: var(--pale); }
@media (max-width: 42rem) {
  main { padding: 1rem .8rem 2rem; }
  dl { display: block; } dd { margin-bottom: .5rem; }
  table, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  th, td { border: 0; padding: .15rem .5rem; }
  tr { padding: .4rem 0; border-bottom: 1px solid var(--line); }
  td[data-label]::before { content: attr(data-label) "  "; color: var(--pale); font-weight: 400; }
  td:empty { display: none; }
  td.outcome, td.record { display: inline-block; }
  .step { padding: 0; } .step th { padding: .5rem; }
}
@media print {
  @page { size: A4; margin: 16mm 14mm; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; }
  .picture { overflow: visible; break-inside: avoid; } .picture svg { min-width: 0; }
  table { font-size: 9pt; }
}
"""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src"
    f" 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
"""Content-Security-Policy of the page: this one style sheet, and nothing from anywhere."""


def format_page(title: str, body: str, language: Language) -> str:
    """The page, complete, around escaped HTML; UTF-8 when encoded.

    It needs nothing else: no scripts, no links, nothing fetched. ``POLICY`` is in it.
    """
    tag = "zh-CN" if language == "zh" else "en"
    return (
        f'<!doctype html>\n<html lang="{tag}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"{body}</main>\n</body>\n</html>\n"
    )


def escaped(text: str) -> str:
    """``text`` as HTML shows it: nothing in it is markup, and no character of it is obeyed."""
    return escape(safe(text))
