"""Token checks per CPU second: ours, and other verifiers of RFC 3161 tokens.

One good RSA and one good EC token of the corpus, checked again and again. A check is everything
from the response's bytes to the verdict, as in peers.py: ours parses, checks the token, its
strength and its path. The others do less (rfc3161ng follows no path, rfc3161-client reads no
signing-certificate attribute); corpus.py says what that costs. Our first row starts from nothing;
the second keeps a TSA's certificates from the token before. Libraries run in a process of their
own, start and imports not counted; ``openssl ts -verify`` is one process a check, because that is
how it is used.

    python tests/bench/timestamps.py            medians of 5 rounds, A B C A B C …
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.corpus import FOLDER, read_corpus
from tests.bench.peers import AGAIN, PINNED, Case, ask, default_cache

TOKENS = {"RSA": "lab-ok_rsa.tsr", "EC": "lab-ok_ec.tsr"}
OURS = "Tallystick"
CONTENDERS = (OURS, AGAIN, "rfc3161ng", "rfc3161-client", "pyHanko", "openssl ts -verify")


def measure(case: Case, rounds: int, cache: Path) -> dict[str, float | None]:
    """Median checks per CPU second by name; None for one that does not accept the token."""
    able = [name for name in CONTENDERS if ask(name, "judge", [case], cache) == ["accepted"]]
    rates: dict[str, list[float]] = {name: [] for name in able}
    for _ in range(rounds):
        for name in able:
            rates[name] += [float(rate) for rate in ask(name, "time", [case], cache)]
    medians = {name: statistics.median(found) for name, found in rates.items()}
    return {name: medians.get(name) for name in CONTENDERS}


def row(name: str, rates: list[float | None], ours: list[float | None]) -> str:
    """One line: for each token the rate, and our rate over it."""
    version = PINNED.get(name, ("",))[0].partition("==")[2]
    cells = [f"| {name}{' ' + version if version else ''} "]
    for rate, base in zip(rates, ours, strict=True):
        shown = "refuses the good token | –" if rate is None else f"{rate:.0f} | {base / rate:.2f}"
        cells.append(f"| {shown} ")
    return "".join(cells) + "|"


def main() -> None:
    """Print the table, in markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache(), help="the environments")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cases = {case.name: case for case, _ in read_corpus(FOLDER)}
    results = [measure(cases[file], arguments.rounds, arguments.cache) for file in TOKENS.values()]
    titles = " | ".join(f"{kind}, checks per CPU second | ours ÷ it" for kind in TOKENS)
    print(f"| verifier | {titles} |\n|---|{'---|---|' * len(TOKENS)}")
    for name in CONTENDERS:
        print(row(name, [found[name] for found in results], [found[OURS] for found in results]))


if __name__ == "__main__":
    main()
