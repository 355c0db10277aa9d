"""A bundle with a file of every kind, and tokens with everything a token can have."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

from asn1crypto import cms, core
from asn1crypto import crl as asn1_crl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.proof.bundle import Bundle
from ledger.proof.forgeries import Forger
from ledger.proof.revocation import format_answer
from ledger.proof.stamps import format_certificate
from ledger.proof.trust import Trust, TrustedTsa
from ledger.record import shown as sealed
from ledger.record.parts import LINES, format_shown_parts, make_part_lines, split_lines
from ledger.record.strict_json import JsonValue
from ledger.tlog.checkpoint import cosign_ed25519, parse_checkpoint
from ledger.tlog.note import (
    COSIGNATURE_ED25519,
    NoteKey,
    SignedNote,
    format_note,
    format_vkey,
    parse_note,
)
from ledger.tlog.policy import parse_policy
from ledger.tlog.proof import format_proof_file, parse_proof_file
from tests.ledger.proof.world import (
    START,
    World,
    development_tsa,
    rebuilt,
    trust_in,
)
from tests.ledger.timestamp.authority import Authority, make_content, make_token, respond

ROOT = Authority("Root")
MIDDLE = ROOT.child("Middle")
SIGNER = MIDDLE.signer(common_name="Signer")
STRANGER = Authority("Stranger")
WITNESSES = {
    name: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    for number, name in enumerate(("law.example", "unknown.example"), start=40)
}
TABLE = b"batch,yield\n12,0.93\n13,0.41\n14,0.77\n"
FILES = {"a.csv": b"batch,yield\n12,0.93\n", "b.txt": b"anneal at 310 K\n", "c/d": b"x"}


def rich_token(world: World, over: bytes) -> bytes:
    """A response with an embedded chain and one certificate and CRL too many, a signing time, an
    ordering, a TSA name, an unsigned attribute.
    """

    def attributes(listed: list[Any]) -> list[Any]:
        time = cms.Time({"utc_time": core.UTCTime(world.clock.time)})
        return [*listed, {"type": "signing_time", "values": [time]}]

    def parts(fields: dict[str, Any]) -> dict[str, Any]:
        unsigned = cms.CMSAttribute({"type": "1.2.3.4", "values": [core.Integer(5)]})
        fields["signer_infos"][0]["unsigned_attrs"] = cms.CMSAttributes([unsigned])
        listed = asn1_crl.CertificateList.load(STRANGER.crl())
        fields["crls"] = [listed]
        return fields

    content = make_content(
        over,
        gen_time=world.clock.time,
        ordering=True,
        extensions=[{"extn_id": "1.2.3.5", "critical": False, "extn_value": b"\x05\x00"}],
    )
    token = make_token(
        SIGNER,
        content,
        certificates=(SIGNER.certificate, MIDDLE.der, STRANGER.der),
        attributes=attributes,
        parts=parts,
    )
    return respond(token)


def _cosignatures(signed: bytes) -> bytes:
    """Lines by a witness that the trust file names, and by one that nobody knows."""
    checkpoint = parse_checkpoint(parse_note(signed).text)
    lines = [
        cosign_ed25519(checkpoint, name, 1_780_000_000, key) for name, key in WITNESSES.items()
    ]
    return format_note(SignedNote("x\n", tuple(lines))).partition(b"\n\n")[2]


def everything() -> Bundle:
    """Three records and one withheld; three TSAs, one of them with revocation."""
    world = World()
    world.clock.time = START
    world.append()
    world.stamp()
    world.record()
    world.append()
    world.stamp("dev-one")
    world.record(files=FILES, not_before=())
    world.record(files=FILES, claims={"title": "final"}, not_before=())
    lines = make_part_lines(list(split_lines([TABLE])), world.dice.randbytes)
    root, count = sealed.lines_root(lines)
    said: JsonValue = {"scheme": LINES, "root": root.hex(), "count": count}
    table = world.record(carrier={"size": len(TABLE), "parts": said}, not_before=())
    world.stamp("dev-one", "dev-two")
    world.stamp(by={"own": lambda over: rich_token(world, over)})
    bundle = world.bundle(
        {
            0: ("kind", "title"),
            2: ("title", "carrier.manifest"),
            3: ("carrier.size", "carrier.parts"),
        },
        files={2: ("a.csv", "b.txt")},
        with_carriers=True,
    )
    more: dict[str, bytes | None] = dict([format_certificate(ROOT.der)])
    more |= dict([format_certificate(STRANGER.der)])
    issued = START + timedelta(days=1)
    for authority in (ROOT, MIDDLE, STRANGER):
        crl = authority.crl(issued=issued, until=issued + timedelta(days=30))
        more |= dict([format_answer("crl", crl)])
    more |= dict([format_answer("ocsp", MIDDLE.ocsp(SIGNER.certificate, issued=issued))])
    newest = max(int(fields["size"]) for _, fields in bundle.of_kind("checkpoint"))
    more[f"checkpoints/{newest}.cosignatures"] = _cosignatures(
        bundle.files[f"checkpoints/{newest}"]
    )
    more[f"parts/{table.name}.lines"] = format_shown_parts(sealed.show_lines(lines, [1, 2]))
    more[f"excerpts/{table.name}/2-3"] = b"".join(TABLE.splitlines(keepends=True)[1:3])
    proof = bundle.of_kind("proof")[0][0]
    more[proof] = format_proof_file(
        replace(parse_proof_file(bundle.files[proof]), extra=b"said by nobody")
    )
    return rebuilt(bundle, more)


def everything_trust(k: int = 2) -> Trust:
    """All three TSAs, and one witness."""
    key = WITNESSES["law.example"].public_key().public_bytes_raw()
    vkey = format_vkey(NoteKey("law.example", COSIGNATURE_ED25519, key))
    own = TrustedTsa("own", hashlib.sha256(ROOT.der).digest())
    trust = trust_in("dev-one", "dev-two", k=k)
    policy = parse_policy(f"witness law.example {vkey}\nquorum law.example\n")
    return replace(trust, tsas=(*trust.tsas, own), policy=policy)


def forger() -> Forger:
    """Chance from a seed, and a TSA that no trust file names."""
    world = World()

    def stamp(over: bytes) -> bytes:
        return world.answer("stranger", over)

    return Forger(
        world.dice.randbytes, stamp, format_certificate(development_tsa("stranger")[0].root)
    )
