"""The world of docs/formats.md: fixed keys, fixed draws, one ledger of five entries, one bundle.

What is signed with randomness (ML-DSA-44, the tokens) cannot be made again: it lies in
``docs/formats/example`` and is read from there. Everything else is made anew by each test.

    python -m tests.docs.example           makes the example, if it was deleted
    python -m tests.docs.blocks            makes the blocks of the page
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.doors.bundle_files import read_bundle
from ledger.operator.devtsa import DevelopmentTsa
from ledger.proof.bundle import INDEX, VKEYS, Bundle, Digest, format_consistency, make_index
from ledger.proof.stamps import format_certificate
from ledger.proof.trust import parse_trust
from ledger.proof.verdict import Verdict
from ledger.proof.verify import verify
from ledger.record.manifest import FileEntry, format_shown_lines, make_lines
from ledger.record.parts import format_shown_parts, make_part_lines, split_lines
from ledger.record.record import (
    cover_entry,
    disclose,
    entry_of,
    issue_record,
    parse_record,
)
from ledger.record.sdjwt import SdJwt, format_sdjwt
from ledger.record.shown import lines_root, show_lines
from ledger.report.text import format_json
from ledger.timestamp.request import format_request
from ledger.timestamp.token import parse_token
from ledger.tlog.checkpoint import (
    Checkpoint,
    cosign_ed25519,
    self_certifying_origin,
    sign_checkpoint,
)
from ledger.tlog.merkle import (
    TreeHead,
    leaf_hash,
    leaf_reader,
    prove_consistency,
    prove_inclusion,
    tree_root,
)
from ledger.tlog.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    ED25519,
    NoteKey,
    format_vkey,
)
from ledger.tlog.proof import ProofFile, format_proof_file
from ledger.tlog.text import format_base64

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "formats" / "example"
TRUST = DOCS / "formats" / "trust.toml"
VERDICT = DOCS / "formats" / "verdict.json"

CHAIN = "00112233445566778899aabbccddeeff"
TSAS = ("dev-one", "dev-two")
WITNESS, WITNESS_TIME = "example.org/witness", 1780927200
CHECKED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STAMPED = {3: (10, 11), 5: (13, 14)}
"""Hours of 8 June 2026 at which the two TSAs stamp each checkpoint."""

FOLDER_FILES = {"a.txt": b"alpha\n", "b/c.txt": b"beta\n", "配方.txt": "盐 3 g\n".encode()}
TABLE = b"batch,temp\n12,640\n13,655\n"
README = b"The worked example of docs/formats.md. It proves nothing.\n"

AUTHOR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LEDGER = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
LEDGER_ML_DSA = MLDSA44PrivateKey.from_seed_bytes(b"\x01" * 32)
SEEN_BY = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)


def counter() -> Callable[[int], bytes]:
    """Draws 0, 1, 2 and so on, each as so many bytes, big-endian."""
    numbers = iter(range(1 << 16))
    return lambda size: next(numbers).to_bytes(size, "big")


def spread(size: int) -> bytes:
    """One draw for salts of 16 bytes: 0, 1, 2 and so on."""
    return b"".join(number.to_bytes(16, "big") for number in range(size // 16))


def origin() -> str:
    return self_certifying_origin(
        LEDGER.public_key().public_bytes_raw(), LEDGER_ML_DSA.public_key().public_bytes_raw()
    )


def vkeys() -> tuple[str, str, str]:
    """The ledger's Ed25519 and ML-DSA-44 keys, and the witness's."""
    keys = (
        NoteKey(origin(), ED25519, LEDGER.public_key().public_bytes_raw()),
        NoteKey(origin(), COSIGNATURE_ML_DSA_44, LEDGER_ML_DSA.public_key().public_bytes_raw()),
        NoteKey(WITNESS, COSIGNATURE_ED25519, SEEN_BY.public_key().public_bytes_raw()),
    )
    one, two, three = map(format_vkey, keys)
    return one, two, three


def manifest_lines() -> list[str]:
    files = [
        FileEntry(path, len(content), hashlib.sha256(content).digest(), 1780900000000000)
        for path, content in FOLDER_FILES.items()
    ]
    return make_lines(files, spread)


def part_lines() -> list[str]:
    return make_part_lines(list(split_lines([TABLE])), spread)


def first_record() -> SdJwt:
    """A folder of three files."""
    root, count = lines_root(manifest_lines())
    claims = {
        "link": {"chain": CHAIN, "seq": 1, "prev": None},
        "kind": "carrier",
        "stage": "experiment",
        "title": "配方",
        "captured_time": "2026-06-08T09:00:00Z",
    }
    return issue_record(
        claims, {"manifest": {"root": root.hex(), "count": count}}, AUTHOR, counter()
    )


def second_record(tokens: list[bytes]) -> SdJwt:
    """A table, cut into its lines; made after the tokens."""
    root, count = lines_root(part_lines())
    claims = {
        "link": {"chain": CHAIN, "seq": 2, "prev": entry_of(first_record().jwt).hex()},
        "kind": "carrier",
        "captured_time": "2026-06-08T12:00:00Z",
        "not_before": [hashlib.sha256(token).hexdigest() for token in tokens],
    }
    carrier = {
        "name": "table.csv",
        "size": len(TABLE),
        "sha256": hashlib.sha256(TABLE).hexdigest(),
        "parts": {"scheme": "lines", "root": root.hex(), "count": count},
    }
    return issue_record(claims, carrier, AUTHOR, counter())


@dataclass
class Example:
    """The bundle as it lies in the folder, and what it is made of."""

    files: dict[str, bytes] = field(default_factory=dict)
    carriers: dict[str, Digest] = field(default_factory=dict)

    def tokens(self, size: int) -> list[bytes]:
        """Bare tokens over the checkpoint of this size, in the order of the TSAs' names."""
        paths = sorted(path for path in self.files if path.startswith(f"stamps/{size}/"))
        return [parse_token(self.files[path]).raw for path in paths]

    def records(self) -> list[SdJwt]:
        return [first_record(), second_record(self.tokens(3))]

    def entries(self) -> list[bytes]:
        """The five entries of the ledger: covers, but for the records at 2 and 3."""
        one, two = (entry_of(record.jwt) for record in self.records())
        zero, first, last = (cover_entry(bytes([number]) * 32) for number in (0, 1, 4))
        return [zero, first, one, two, last]

    def leaves(self, size: int = 5) -> list[bytes]:
        return [leaf_hash(entry) for entry in self.entries()[:size]]

    def head(self, size: int) -> TreeHead:
        return TreeHead(size, tree_root(size, leaf_reader(self.leaves(size))))

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(origin(), size, self.head(size).root)

    def proof(self, index: int, size: int) -> bytes:
        path = prove_inclusion(index, size, leaf_reader(self.leaves(size))).path
        return format_proof_file(ProofFile(index, path, self.files[f"checkpoints/{size}"]))

    def made(self) -> dict[str, bytes]:
        """Every file that can be made again, without the index."""
        one, two = self.records()
        first, second = (entry_of(record.jwt).hex()[:16] for record in (one, two))
        shown = show_lines(manifest_lines(), [1])
        pieces = show_lines(part_lines(), [1, 2])
        lines = cosign_ed25519(self.checkpoint(5), WITNESS, WITNESS_TIME, SEEN_BY)
        consistency = prove_consistency(3, 5, leaf_reader(self.leaves()))
        opened = ["link", "kind", "title", "captured_time", "carrier.manifest"]
        told = ["link", "kind", "not_before", "carrier.name", "carrier.size", "carrier.parts"]
        return {
            "README.txt": README,
            VKEYS: "".join(f"{key}\n" for key in vkeys()[:2]).encode(),
            f"records/{first}.sd-jwt": format_sdjwt(disclose(one, opened)),
            f"records/{second}.sd-jwt": format_sdjwt(disclose(two, told)),
            f"manifests/{first}.lines": format_shown_lines(shown),
            f"parts/{second}.lines": format_shown_parts(pieces),
            f"excerpts/{second}/2-3": TABLE[11:],
            f"proofs/{first}-3.tlog-proof": self.proof(2, 3),
            f"proofs/{first}-5.tlog-proof": self.proof(2, 5),
            f"proofs/{second}-5.tlog-proof": self.proof(3, 5),
            "checkpoints/5.cosignatures": (
                f"— {lines.name} {format_base64(lines.key_id + lines.signature)}\n".encode()
            ),
            "consistency/3-5": format_consistency(consistency.path),
        }

    def bundle(self) -> Bundle:
        """All of it, with bundle.json and SHA256SUMS."""
        kept = {path: held for path, held in self.files.items() if is_kept(path)}
        entries = {
            f"records/{entry.hex()[:16]}.sd-jwt": entry
            for entry in (entry_of(record.jwt) for record in self.records())
        }
        name = next(iter(entries)).removeprefix("records/").removesuffix(".sd-jwt")
        content = FOLDER_FILES["b/c.txt"]
        carrier = Digest(len(content), hashlib.sha256(content).digest())
        return make_index(
            Bundle({**kept, **self.made()}, {f"carriers/{name}/b/c.txt": carrier}), entries
        )


