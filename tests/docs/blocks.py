"""What each example block of docs/formats.md holds, made from the example's bytes.

Hashes are made here with hashlib from the bytes that the page says are hashed, and not by the code
that the verdict runs: a page that is wrong about a layout then has no block that fits.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes

from ledger.proof.bundle import INDEX, SUMS, VKEYS
from ledger.record.record import COVER_PREFIX
from ledger.record.strict_json import format_json, parse_json
from tests.docs.example import (
    CHAIN,
    DOCS,
    SEEN_BY,
    TABLE,
    TRUST,
    VERDICT,
    WITNESS,
    WITNESS_TIME,
    Example,
    first_record,
    manifest_lines,
    part_lines,
    read_example,
    vkeys,
)

PAGE = re.compile(r"```example ([a-z0-9.-]+)\n(.*?)```\n", re.DOTALL)
LONGEST, HEAD, TAIL = 180, 100, 40
"""A longer line is shown as its first and last characters, with … between."""


def shorten(text: str) -> str:
    lines = text.splitlines()
    cut = (f"{one[:HEAD]}…{one[-TAIL:]}" if len(one) > LONGEST else one for one in lines)
    return "".join(f"{line}\n" for line in cut)


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def sm3(content: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(content)
    return digest.finalize()


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


def names(example: Example) -> tuple[str, str]:
    one, two = (entry.hex()[:16] for entry in example.entries()[2:4])
    return one, two


def record_text(example: Example, number: int) -> str:
    return example.files[f"records/{names(example)[number]}.sd-jwt"].decode("ascii")


def strict_json(_: Example) -> str:
    written = parse_json(
        b'{ "b" : [1, -20, true, null], "a\\u0062" : "\\u00e9\\"\\n\\u001F/" }', limit_bytes=99
    )
    return format_json(written).decode() + "\n"


def jwt(example: Example) -> str:
    header, payload, signature = record_text(example, 0).split("~")[0].split(".")
    shown = json.loads(unbase64url(payload))
    shown["_sd"] = [*shown["_sd"][:2], "…", shown["_sd"][-1]]
    return (
        f"header     {unbase64url(header).decode()}\n"
        f"payload    {json.dumps(shown, ensure_ascii=False)}\n"
        f"signature  {unbase64url(signature).hex()}\n"
    )


def thumbprint(example: Example) -> str:
    jwk = json.loads(unbase64url(record_text(example, 0).split(".")[0]))["jwk"]
    text = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    return f"{text}\n{base64url(sha256(text.encode()))}\n"


def disclosures(example: Example) -> str:
    rows = []
    for text in record_text(example, 0).split("~")[1:-1]:
        said = json.loads(unbase64url(text))
        if said[1] == "carrier":
            said[2] = {"_sd": [said[2]["_sd"][0], "…"]}
        json_text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        rows += [text, f"  = {json_text}", f"  digest {base64url(sha256(text.encode()))}"]
    return "".join(f"{row}\n" for row in rows)


def entry(example: Example) -> str:
    message = record_text(example, 0).split("~")[0].encode("ascii")
    digests = f"SHA-256  {sha256(message).hex()}\nSM3      {sm3(message).hex()}\n"
    return f"{len(message)} bytes of J\n{digests}"


def cover(_: Example) -> str:
    message = COVER_PREFIX + bytes(32)
    return f"SHA-256  {sha256(message).hex()}\nSM3      {sm3(message).hex()}\n"


def tree(example: Example) -> str:
    leaves = [sha256(b"\0" + one) for one in example.entries()]
    pairs = [node(leaves[0], leaves[1]), node(leaves[2], leaves[3])]
    four = node(*pairs)
    rows = [f"leaf {number}   {leaf.hex()}" for number, leaf in enumerate(leaves)]
    rows += [f"0-1      {pairs[0].hex()}", f"2-3      {pairs[1].hex()}", f"0-3      {four.hex()}"]
    rows += [
        f"root 3   {node(pairs[0], leaves[2]).hex()}",
        f"root 5   {node(four, leaves[4]).hex()}",
    ]
    return "".join(f"{row}\n" for row in rows)


def inclusion(example: Example) -> str:
    leaves = [sha256(b"\0" + one) for one in example.entries()]
    path = [leaves[3], node(leaves[0], leaves[1]), leaves[4]]
    root = node(node(path[1], node(leaves[2], path[0])), path[2])
    rows = [*(f"path     {one.hex()}" for one in path), f"root     {root.hex()}"]
    return "".join(f"{row}\n" for row in rows)


def vkey(_: Example) -> str:
    return "".join(f"{key}\n" for key in vkeys())


def checkpoint(example: Example) -> str:
    return example.files["checkpoints/5"].decode()


def ml_dsa_message(example: Example) -> str:
    origin, size, root = example.files["checkpoints/5"].decode().split("\n")[:3]
    name = bytes([len(origin)]) + origin.encode()
    parts = [
        b"subtree/v1\n\0",
        name,
        bytes(8),
        name,
        bytes(8),
        int(size).to_bytes(8, "big"),
        base64.b64decode(root),
    ]
    words = ("label", "name", "time", "origin", "start", "end", "root")
    return "".join(f"{word:7}{part.hex()}\n" for word, part in zip(words, parts, strict=True))


def cosignature(example: Example) -> str:
    text = example.files["checkpoints/5"].decode().partition("\n\n")[0] + "\n"
    message = f"cosignature/v1\ntime {WITNESS_TIME}\n{text}"
    key = vkeys()[2].split("+", 2)
    content = (
        bytes.fromhex(key[1]) + WITNESS_TIME.to_bytes(8, "big") + SEEN_BY.sign(message.encode())
    )
    return f"{message}\n— {WITNESS} {b64(content)}\n"


def proof_file(example: Example) -> str:
    return example.files[f"proofs/{names(example)[0]}-5.tlog-proof"].decode()


def consistency(example: Example) -> str:
    leaves = [sha256(b"\0" + one) for one in example.entries()]
    path = [leaves[2], leaves[3], node(leaves[0], leaves[1]), leaves[4]]
    return "".join(f"{b64(one)}\n" for one in path)


def manifest(_: Example) -> str:
    lines = manifest_lines()
    leaves = [sha256(b"\0" + line.encode()) for line in lines]
    root = node(node(leaves[0], leaves[1]), leaves[2])
    said = "".join(f"{line}\n  = {unbase64url(line).decode()}\n" for line in lines)
    return f"{said}root     {root.hex()}\ncount    {len(lines)}\n"


def manifest_lines_file(example: Example) -> str:
    line = manifest_lines()[1]
    leaves = [sha256(b"\0" + one.encode()) for one in manifest_lines()]
    return f"tallystick/manifest-lines/v1\n1 {line} {b64(leaves[0])},{b64(leaves[2])}\n"


def parts(_: Example) -> str:
    rows, offset = [], 0
    for number, piece in enumerate(TABLE.splitlines(keepends=True)):
        value = {"offset": offset, "sha256": sha256(piece).hex(), "size": len(piece)}
        salt = base64url(number.to_bytes(16, "big"))
        text = json.dumps([salt, number, value], separators=(",", ":"))
        rows += [base64url(text.encode()), f"  = {text}"]
        offset += len(piece)
    leaves = [sha256(b"\0" + row.encode()) for row in rows[::2]]
    root = node(node(leaves[0], leaves[1]), leaves[2])
    return "".join(f"{row}\n" for row in [*rows, f"root     {root.hex()}", "count    3"])


def part_lines_file(example: Example) -> str:
    lines = part_lines()
    leaves = [sha256(b"\0" + one.encode()) for one in lines]
    second = f"1 {lines[1]} {b64(leaves[0])},{b64(leaves[2])}"
    third = f"2 {lines[2]} {b64(node(leaves[0], leaves[1]))}"
    return f"tallystick/part-lines/v1\n{second}\n{third}\n"


def index(example: Example) -> str:
    """Whole lines cannot be shown: it is one. A line break stands before each object."""
    held = example.files[INDEX].decode()
    rows = held.replace('{"path"', '\n{"path"').replace('{"entry"', '\n{"entry"').split("\n")
    return "".join(f"{row}\n" for row in [*rows[:4], "…", *rows[-4:-1]])


def sums(example: Example) -> str:
    rows = example.files[SUMS].decode().splitlines()
    return "".join(f"{row}\n" for row in [*rows[:3], "…"])


def files(example: Example) -> str:
    held = {path: len(content) for path, content in example.files.items()}
    held |= {path: digest.size for path, digest in example.carriers.items()}
    return "".join(f"{held[path]:5} {path}\n" for path in sorted(held, key=str.encode))


def trust(_: Example) -> str:
    return TRUST.read_text("utf-8")


def said(_: Example) -> str:
    answer = json.loads(VERDICT.read_text("utf-8"))
    rows = [f"{answer['outcome']}, exit code {answer['exit_code']}", answer["headline"]["en"]]
    for one in answer["findings"]:
        about = one["record"] or one["tsa"] or ""
        mark = "*" if one["required"] else " "
        rows.append(f"{mark} {one['outcome']:9} {one['step']}/{one['code']} {about}".rstrip())
    return "".join(f"{row}\n" for row in rows)


def link(example: Example) -> str:
    value = {"chain": CHAIN, "seq": 2, "prev": example.entries()[2].hex()}
    return format_json(value).decode() + "\n"


def ledger_name(example: Example) -> str:
    rows = example.files[VKEYS].decode().splitlines()
    raw = b"".join(base64.b64decode(row.split("+", 2)[2])[1:] for row in rows)
    return f"tallystick/{sha256(raw).hex()}\n"


def first_jwt(_: Example) -> str:
    return first_record().jwt + "\n"


BLOCKS: dict[str, Callable[[Example], str]] = {
    "json": strict_json,
    "jwt": jwt,
    "j": first_jwt,
    "thumbprint": thumbprint,
    "disclosures": disclosures,
    "link": link,
    "entry": entry,
    "cover": cover,
    "manifest": manifest,
    "manifest-lines": manifest_lines_file,
    "parts": parts,
    "part-lines": part_lines_file,
    "tree": tree,
    "inclusion": inclusion,
    "consistency": consistency,
    "vkeys": vkey,
    "ledger-name": ledger_name,
    "checkpoint": checkpoint,
    "ml-dsa-message": ml_dsa_message,
    "cosignature": cosignature,
    "proof-file": proof_file,
    "files": files,
    "bundle.json": index,
    "sha256sums": sums,
    "trust": trust,
    "verdict": said,
}


def block(name: str, example: Example) -> str:
    """The text of a block, its long lines cut."""
    return shorten(BLOCKS[name](example))


def fill(page: str, example: Example) -> str:
    """``page`` with every block made anew."""
    return PAGE.sub(lambda m: f"```example {m[1]}\n{block(m[1], example)}```\n", page)


if __name__ == "__main__":
    page = DOCS / "formats.md"
    page.write_text(fill(page.read_text("utf-8"), read_example()), encoding="utf-8")
