"""Bad accepted, good refused: ours and other verifiers on third parties' timestamp tokens.

The corpus is ../shared/timestamps: real and adversarial tokens with the verdict each deserves.
Everybody gets the same: response, message (or imprint where the message was never published),
roots, intermediates, CRLs, and the token's genTime as the moment. What each package is asked, and
how, is in peers.py. Needs a package index the first time, to install the peers.

    python tests/bench/corpus.py            the table, in markdown
    python tests/bench/corpus.py --list     every wrong verdict beside it
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.peers import AGAIN, JUDGES, PINNED, ROOT, Case, ask, default_cache

FOLDER = ROOT.parent / "shared" / "timestamps"
GRANTED = bytes.fromhex("3003020100")  # PKIStatusInfo { status granted }


@dataclass(frozen=True)
class Wrong:
    """What one verifier said of the whole corpus: names of the cases it got wrong."""

    bad_accepted: tuple[str, ...]
    good_refused: tuple[str, ...]
    not_asked: tuple[str, ...]


def read_corpus(folder: Path) -> list[tuple[Case, bool]]:
    """Every token of the corpus and whether it is good."""
    listed = json.loads((folder / "manifest.json").read_bytes())
    tokens = [entry for entry in listed if entry["file"].startswith("tokens/")]
    return [(read_case(folder, entry), entry["expected"] == "valid") for entry in tokens]


def read_case(folder: Path, entry: dict[str, Any]) -> Case:
    """One entry of the manifest as a question."""
    said = entry["observed"].get("info", {})
    received = (folder / entry["file"]).read_bytes()
    response, token = both_forms(received)
    message = None
    if "data_hex" in entry:
        message = bytes.fromhex(entry["data_hex"])
    elif "data_file" in entry:
        message = (folder / entry["data_file"]).read_bytes()
    algorithm = said.get("imprintHash", "sha256")
    imprint = bytes.fromhex(entry.get("digest_hex") or said.get("imprint", ""))
    if message is not None:
        imprint = hashlib.new(algorithm, message).digest()
    # Where nobody could read a time, none is needed: there is no token to be judged.
    moment = said.get("genTime", "1970-01-01 00:00:00+00:00")
    return Case(
        name=Path(entry["file"]).name,
        received=encoded(received),
        response=encoded(response),
        token=encoded(token) if token else None,
        message=encoded(message) if message is not None else None,
        imprint=encoded(imprint),
        algorithm=algorithm,
        roots=[encoded(der_of(folder / name)) for name in entry["trust_roots"]],
        untrusted=[encoded(der_of(folder / name)) for name in entry["untrusted"]],
        crls=[encoded(der_of(folder / name)) for name in entry["crls"]],
        gen_time=int(datetime.fromisoformat(moment).timestamp()),
    )


def both_forms(b: bytes) -> tuple[bytes, bytes | None]:
    """A TimeStampResp and the bare token in it, from either; bytes are not encoded again.

    A response begins with its status, a SEQUENCE; a token with its content type.
    """
    start = contents_at(b)
    if b[start] != 0x30:
        return wrapped(GRANTED + b), b
    status_end = start + 2 + b[start + 1]
    return b, b[status_end:] or None


def contents_at(b: bytes) -> int:
    """Where the contents of the element b begin (X.690 §8.1.3)."""
    return 2 if b[1] <= 0x80 else 2 + (b[1] & 0x7F)


def wrapped(contents: bytes) -> bytes:
    """A SEQUENCE around contents of 256 to 65535 bytes."""
    return b"\x30\x82" + len(contents).to_bytes(2, "big") + contents


def der_of(path: Path) -> bytes:
    """The certificate or CRL in a file, PEM or DER."""
    content = path.read_bytes()
    if not content.startswith(b"-----"):
        return content
    return base64.b64decode(b"".join(content.split(b"-----")[2].split()))


def encoded(b: bytes) -> str:
    """Base64 of b."""
    return base64.b64encode(b).decode()


def tally(answers: Sequence[str], corpus: Sequence[tuple[Case, bool]]) -> Wrong:
    """The wrong ones among answers."""
    judged = list(zip(answers, corpus, strict=True))
    return Wrong(
        tuple(case.name for said, (case, good) in judged if said == "accepted" and not good),
        tuple(case.name for said, (case, good) in judged if said.startswith("refused") and good),
        tuple(case.name for said, (case, _) in judged if said.startswith("not asked")),
    )


def row(name: str, wrong: Wrong) -> str:
    """One line of the table."""
    version = PINNED.get(name, ("",))[0].partition("==")[2]
    numbers = (wrong.bad_accepted, wrong.good_refused, wrong.not_asked)
    cells = " | ".join(str(len(names)) for names in numbers)
    return f"| {name}{' ' + version if version else ''} | {cells} |"


def header(corpus: Sequence[tuple[Case, bool]]) -> str:
    """The first two lines of the table."""
    good = sum(good for _, good in corpus)
    titles = f"bad accepted (of {len(corpus) - good}) | good refused (of {good})"
    return f"| verifier | {titles} | could not be asked |\n|---|---|---|---|"


def main() -> None:
    """Ask everybody, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache(), help="the environments")
    parser.add_argument("--list", action="store_true", help="name every wrong verdict")
    arguments = parser.parse_args()
    corpus = read_corpus(FOLDER)
    cases = [case for case, _ in corpus]
    print(header(corpus))
    details = []
    for name in (name for name in JUDGES if name != AGAIN):
        answers = ask(name, "judge", cases, arguments.cache)
        wrong = tally(answers, corpus)
        print(row(name, wrong))
        named = {*wrong.bad_accepted, *wrong.good_refused, *wrong.not_asked}
        for case, said in zip(cases, answers, strict=True):
            if case.name in named:
                details.append(f"{name}: {case.name}: {said}")
    if arguments.list:
        print("", *details, sep="\n")


if __name__ == "__main__":
    main()
