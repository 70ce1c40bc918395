"""Run all benchmarks, one after the other: `make bench`; with small sizes, to see that each runs: `make bench SMALL=1`.

    python benchmarks/all.py [--small] [NAME ...]

None needs data of elsewhere: official games are played where they have been fetched, generated ones otherwise. A script
that needs another environment says so and is left out. One that fails does not keep the others from running.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

SMALL = {
    "actors": "--updates 3 --sft 4 --rollouts 4",
    "alfworld_vs_textworld": "--games 3",
    "distill_vs_trl": "",
    "gradient_cosines": "",
    "harness": "--episodes 1000",
    "hotpotqa": "",
    "large_runs": "--episodes 500",
    "online_iteration": "--updates 4 --iterations 1",
    "rollouts": "--episodes 8 --slow-episodes 2 --live 8 --train-steps 10 --max-steps 8 --loop-episodes 100",
    "searchqa": "",
    "served_rollouts": "--episodes 4 --steps 3 --slow 0.5",
    "training_page": "200",
    "verl_agent": "--groups 2",
    "view": "--runs 2 --episodes 40",
    "webshop": "--sizes 1000",
}
"""Words for each script that make it short."""


def main() -> int:
    """Run them; 1 where one has failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="small sizes: the figures say little")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SMALL))
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in SMALL]:
        parser.error(f"no benchmark {unknown[0]!r}: give of {', '.join(SMALL)}")
    failed = []
    for name in options.names or SMALL:
        path = HERE / f"{name}.py"
        words = SMALL[name].split() if options.small else []
        print(f"\n== {path.name} {' '.join(words)}".rstrip(), flush=True)
        began = time.monotonic()
        code = subprocess.run([sys.executable, str(path), *words]).returncode
        print(f"-- {time.monotonic() - began:.0f} s" + (f", FAILED with code {code}" if code else ""), flush=True)
        failed += [name] if code else []
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
