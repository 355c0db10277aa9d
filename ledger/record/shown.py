"""Lines of a sealed list, of which single ones can be shown: one tree, one text format.

A list is salted lines, each an SD-JWT disclosure (RFC 9901 §4.2.1); leaf i of an RFC 6962 tree is
the ASCII of line i without its newline; root and count stand in the record. What is shown of a list
is a text file: a header that says which list, then each shown line with its path to the root,

    tallystick/manifest-lines/v1
    <index> <line> <base64 hash>,<base64 hash>…          ``-`` for an empty path; indexes ascend

>>> lines = seal_lines(['"a.txt",{}', '"b.txt",{}'], bytes(32))
>>> shown = ShownLine(1, lines[1], prove_line(lines, 1).path)
>>> check_included(shown, *lines_root(lines))
>>> parse_shown_lines(format_shown_lines([shown], "list/v1"), "list/v1") == (shown,)
True

What a line says is left to ``manifest`` (files of a folder) and ``parts`` (pieces of a file).
"""

import re
from binascii import b2a_base64
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Final

from ledger.errors import MalformedError
from ledger.record.rfc4648 import TO_BASE64URL
from ledger.record.sdjwt import SALT_BYTES, RandomBytes
from ledger.record.strict_json import MAX_INTEGER
from ledger.tlog.merkle import (
    Hash,
    InclusionProof,
    TreeHead,
    check_inclusion,
    leaf_hash,
    leaf_reader,
    prove_inclusion,
    root_of_leaves,
)
from ledger.tlog.text import format_base64, parse_base64, parse_decimal

MAX_LINE_CHARS: Final = 16 * 1024  # a path of 4096 bytes, its longest escapes, digests, base64url
MAX_SHOWN_BYTES: Final = 256 * 1024 * 1024  # all of 100,000 lines with their proofs is 110 MiB
MAX_PATH_HASHES: Final = 53  # the height of a tree of MAX_INTEGER lines

_LINE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ShownLine:
    """Line ``index`` (from 0) of a list: its ``text``, and the ``path`` of hashes to the root."""

    index: int
    text: str
    path: tuple[Hash, ...]


def draw_salts(count: int, random_bytes: RandomBytes) -> bytes:
    """128 bits of salt for each of ``count`` lines, in one draw.

    Raises ValueError when ``random_bytes`` gives fewer or more.
    """
    salts = random_bytes(SALT_BYTES * count)
    if len(salts) != SALT_BYTES * count:
        raise ValueError(f"want {SALT_BYTES * count} random bytes, got {len(salts)}")
    return salts


def seal_lines(tails: Sequence[str], salts: bytes) -> list[str]:
    """Each of ``tails`` as a line under its own 16 bytes of ``salts``.

    A tail is what follows the salt in the disclosure: name, comma and value in canonical JSON. The
    result is that of ``make_disclosure``; written for many lines at once it is 6 times as fast.
    """
    # Base64 of each 16 bytes on its own is 22 characters and "==".
    pieces = (salts[at : at + SALT_BYTES] for at in range(0, len(salts), SALT_BYTES))
    encoded = b"".join([b2a_base64(salt, newline=False) for salt in pieces])
    salt_text = encoded.translate(TO_BASE64URL).decode("ascii")
    starts = range(0, len(salt_text), 24)
    lines = [
        b2a_base64(f'["{salt_text[at : at + 22]}",{tail}]'.encode())
        for at, tail in zip(starts, tails, strict=True)
    ]
    return b"".join(lines).translate(TO_BASE64URL, b"=").decode("ascii").splitlines()


def lines_root(lines: Sequence[str]) -> tuple[Hash, int]:
    """The RFC 6962 root over ``lines`` and their number; what the lines say is not read.

    Raises ValueError for no lines.
    """
    if not lines:
        raise ValueError("list has no lines")
    return root_of_leaves(_leaves(lines)), len(lines)


def prove_line(lines: Sequence[str], index: int) -> InclusionProof:
    """The proof that line ``index`` is in the tree over ``lines``. Cost: hashing all the lines.

    Raises ValueError for an index outside of ``lines``.
    """
    if not 0 <= index < len(lines):
        raise ValueError(f"index is {index}, want 0 to {len(lines) - 1}")
    return prove_inclusion(index, len(lines), leaf_reader(_leaves(lines)))