def is_kept(path: str) -> bool:
    """Whether it was signed with randomness, or came with what was."""
    signed = path.startswith("checkpoints/") and not path.endswith(".cosignatures")
    return signed or path.startswith("stamps/") or path.endswith(".pem")


def read_example() -> Example:
    bundle = read_bundle(FOLDER)
    return Example(dict(bundle.files), dict(bundle.carriers))


def verdict(bundle: Bundle | None = None) -> Verdict:
    return verify(
        read_bundle(FOLDER) if bundle is None else bundle,
        parse_trust(TRUST.read_bytes()),
        {},
        checked_at=CHECKED,
        clock="given",
        tool="example",
    )


def format_verdict() -> str:
    return json.dumps(format_json(verdict()), ensure_ascii=False, indent=1) + "\n"


def format_trust(roots: dict[str, str]) -> str:
    """The trust file; ``roots``: SHA-256 of each TSA's root."""
    tsas = "".join(
        f'[[tsa]]\nname = "{name}"\nanchor = "{anchor}"\ndevelopment = true\n\n'
        for name, anchor in roots.items()
    )
    one, two, three = vkeys()
    x = parse_record(format_sdjwt(first_record()))
    return (
        f"tlog = '''\nlog {one}\nlog {two}\nwitness w {three}\nquorum w\n'''\n\n"
        f"[time]\nk = 2\n\n{tsas}"
        f'[[author]]\nkey = "{x.thumbprint}"\nname = "Li Wei"\n'
    )


