"""What the benchmarks of HotPotQA and Search-QA measure alike: nothing is measured by this file alone."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib import metadata
from pathlib import Path

from sad_env.answers import exact_match
from sad_env.core import TextEnv
from sad_env.encyclopedia.articles import Article
from sad_env.encyclopedia.fiction import Fiction
from sad_env.encyclopedia.writer import Writer
from sad_env.expert import Expert

WORLD = 20_000
"""Articles of a generated world that a large dump takes."""


def report(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


def guessing(questions: Iterable, choices: Collection[str] = ()) -> None:
    """EM without a search: the most frequent answer of a family, counted on the very questions; a coin for choices.

    Args:
        questions: with their `kind`, `answer` and `answers`.
        choices: families in which a coin is right half of the time.
    """
    families = defaultdict(list)
    for question in questions:
        families[question.kind].append(question)
    count = sum(map(len, families.values()))
    best = {kind: Counter(one.answer for one in asked).most_common(1)[0][0] for kind, asked in families.items()}
    hits = {kind: sum(exact_match(best[kind], one.answers) for one in asked) for kind, asked in families.items()}
    chance = {kind: max(hits[kind] / len(asked), 0.5 * (kind in choices)) for kind, asked in families.items()}
    report(
        figure="closed-book guess",
        em=round(sum(hits.values()) / count, 4),
        em_with_a_coin_for_choices=round(sum(chance[kind] * len(asked) for kind, asked in families.items()) / count, 4),
        by_family={kind: round(share, 4) for kind, share in chance.items()},
        shares={kind: round(len(asked) / count, 3) for kind, asked in families.items()},
    )


def playing(env: TextEnv, expert: Expert, split: str) -> None:
    """EM of the expert on all tasks of a split, its steps and words, and the time of a step of the world."""
    seconds: list[float] = []
    won: dict[str, list[bool]] = defaultdict(list)
    words, lengths, shown = [], [], []
    for task in env.panel.task_ids:
        observation, info = env.reset(seed=0, options={"task_id": task})
        expert.begin(observation, info)
        terminated, length = False, 0
        while not terminated:
            thought, action = expert.decide()
            words.append(len(thought.split()))
            start = time.perf_counter()
            observation, _, terminated, _, info = env.step(action)
            seconds.append(time.perf_counter() - start)
            expert.observe(action, observation, info)
            length += 1
        won[info["task_type"]].append(info["success"])
        lengths.append(length)
        if "answer_shown" in info:
            shown.append(info["answer_shown"])
    report(
        figure="expert",
        split=split,
        episodes=len(lengths),
        em=round(sum(map(sum, won.values())) / len(lengths), 4),
        by_family={kind: round(statistics.fmean(each), 4) for kind, each in won.items()},
        **({"answer_shown": round(statistics.fmean(shown), 4)} if shown else {}),
        steps=dict(sorted(Counter(lengths).items())),
        thought_words=[min(words), statistics.median(words), max(words)],
        step_ms=quantiles(seconds),
    )


def paired_articles(count: int, *, full: bool) -> Iterator[tuple[int, str, Article, Article]]:
    """Articles of many generated worlds: number, a title that no other has, article, and a partner of the same world.

    Args:
        count: of them.
        full: articles as Search-QA has them, which say more.
    """
    for number in range(-(-count // WORLD)):
        fiction = Fiction(number, "train", WORLD)
        articles = [written.article for written in Writer(fiction, number, full=full).write_all().values()][:WORLD]
        partners = random.Random(number).sample(articles, len(articles))
        for place, (article, partner) in enumerate(zip(articles, partners, strict=True), number * WORLD):
            if place < count:
                yield place, article.title if number == 0 else f"{article.title} {number}", article, partner


def memory(kind: str) -> int:
    """Bytes of this process's memory of one kind of /proc's summary."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))


class OwnMemory:
    """What this process takes from now on; anonymous memory is its own, the rest is the files' cache that all share."""

    def __init__(self) -> None:
        self._before = {kind: memory(kind) for kind in ("Anonymous", "Rss")}

    def figures(self) -> dict[str, float]:
        """MiB of both kinds."""
        own, touched = (round((memory(kind) - before) / 2**20, 1) for kind, before in self._before.items())
        return {"own_mb": own, "touched_mb": touched}


def timed(queries: list[str], call: Callable[[str], object]) -> list[float]:
    seconds = []
    for query in queries:
        start = time.perf_counter()
        call(query)
        seconds.append(time.perf_counter() - start)
    return seconds


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(seconds)
    middle, high = statistics.median(ordered), ordered[int(0.95 * len(ordered))]
    return {"median": round(1000 * middle, 3), "p95": round(1000 * high, 3)}


def measure(
    description: str | None,
    size: str,
    generated: Callable[[], None],
    stored: Callable[[int, Path], None],
    worker: Callable[[Path], None],
) -> None:
    """The command of a benchmark.

    Args:
        description: for its help.
        size: flag with the size of the dump that is built on disk and measured.
        generated: figures of the generated world.
        stored: figures of such a dump, in an empty folder.
        worker: figures of a process that has opened it.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(size, dest="size", type=int, default=0, help="size of the dump on disk to build and measure")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker)
        return
    report(
        figure="versions", sad_env=metadata.version("sad-env"), python=platform.python_version(), cores=os.cpu_count()
    )
    generated()
    if arguments.size:
        with tempfile.TemporaryDirectory() as folder:
            stored(arguments.size, Path(folder))
