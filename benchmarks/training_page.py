"""What training.html costs a run of 10,000 updates: time in the page over time in all, on a run that is as fast as any.

    python benchmarks/training_page.py [UPDATES] [SECONDS]

An update here is SECONDS of waiting (0.01 when left out: less than any model's) and one line of metrics.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from sad_distill.training.page import TrainingPage

from sad_env.json_lines import JsonLinesWriter

NAMES = ("loss", "reason_divergence", "act_divergence", "reason_nll", "act_nll", "reason_agree", "act_agree", "cosine")
NAMES += ("gradient_norm", "learning_rate", "tokens", "score_seconds", "update_seconds", "rollout_success", "seconds")


def main() -> None:
    """Print the share."""
    updates = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.01
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        page, spent, cpu = TrainingPage(Path(folder), {"steps": updates}), 0.0, 0.0
        began = time.perf_counter()
        with JsonLinesWriter(path) as lines:
            for step in range(updates):
                time.sleep(pause)
                lines.append(json.dumps({"step": step, **{name: draw.random() for name in NAMES}}))
                before, used = time.perf_counter(), time.process_time()
                page.refresh()
                spent += time.perf_counter() - before
                cpu += time.process_time() - used
        before, used = time.perf_counter(), time.process_time()
        page.write()
        spent += time.perf_counter() - before
        cpu += time.process_time() - used
        whole = time.perf_counter() - began
        size = (Path(folder) / "training.html").stat().st_size
    print(
        f"{updates:,} updates in {whole:.1f} s; the page took {spent:.2f} s, {spent / whole:.2%}, and {cpu:.2f} s"
        f" of CPU, {cpu / whole:.2%}; {size:,} bytes"
    )


if __name__ == "__main__":
    main()
