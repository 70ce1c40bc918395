"""Figures of the SearchQA world: generator, expert, closed-book guesser, step time, a collection of passages on disk.

python benchmarks/searchqa.py                        generated world: about a minute
python benchmarks/searchqa.py --passages 2000000     the same, and a collection of two million passages on disk

The build is killed (kill -9) after `--kill-after` CPU seconds and started again, so that its figures are those of an
interrupted one. Beside wall seconds stand CPU seconds, which other programs on the machine change little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from hotpotqa import memory, quantiles, report, timed

from sad_env.answers import exact_match
from sad_env.encyclopedia.fiction import Fiction
from sad_env.encyclopedia.writer import Writer
from sad_env.searchqa.env import SearchQAEnv
from sad_env.searchqa.expert import SearchQAExpert
from sad_env.searchqa.passages import WORDS, PassageRecord, StoredRetriever, passage_line
from sad_env.searchqa.tasks import QuestionSet, generate

QUESTIONS, ARTICLES = 10_000, 30_000
WORLD = 20_000
QUERIES = 300


def generation() -> QuestionSet:
    start = time.process_time()
    made = generate("train", QUESTIONS, ARTICLES)
    seconds = time.process_time() - start
    words = [len(passage.contents.split()) for passage in made.passages]
    report(
        figure="generate",
        questions=len(made.questions),
        passages=len(made.passages),
        words_of_a_passage=[min(words), statistics.median(words), max(words)],
        cpu_seconds=round(seconds, 2),
    )
    return made


def guessing(made: QuestionSet) -> None:
    """EM without a search: the most frequent answer of a family, counted on the very questions; a coin for choices."""
    families: dict[str, Counter[str]] = defaultdict(Counter)
    for question in made.questions.values():
        families[question.kind][question.answer] += 1
    guess = {kind: answers.most_common(1)[0][0] for kind, answers in families.items()}
    hits: Counter[str] = Counter()
    for question in made.questions.values():
        hits[question.kind] += exact_match(guess[question.kind], question.answers)
    sizes = {kind: sum(answers.values()) for kind, answers in families.items()}
    chance = {kind: max(hits[kind] / size, 0.5 * (kind in ("comparison", "yes-no"))) for kind, size in sizes.items()}
    report(
        figure="closed-book guess",
        em=round(sum(hits.values()) / len(made.questions), 4),
        em_with_a_coin_for_choices=round(sum(chance[kind] * sizes[kind] for kind in sizes) / len(made.questions), 4),
        by_family={kind: round(share, 4) for kind, share in chance.items()},
        shares={kind: round(size / len(made.questions), 3) for kind, size in sizes.items()},
    )


def searching(split: str) -> None:
    """EM of the expert, its steps, and the median time of a step of the world."""
    env, expert = SearchQAEnv(split=split), SearchQAExpert()
    steps: list[float] = []
    won: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    words, lengths, retrieved = [], [], 0
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
        won[info["task_type"]] += info["success"]
        asked[info["task_type"]] += 1
        retrieved += info["answer_shown"]
        lengths.append(length)
    report(
        figure="expert",
        split=split,
        episodes=len(lengths),
        em=round(sum(won.values()) / len(lengths), 4),
        by_family={kind: round(won[kind] / count, 4) for kind, count in asked.items()},
        answer_shown=round(retrieved / len(lengths), 4),
        steps=dict(sorted(Counter(lengths).items())),
        thought_words=[min(words), statistics.median(words), max(words)],
        step_ms=quantiles(steps),
    )


def passages(count: int) -> Iterator[PassageRecord]:
    """Passages of many generated worlds; where an article is shorter than a passage, sentences of others fill it."""
    for number in range(-(-count // WORLD)):
        fiction = Fiction(number, "train", WORLD)
        articles = [one.article for one in Writer(fiction, number, full=True).write_all().values()][:WORLD]
        partners = random.Random(number).sample(articles, len(articles))
        for place, (article, partner) in enumerate(zip(articles, partners, strict=True)):
            if number * WORLD + place < count:
                title = article.title if number == 0 else f"{article.title} {number}"
                text = " ".join((article.text + " " + partner.text).split()[:WORDS])
                yield PassageRecord(str(number * WORLD + place), f'"{title}"\n{text}')


def collection(count: int, folder: Path, kill_after: float) -> None:
    """Write a dump, build it with one kill, and open it in a process of its own."""
    dump = folder / "dump"
    dump.mkdir()
    words, titles = 0, []
    with open(dump / "dump.jsonl", "w") as file:
        for passage in passages(count):
            file.write(passage_line(passage) + "\n")
            title, _, text = passage.contents.partition("\n")
            words += len(text.split())
            titles.append(title.strip('"'))
    size = (dump / "dump.jsonl").stat().st_size
    report(figure="dump", passages=len(titles), megabytes=size >> 20, words_of_a_passage=words // len(titles))
    command = [sys.executable, "-m", "sad_env", "build", "searchqa", "--source", str(dump), "--quiet"]
    command += ["--out", str(folder / "corpus")]
    start, used = time.perf_counter(), children()
    first = subprocess.Popen(command)
    while first.poll() is None and cpu_seconds(first.pid) < kill_after:
        time.sleep(0.5)
    killed = first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.wait()
    subprocess.run(command, check=True)
    report(
        figure="build",
        killed_once=killed,
        wall_minutes=round((time.perf_counter() - start) / 60, 2),
        cpu_minutes=round((children() - used) / 60, 2),
        megabytes=sum(path.stat().st_size for path in (folder / "corpus").rglob("*") if path.is_file()) >> 20,
        peak_process_mb=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
    )
    (folder / "titles.json").write_text(json.dumps(random.Random(0).sample(titles, QUERIES)))
    subprocess.run([sys.executable, __file__, "--worker", str(folder)], check=True)


def children() -> float:
    """CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_seconds(process: int) -> float:
    """CPU seconds of a process that runs."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def worker(folder: Path) -> None:
    """What one worker sees: opening, searches, memory."""
    titles: list[str] = json.loads((folder / "titles.json").read_text())
    before = {kind: memory(kind) for kind in ("Anonymous", "Rss")}
    start, used = time.perf_counter(), time.process_time()
    source = StoredRetriever(folder / "corpus")
    opened, opened_cpu = time.perf_counter() - start, time.process_time() - used
    asked = [f"{title} born" for title in titles]
    questions = [f"Who wrote the novel {title}, and in which town was the author born?" for title in titles]
    searched, used = timed(asked, lambda query: source.search(query, 3)), time.process_time()
    warm = timed(asked, lambda query: source.search(query, 3))
    warm_cpu = (time.process_time() - used) / len(asked)
    long = timed(questions, lambda query: source.search(query, 3))
    found = sum(any(text.startswith(f'"{title}"') for text in source.search(title, 3)) for title in titles)
    report(
        figure="worker",
        open_seconds=round(opened, 3),
        open_cpu_seconds=round(opened_cpu, 3),
        search_ms_first=quantiles(searched),
        search_ms=quantiles(warm),
        search_cpu_ms_mean=round(1000 * warm_cpu, 3),
        search_question_ms=quantiles(long),
        titles_found=f"{found} of {len(titles)}",
        # Anonymous memory is the worker's own; the rest of what it has touched is the files' cache, which all share.
        own_mb=round((memory("Anonymous") - before["Anonymous"]) / 2**20, 1),
        touched_mb=round((memory("Rss") - before["Rss"]) / 2**20, 1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=0, help="size of the collection on disk to build and measure")
    parser.add_argument("--kill-after", type=float, default=150.0, help="CPU seconds after which the build is killed")
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
        searching(split)
    if arguments.passages:
        with tempfile.TemporaryDirectory() as folder:
            collection(arguments.passages, Path(folder), arguments.kill_after)


if __name__ == "__main__":
    main()
