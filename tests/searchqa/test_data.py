"""Question files of every layout, dumps of passages, collections on disk, `sad-data`."""

from __future__ import annotations

import gzip
import json
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import sad_env
from sad_env.checks import check_world
from sad_env.data import silent
from sad_env.data_command import main
from sad_env.encyclopedia.articles import Article
from sad_env.errors import DataError, UnknownNameError
from sad_env.search import build_index, build_store
from sad_env.searchqa.data import DATA
from sad_env.searchqa.env import SearchQAEnv
from sad_env.searchqa.passages import (
    INDEX,
    STORE,
    WORDS,
    PassageRecord,
    PoolRetriever,
    StoredRetriever,
    build_passages,
    cut,
    dump_files,
    passage_line,
    read_passages,
)
from sad_env.searchqa.questions import QuestionFiles, question_files
from sad_env.searchqa.tasks import generate, open_questions

PASSAGES = [
    PassageRecord("0", '"Ed Wood"\nEd Wood was a director of films.'),
    PassageRecord("1", '"Ed Wood (film)"\nEd Wood is a film of 1994 by Tim Burton.'),
    PassageRecord("2", '"Tim Burton"\nTim Burton was born in Burbank in 1958.'),
    PassageRecord("3", '"Bergen"\nBergen is a town on the coast of Norway.'),
]


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(record) + "\n" for record in records))  # with an empty line in between
    return path


def question(name: str, text: str = "who made ed wood", *answers: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "question": text, "golden_answers": list(answers) or ["Tim Burton"], **more}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump" / "wiki.jsonl"
    path.parent.mkdir()
    path.write_text("".join(passage_line(passage) + "\n" for passage in PASSAGES))
    return path


# --- questions ---


def test_questions_of_search_r1_are_read_with_aliases_and_data_sources(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "test.jsonl",
        [
            question("test_0", "who made ed wood", "Tim Burton", "Timothy Walter Burton", data_source="nq"),
            question("test_0", "Where is Bergen?", data_source="popqa") | {"golden_answers": "Norway"},
        ],
    )
    first, second = QuestionFiles([("x", path)]).values()
    assert (first.id, first.text, first.kind) == ("nq/test_0", "who made ed wood?", "nq")
    assert first.answers == ("Tim Burton", "Timothy Walter Burton")
    assert (second.id, second.text, second.answers, second.kind) == (
        "popqa/test_0",
        "Where is Bergen?",
        ("Norway",),
        "popqa",
    )


def test_names_that_are_missing_or_come_twice_become_positions(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [question("0"), question("0", "another")])
    assert list(QuestionFiles([("nq", path)])) == ["000000", "000001"]
    path = write_lines(tmp_path / "b.jsonl", [{"question": "q", "golden_answers": ["a"]}])
    assert list(QuestionFiles([("nq", path)])) == ["000000"]


