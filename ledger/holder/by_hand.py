"""How a stamp, or an excerpt, is checked by hand: the lines for a shell that really work for it.

openssl takes CRLs from the file of trusted certificates, and wants one in force for every
certificate at the moment asked about; it refuses whatever a list names, however late it was
revoked, and knows nothing of OCSP answers.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from asn1crypto import x509

from ledger.proof.bundle import place_of
from ledger.proof.revocation import Answer, about, issuers_above, read_crl
from ledger.record.parts import parse_part_line, parse_shown_parts
from ledger.timestamp.der import load_certificate
from ledger.timestamp.material import parse_certificates
from ledger.timestamp.token import Token
from ledger.tlog.merkle import leaf_hash

TRUSTED, UNTRUSTED = "../trusted.pem", "../untrusted.pem"
"""Files the lines make: beside the bundle, since a file more inside it would be refused."""


def openssl_lines(path: str, token: Token, files: Mapping[str, bytes]) -> list[str]:
    """The lines that check the token at ``path``, which openssl can verify; then with CRLs.

    What a not-before token is over need not be in the bundle: it is held to its own imprint.
    """
    at_hand = _certificates(files)
    above = _path(token, at_hand)
    root = next((at_hand[der] for der in above if _is_root(der) and der in at_hand), "ROOT.pem")
    between = [
        at_hand[der]
        for der in above[1:]
        if not _is_root(der) and der in at_hand and der not in token.certificates
    ]
    lines, options = [], ""
    if between:
        lines = [f"  cat {' '.join(between)} > {UNTRUSTED}"] if len(between) > 1 else []
        options = f" -untrusted {UNTRUSTED if lines else between[0]}"
    # The certificate may have expired since: the token is judged at its own time.
    moment = math.ceil(token.gen_time.timestamp())
    place = place_of(path)
    over = f"-data checkpoints/{place.fields.get('size')}"
    if place.kind == "not-before":
        over = f"-token_in -digest {token.imprint.hex()}"
    command = f"  openssl ts -verify -in {path} {over} \\"
    lines += [command, f"    -CAfile {root}{options} -attime {moment}"]
    below = [load_certificate(der) for der in above if not _is_root(der)]
    crls = [read_crl(held) for name, held in files.items() if place_of(name).kind == "crl"]
    chosen = _in_force(below, crls, datetime.fromtimestamp(moment, UTC))
    if chosen is None:
        return lines
    asked, used = chosen
    names = {one.der: name for name, one in zip(_names(files), crls, strict=True)}
    shown = [f"openssl crl -inform DER -in {names[one.der]}" for one in used]
    return [
        *lines,
        f"  the same with CRLs, as of {asked:%Y-%m-%d %H:%M:%S} UTC: not OK if a certificate was",
        "  on one of these lists, even for a revocation after the time stamp",
        "  连同吊销列表核验：证书只要在列即不通过，即使吊销晚于时间戳",
        f"  (cat {root}; {'; '.join(shown)}) \\",
        f"    > {TRUSTED}",
        command,
        f"    -CAfile {TRUSTED}{options} -crl_check_all -attime {asked.timestamp():.0f}",
    ]


def excerpt_lines(path: str, files: Mapping[str, bytes]) -> list[str]:
    """The lines that hold the excerpt at ``path`` to the line of its first piece, and that to J.

    The leaf and the path beside it lead to the root in the record's ``parts``, as RFC 6962 says.
    """
    fields = place_of(path).fields
    lines = f"parts/{fields['entry']}.lines"
    shown = parse_shown_parts(files[lines])
    row, first = next(
        (number, one)
        for number, one in enumerate(shown, 2)
        if one.index == int(fields["first"]) - 1
    )
    part = parse_part_line(first.text)
    text = f"sed -n {row}p {lines} | cut -d' ' -f2 | tr -d '\\n'"
    return [
        f"  head -c {part.size} {path} | sha256sum",
        f"    {part.sha256.hex()}   piece {part.index + 1}; the next one follows it at once",
        f"  {text} | tr -- '-_' '+/' | openssl base64 -d -A",
        "    its line: [salt, index from 0, {offset, sha256, size}] / 该片的行",
        f"  (printf '\\0'; {text}) | openssl dgst -sha256",
        f"    {leaf_hash(first.text.encode()).hex()}   leaf hash = SHA-256(00 || line)",
    ]


def _names(files: Mapping[str, bytes]) -> list[str]:
    return [name for name in files if place_of(name).kind == "crl"]


def _certificates(files: Mapping[str, bytes]) -> dict[bytes, str]:
    """DER of the certificates among the files, to their paths."""
    paths = [path for path in sorted(files) if place_of(path).kind == "certificate"]
    return {der: path for path in paths for der in parse_certificates(files[path])}


def _is_root(der: bytes) -> bool:
    return bool(load_certificate(der).self_issued)


def _path(token: Token, at_hand: Mapping[bytes, str]) -> list[bytes]:
    """One way up from the signer by names, to a root as soon as there is one, as openssl goes."""
    if token.signer is None:
        return []
    known = issuers_above(token.signer, (*token.certificates, *at_hand))
    path = [token.signer]
    while not _is_root(path[-1]):
        issuer = load_certificate(path[-1]).issuer
        up = [der for der in known if load_certificate(der).subject == issuer and der not in path]
        if not up:
            break
        path.append(min(up, key=lambda der: not _is_root(der)))
    return path


def _in_force(
    below: Sequence[x509.Certificate], crls: Sequence[Answer], moment: datetime
) -> tuple[datetime, tuple[Answer, ...]] | None:
    """A moment, and for each certificate the newest CRL in force then: the token's, if there is."""
    if not below or not crls:
        return None
    mine = [about(crls, [certificate.dump()]) for certificate in below]
    latest = [max((one.issued for one in some), default=moment) for some in mine]
    for asked in (moment, max(latest)):
        used = [
            [one for one in some if one.issued <= asked and one.until and asked <= one.until]
            for some in mine
        ]
        valid = all(asked <= certificate.not_valid_after for certificate in below)
        if valid and all(used):
            newest = (max(some, key=lambda one: one.issued) for some in used)
            return asked, tuple(dict.fromkeys(newest))
    return None