def show_lines(lines: Iterable[str], indexes: Collection[int]) -> tuple[ShownLine, ...]:
    """Lines ``indexes`` of ``lines``, ascending, each with its proof.

    The lines are gone through once and not held, only two hashes for each. Raises ValueError for an
    index outside of ``lines``.
    """
    wanted = set(indexes)
    texts: dict[int, str] = {}
    leaves: list[Hash] = []
    for index, line in enumerate(lines):
        leaves += _leaves([line])
        if index in wanted:
            texts[index] = line
    if texts.keys() != wanted:
        raise ValueError(f"want indexes of 0 to {len(leaves) - 1}")
    reader = leaf_reader(leaves)
    return tuple(
        ShownLine(index, text, prove_inclusion(index, len(leaves), reader).path)
        for index, text in texts.items()
    )


def check_included(shown: ShownLine, root: Hash, count: int) -> None:
    """Returns when ``shown`` is line ``shown.index`` of ``count`` under ``root``.

    Raises MalformedError for an index beyond ``count`` or a text that is not ASCII,
    VerificationError when it is not in the tree.
    """
    if not shown.index < count:
        raise MalformedError(f"line has index {shown.index}, want less than {count}")
    if not shown.text.isascii():
        raise MalformedError("line is not ASCII")
    proof = InclusionProof(shown.index, count, shown.path)
    check_inclusion(proof, leaf_hash(shown.text.encode("ascii")), TreeHead(count, root))


def parse_shown_lines(b: bytes, header: str) -> tuple[ShownLine, ...]:
    """The shown lines in ``b``: ``header``, then ``<index> <line> <hash>,<hash>…`` on each line.

    An empty path is ``-``, indexes ascend, hashes are base64; every line ends in a newline. What
    the lines say is not read. Raises MalformedError for anything else.
    """
    if len(b) > MAX_SHOWN_BYTES:
        raise MalformedError(f"shown lines have {len(b)} bytes, want at most {MAX_SHOWN_BYTES}")
    try:
        first, *rows, last = b.decode("ascii").split("\n")
    except (UnicodeDecodeError, ValueError):
        raise MalformedError("shown lines are not lines of ASCII") from None
    if first != header or last or not rows:
        raise MalformedError(f"shown lines are not {header} and at least one line")
    lines = tuple(_parse_shown(row) for row in rows)
    if any(left.index >= right.index for left, right in pairwise(lines)):
        raise MalformedError("shown lines have indexes that do not ascend")
    return lines


def format_shown_lines(lines: Sequence[ShownLine], header: str) -> bytes:
    """``lines`` as a file: ``parse_shown_lines(format_shown_lines(lines, h), h) == tuple(lines)``.

    Raises ValueError for no lines, or for lines whose indexes do not ascend.
    """
    if not lines or any(a.index >= b.index for a, b in pairwise(lines)):
        raise ValueError("want lines in ascending order of index")
    rows = [
        f"{one.index} {one.text} {','.join(map(format_base64, one.path)) or '-'}" for one in lines
    ]
    return "\n".join([header, *rows, ""]).encode("ascii")


def _leaves(lines: Sequence[str]) -> list[Hash]:
    """RFC 6962 leaf hashes, as ``leaf_hash`` makes them."""
    return [sha256(b"\0" + line.encode("ascii")).digest() for line in lines]


def _parse_shown(row: str) -> ShownLine:
    parts = row.split(" ")
    if len(parts) != 3:
        raise MalformedError("shown line is not index, line and hashes")
    index = parse_decimal(parts[0], "index of a shown line")
    if index >= MAX_INTEGER or not _LINE.fullmatch(parts[1]) or len(parts[1]) > MAX_LINE_CHARS:
        raise MalformedError("shown line has an index or a text out of the format")
    texts = [] if parts[2] == "-" else parts[2].split(",")
    hashes = tuple(parse_base64(text, "hash of a shown line") for text in texts)
    if len(hashes) > MAX_PATH_HASHES or any(len(one) != 32 for one in hashes):
        raise MalformedError(f"shown line is not at most {MAX_PATH_HASHES} hashes of 32 bytes")
    return ShownLine(index, parts[1], hashes)
