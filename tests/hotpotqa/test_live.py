"""The live source against a local server that answers as MediaWiki does, and as networks do."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.hotpotqa.engine import ReActEngine
from sad_env.hotpotqa.env import HotPotQAEnv
from sad_env.hotpotqa.live import LiveSource
from sad_env.hotpotqa.pages import Page, Similar
from sad_env.hotpotqa.questions import load_questions
from sad_env.http import Patience


@dataclass
class Wiki:
    """A local MediaWiki.

    Attributes:
        base: address of its index.php.
        pages: search term to HTML; any other term gets the list of `titles`.
        titles: what a search without a page finds.
        faults: search term to what happens to its next requests, in order: a status, or a word.
        asked: search terms in the order they came.
        agents: User-Agent headers in the same order.
    """

    base: str = ""
    pages: dict[str, str] = field(default_factory=dict)
    titles: tuple[str, ...] = ("Ed Wood", "Ed Wood (film)")
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)

    def answer(self, term: str) -> str:
        if term in self.pages:
            return self.pages[term]
        heading = '<div class="mw-search-result-heading"><a href="/wiki/x">{}</a> </div>'
        return "<ul>" + "".join(f"<li>{heading.format(title)}</li>" for title in self.titles) + "</ul>"


def page(title: str, *paragraphs: str) -> str:
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return f'<html><head><title>{title} - Wikipedia</title></head><h1 id="firstHeading">{title}</h1>{body}</html>'


@pytest.fixture
def wiki() -> Iterator[Wiki]:
    state = Wiki()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path.startswith("/wiki/"):
                self.send(200, state.pages[parts.path[6:]])
                return
            term = parse_qs(parts.query, keep_blank_values=True)["search"][0]
            state.asked.append(term)
            state.agents.append(self.headers["User-Agent"])
            fault = state.faults[term].pop(0) if state.faults.get(term) else 200
            self.misbehave(fault, term)

        def misbehave(self, fault: int | str, term: str) -> None:
            body = state.answer(term)
            if fault == "slow":
                time.sleep(1.2)
                self.send(200, body)
            elif fault == "drip":
                self.send_response(200)
                self.end_headers()
                for _ in range(20):
                    time.sleep(0.1)
                    self.wfile.write(b"x")
            elif fault == "cut":
                self.send(200, body, length=len(body) + 999)
            elif fault == "drop":
                self.connection.close()
            elif fault == "latin":
                self.send(200, body, encoding="iso-8859-1")
            elif fault == "elsewhere":
                self.send(302, "", headers={"Location": f"/wiki/{term}"})
            elif fault == 200:
                self.send(200, body)
            else:
                self.send(int(fault), "busy", headers={"Retry-After": "0"})

        def send(
            self, status: int, body: str, *, length: int = -1, encoding: str = "utf-8", headers: Mapping[str, str] = {}
        ) -> None:
            data = body.encode(encoding, "replace")
            self.send_response(status)
            self.send_header("Content-Type", f"text/html; charset={encoding}")
            self.send_header("Content-Length", str(len(data) if length < 0 else length))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that gave up is part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.base = f"http://127.0.0.1:{server.server_port}/w/index.php"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def source(wiki: Wiki, tmp_path: Path) -> Iterator[LiveSource]:
    live = LiveSource(
        wiki.base, cache=tmp_path, patience=Patience(seconds=0, attempts=3, pause=0.01, connect=1.0, answer=0.8)
    )
    yield live
    live.close()


def test_a_page_is_read_with_its_title_and_date(wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["Ed Wood"] = page("Ed Wood", "Ed Wood was a director. He wrote.", "too short")
    found = source.find("Ed Wood")
    assert isinstance(found, Page)
    assert (found.title, found.text) == ("Ed Wood", "Ed Wood was a director. He wrote.\n")
    assert len(found.date) == 10


def test_a_result_list_gives_titles(source: LiveSource) -> None:
    assert source.find("Ed Wox") == Similar(("Ed Wood", "Ed Wood (film)"))


def test_a_disambiguation_page_asks_again_in_brackets(wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["Ed"] = page("Ed", "Ed may refer to:") + "<ul><li>Ed Wood</li></ul>"
    engine = ReActEngine(source, "?", ("x",))
    assert engine.step("search[Ed]").observation == "Could not find [Ed]. Similar: ['Ed Wood', 'Ed Wood (film)']."
    assert wiki.asked == ["Ed", "[Ed]"]


def test_a_redirect_is_followed(wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["Edward"] = page("Ed Wood", "He was called Edward.")
    wiki.faults["Edward"] = ["elsewhere"]
    found = source.find("Edward")
    assert isinstance(found, Page)
    assert found.title == "Ed Wood"


@pytest.mark.parametrize("term", ["Tunnels & Trolls", "C# 100% a+b", "Čapek “x”", 'I"s', "", " ", "a" * 500, "]["])
def test_odd_names_reach_the_wiki_as_they_were_written(term: str, wiki: Wiki, source: LiveSource) -> None:
    source.find(term)
    assert wiki.asked == [term]


def test_odd_characters_come_back_as_they_are(wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["x"] = page("Ł", "“Łódź” &amp; 中文 🎬 and&nbsp;more \\xc3\\xa9")
    found = source.find("x")
    assert isinstance(found, Page)
    # One backslash in a paragraph sends all of it through Latin-1, which these characters survive.
    assert found.text == "“Łódź” & 中文 🎬 and\xa0more é\n"
    assert found.damaged == 0


def test_a_declared_encoding_is_respected(wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["x"] = page("x", "café au lait")
    wiki.faults["x"] = ["latin"]
    found = source.find("x")
    assert isinstance(found, Page)
    assert found.text == "café au lait\n"


def test_broken_html_is_read_as_far_as_it_goes(wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["x"] = "<p>one two three<p>four five <b>six</p><ul><li>seven eight nine"
    found = source.find("x")
    assert isinstance(found, Page)
    # An unclosed paragraph holds all that follows it: so the original's parser reads it, and so do we.
    assert found.text == "one two threefour five sixseven eight nine\nfour five six\nseven eight nine\n"


def test_an_empty_page_is_a_page_without_sentences(wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["x"] = ""
    engine = ReActEngine(source, "?", ("x",))
    assert engine.step("search[x]").observation == ""
    assert engine.step("lookup[x]").observation == "No more results.\n"


def test_lists_inside_lists_are_read_as_the_original_reads_them(wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["x"] = "<ul><li>a b c<ul><li>d e f</li></ul></li></ul>"
    found = source.find("x")
    assert isinstance(found, Page)
    assert found.text == "a b cd e f\nd e f\n"


@pytest.mark.parametrize("fault", [429, 500, 503, "slow", "drip", "cut", "drop"])
def test_a_passing_fault_is_tried_again(fault: int | str, wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["x"] = page("x", "one two three")
    wiki.faults["x"] = [fault]
    found = source.find("x")
    assert isinstance(found, Page)
    assert found.text == "one two three\n"
    assert wiki.asked == ["x", "x"]


@pytest.mark.parametrize("fault", [429, 500, "slow", "drop"])
def test_a_lasting_fault_is_the_networks_not_the_agents(fault: int | str, wiki: Wiki, source: LiveSource) -> None:
    wiki.faults["x"] = [fault] * 3
    with pytest.raises(InfrastructureError, match="no answer after 3 attempts"):
        source.find("x")
    assert len(wiki.asked) == 3


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_not_tried_again(status: int, wiki: Wiki, source: LiveSource) -> None:
    wiki.faults["x"] = [status]
    with pytest.raises(InfrastructureError, match=f"refuses with {status}"):
        source.find("x")
    assert len(wiki.asked) == 1


@pytest.mark.parametrize("status", [400, 414])
def test_what_cannot_be_searched_for_is_an_answer_to_the_agent(status: int, wiki: Wiki, source: LiveSource) -> None:
    wiki.faults["x"] = [status]
    env = HotPotQAEnv(source=source)
    env.reset(seed=0)
    observation, _, terminated, _, info = env.step("search[x]")
    assert (isinstance(observation, str), terminated, info["turns_left"]) == (True, False, 6)


def test_a_wiki_that_is_not_there_is_an_infrastructure_error(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError):
        LiveSource("http://127.0.0.1:9/w/index.php", cache=tmp_path, patience=Patience(attempts=1)).find("x")


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="http"):
        LiveSource("ftp://example.org")


def test_the_client_says_who_it_is(wiki: Wiki, source: LiveSource) -> None:
    source.find("x")
    assert "sad-env" in wiki.agents[0]


def test_an_answer_is_kept_and_a_damaged_copy_fetched_anew(wiki: Wiki, source: LiveSource, tmp_path: Path) -> None:
    wiki.pages["x"] = page("x", "one two three")
    first = source.find("x")
    assert source.find("x") == first
    assert wiki.asked == ["x"]
    (kept,) = tmp_path.rglob("*.json")
    assert set(json.loads(kept.read_text())) == {"url", "date", "html"}
    kept.write_text("{")
    assert source.find("x") == first
    assert wiki.asked == ["x", "x"]


def test_a_fault_in_an_episode_loses_nothing(wiki: Wiki, source: LiveSource) -> None:
    wiki.pages["x"] = page("x", "one two three")
    wiki.faults["x"] = [500] * 3
    env = HotPotQAEnv(source=source)
    env.reset(seed=0)
    env.step("think[first]")
    with pytest.raises(InfrastructureError):
        env.step("search[x]")
    observation, _, _, _, info = env.step("search[x]")
    assert observation == "one two three."
    assert info["turns_left"] == 5
    assert len(info["page_date"]) == 10


def test_the_golden_of_the_original_is_replayed_over_http(
    wiki: Wiki, golden: Callable[[str], Iterator[Any]], external_path: Callable[[str], Path], tmp_path: Path
) -> None:
    questions = load_questions(external_path("data/hotpotqa/hotpot_distractor_100.json"))
    for episode in itertools.islice(golden("hotpotqa_react.jsonl.gz"), 0, None, 5):
        prefix = "https://en.wikipedia.org/w/index.php?search="
        wiki.pages = {url.removeprefix(prefix).replace("+", " "): html for url, html in episode["responses"].items()}
        question = questions[episode["question_index"]]
        live = LiveSource(wiki.base, cache=tmp_path / str(episode["episode"]), patience=Patience(attempts=1))
        engine = ReActEngine(live, question.text, question.answers)
        for step in episode["steps"]:
            answered = engine.step(step["action"])
            assert "raises" in step or answered.observation == step["observation"]
        live.close()
