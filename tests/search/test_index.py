from __future__ import annotations

import math
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sad_env.errors import DataError
from sad_env.search import DocumentStore, RankedIndex, analyze, build_index, build_store, index
from sad_env.search.lengths import LENGTHS, encode

Golden = Callable[[str], Iterator[Any]]
Documents = list[tuple[str, str]]


def _collection(count: int, seed: int) -> Documents:
    """Few words with a steep distribution, so that long lists and ties are common."""
    draw = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(60)]
    weights = [1 / (1 + number) for number in range(60)]
    keys = draw.sample(range(10 * count), count)
    return [(f"k{key:07d}", " ".join(draw.choices(vocabulary, weights, k=draw.randint(0, 60)))) for key in keys]


def _reference(documents: Documents, query: str, k: int) -> list[tuple[str, float]]:
    """The formula of the class docstring, word by word and document by document."""
    texts = [Counter(analyze(text)) for _, text in documents]
    average = np.float32(sum(sum(text.values()) for text in texts) / len(texts))
    found = []
    for (key, _), text in zip(documents, texts, strict=True):
        length = np.float32(LENGTHS[encode(np.array([sum(text.values())]))[0]])
        norm = np.float32(1) / (
            np.float32(0.9) * ((np.float32(1) - np.float32(0.4)) + np.float32(0.4) * length / average)
        )
        total, hit = 0.0, False
        for term, times in Counter(analyze(query)).items():
            if term in text:
                frequency = sum(term in other for other in texts)
                idf = np.float32(math.log(1 + (len(texts) - frequency + 0.5) / (frequency + 0.5)))
                weight = np.float32(times) * idf
                total += float(weight - weight / (np.float32(1) + np.float32(text[term]) * norm))
                hit = True
        if hit:
            found.append((key, float(np.float32(total))))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]


def test_every_recorded_query_gives_lucenes_ranking_and_scores(golden: Golden) -> None:
    documents = [(r["asin"], r["text"]) for r in golden("webshop_analyzer.jsonl.gz") if r.get("asin")]
    assert len(documents) == 1000
    ranked = RankedIndex.of(documents)
    for record in golden("webshop_search.jsonl.gz"):
        hits = ranked.search(record["query"], 50)
        assert [key for key, _ in hits] == [key for key, _ in record["hits"]]
        # The recorded scores are rounded to four decimals and lowered by 1e-6 for each tie.
        assert all(abs(mine - theirs[1]) < 2e-4 for (_, mine), theirs in zip(hits, record["hits"], strict=True))


@pytest.mark.parametrize("window", [1 << 20, 256])
def test_pruned_search_equals_the_plain_formula(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_WINDOW", window)
    monkeypatch.setattr(index, "_BLOCK", 4)
    documents = _collection(600, seed=1)
    ranked = RankedIndex.of(documents)
    draw = random.Random(2)
    for number in range(40):
        query = " ".join(f"w{int(60 * draw.random() ** 2)}" for _ in range(draw.randint(1, 6)))
        k = (1, 5, 50)[number % 3]
        assert ranked.search(query, k) == _reference(documents, query, k)


def test_equal_scores_come_in_the_order_of_keys() -> None:
    ranked = RankedIndex.of([(key, "same text") for key in ("c", "a", "b", "é", "Z")])
    assert [key for key, _ in ranked.search("text", 4)] == ["Z", "a", "b", "c"]


@pytest.mark.parametrize("query", ["", " ", "the of", "unknown", "\ud800", "_" * 5000])
def test_a_query_without_known_terms_finds_nothing(query: str) -> None:
    assert RankedIndex.of([("a", "red shoes")]).search(query) == []


def test_an_empty_collection_can_be_searched(tmp_path: Path) -> None:
    assert RankedIndex.of([]).search("red") == []
    assert build_index(tmp_path / "index", [], fingerprint="none").search("red") == []


def test_an_index_on_disk_merged_from_runs_equals_one_in_memory(tmp_path: Path) -> None:
    documents = _collection(500, seed=3)
    memory = RankedIndex.of(documents)
    disk = build_index(tmp_path / "index", documents, fingerprint="f", run_tokens=1000)
    again = RankedIndex.open(tmp_path / "index")
    for query in ("w0", "w1 w2 w50", "w0 w0 w3 w59"):
        assert memory.search(query, 20) == disk.search(query, 20) == again.search(query, 20)
    assert [disk.key(number) for number in range(len(disk))] == [key for key, _ in documents]


def test_an_interrupted_build_goes_on_from_its_last_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = _collection(400, seed=4)
    read = 0

    def stream(stop: int) -> Iterator[tuple[str, str]]:
        nonlocal read
        for number, document in enumerate(documents):
            if number == stop:
                raise KeyboardInterrupt
            read += 1
            yield document

    with pytest.raises(KeyboardInterrupt):
        build_index(tmp_path / "index", stream(300), fingerprint="f", run_tokens=1000)
    assert not (tmp_path / "index").exists()
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "index.building").glob("run-*")}
    assert len(runs) > 3
    built = build_index(tmp_path / "index", stream(10_000), fingerprint="f", run_tokens=1000)
    assert built.search("w0 w7", 50) == RankedIndex.of(documents).search("w0 w7", 50)
    assert not (tmp_path / "index.building").exists()
    read = 0
    build_index(tmp_path / "index", stream(10_000), fingerprint="f")
    assert read == 0
    # A build over another one never leaves a folder that is neither.
    replace, moved = os.replace, []

    def killed(source: Path, target: Path) -> None:
        moved.append((Path(source).name, Path(target).name))
        if moved[-1] == ("index", "index"):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            build_index(tmp_path / "index", documents[:10], fingerprint="other")
    assert ("index", "old") in moved
    assert not (tmp_path / "index").exists()
    assert len(build_index(tmp_path / "index", documents[:10], fingerprint="other")) == 10
    assert not (tmp_path / "index.building").exists()


def test_two_documents_of_one_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two documents have the key 'a'"):
        RankedIndex.of([("a", "x"), ("a", "y")])
    with pytest.raises(DataError, match="two documents have one key"):
        build_store(tmp_path / "store", [("a", "x", ()), ("a", "y", ())])


def test_a_damaged_index_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no readable index"):
        RankedIndex.open(tmp_path)
    build_index(tmp_path / "index", [("a", "red shoes")], fingerprint="f")
    (tmp_path / "index" / "docs.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="build it again"):
        RankedIndex.open(tmp_path / "index")


def test_a_store_finds_by_key_number_and_further_name(tmp_path: Path) -> None:
    store = build_store(
        tmp_path / "store.sqlite",
        [("Ed Wood", "director", ["ed wood"]), ("Ed Wood (film)", "film", ["ed wood", "ed wood film"])],
        about={"source": "abc"},
    )
    assert store.get("Ed Wood") == "director"
    assert store.get("nobody") is None
    assert store.at(1) == ("Ed Wood (film)", "film")
    assert [key for key, _ in store.named("ed wood")] == ["Ed Wood", "Ed Wood (film)"]
    assert (len(store), store.about, list(DocumentStore(store.path))) == (2, {"source": "abc"}, list(store))
    with pytest.raises(IndexError):
        store.at(2)
    store.close()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not sqlite" * 100)
    with pytest.raises(DataError, match="document store"):
        DocumentStore(tmp_path / "x")
    with pytest.raises(DataError, match="document store"):
        DocumentStore(tmp_path / "absent")
