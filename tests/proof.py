"""How much is done: little in the tests of every day, all of it in `make proof`, which keeps its figures."""

import os
from pathlib import Path

PROOF = os.environ.get("TICKGATE_PROOF", "") in ("1", "long")
LONG = os.environ.get("TICKGATE_PROOF") == "long"
BOTH = ("composed", "apart")
HOMES = BOTH if PROOF else ("apart",)  # every day the seven behaviours run in both, the rest as containers do
FIGURES = os.environ.get("TICKGATE_FIGURES", "")


def figure(what: str, **counts: object) -> None:
    """Say what a proof came to; `make proof` prints it, and collects it in a file."""
    line = f"{what}: " + ", ".join(f"{name.replace('_', ' ')} {_shown(count)}" for name, count in counts.items())
    print(line)  # noqa: T201 - pytest shows it on demand
    if FIGURES:
        with Path(FIGURES).open("a") as file:
            file.write(f"{line}\n")


def progress(what: str, done: int, of: int) -> None:
    """Say how far a long proof is, twenty times in all; `pytest -s` shows it as it goes."""
    if PROOF and done % max(1, of // 20) == 0:
        print(f"{what}: {done:,} of {of:,}", flush=True)  # noqa: T201 - as above


def _shown(count: object) -> object:
    return len(count) if isinstance(count, list | tuple | set | dict) else count