def test_every_layout_of_a_folder_is_found_and_dev_stands_in_for_test(tmp_path: Path) -> None:
    write_lines(tmp_path / "nq" / "test.jsonl", [question("test_0")])
    write_lines(tmp_path / "nq" / "dev.jsonl", [question("dev_0")])
    write_lines(tmp_path / "musique" / "dev.jsonl", [question("dev_0")])
    write_lines(tmp_path / "popqa_test.jsonl", [question("test_0")])
    write_lines(tmp_path / "nq_train.jsonl", [question("train_0")])
    found = question_files(tmp_path)
    assert {split: list(files) for split, files in found.items()} == {
        "train": ["nq"],
        "dev": ["musique", "nq"],
        "test": ["musique", "nq", "popqa"],
    }
    env = SearchQAEnv(data=tmp_path, retriever="http://localhost:1")
    assert (env.panel.data, env.panel.name) == ("given", "test")
    assert env.panel.task_ids == ("musique/dev_0", "nq/test_0", "popqa/test_0")
    assert open_questions(str(tmp_path / "nq"), "dev").panel.task_ids == ("nq/dev_0",)
    assert open_questions(str(tmp_path / "popqa_test.jsonl"), None).panel.name == "popqa_test"
    with pytest.raises(UnknownNameError, match="known: dev, test, train"):
        open_questions(str(tmp_path), "tests")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no question"),
        ("[1]\n", ":1: not a question"),
        ("{]\n", ":1: not a question"),
        ('{"question": "q", "golden_answers": ["a"]}\n{"question": 3, "golden_answers": ["a"]}\n', ":2: question"),
        ('{"question": "q"}\n', ":1: question"),
        ('{"question": "q", "golden_answers": []}\n', ":1: a question needs"),
        ('{"question": " ", "golden_answers": ["a"]}\n', ":1: a question needs"),
        ('{"question": "q", "golden_answers": ["a", 3]}\n', ":1: question"),
    ],
)
def test_files_in_another_schema_are_refused_with_the_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        QuestionFiles([("nq", path)])


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "test.jsonl", [question("a")])
    assert open_questions(str(tmp_path), None).panel.task_ids == (f"{tmp_path.name}/a",)
    write_lines(path, [question("b"), question("c")])
    assert len(open_questions(str(tmp_path), None).panel.task_ids) == 2


def test_a_question_of_a_file_that_changed_under_a_world_is_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "test.jsonl", [question("a"), question("b", "where is bergen")])
    questions = QuestionFiles([("nq", path)])
    assert [one.text for one in questions.values()] == ["who made ed wood?", "where is bergen?"]
    write_lines(path, [question("c")])
    with pytest.raises(DataError, match="has changed"):
        questions["nq/b"]
    with pytest.raises(KeyError):
        questions["nq/c"]


def test_questions_without_passages_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "some" / "test.jsonl", [question("a")])
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SAD_ENV_DATA", str(tmp_path))
    for data, message in (
        (tmp_path / "some", "sad-data build searchqa"),
        (tmp_path / "none", "no question files"),
        ("official", "sad-data fetch searchqa"),
    ):
        with pytest.raises(DataError, match=message):
            SearchQAEnv(data=data)


