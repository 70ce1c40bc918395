"""Files and corpora: generated folders, official layout, dumps on disk, the 100 real questions."""

from __future__ import annotations

import bz2
import dataclasses
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sad_env
from sad_env import registry
from sad_env.data import silent
from sad_env.encyclopedia.articles import Article
from sad_env.errors import DataError, UnknownNameError
from sad_env.hotpotqa.built import stream_records
from sad_env.hotpotqa.corpus import PoolSource
from sad_env.hotpotqa.data import DATA
from sad_env.hotpotqa.env import HotPotQAEnv
from sad_env.hotpotqa.fullwiki import StoredSource, article_line, build_corpus, read_dump
from sad_env.hotpotqa.pages import Page, Similar
from sad_env.hotpotqa.questions import DEV_SIZE, load_questions, official_record, react_order, save_questions
from sad_env.hotpotqa.tasks import generate

REAL = "data/hotpotqa/hotpot_distractor_100.json"
SMALL = [
    Article("Ed Wood (film)", ("Ed Wood is a film.", " It is by Tim Burton.")),
    Article("Ed Wood", ("Ed Wood was a director.",), ("Edward Wood",)),
    Article("Tunnels &amp; Trolls", ("A game of caves.",)),
    Article("Doubled", ("The first of two.",)),
    Article("Doubled", ("The second of two.",)),
    Article("C", ("A letter.",)),
    Article("C++", ("A language.",), ("C plus",)),
    Article("C♯", ("A note.",)),
]
SIGNED = {"c++": "C++", "C++ ": "C++", " c♯": "C♯", "c": "C", "C-": "C", "C  PLUS": "C++"}
"""Names that differ from one another in signs alone, and whose page each is."""


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    DATA.generate(tmp_path, count=60, seed=5, split="test", progress=silent)
    return tmp_path


def test_a_generated_folder_is_played_as_given_data(generated: Path) -> None:
    env = HotPotQAEnv(data=generated, split="test")
    assert (env.panel.data, len(env.panel.task_ids)) == ("given", 60)
    assert len(env._tasks.articles) > 900
    expert = sad_env.make_expert("hotpotqa")
    for task in env.panel.task_ids[:20]:
        observation, info = env.reset(options={"task_id": task})
        expert.begin(observation, info)
        terminated = False
        while not terminated:
            action = expert.decide().action
            observation, _, terminated, _, info = env.step(action)
            expert.observe(action, observation, info)
        assert info["success"]


def test_a_generated_folder_verifies_and_a_damaged_one_does_not(generated: Path) -> None:
    (line,) = DATA.verify(generated, progress=silent)
    assert "60 questions; 0 without supporting facts, 0 whose" in line
    path = generated / "hotpot_test.json"
    path.write_text(path.read_text()[:-100])
    with pytest.raises(DataError, match="JSON"):
        DATA.verify(generated, progress=silent)


def test_questions_survive_the_file(tmp_path: Path) -> None:
    tasks = generate("test", 300, 1000, seed=5)
    records = [official_record(question, tasks.context(question)) for question in tasks.questions.values()]
    save_questions(tmp_path / "questions.json", records)
    read = load_questions(tmp_path / "questions.json")
    assert any(question.aliases for question in read)
    assert all(len(question.context) == 8 + len(question.titles) for question in read)
    plain = [dataclasses.replace(question, context=(), level="") for question in read]
    assert plain == list(tasks.questions.values())


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of hotpot_train"):
        HotPotQAEnv(data=tmp_path)
    with pytest.raises(DataError, match="none of hotpot_train"):
        DATA.verify(tmp_path, progress=silent)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "[1]",
        '[{"question": "x"}]',
        '[{"question": 1, "answer": "x"}]',
        '[{"question": "?", "answer": "x", "context": [["t", "not a list of texts", 1]]}]',
    ],
)
def test_files_in_another_schema_are_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "questions.json"
    path.write_text(content)
    with pytest.raises(DataError):
        HotPotQAEnv(data=path)


def test_the_splits_of_a_folder_are_its_files(tmp_path: Path) -> None:
    record = {
        "_id": "a",
        "question": "Who?",
        "answer": "Ed",
        "supporting_facts": [],
        "context": [["Ed", ["It is Ed."]]],
    }
    (tmp_path / "hotpot_dev_distractor_v1.json").write_text(json.dumps([record]))
    env = HotPotQAEnv(data=tmp_path)
    assert (env.panel.name, env.panel.task_ids) == ("dev", ("a",))
    with pytest.raises(UnknownNameError, match="known: dev, react-500"):
        HotPotQAEnv(data=tmp_path, split="train")
    with pytest.raises(DataError, match="drawn from all 7,405"):
        HotPotQAEnv(data=tmp_path, split="react-500")


