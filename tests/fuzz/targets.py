"""Every parser of foreign bytes, as a function that raises only on a finding."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from ledger.errors import LedgerError
from ledger.operator.devtsa import DevelopmentTsa
from ledger.proof.bundle import (
    Index,
    Listed,
    format_consistency,
    format_index,
    parse_consistency,
    parse_index,
    place_of,
)
from ledger.proof.roots import default_trust, read_roots
from ledger.proof.stamps import format_certificate
from ledger.proof.trust import parse_trust
from ledger.record.manifest import (
    FileEntry,
    format_shown_lines,
    make_lines,
    parse_line,
    parse_shown_lines,
)
from ledger.record.parts import (
    Part,
    format_shown_parts,
    make_part_lines,
    parse_part_line,
    parse_shown_parts,
    split_cells,
    split_lines,
)
from ledger.record.record import check_record, issue_record, parse_record
from ledger.record.sdjwt import format_sdjwt, parse_sdjwt
from ledger.record.shown import show_lines
from ledger.record.strict_json import format_json, parse_json
from ledger.timestamp.material import parse_certificates, parse_crls, parse_ocsps
from ledger.timestamp.request import format_request, parse_request
from ledger.timestamp.token import check_strength, check_token, openssl_verifiable, parse_token
from ledger.tlog.checkpoint import (
    Checkpoint,
    format_checkpoint,
    parse_checkpoint,
    self_certifying_origin,
    sign_checkpoint,
)
from ledger.tlog.note import NoteKey, format_note, format_vkey, parse_note, parse_vkey
from ledger.tlog.policy import format_policy, parse_policy
from ledger.tlog.proof import ProofFile, format_proof_file, parse_proof_file
from ledger.tlog.tile import (
    format_entries_path,
    format_entry_bundle,
    format_tile_path,
    parse_entries_path,
    parse_entry_bundle,
    parse_tile_path,
)

Target = Callable[[bytes], None]
MAX_INPUT_BYTES = 1 << 16


def same(parse: Callable[[bytes], object], format_: Callable[..., bytes | str]) -> Target:
    """Refused by an error of the house, or formatted back to the very bytes."""

    def target(content: bytes) -> None:
        try:
            value = parse(content)
        except LedgerError:
            return
        back = format_(*value) if isinstance(value, tuple) and parse is _entries else format_(value)
        if (back.encode() if isinstance(back, str) else back) != content:
            raise AssertionError("accepted, but not formatted back to the same bytes")

    return target


def refused(parse: Callable[[bytes], object]) -> Target:
    """Refused by an error of the house, or accepted; no other exception."""

    def target(content: bytes) -> None:
        try:
            parse(content)
        except LedgerError:
            return

    return target


def text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """A parser of text, given the text that the bytes are in any encoding."""
    return lambda content: parse(content.decode("utf-8", "surrogateescape"))


def ascii_only(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """A parser of text, given text in which every byte is one character."""
    return lambda content: parse(content.decode("latin-1"))


_entries = text(parse_entries_path)


def _json(content: bytes) -> None:
    value = parse_json(content, limit_bytes=MAX_INPUT_BYTES)
    again = parse_json(format_json(value), limit_bytes=2 * MAX_INPUT_BYTES)
    if again != value:
        raise AssertionError("canonical form means another value")


def _record(content: bytes) -> None:
    check_record(parse_record(content))


def _token(content: bytes) -> None:
    token = parse_token(content)
    openssl_verifiable(token)
    check_strength(token, check_token(token, imprint=None))


def _notebook(content: bytes) -> None:
    try:
        parts = split_cells(content)
    except LedgerError:
        return
    _check_pieces(content, parts)


def _text(content: bytes) -> None:
    try:
        parts = tuple(split_lines([content[:7], content[7:]]))
    except LedgerError:
        return
    _check_pieces(content, parts)


def _check_pieces(content: bytes, parts: Sequence[Part]) -> None:
    if b"".join(content[part.offset : part.stop] for part in parts) != content:
        raise AssertionError("the pieces are not the file")


TARGETS: Mapping[str, Target] = {
    "note": same(parse_note, format_note),
    "checkpoint": same(text(parse_checkpoint), format_checkpoint),
    "vkey": same(text(parse_vkey), format_vkey),
    "proof-file": same(parse_proof_file, format_proof_file),
    "policy": refused(text(parse_policy)),
    "tile-path": same(text(parse_tile_path), format_tile_path),
    "entries-path": same(_entries, format_entries_path),
    "entry-bundle": same(parse_entry_bundle, format_entry_bundle),
    "json": refused(_json),
    "sdjwt": same(parse_sdjwt, format_sdjwt),
    "record": refused(_record),
    "manifest-line": refused(ascii_only(parse_line)),
    "shown-lines": same(parse_shown_lines, format_shown_lines),
    "part-line": refused(ascii_only(parse_part_line)),
    "shown-parts": same(parse_shown_parts, format_shown_parts),
    "text": _text,
    "notebook": _notebook,
    "request": refused(parse_request),
    "token": refused(_token),
    "certificates": refused(parse_certificates),
    "crls": refused(parse_crls),
    "ocsps": refused(parse_ocsps),
    "trust": refused(parse_trust),
    "index": same(parse_index, format_index),
    "consistency": same(parse_consistency, format_consistency),
    "bundle-path": refused(text(place_of)),
}


_DER = Encoding.DER
_UNAUTHORIZED = ocsp.OCSPResponseStatus.UNAUTHORIZED


def _crl() -> bytes:
    """A revocation list of one certificate."""
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    revoked = x509.RevokedCertificateBuilder(serial_number=7, revocation_date=moment).build()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fuzz")])
    builder = x509.CertificateRevocationListBuilder(name, moment, moment + timedelta(days=7))
    key = ec.generate_private_key(ec.SECP256R1())
    return builder.add_revoked_certificate(revoked).sign(key, SHA256()).public_bytes(_DER)


def seeds() -> dict[str, list[bytes]]:
    """Real values of each format to start from."""
    keys = Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate()
    raw = keys[0].public_key().public_bytes_raw(), keys[1].public_key().public_bytes_raw()
    origin = self_certifying_origin(*raw)
    checkpoint = Checkpoint(origin, 300, bytes(32))
    signed = sign_checkpoint(checkpoint, *keys)
    vkey = format_vkey(NoteKey(origin, 1, raw[0]))
    claims = {"kind": "carrier", "title": "第12批", "note": 'a\\"b'}
    record = issue_record(claims, {"size": 3, "sha256": "00" * 32}, keys[0], secrets.token_bytes)
    files = [FileEntry(f"数据/{number}.csv", number, bytes(32), number) for number in range(5)]
    lines = make_lines(files, secrets.token_bytes)
    shown = show_lines(lines, [2])
    table = "编号,炉温\n1,830\n2,845".encode()
    part_lines = make_part_lines(tuple(split_lines([table])), secrets.token_bytes)
    cells = b'{"cells": [{"cell_type": "code", "x": [1.5]}, {"cell_type": "raw"}], "nbformat": 4}'
    tsa = DevelopmentTsa.create("fuzz", lambda: datetime(2026, 6, 1, tzinfo=UTC))
    request = format_request(bytes(32), 2**64 + 1)
    response = tsa.answer(request)
    index = Index(
        (Listed("README.txt", 1, bytes(32)), Listed("checkpoints/3", 1, bytes(32))),
        (("records/0000000000000000.sd-jwt", bytes(64)),),
    )
    policy = f"log {vkey} https://log.example/\nquorum none\n".encode()
    trust = b'require = ["index"]\n[time]\nk = 1\n[[weak]]\nalgorithm = "sha256"\n'
    trust += b"from = 2040-01-01T00:00:00Z\ntlog = '''\n" + policy + b"'''\n"
    pem = format_certificate(read_roots()[0])[1]
    proof = ProofFile(5, (bytes(32), bytes(32)), signed)
    return {
        "note": [signed],
        "checkpoint": [format_checkpoint(checkpoint).encode()],
        "vkey": [vkey.encode()],
        "proof-file": [format_proof_file(proof)],
        "policy": [policy, format_policy(parse_policy(policy.decode())).encode()],
        "tile-path": [b"tile/0/x001/234.p/5", b"tile/3/000"],
        "entries-path": [b"tile/entries/x001/234.p/5"],
        "entry-bundle": [format_entry_bundle((bytes(64), b"x"))],
        "json": [b'{"a":[1,-2,{"b":"\\u4e2d\\n"}],"c":null,"d":true}'],
        "sdjwt": [format_sdjwt(record)],
        "record": [format_sdjwt(record)],
        "manifest-line": [line.encode() for line in lines],
        "shown-lines": [format_shown_lines(shown)],
        "part-line": [line.encode() for line in part_lines],
        "shown-parts": [format_shown_parts(show_lines(part_lines, [1, 2]))],
        "text": [table],
        "notebook": [cells],
        "request": [request],
        "token": [response, parse_token(response).raw],
        "certificates": [pem, *read_roots()[:3]],
        "crls": [_crl()],
        "ocsps": [ocsp.OCSPResponseBuilder.build_unsuccessful(_UNAUTHORIZED).public_bytes(_DER)],
        "trust": [trust, default_trust()[:3000]],
        "index": [format_index(index)],
        "consistency": [format_consistency((bytes(32), bytes(32)))],
        "bundle-path": [b"stamps/4/tsa-00000000.tsr", b"carriers/0000000000000000/a/b"],
    }
