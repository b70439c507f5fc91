"""`python -m tests.simulation --seeds 1000`, or `--seed 17` for one of them."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.simulation.simulate import LINES, Simulation


def main() -> int:
    """Run simulations; returns 1 when any has a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one seed only")
    parser.add_argument("--lines", type=int, default=LINES, help="movements per seed")
    asked = parser.parse_args()
    first, count = (asked.first, asked.seeds) if asked.seed is None else (asked.seed, 1)
    crashes: Counter[str] = Counter()
    failed = 0
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
            violations = list(Simulation(seed, Path(folder), asked.lines).violations(crashes))
        failed += bool(violations)
        for violation in violations[:5]:
            print(f"seed {seed}: {violation}", flush=True)
    print(f"{count} simulations, {sum(crashes.values())} crashes, {failed} with violations")
    for kind, times in sorted(crashes.items()):
        print(f"  {times} {kind}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