def test_react_500_is_the_first_500_of_reacts_order(tmp_path: Path) -> None:
    records = [
        {"_id": f"{number:05d}", "question": "?", "answer": "x", "context": [["t", ["s"]]]}
        for number in range(DEV_SIZE)
    ]
    (tmp_path / "hotpot_dev_distractor_v1.json").write_text(json.dumps(records))
    panel = HotPotQAEnv(data=tmp_path, split="react-500").panel
    # ReAct's notebook prints these positions first.
    assert react_order()[:2] == [3687, 6238]
    assert panel.task_ids == tuple(sorted(f"{position:05d}" for position in react_order()[:500]))
    assert (panel.name, len(panel.task_ids)) == ("react-500", 500)


def test_a_pool_finds_exact_then_loose_titles_then_the_closest() -> None:
    pool = PoolSource(SMALL)
    assert len(pool) == 7
    for name in ("Ed Wood", "ed WOOD", "Edward Wood", "edward  wood!"):
        page = pool.find(name)
        assert isinstance(page, Page)
        assert page.title == "Ed Wood"
    assert pool.find("Tunnels & Trolls") == Page("Tunnels &amp; Trolls", "A game of caves.")
    assert pool.find("Doubled") == Page("Doubled", "The first of two.")
    assert pool.find("[Ed Wood]") == Similar(("Ed Wood", "Ed Wood (film)"))
    assert pool.find("Tim Burton") == Similar(("Ed Wood (film)",))
    assert [page.title for name in SIGNED if isinstance(page := pool.find(name), Page)] == list(SIGNED.values())
    assert pool.find("") == Similar(())
    assert pool.find("\ud800[]\x00") == Similar(())


def test_built_questions_are_the_questions_of_the_file(generated: Path, tmp_path: Path) -> None:
    message = DATA.build(generated, tmp_path / "built", progress=silent)
    assert message.endswith("test 60 questions")
    plain, built = HotPotQAEnv(data=generated), HotPotQAEnv(data=tmp_path / "built")
    assert plain.panel == built.panel
    assert dict(plain._tasks.questions) == dict(built._tasks.questions)
    for env in (plain, built):
        env.reset(seed=1)
    for action in ("search[Alda]", "search[Nobody Moor]", *(plain.oracle() or ())):
        assert plain.step(action)[1:4] == built.step(action)[1:4]
    HotPotQAEnv(data=tmp_path / "built").close()
    assert isinstance(built._tasks.pool.find(plain._tasks.articles[0].title), Page), "a closed copy closes no other"
    # The pool is made anew only where its source is another, be it as long as before.
    assert DATA.build(generated, tmp_path / "built", progress=silent) == message
    [articles] = generated.glob("articles_*.jsonl")
    article = plain._tasks.articles[0]
    changed = article.sentences[0].replace(" ", "_")
    text = articles.read_text()
    assert json.dumps(article.sentences[0]) in text
    articles.write_text(text.replace(json.dumps(article.sentences[0]), json.dumps(changed)))
    DATA.build(generated, tmp_path / "built", progress=silent)
    page = StoredSource(tmp_path / "built" / "pool_test").find(article.title)
    assert isinstance(page, Page)
    assert changed in page.text


def test_a_file_is_the_split_that_it_is_in_its_folder(generated: Path) -> None:
    folder, file = HotPotQAEnv(data=generated), HotPotQAEnv(data=generated / "hotpot_test.json")
    assert folder.panel == file.panel == HotPotQAEnv(data=generated / "hotpot_test.json", split="hotpot_test").panel
    assert folder._tasks.articles == file._tasks.articles


def test_built_questions_without_articles_have_the_pool_of_their_paragraphs(
    external_path: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "hotpot_dev_distractor_v1.json").write_bytes(external_path(REAL).read_bytes())
    DATA.build(tmp_path, tmp_path / "built", progress=silent)
    env = HotPotQAEnv(data=tmp_path / "built")
    assert len(env.panel.task_ids) == 100
    for question in env._tasks.questions.values():
        for title in question.titles:
            page = env._tasks.pool.find(title)
            assert isinstance(page, Page)
            assert page.title == title


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1]", '[{"a": 1}', '[{"question": "?"}]', '[{"a": 1} x]'])
def test_files_that_cannot_be_built_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "hotpot_test.json").write_text(content)
    with pytest.raises(DataError):
        DATA.build(tmp_path, tmp_path / "built", progress=silent)


