"""Figures of the HotPotQA world: generator, expert, closed-book guesser, step time, corpus on disk.

python benchmarks/hotpotqa.py                        generated world: about a minute
python benchmarks/hotpotqa.py --abstracts 1000000    the same, and a corpus of a million abstracts on disk
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from question_worlds import OwnMemory, guessing, measure, paired_articles, playing, quantiles, report, timed

from sad_env.encyclopedia.articles import Article
from sad_env.hotpotqa.env import HotPotQAEnv
from sad_env.hotpotqa.expert import HotPotQAExpert
from sad_env.hotpotqa.fullwiki import StoredSource, article_line, build_corpus
from sad_env.hotpotqa.pages import Page
from sad_env.hotpotqa.tasks import generate
from sad_env.progress import shown

QUESTIONS, ARTICLES = 10_000, 20_000
QUERIES = 300


def generated() -> None:
    start = time.process_time()
    tasks = generate("train", QUESTIONS, ARTICLES)
    seconds = time.process_time() - start
    report(
        figure="generate", questions=len(tasks.questions), articles=len(tasks.articles), cpu_seconds=round(seconds, 2)
    )
    guessing(tasks.questions.values())
    for split in ("train", "test"):
        playing(HotPotQAEnv(split=split), HotPotQAExpert(), split)


def corpus(count: int, folder: Path) -> None:
    dump = folder / "dump.jsonl"
    words = 0
    titles = []
    with open(dump, "w") as file:
        for _, title, article, partner in paired_articles(count, full=False):
            # Each text is as long as two, since Wikipedia's are longer than ours.
            longer = Article(title, (*article.sentences, " ", *partner.sentences), article.aliases)
            file.write(article_line(longer) + "\n")
            words += len(longer.text.split())
            titles.append(title)
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


def worker(folder: Path) -> None:
    """What one worker sees: opening, look-ups, searches, memory."""
    titles: list[str] = json.loads((folder / "titles.json").read_text())
    used, start = OwnMemory(), time.perf_counter()
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
        **used.figures(),
    )


if __name__ == "__main__":
    measure(__doc__, "--abstracts", generated, corpus, worker)
