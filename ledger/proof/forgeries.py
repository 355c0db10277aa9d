"""Forgeries by somebody with keys, a ledger and a time-stamping service of their own.

The record, its checkpoint or its stamp is made anew, as well as anybody could who does not have the
keys of the holder, of the ledger and of the TSAs that the verifier trusts. Keys come from random
bytes that are given.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.proof.bundle import INDEX, VKEYS, Bundle, parse_index
from ledger.proof.mutations import Dice, Mutation, renamed
from ledger.proof.rearranged import Files, paths_of, some
from ledger.record.record import entry_of, issue_record, parse_record
from ledger.record.sdjwt import RandomBytes, SdJwt, format_sdjwt, parse_jwt, parse_sdjwt, sign_jwt
from ledger.record.strict_json import JsonValue
from ledger.tlog.checkpoint import (
    Checkpoint,
    parse_checkpoint,
    self_certifying_origin,
    sign_checkpoint,
)
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import COSIGNATURE_ML_DSA_44, ED25519, NoteKey, format_vkey, parse_note
from ledger.tlog.proof import ProofFile, format_proof_file, parse_proof_file


@dataclass(frozen=True, slots=True)
class Forger:
    """What somebody has who forges: chance, and a TSA that the verifier does not know.

    ``stamp``: the bytes to stamp in, a response over them out. ``root``: its certificate's path in
    a bundle and PEM.
    """

    random_bytes: RandomBytes
    stamp: Callable[[bytes], bytes]
    root: tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class _Ledger:
    """A ledger of the forger's own; ``origin``: what it calls itself."""

    ed25519: Ed25519PrivateKey
    ml_dsa_44: MLDSA44PrivateKey

    @property
    def origin(self) -> str:
        return self_certifying_origin(*self._raw())

    def vkeys(self, origin: str) -> bytes:
        kinds = zip((ED25519, COSIGNATURE_ML_DSA_44), self._raw(), strict=True)
        keys = [NoteKey(origin, kind, raw) for kind, raw in kinds]
        return "".join(f"{format_vkey(key)}\n" for key in keys).encode("utf-8")

    def sign(self, origin: str, size: int, root: bytes) -> bytes:
        return sign_checkpoint(Checkpoint(origin, size, root), self.ed25519, self.ml_dsa_44)

    def _raw(self) -> tuple[bytes, bytes]:
        return (
            self.ed25519.public_key().public_bytes_raw(),
            self.ml_dsa_44.public_key().public_bytes_raw(),
        )


def forgeries(bundle: Bundle, forger: Forger, dice: Dice) -> Iterator[Mutation]:
    """Stamps, records, checkpoints and a whole history made by ``forger``."""
    author = Ed25519PrivateKey.from_private_bytes(forger.random_bytes(32))
    ledger = _Ledger(
        Ed25519PrivateKey.from_private_bytes(forger.random_bytes(32)),
        MLDSA44PrivateKey.from_seed_bytes(forger.random_bytes(32)),
    )
    yield from _stamps(bundle, forger)
    yield from _signed_again(bundle, author, dice)
    yield from _second_at_one_place(bundle, author, forger)
    sizes = [int(fields["size"]) for _, fields in bundle.of_kind("checkpoint")]
    for size in some(sorted(sizes), dice):
        yield from _checkpoints(bundle, size, ledger)
    yield from _history(bundle, author, ledger, forger)


def _stamps(bundle: Bundle, forger: Forger) -> Iterator[Mutation]:
    """A token by an unknown TSA instead of each stamp, and added; one over other bytes, added."""
    for path, fields in bundle.of_kind("stamp"):
        over = bundle.files.get(f"checkpoints/{fields['size']}")
        if over is None:
            continue
        token, wrong = forger.stamp(over), forger.stamp(b"other bytes")
        root, pem = forger.root
        files: Files = {path: None, renamed(path, token): token, root: pem}
        yield Mutation("stamps/by-unknown-tsa", ("stamp",), path, files=files)
        added: Files = {renamed(path, token): token, root: pem}
        yield Mutation("stamps/unknown-tsa-added", ("stamp",), path, files=added)
        wrong_one: Files = {renamed(path, wrong): wrong}
        yield Mutation("stamps/over-other-bytes", ("stamp",), path, files=wrong_one)


def _signed_again(bundle: Bundle, author: Ed25519PrivateKey, dice: Dice) -> Iterator[Mutation]:
    """Each record under another key: in its old place, and with everything named after it."""
    records = parse_index(bundle.files[INDEX]).records
    for number, (path, entry) in some(list(enumerate(records)), dice):
        if path not in bundle.files:
            continue
        sdjwt = parse_sdjwt(bundle.files[path])
        signed = SdJwt(sign_jwt(parse_jwt(sdjwt.jwt).payload, author), sdjwt.disclosures)
        content = format_sdjwt(signed)
        steps = ("entry.sha256", "entry.sm3")
        yield Mutation("records/signed-again", steps, path, files={path: content})
        old, own = entry.hex()[:16], entry_of(signed.jwt)
        new = own.hex()[:16]
        files: Files = {}
        for about in bundle.files:
            if old in about:
                files[about] = None
                files[about.replace(old, new)] = bundle.files[about]
        files[path.replace(old, new)] = content
        carriers = {one: None for one in bundle.carriers if old in one} | {
            one.replace(old, new): held for one, held in bundle.carriers.items() if old in one
        }
        listed = (*records[:number], (path.replace(old, new), own), *records[number + 1 :])
        yield Mutation(
            "records/signed-again-renamed",
            ("inclusion",),
            path,
            files=files,
            carriers=carriers,
            records=listed,
        )


