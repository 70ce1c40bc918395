"""Figures of the SearchQA world: generator, expert, closed-book guesser, step time, a collection of passages on disk.

python benchmarks/searchqa.py                        generated world: about a minute
python benchmarks/searchqa.py --passages 2000000     the same, and a collection of two million passages on disk

The build is killed (kill -9) after `KILL_AFTER` CPU seconds and started again, so that its figures are those of an
interrupted one. Beside wall seconds stand CPU seconds, which other programs on the machine change little.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from question_worlds import OwnMemory, guessing, measure, paired_articles, playing, quantiles, report, timed

from sad_env.searchqa.env import SearchQAEnv
from sad_env.searchqa.expert import SearchQAExpert
from sad_env.searchqa.passages import WORDS, PassageRecord, StoredRetriever, passage_line
from sad_env.searchqa.tasks import generate

QUESTIONS, ARTICLES = 10_000, 30_000
QUERIES = 300
KILL_AFTER = 150.0
"""CPU seconds."""


def generated() -> None:
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
    guessing(made.questions.values(), choices=("comparison", "yes-no"))
    for split in ("train", "test"):
        playing(SearchQAEnv(split=split), SearchQAExpert(), split)


def collection(count: int, folder: Path) -> None:
    """Write a dump, build it with one kill, and open it in a process of its own."""
    dump = folder / "dump"
    dump.mkdir()
    words, titles = 0, []
    with open(dump / "dump.jsonl", "w") as file:
        for number, title, article, partner in paired_articles(count, full=True):
            # Where an article is shorter than a passage, sentences of another one fill it.
            text = (article.text + " " + partner.text).split()[:WORDS]
            file.write(passage_line(PassageRecord(str(number), f'"{title}"\n{" ".join(text)}')) + "\n")
            words += len(text)
            titles.append(title)
    size = (dump / "dump.jsonl").stat().st_size
    report(figure="dump", passages=len(titles), megabytes=size >> 20, words_of_a_passage=words // len(titles))
    command = [sys.executable, "-m", "sad_env", "build", "searchqa", "--source", str(dump), "--quiet"]
    command += ["--out", str(folder / "corpus")]
    start, used = time.perf_counter(), children()
    first = subprocess.Popen(command)
    while first.poll() is None and cpu_seconds(first.pid) < KILL_AFTER:
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
    taken, start, used = OwnMemory(), time.perf_counter(), time.process_time()
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
        **taken.figures(),
    )


if __name__ == "__main__":
    measure(__doc__, "--passages", generated, collection, worker)
