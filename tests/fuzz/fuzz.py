"""Run one parser under atheris: ``fuzz.py NAME [libFuzzer options] [CORPUS_DIR]``."""

import sys
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

with atheris.instrument_imports(include=["ledger"]):
    import targets


def main() -> None:
    """Seed the corpus folder and fuzz until libFuzzer's own limits say stop."""
    if len(sys.argv) < 2 or sys.argv[1] == "--list":
        print("\n".join(targets.TARGETS))  # noqa: T201 - a script
        return
    name, *options = sys.argv[1:]
    folders = [Path(option) for option in options if not option.startswith("-")]
    for folder in folders[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(targets.seeds()[name]):
            (folder / f"seed-{number}").write_bytes(seed)
    target = targets.TARGETS[name]
    atheris.Setup([sys.argv[0], f"-max_len={targets.MAX_INPUT_BYTES}", *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