def _second_at_one_place(
    bundle: Bundle, author: Ed25519PrivateKey, forger: Forger
) -> Iterator[Mutation]:
    """Another record with the link of one that is there, and with that one's proofs."""
    records = parse_index(bundle.files[INDEX]).records
    for path, entry in records:
        link = parse_record(bundle.files[path]).link if path in bundle.files else None
        if link is None:
            continue
        said: JsonValue = {"chain": link.chain, "seq": link.seq, "prev": link.prev}
        content, own = _record(said, author, forger)
        old, new = entry.hex()[:16], own.hex()[:16]
        files: Files = {f"records/{new}.sd-jwt": content}
        files |= {
            proof.replace(old, new): bundle.files[proof]
            for proof in paths_of(bundle, "proof")
            if old in proof
        }
        added = (*records, (f"records/{new}.sd-jwt", own))
        steps = ("chain", "inclusion")
        yield Mutation("records/second-at-one-place", steps, path, files=files, records=added)
        return


def _record(link: JsonValue, author: Ed25519PrivateKey, forger: Forger) -> tuple[bytes, bytes]:
    claims: dict[str, JsonValue] = {"link": link, "kind": "note", "title": "forged"}
    made = issue_record(claims, {}, author, forger.random_bytes)
    return format_sdjwt(made), entry_of(made.jwt)


def _checkpoints(bundle: Bundle, size: int, ledger: _Ledger) -> Iterator[Mutation]:
    """A checkpoint under another ledger's keys; the proofs under it go with it.

    With the old keys declared, with the new ones, and under a name that is the new ones' hash.
    """
    path = f"checkpoints/{size}"
    seen = parse_checkpoint(parse_note(bundle.files[path]).text)
    ways = (
        ("signed-again", seen.origin, False),
        ("signed-again-declared", seen.origin, True),
        ("of-another-ledger", ledger.origin, True),
    )
    for name, origin, declared in ways:
        signed = ledger.sign(origin, size, seen.root)
        files: Files = {path: signed, **_with_checkpoint(bundle, size, signed)}
        if declared:
            files[VKEYS] = ledger.vkeys(origin)
        steps = ("checkpoint.ledger", "stamp")
        yield Mutation(f"checkpoints/{name}", steps, path, files=files)
    other = ledger.sign(seen.origin, size, bytes(32))
    steps = ("inclusion", "stamp")
    yield Mutation("checkpoints/other-root", steps, path, files={path: other})


def _with_checkpoint(bundle: Bundle, size: int, signed: bytes) -> Files:
    """The proof files of this size, each with ``signed`` as its checkpoint."""
    files: Files = {}
    for path, fields in bundle.of_kind("proof"):
        if int(fields["size"]) == size:
            proof = parse_proof_file(bundle.files[path])
            files[path] = format_proof_file(ProofFile(proof.index, proof.path, signed))
    return files


def _history(
    bundle: Bundle, author: Ed25519PrivateKey, ledger: _Ledger, forger: Forger
) -> Iterator[Mutation]:
    """Everything anew: a record in a ledger of its own, with the genuine tokens, or an own one."""
    stamps = paths_of(bundle, "stamp")
    if not stamps:
        return
    content, entry = _record({"chain": "0" * 32, "seq": 1, "prev": None}, author, forger)
    name = entry.hex()[:16]
    signed = ledger.sign(ledger.origin, 1, leaf_hash(entry))
    rest: Files = {path: None for path in bundle.files if "/" in path}
    rest |= {path: bundle.files[path] for path in paths_of(bundle, "certificate")}
    rest |= {
        f"records/{name}.sd-jwt": content,
        f"proofs/{name}-1.tlog-proof": format_proof_file(ProofFile(0, (), signed)),
        "checkpoints/1": signed,
        VKEYS: ledger.vkeys(ledger.origin),
    }
    token = forger.stamp(signed)
    old: Files = {f"stamps/1/{path.rpartition('/')[2]}": bundle.files[path] for path in stamps}
    own: Files = {renamed("stamps/1/another-tsa-00000000.tsr", token): token}
    listed = ((f"records/{name}.sd-jwt", entry),)
    gone = dict.fromkeys(bundle.carriers)
    for way, stamped in (("with-old-stamps", old), ("with-own-stamp", own)):
        yield Mutation(
            f"history/{way}",
            ("stamp", "time.not-after"),
            "checkpoints/1",
            files={**rest, **stamped},
            carriers=gone,
            records=listed,
        )