def make_anew() -> None:
    """New checkpoints and tokens, and all that follows from them, into the folder."""
    made = Example()
    hour = [10]
    tsas = [
        DevelopmentTsa.create(name, lambda: datetime(2026, 6, 8, hour[0], 30, tzinfo=UTC))
        for name in TSAS
    ]
    made.files |= dict(format_certificate(tsa.root) for tsa in tsas)
    entries = [cover_entry(bytes([n]) * 32) for n in (0, 1)] + [entry_of(first_record().jwt)]
    for size, hours in STAMPED.items():
        entries = entries if size == 3 else made.entries()
        read = leaf_reader([leaf_hash(entry) for entry in entries])
        checkpoint = Checkpoint(origin(), size, tree_root(size, read))
        signed = sign_checkpoint(checkpoint, LEDGER, LEDGER_ML_DSA)
        made.files[f"checkpoints/{size}"] = signed
        for tsa, hour[0] in zip(tsas, hours, strict=True):
            answer = tsa.answer(format_request(hashlib.sha256(signed).digest(), nonce=size))
            name = f"{tsa.name}-{hashlib.sha256(answer).hexdigest()[:8]}.tsr"
            made.files[f"stamps/{size}/{name}"] = answer
    for token in made.tokens(3):
        made.files[f"stamps/not-before/{hashlib.sha256(token).hexdigest()}.tst"] = token
    bundle = made.bundle()
    carriers = dict.fromkeys(bundle.carriers, FOLDER_FILES["b/c.txt"])
    for path, content in {**bundle.files, **carriers}.items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_bytes(content)
    roots = {tsa.name: hashlib.sha256(tsa.root).hexdigest() for tsa in tsas}
    TRUST.write_text(format_trust(roots), encoding="utf-8")
    VERDICT.write_text(format_verdict(), encoding="utf-8")


if __name__ == "__main__":
    if not (FOLDER / INDEX).exists():
        make_anew()
