"""Figures of the HotPotQA world: generator, expert, closed-book guesser, step time, corpus on disk.

python benchmarks/hotpotqa.py                        generated world: about a minute
python benchmarks/hotpotqa.py --abstracts 1000000    the same, and a corpus of a million abstracts on disk
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from sad_env.answers import exact_match
from sad_env.encyclopedia.articles import Article
from sad_env.encyclopedia.fiction import Fiction
from sad_env.encyclopedia.writer import Writer
from sad_env.hotpotqa.env import HotPotQAEnv
from sad_env.hotpotqa.expert import HotPotQAExpert
from sad_env.hotpotqa.fullwiki import StoredSource, article_line, build_corpus
from sad_env.hotpotqa.pages import Page
from sad_env.hotpotqa.tasks import TaskSet, generate
from sad_env.progress import shown

QUESTIONS, ARTICLES = 10_000, 20_000
WORLD = 20_000
QUERIES = 300


def report(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


def generation() -> TaskSet:
    start = time.process_time()
    tasks = generate("train", QUESTIONS, ARTICLES)
    seconds = time.process_time() - start
    report(
        figure="generate", questions=len(tasks.questions), articles=len(tasks.articles), cpu_seconds=round(seconds, 2)
    )
    return tasks


def guessing(tasks: TaskSet) -> None:
    """EM of the most frequent answer of a question's kind, counted on the very questions it is asked."""
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for question in tasks.questions.values():
        by_kind[question.kind][question.answer] += 1
    guess = {kind: answers.most_common(1)[0][0] for kind, answers in by_kind.items()}
    hits = Counter(
        question.kind for question in tasks.questions.values() if exact_match(guess[question.kind], question.answers)
    )
    sizes = {kind: sum(answers.values()) for kind, answers in by_kind.items()}
    report(
        figure="closed-book guess",
        em=round(sum(hits.values()) / len(tasks.questions), 4),
        by_kind={kind: round(hits[kind] / size, 4) for kind, size in sizes.items()},
        shares={kind: round(size / len(tasks.questions), 3) for kind, size in sizes.items()},
    )


def reading(split: str) -> None:
    """EM of the reading expert, its steps, and the median time of a step of the world."""
    env, expert = HotPotQAEnv(split=split), HotPotQAExpert()
    steps: list[float] = []
    won, words, lengths = 0, [], []
    for task in env.panel.task_ids:
        observation, info = env.reset(seed=0, options={"task_id": task})
        expert.begin(observation, info)
        terminated, length = False, 0
        while not terminated:
            thought, action = expert.decide()
            words.append(len(thought.split()))
            start = time.perf_counter()
            observation, _, terminated, _, info = env.step(action)
            steps.append(time.perf_counter() - start)
            expert.observe(action, observation, info)
            length += 1
        won += info["success"]
        lengths.append(length)
    report(
        figure="expert",
        split=split,
        episodes=len(lengths),
        em=won / len(lengths),
        steps=dict(sorted(Counter(lengths).items())),
        thought_words=[min(words), statistics.median(words), max(words)],
        step_ms_median=round(1000 * statistics.median(steps), 4),
        step_ms_p99=round(1000 * sorted(steps)[int(0.99 * len(steps))], 4),
    )


def abstracts(count: int) -> Iterator[Article]:
    """Articles of many generated worlds, each text as long as two, since Wikipedia's are longer than ours."""
    for number in range(-(-count // WORLD)):
        fiction = Fiction(number, "train", WORLD)
        articles = [written.article for written in Writer(fiction, number).write_all().values()][:WORLD]
        partners = random.Random(number).sample(articles, len(articles))
        for place, (article, partner) in enumerate(zip(articles, partners, strict=True)):
            if number * WORLD + place < count:
                title = article.title if number == 0 else f"{article.title} {number}"
                yield Article(title, (*article.sentences, " ", *partner.sentences), article.aliases)


def corpus(count: int, folder: Path) -> None:
    dump = folder / "dump.jsonl"
    words = 0
    titles = []
    with open(dump, "w") as file:
        for article in abstracts(count):
            file.write(article_line(article) + "\n")
            words += len(article.text.split())
            titles.append(article.title)
    report(figure="dump", abstracts=len(titles), megabytes=dump.stat().st_size >> 20, words=words // len(titles))
    start = time.perf_counter()
    with shown(quiet=not sys.stderr.isatty()) as progress:
        build_corpus(dump, folder / "corpus", progress=progress).close()
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in (folder / "corpus").rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    report(figure="build", minutes=round(seconds / 60, 2), megabytes=size >> 20, peak_process_mb=peak)
    sample = random.Random(0).sample(titles, QUERIES)
    (folder / "titles.json").write_text(json.dumps(sample))
    subprocess.run([sys.executable, __file__, "--worker", str(folder)], check=True)


def memory(kind: str) -> int:
    """Bytes of this process's memory of one kind of /proc's summary."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))


def worker(folder: Path) -> None:
    """What one worker sees: opening, look-ups, searches, memory."""
    titles: list[str] = json.loads((folder / "titles.json").read_text())
    before = {kind: memory(kind) for kind in ("Anonymous", "Rss")}
    start = time.perf_counter()
    source = StoredSource(folder / "corpus")
    opened = time.perf_counter() - start
    looked_up = timed(titles, source.find)
    searched = timed([f"[{title}]" for title in titles], source.find)
    asked = timed([" ".join(title.split()[:2]) + " born in the town" for title in titles], source.find)
    wrong = sum(not isinstance(page := source.find(title), Page) or page.title != title for title in titles)
    report(
        figure="worker",
        open_seconds=round(opened, 3),
        title_ms=quantiles(looked_up),
        search_title_ms=quantiles(searched),
        search_words_ms=quantiles(asked),
        wrong_titles=wrong,
        # Anonymous memory is the worker's own; the rest of what it has touched is the files' cache, which all share.
        own_mb=round((memory("Anonymous") - before["Anonymous"]) / 2**20, 1),
        touched_mb=round((memory("Rss") - before["Rss"]) / 2**20, 1),
    )


def timed(queries: list[str], call: Callable[[str], object]) -> list[float]:
    seconds = []
    for query in queries:
        start = time.perf_counter()
        call(query)
        seconds.append(time.perf_counter() - start)
    return seconds


def quantiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median": round(1000 * statistics.median(ordered), 3),
        "p95": round(1000 * ordered[int(0.95 * len(ordered))], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--abstracts", type=int, default=0, help="size of the corpus on disk to build and measure")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker)
        return
    report(
        figure="versions", sad_env=metadata.version("sad-env"), python=platform.python_version(), cores=os.cpu_count()
    )
    guessing(generation())
    for split in ("train", "test"):
        reading(split)
    if arguments.abstracts:
        with tempfile.TemporaryDirectory() as folder:
            corpus(arguments.abstracts, Path(folder))


if __name__ == "__main__":
    main()
