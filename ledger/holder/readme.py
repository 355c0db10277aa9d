"""The bundle's README.txt: what each file is, every intermediate value, the exact commands."""

import hashlib
from collections.abc import Mapping

from ledger.holder.by_hand import excerpt_lines, openssl_lines
from ledger.proof.bundle import place_of
from ledger.timestamp.token import openssl_verifiable, parse_token
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import parse_note
from ledger.tlog.proof import parse_proof_file

_HEAD = """\
Evidence bundle / 证据包                                  made with Tallystick

What it can show: these records existed no later than a time, were signed no earlier than a time,
and stand in this order without a gap. It does not show who made them, or that what they say is
true, secret or valuable.
本证据包可表明：记录的存在时间不晚于某一时间，签署时间不早于某一时间，次序无缺口。
不表明形成者身份，也不表明内容属实、属于秘密或具有价值。

Three ways to check it / 三种核验方式
  1. with the tool:      tally verify THIS.zip [CARRIER...] --trust YOUR-TRUST-FILE
  2. on a page:          tally desk            (a page on your own machine; nothing is uploaded)
  3. by hand:            the commands below, with sha256sum and openssl

The files are whole if this prints OK for every line / 文件完整性:
  sha256sum -c SHA256SUMS
  Windows: Get-FileHash FILE, or certutil -hashfile FILE SHA256, and compare

records/*.sd-jwt        the text before the first ~ is J, signed; the parts after it are what is
                        shown of it, each base64url of [salt, name, value]
manifests/*.lines       lines of a folder's list, each with its path to the list's root
parts/*.lines           lines of single pieces of a file (rows, cells), each with its path, too
proofs/*.tlog-proof     from the record's entry to the checkpoint's root (RFC 6962)
checkpoints/N           the ledger's signed statement: name, number of entries, root
consistency/A-B         that checkpoint B only appends to checkpoint A
stamps/N/*.tsr          RFC 3161 answers over the bytes of checkpoints/N
stamps/not-before/*     RFC 3161 tokens that a record names by their SHA-256: signed after them
material/*.pem          certificates; which roots to believe is YOUR decision, not this file's
material/*.crl, *.ocsp  what their issuers said of revocation: lists, and OCSP answers
carriers/               originals, if any were disclosed
excerpts/*/A-B          the bytes of pieces A to B of a file, counted from 1
"""


_STAMPS = """
The stamps, by hand: believe a root only if its fingerprint is one you already know.
手工核验时间戳：仅在根证书指纹为您已知者时方可采信。
"""


_BELOW = """
The tokens that records name in not_before, by hand: such a record was signed after them. What they
are over need not be here, so the lines take it from the token; its SHA-256 is what is named.
手工核验记录在 not_before 中指明的时间戳：该记录签署于其后。
所覆盖的数据未必在此，故摘要取自时间戳本身。
"""


_EXCERPTS = """
The excerpts, by hand / 手工核验摘录
"""


def format_readme(files: Mapping[str, bytes], records: Mapping[str, bytes]) -> bytes:
    """README.txt for these files; ``records``: record path to entry, in chain order."""
    parts = [_HEAD, "\nValues on the way / 中间值\n"]
    parts += [_record(path, entry, files) for path, entry in records.items()]
    excerpts = [path for path in sorted(files) if _kind(path) == "excerpt"]
    parts += [_EXCERPTS] if excerpts else []
    parts += ["\n".join(["", path, *excerpt_lines(path, files), ""]) for path in excerpts]
    parts.append(_STAMPS)
    parts += [_stamp(path, files) for path in sorted(files) if _kind(path) == "stamp"]
    below = [path for path in sorted(files) if _kind(path) == "not-before"]
    parts += [_BELOW] if below else []
    parts += [_stamp(path, files) for path in below]
    return "".join(parts).encode("utf-8")


def _kind(path: str) -> str:
    return place_of(path).kind


def _record(path: str, entry: bytes, files: Mapping[str, bytes]) -> str:
    jwt = files[path].split(b"~")[0]
    lines = [
        f"\n{path}",
        f"  J has {len(jwt)} bytes; cut -d'~' -f1 {path} | tr -d '\\n' | openssl dgst -sha256",
        f"  SHA-256 of J      {entry[:32].hex()}",
        f"  SM3 of J          {entry[32:].hex()}",
        "  entry             the two, one after the other (64 bytes)",
        f"  leaf hash         {leaf_hash(entry).hex()}   = SHA-256(00 || entry)",
    ]
    for name in sorted(files):
        if name.startswith(f"proofs/{entry.hex()[:16]}-"):
            proof = parse_proof_file(files[name])
            checkpoint = parse_checkpoint(parse_note(proof.checkpoint).text)
            lines += [
                f"  {name}",
                f"    index {proof.index} of {checkpoint.size}, root {checkpoint.root.hex()}",
            ]
    return "\n".join(lines) + "\n"


def _stamp(path: str, files: Mapping[str, bytes]) -> str:
    content = files[path]
    token = parse_token(content)
    lines = [
        f"\n{path}   {token.gen_time:%Y-%m-%d %H:%M:%S} UTC, serial {token.serial}",
        f"  imprint           {token.imprint_algorithm} {token.imprint.hex()}",
    ]
    if token.is_development:
        lines.append("  development TSA: proves nothing / 开发用时间戳：不具证据意义")
    if openssl_verifiable(token):
        lines += openssl_lines(path, token, files)
    else:
        lines.append("  openssl cannot verify this signature type; use way 1 or 2")
    digest = hashlib.sha256(content).hexdigest()
    return "\n".join([*lines, f"  SHA-256 of the file {digest}"]) + "\n"