@pytest.mark.parametrize(("name", "fault"), [("a\nb", "a newline"), ("a\ud800", "a lone surrogate")])
def test_an_id_that_no_panel_can_name_is_refused_when_it_is_built(name: str, fault: str, tmp_path: Path) -> None:
    record = {"_id": name, "question": "Who?", "answer": "she", "context": [["A", ["B."]]]}
    (tmp_path / "hotpot_test.json").write_text(json.dumps([record]))
    with pytest.raises(
        DataError, match=rf"hotpot_test.json: the name 'a.+ holds {fault}.* give it another _id"
    ) as caught:
        DATA.build(tmp_path, tmp_path / "built", progress=silent)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "built").exists()


def test_a_long_list_is_read_object_by_object(tmp_path: Path) -> None:
    records = [{"number": number, "text": "é]}[{," * number} for number in range(900)]
    for indent in (None, 1):
        (tmp_path / "long.json").write_text(json.dumps(records, indent=indent, ensure_ascii=False), encoding="utf-8")
        assert list(stream_records(tmp_path / "long.json")) == records


@pytest.mark.parametrize("form", ["jsonl", "parts", "archive"])
def test_a_corpus_on_disk_answers_as_a_pool_does(form: str, tmp_path: Path) -> None:
    write_dump(tmp_path / "dump", form)
    corpus = build_corpus(tmp_path / "dump", tmp_path / "corpus")
    pool = PoolSource(SMALL)
    assert len(corpus) == len(SMALL)
    names = [
        *SIGNED,
        "Ed Wood",
        "ed WOOD",
        "Edward Wood",
        "Tunnels & Trolls",
        "Doubled",
        "[Ed Wood]",
        "",
        "\ud800[]\x00",
        "caves",
    ]
    for name in names:
        assert corpus.find(name) == pool.find(name)
    corpus.close()
    again = StoredSource(tmp_path / "corpus")
    assert again.find("Ed Wood") == Page("Ed Wood", "Ed Wood was a director.")
    again.close()
    assert DATA.verify(tmp_path / "corpus", progress=silent) == [f"articles.sqlite: {len(SMALL)} articles"]


def write_dump(folder: Path, form: str) -> None:
    lines = "".join(article_line(article) + "\n" for article in SMALL).encode()
    folder.mkdir()
    if form == "jsonl":
        (folder / "dump.jsonl").write_bytes(lines)
    elif form == "parts":
        (folder / "AA").mkdir()
        (folder / "AA" / "wiki_00.bz2").write_bytes(bz2.compress(lines))
    else:
        packed = bz2.compress(lines)
        with tarfile.open(folder / "abstracts.tar.bz2", "w:bz2") as archive:
            entry = tarfile.TarInfo("abstracts/AA/wiki_00.bz2")
            entry.size = len(packed)
            archive.addfile(entry, io.BytesIO(packed))


def test_a_build_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    write_dump(tmp_path / "dump", "jsonl")
    told: list[str] = []

    def interrupt(what: str, done: int, total: int) -> None:
        told.append(what)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_corpus(tmp_path / "dump", tmp_path / "corpus", progress=interrupt)
    assert told
    corpus = build_corpus(tmp_path / "dump", tmp_path / "corpus")
    assert len(corpus) == len(SMALL)
    corpus.close()


