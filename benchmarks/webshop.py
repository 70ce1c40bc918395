"""WebShop's published figures: time and memory at 1,000 real products and at generated shops of growing size.

    python benchmarks/webshop.py                         1 k to 100 k products, a few minutes
    python benchmarks/webshop.py --sizes 1000000         the million, about half an hour and 8 GB of disk
    python benchmarks/webshop.py --real FOLDER           also the 1,000 official products of FOLDER
    python benchmarks/webshop.py --expert 500            also what the expert earns

Every size is generated in the original's files, built into a store by `sad-data build`, and played by the text
environment in its original view. Searches are the expert's queries and whole instructions, in turn.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sad_env
from sad_env.webshop.env import WebShopEnv
from sad_env.webshop.generator import write_files
from sad_env.webshop.reading import read_instruction

COLUMNS = ("products", "generate_s", "build_s", "build_peak_MB", "store_MB")
COLUMNS += ("open_s", "worker_MB", "search_ms", "step_ms")


def build(source: Path, store: Path) -> tuple[float, float]:
    """Wall seconds and peak megabytes of one build command."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "sad_env.data_command", "build", "webshop", "--source", str(source)]
    child = subprocess.Popen([*command, "--out", str(store), "--quiet"])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"the build ended with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def queries(env: WebShopEnv) -> list[str]:
    """The expert's first query and the whole instruction, of goals in turn."""
    texts = []
    for task in env.panel.head(min(100, len(env.panel.task_ids))).task_ids:
        env.reset(options={"task_id": task})
        wish = read_instruction(env.goal.text)
        values = " ".join(value for _, value in wish.options)
        texts += [f"{' '.join(wish.attributes)} {wish.kind} {values}", env.goal.text]
    return [re.sub(r"[\[\]]", " ", query) for query in texts]


def play(env: WebShopEnv) -> tuple[float, float]:
    """Median milliseconds of a search and of any other step, text of the page included."""
    searches, others = [], []
    for query in queries(env):
        start = time.perf_counter()
        env.step(f"search[{query}]")
        searches.append(time.perf_counter() - start)
        for _ in range(3):
            links = [name for name in env.step("nothing")[4]["available_actions"]["clickables"] if name[:1] == "b"]
            names = [name for name in links if name not in ("back to search", "buy now")]
            for action in ["next >", "< prev", *names[:1], "description", "< prev", "features", "< prev", "< prev"]:
                start = time.perf_counter()
                env.step(f"click[{action}]")
                others.append(time.perf_counter() - start)
    return 1e3 * statistics.median(searches), 1e3 * statistics.median(others)


def own_megabytes(data: str) -> float:
    """Private memory that one more worker process takes: forked from one that plays, it opens the shop and plays."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        from sad_env.webshop import shops

        shops._shop.cache_clear()
        shops._catalogue.cache_clear()
        before = _private()
        env = WebShopEnv(data=data, view="original")
        env.reset(seed=0)
        play(env)
        os.write(write, str(_private() - before).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return float(os.read(read, 100)) / 1024


def _private() -> int:
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"Private_Dirty:\s+(\d+)", text).group(1))  # type: ignore[union-attr]


def measure(data: str, generated: float, built: tuple[float, float]) -> dict[str, float]:
    """One row of the table."""
    start = time.perf_counter()
    env = WebShopEnv(data=data, view="original")
    opened = time.perf_counter() - start
    env.reset(seed=0)
    searching, stepping = play(env)
    size = sum(path.stat().st_size for path in Path(data).rglob("*") if path.is_file()) / 1e6
    figures = (len(env.shop.catalogue), generated, *built, size, opened, own_megabytes(data), searching, stepping)
    return dict(zip(COLUMNS, figures, strict=True))


def expert(count: int, **options: str) -> str:
    """What the expert earns on the test split."""
    env, shopper = sad_env.make("webshop", **options), sad_env.make_expert("webshop")
    rewards = []
    for task in env.panel.head(min(count, len(env.panel.task_ids))).task_ids:
        observation, info = env.reset(options={"task_id": task})
        shopper.begin(observation, info)
        reward = 0.0
        for _ in range(15):
            action = shopper.decide().action
            observation, reward, done, _, info = env.step(action)
            if done:
                break
            shopper.observe(action, observation, info)
        rewards.append(reward)
    success = sum(reward == 1.0 for reward in rewards) / len(rewards)
    return f"expert {options}: n {len(rewards)}, mean reward {statistics.fmean(rewards):.4f}, success {success:.1%}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--real", default="")
    parser.add_argument("--expert", type=int, default=0)
    parser.add_argument("--folder", default="", help="where shops are made and kept; a temporary folder when left out")
    settings = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(" | ".join(COLUMNS), flush=True)
    if settings.real:
        row = measure(settings.real, 0.0, (0.0, 0.0))
        print(" | ".join(f"{value:,.4g}" for value in row.values()), "(official, in memory)", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for size in settings.sizes:
            folder = Path(settings.folder or scratch) / f"shop-{size}"
            start = time.perf_counter()
            if not (folder / "files").is_dir():
                write_files(folder / "files", size, seed=0)
            generated = time.perf_counter() - start
            row = measure(str(folder / "store"), generated, build(folder / "files", folder / "store"))
            print(" | ".join(f"{value:,.4g}" for value in row.values()), flush=True)
    if settings.expert:
        for view in ("react", "original"):
            for data in ("generated", settings.real):
                if data:
                    print(expert(settings.expert, data=data, view=view), flush=True)
    print("load average at the end:", *(f"{value:.1f}" for value in os.getloadavg()))
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
