"""`sad-eval view`: time, memory and size of the page of 20 runs of 500 episodes, and how fast a browser opens it.

    python benchmarks/view.py [--runs 20] [--episodes 500] [--words 60]

The runs are real ones of the toy world, made larger: every thought gets WORDS random words more, as a model's thoughts
are longer than an expert's, and nothing compresses random words well. The browser (Chromium through selenium) is left
out where there is none.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sad_eval.commands.evaluate import main as evaluate
from sad_eval.records import EpisodeLine
from sad_eval.runs.run_folder import EPISODES, RunFolder

from sad_env.transcript import compose


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("runs", 20), ("episodes", 500), ("words", 60)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for number in range(options.runs):
            agent = "expert" if number % 2 else "random"
            words = ["--env", "toy", "--agent", agent, "--seed", str(number), "--repeats", str(options.episodes // 20)]
            assert (
                evaluate([*words, "--episodes", "20", "--quiet", "--workers", "0", "--out", str(root / f"{number}")])
                == 0
            )
            lengthen(RunFolder.open(root / f"{number}"), options.words, random.Random(number))
        written = sum(path.stat().st_size for path in root.rglob(EPISODES))
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sad_eval", "view", str(root)], check=True)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        page = root / "view.html"
        print(f"{options.runs} runs of {options.episodes} episodes, {written / 1e6:.0f} MB of episodes")
        spent, peak = usage.ru_utime, usage.ru_maxrss / 1024
        print(f"written in {time.perf_counter() - began:.1f} s ({spent:.1f} s of CPU), peak {peak:.0f} MB")
        print(f"page: {page.stat().st_size / 1e6:.1f} MB")
        browse(page)


def lengthen(run: RunFolder, words: int, draw: random.Random) -> None:
    """Add random words to every thought of a run."""
    lines = []
    for line in run.episodes():
        steps = []
        for step in line.trajectory.steps:
            more = " ".join(
                "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(words)
            )
            longer = compose(f"{step.reasoning} {more}".strip(), step.action)
            told = {"completion": longer.text, "spans": longer.spans, "reasoning": f"{step.reasoning} {more}".strip()}
            steps.append(step.model_copy(update=told))
        lines.append(EpisodeLine.of(line.trajectory.model_copy(update={"steps": tuple(steps)})).to_json())
    (run.path / EPISODES).write_text("\n".join(lines) + "\n")


def browse(page: Path) -> None:
    """Open the page, and then an episode in it."""
    try:
        from selenium import webdriver
    except ImportError:
        print("no selenium: the page was not opened")
        return
    browser, service = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if browser is None or service is None:
        print("no chromium: the page was not opened")
        return
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    look = "const look = () => document.body.dataset.ready ? done() : setTimeout(look, 5); look()"
    wait = f"const done = arguments[0]; {look}"
    for place in ("", "#/run/3/2"):
        driver.get("about:blank")
        began = time.perf_counter()
        driver.get(page.as_uri() + place)
        driver.execute_async_script(wait)
        heap = driver.execute_script("return performance.memory.usedJSHeapSize")
        seconds = round(time.perf_counter() - began, 2)
        print(json.dumps({"place": place or "overview", "seconds": seconds, "heap_MB": round(heap / 1e6, 1)}))
    driver.quit()


if __name__ == "__main__":
    main()