def _packed(members: list[bytes]) -> bytes:
    """A tar archive of bz2 files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number, content in enumerate(members):
            entry = tarfile.TarInfo(f"AA/wiki_{number:02}.bz2")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def test_a_damaged_archive_is_refused_and_a_whole_one_is_read(tmp_path: Path) -> None:
    member = bz2.compress((article_line(SMALL[0]) + "\n").encode())
    whole = _packed([member, member])
    damaged = {
        "empty.tar": _packed([member, b""]),
        "cut-member.tar": _packed([member[:-4], member]),
        "empty.tar.bz2": bz2.compress(_packed([b"", member])),
        "cut-member.tar.bz2": bz2.compress(_packed([member, member[:20]])),
        "between-members.tar": whole[:1024],
        "in-a-header.tar": whole[:1100],
        "a-header.tar": whole[:1024] + b"x" + whole[1025:],
        "cut.tar.bz2": bz2.compress(whole)[:-10],
        "wiki_00.bz2": b"",
        "wiki_01.bz2": member[:-4],
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            list(read_dump([tmp_path / name]))
    for name, content in {"whole.tar": whole, "whole.tar.bz2": bz2.compress(whole)}.items():
        (tmp_path / name).write_bytes(content)
        assert list(read_dump([tmp_path / name])) == [SMALL[0], SMALL[0]]


def test_a_damaged_corpus_is_built_again(tmp_path: Path) -> None:
    write_dump(tmp_path / "dump", "jsonl")
    for name in ("articles.sqlite", "ranked/index.json"):
        for content in (b"nothing of the kind", b""):
            build_corpus(tmp_path / "dump", tmp_path / "corpus").close()
            (tmp_path / "corpus" / name).write_bytes(content)
            corpus = build_corpus(tmp_path / "dump", tmp_path / "corpus")
            assert len(corpus) == len(SMALL)
            assert isinstance(corpus.find("C++"), Page)
            corpus.close()


def test_changed_data_is_read_again(tmp_path: Path) -> None:
    for count in (3, 4):
        DATA.generate(tmp_path, count=count, seed=5, split="test", progress=silent)
        for place in (tmp_path, tmp_path / "hotpot_test.json"):
            assert len(HotPotQAEnv(data=place, split="test").panel.task_ids) == count
    env = HotPotQAEnv(data=tmp_path, split="test")
    assert env._tasks is HotPotQAEnv(data=tmp_path, split="test")._tasks
    (tmp_path / "articles_test.jsonl").write_text(article_line(SMALL[0]) + "\n")
    assert HotPotQAEnv(data=tmp_path, split="test")._tasks.articles == (SMALL[0],)


def test_questions_and_a_dump_are_built_from_one_folder(generated: Path, tmp_path: Path) -> None:
    write_dump(generated / "dump", "parts")
    line = DATA.build(generated, tmp_path / "built", progress=silent)
    assert line.endswith(f"test 60 questions, {len(SMALL)} articles")
    env = HotPotQAEnv(data=tmp_path / "built", source="fullwiki", corpus=tmp_path / "built")
    env.reset(seed=0)
    assert env.step("search[Ed Wood]")[0].startswith("Ed Wood was a director.")


def test_the_panel_of_a_given_folder_is_what_it_holds(generated: Path) -> None:
    (generated / "hotpot_test.json").rename(generated / "hotpot_train_v1.1.json")
    spec = registry.world("hotpotqa")
    assert spec.default_panel(str(generated)) == "train"
    assert spec.default_panel("generated") == "test"


def test_the_gold_titles_expert_looks_up_words_of_the_question_only() -> None:
    expert = sad_env.make_expert("hotpotqa", "expert-gold-titles")
    expert.begin("Question: Who was he?", {"supporting_titles": ["A"], "answer": "nobody", "turns_left": 7})
    expert.observe("search[A]", "A is a letter.", {"turns_left": 6})
    assert expert.decide().action == "finish[unknown]"


@pytest.mark.parametrize(
    "line", [b"{", b"{}", b'{"title": "x"}', b'{"title": 1, "text": []}', b'{"title": "x", "text": [1]}']
)
def test_a_dump_in_another_schema_is_refused(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "dump.jsonl").write_bytes(line + b"\n")
    with pytest.raises(DataError, match=r"dump\.jsonl:1"):
        build_corpus(tmp_path, tmp_path / "corpus")


def test_a_corpus_that_is_not_there_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sad-data build hotpotqa"):
        HotPotQAEnv(source="fullwiki", corpus=tmp_path)
    with pytest.raises(DataError, match="no dump"):
        build_corpus(tmp_path, tmp_path / "corpus")


@pytest.mark.parametrize("source", ["pool", "distractor"])
def test_gold_titles_lead_to_the_answers_of_the_real_questions(
    source: Any, external_path: Callable[[str], Path]
) -> None:
    env = HotPotQAEnv(data=external_path(REAL), source=source, reveal=True)
    expert = sad_env.make_expert("hotpotqa", "expert-gold-titles")
    won = 0
    for task in env.panel.task_ids:
        observation, info = env.reset(options={"task_id": task})
        expert.begin(observation, info)
        seen, terminated = "", False
        while not terminated:
            action = expert.decide().action
            if action.startswith("finish[") and action != "finish[unknown]":
                assert info["title_recall"] > 0, "a supporting article is read before the answer is said"
                assert info["answer"] in ("yes", "no") or action[7:-1].lower() in seen.lower()
            observation, _, terminated, _, info = env.step(action)
            seen += f"{action} {observation}"
            expert.observe(action, observation, info)
        won += info["success"]
    assert won >= 90


def test_a_search_for_a_gold_title_finds_it_first(external_path: Callable[[str], Path]) -> None:
    questions = load_questions(external_path(REAL))
    pool = PoolSource(article for question in questions for article in question.context)
    for title in [title for question in questions for title in question.titles]:
        page, similar = pool.find(title), pool.find(f"[{title}]")
        assert isinstance(page, Page)
        assert isinstance(similar, Similar)
        assert (page.title, similar.titles[0]) == (title, title)