def test_official_questions_take_the_official_passages(
    tmp_path: Path, dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAD_ENV_DATA", str(tmp_path))
    write_lines(tmp_path / "searchqa" / "questions" / "nq_test.jsonl", [question("a")])
    build_passages([dump], tmp_path / "searchqa" / "passages" / "corpus").close()
    env = SearchQAEnv(data="official")
    env.reset(seed=0)
    assert env.panel.data == "official"
    assert "Norway" in env.step("search[bergen]")[0]


# --- passages ---


def test_articles_are_cut_between_sentences(tmp_path: Path) -> None:
    long = "word " * 70
    article = Article("T", (f"{long}a.", f" {long}b.", " Short.", " " + "w " * 150 + "end."))
    parts = [part.partition("\n") for part in cut(article)]
    assert [title for title, _, _ in parts] == ['"T"'] * 3
    assert [len(text.split()) for _, _, text in parts] == [71, 72, 151]
    assert " ".join(text for _, _, text in parts).split() == article.text.split()
    assert max(map(len, [text.split() for _, _, text in parts][:2])) <= WORDS


def test_a_dump_may_be_packed_and_lies_in_one_file_or_many(tmp_path: Path, dump: Path) -> None:
    packed = tmp_path / "packed" / "wiki.jsonl.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(dump.read_bytes()))
    assert list(read_passages(dump_files(packed.parent))) == list(read_passages([dump])) == PASSAGES
    (dump.parent / "more.jsonl").write_text('{"id": 7, "contents": "x\\ud800"}\n')
    assert [one.id for one in read_passages(dump_files(dump.parent))] == ["7", "0", "1", "2", "3"]
    assert next(read_passages(dump_files(dump.parent))).contents == "x?"
    with pytest.raises(DataError, match="no dump"):
        dump_files(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"id": "0", "contents": "x"}\n{"id": "1"}\n', "a.jsonl:2: not a passage"),
        ("a.jsonl", b'{"id": "0", "contents": 1}\n', "a.jsonl:1: not a passage"),
        ("a.jsonl", b"\xff\n", "a.jsonl:1: not a passage"),
        ("a.jsonl.gz", b"nothing packed", "cannot be read"),
        ("a.jsonl.gz", gzip.compress(b'{"id": "0", "contents": "x"}\n' * 2000)[:-20], "cannot be read"),
        ("a.jsonl", b'{"id": "0", "contents": "x"}\n' * 2, "one key"),
    ],
)
def test_a_damaged_dump_is_refused_and_nothing_half_written_stays(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        build_passages([path], tmp_path / "corpus")
    assert not list((tmp_path / "corpus").iterdir())


def test_a_collection_on_disk_answers_as_the_one_in_memory(tmp_path: Path, dump: Path) -> None:
    stored, pool = build_passages([dump], tmp_path / "corpus"), PoolRetriever(PASSAGES)
    assert len(stored) == len(pool) == 4
    for query in ("Ed Wood", "who made the film Ed Wood", "Norway", "x", "", "\ud800", "born " * 300):
        assert stored.search(query, 3) == pool.search(query, 3)
    assert stored.search("Ed Wood", 3)[0] == PASSAGES[0].contents
    assert pickle.loads(pickle.dumps(stored)).search("Bergen", 1) == [PASSAGES[3].contents]
    stored.close()


def test_a_build_is_opened_again_and_another_dump_replaces_it(tmp_path: Path, dump: Path) -> None:
    target = tmp_path / "corpus"
    build_passages([dump], target).close()
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*.npy")}
    build_passages([dump], target).close()
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*.npy")} == before
    dump.write_text(passage_line(PASSAGES[3]) + "\n")
    assert len(build_passages([dump], target)) == 1


def test_an_interrupted_index_goes_on_from_its_last_run(tmp_path: Path) -> None:
    made = [PassageRecord(str(number), f'"T{number}"\nword{number} and more words') for number in range(200)]

    def stream(until: int) -> Any:
        for number, passage in enumerate(made):
            if number == until:
                raise KeyboardInterrupt
            yield passage

    for until in (90, 150):
        with pytest.raises(KeyboardInterrupt):
            build_index(tmp_path / "i", stream(until), fingerprint="f", run_tokens=50)
    runs = len(list((tmp_path / "i.building").glob("run-*")))
    assert runs > 5
    whole = build_index(tmp_path / "i", stream(-1), fingerprint="f", run_tokens=50)
    assert [whole.search(f"word{number}", 1)[0][0] for number in (0, 89, 90, 149, 199)] == [
        "0",
        "89",
        "90",
        "149",
        "199",
    ]


@pytest.mark.slow
def test_a_build_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path: Path) -> None:
    DATA.generate(tmp_path / "made", count=3000, seed=0, split="train", progress=silent)
    command = [sys.executable, "-m", "sad_env", "build", "searchqa", "--quiet"]
    command += ["--source", str(tmp_path / "made"), "--out", str(tmp_path / "killed")]
    for seconds in (0.6, 0.9, 1.2, 1.5, 2.0, 2.5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    build_passages([tmp_path / "made" / "train.passages.jsonl"], tmp_path / "whole").close()

    def contents(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix != ".lock"
        }

    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_missing_or_damaged_collection_says_how_to_make_one(tmp_path: Path, dump: Path) -> None:
    with pytest.raises(DataError, match="sad-data build searchqa"):
        StoredRetriever(tmp_path)
    build_passages([dump], tmp_path / "corpus").close()
    (tmp_path / "corpus" / INDEX / "docs.npy").unlink()
    with pytest.raises(DataError, match="build it again"):
        StoredRetriever(tmp_path / "corpus")


# --- all together ---


def test_given_questions_over_a_built_collection_are_a_world(tmp_path: Path, dump: Path) -> None:
    build_passages([dump], tmp_path / "corpus").close()
    write_lines(
        tmp_path / "nq_test.jsonl",
        [
            question("a", "who made the film ed wood", "Tim Burton", "Burton"),
            question("b", "where is bergen", "Norway"),
        ],
    )
    for options in ({}, {"corpus": tmp_path / "corpus"}):
        check_world(lambda options=options: sad_env.make("searchqa", data=str(tmp_path), **options), tasks=2)
    env = SearchQAEnv(data=tmp_path)
    env.reset(options={"task_id": "nq/a"})
    observation, _, _, _, info = env.step("<search>ed wood film</search>")
    assert observation.startswith('Doc 1(Title: "Ed Wood (film)") Ed Wood is a film')
    assert (info["task_type"], info["answer_shown"]) == ("nq", True)
    _, reward, _, _, info = env.step("<answer>the Burton!</answer>")
    assert (reward, info["success"]) == (1.0, True)
    env.close()


def test_generated_files_are_the_world_that_was_generated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", "searchqa", "--count", "40", "--split", "test", "--out", str(tmp_path / "made"), "--quiet"]
    assert main(words) == 0
    assert "40 questions" in capsys.readouterr().out
    assert main(["verify", "searchqa", "--source", str(tmp_path / "made"), "--quiet"]) == 0
    assert "test.passages.jsonl: 1," in capsys.readouterr().out
    made, given = generate("test", 40, 1000), open_questions(str(tmp_path / "made"), None)
    assert [one.text for one in given.questions.values()] == [one.text for one in made.questions.values()]
    assert [one.answers for one in given.questions.values()] == [one.answers for one in made.questions.values()]
    command = ["build", "searchqa", "--quiet", "--out", str(tmp_path / "made" / "corpus")]
    pool = given.retriever
    for source in (tmp_path / "made", tmp_path / "made" / "test.passages.jsonl"):
        assert main([*command, "--source", str(source)]) == 0
        assert f"{len(made.passages):,} passages" in capsys.readouterr().out
    assert (tmp_path / "made" / "corpus" / STORE).is_file()
    stored = open_questions(str(tmp_path / "made"), None).retriever
    assert isinstance(stored, StoredRetriever)
    for one in made.questions.values():
        assert stored.search(one.text, 3) == pool.search(one.text, 3)
    assert main(["verify", "searchqa", "--source", str(tmp_path / "made"), "--quiet"]) == 0
    assert "corpus: 1," in capsys.readouterr().out


def test_a_dump_without_passages_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "wiki.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"wiki.jsonl: no passage is in there"):
        build_passages([tmp_path / "wiki.jsonl"], tmp_path / "built")
    assert not list((tmp_path / "built").iterdir())


def test_an_empty_corpus_is_searched_in_place_of_the_passages_that_come_with_questions(tmp_path: Path) -> None:
    write_lines(tmp_path / "test.jsonl", [question("1")])
    (tmp_path / "test.passages.jsonl").write_text("".join(passage_line(passage) + "\n" for passage in PASSAGES))
    build_store(tmp_path / "empty" / STORE, [], about={}).close()
    build_index(tmp_path / "empty" / INDEX, [], fingerprint="")
    for corpus, found in ((None, "Doc 1"), (tmp_path / "empty", "No passage was found.")):
        env = SearchQAEnv(data=tmp_path, corpus=corpus)
        env.reset()
        assert env.step("search[Bergen]")[0].startswith(found)


def test_a_build_may_be_put_where_one_is(
    tmp_path: Path, dump: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["build", "searchqa", "--source", str(dump), "--out", ".", "--quiet"]) == 0
    assert f"{tmp_path / 'here'}: " in capsys.readouterr().out
    assert (tmp_path / "here" / STORE).is_file()


def test_there_is_nothing_to_verify_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dump"):
        DATA.verify(tmp_path, progress=silent)


def test_the_packs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("searchqa")]
    assert [line.split()[1] for line in lines] == ["questions", "train", "passages"]
