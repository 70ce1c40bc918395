"""Logs in text: ReAct's (`Thought 1:`, `Action 1:`, or lines after `>`) and the paper's (`[REASON]`, `Reasoning:`)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from sad_agents.importing.episodes import LoggedEpisode, LoggedTurn, Source, json_sources, read_each, text_of
from sad_env.json_lines import RecordError
from sad_env.safe_text import one_line

_REACT = re.compile(
    r"^[ \t]*(?:(?P<R>thought|reasoning)|(?P<A>action|act|answer)|(?P<O>observation|obs))(?:[ \t]+\d+)?[ \t]*:[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_PAPER = re.compile(
    r"(?<!\w)(?:\[(?:(?P<R>REASON)|(?P<A>ACT)|(?P<O>OBS))\]"
    r"|(?:(?P<r>Reasoning)|(?P<a>Action|Answer)|(?P<o>Observation)):)[ \t]*"
)
_PROMPTED = re.compile(r"^>[ \t]*(?P<think>think:)?[ \t]*(?P<text>.*)$", re.MULTILINE)
_THINK = re.compile(r"think(?:\[(?P<inside>.*)\]|:(?P<after>.*))", re.IGNORECASE | re.DOTALL)
_BETWEEN = re.compile(r"^[ \t]*(?:-{3,}|={3,}|\*{3,})[ \t]*$")
_BEGINS = re.compile(r"^[ \t]*(?:Question|Q)[ \t]*:")
_TEXT_KEYS = ("text", "traj", "trajectory", "log", "transcript")
_SAID = ("", "ok", "ok.")
"""What ReAct's worlds answer to a thought."""


def read_react(path: Path, world: str) -> Iterator[tuple[int, LoggedEpisode | str]]:
    """Episodes of a file of ReAct logs.

    A text file holds episodes one after the other, divided by a line of ``---``, ``===`` or ``***``, or begun by a line
    ``Question:``; a ``.jsonl`` or ``.json`` file holds each as the entry text, traj, trajectory, log or transcript of
    an object, whose further entries say what else is known. The prompt's exemplars are not told from the episode: leave
    them out.

    Returns:
        For each the number of the first line, and the episode or why it cannot be read.
    """
    return _read(path, world, _REACT)


def read_paper(path: Path, world: str) -> Iterator[tuple[int, LoggedEpisode | str]]:
    """The same for the paper's forms, on one line or several.

    They are ``[REASON] ... [ACT] ... [OBS] ...`` (section 3.5) and ``Reasoning: ... Action: ...`` (appendix E); in
    HotPotQA ``Answer:`` ends an episode (appendix D).
    """
    return _read(path, world, _PAPER)


def _read(path: Path, world: str, marks: re.Pattern[str]) -> Iterator[tuple[int, LoggedEpisode | str]]:
    sources = json_sources(path) if path.suffix in (".json", ".jsonl") else _pieces(path)
    return read_each(sources, lambda content: _episode(content, world, marks))


def _pieces(path: Path) -> Iterator[Source]:
    """The episodes of a text file."""
    first, lines = 1, list[str]()
    for number, line in enumerate(text_of(path).splitlines(keepends=True), 1):
        divides = bool(_BETWEEN.match(line))
        if (divides or _BEGINS.match(line)) and "".join(lines).strip():
            yield Source(first, "".join(lines))
            lines = []
        if not divides:
            first = first if lines else number
            lines.append(line)
    if "".join(lines).strip():
        yield Source(first, "".join(lines))


def _episode(content: object, world: str, marks: re.Pattern[str]) -> LoggedEpisode:
    facts: dict[str, object] = {}
    if isinstance(content, dict):
        facts = {key: value for key, value in content.items() if key not in _TEXT_KEYS}
        content = next((content[key] for key in _TEXT_KEYS if key in content), None)
    if not isinstance(content, str):
        raise RecordError(f"an object with one of the entries {', '.join(_TEXT_KEYS)} is expected, a text")
    found = list(marks.finditer(content))
    pieces = _marked(content, found) if found else _prompted(content)
    first = found[0] if found else _PROMPTED.search(content)
    head = content[: first.start()] if first else ""
    told = [text for _, _, text in itertools.takewhile(lambda piece: piece[0] == "O", pieces)]
    turns = _turns(pieces[len(told) :], world)
    if not turns:
        raise RecordError("no thought and no action: " + one_line(content.strip() or "it is empty", 60))
    return LoggedEpisode("\n".join(filter(None, (head.strip(), *told))), turns, facts=facts)


def _marked(text: str, marks: list[re.Match[str]]) -> list[tuple[str, str, str]]:
    """Kind, name of the mark and text of each stretch."""
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [
        ((mark.lastgroup or "").upper(), mark.group().strip(" \t[]:").lower(), text[mark.end() : end].strip())
        for mark, end in zip(marks, ends, strict=True)
    ]


def _prompted(text: str) -> list[tuple[str, str, str]]:
    marks = list(_PROMPTED.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    pieces: list[tuple[str, str, str]] = []
    for mark, end in zip(marks, ends, strict=False):
        pieces += [
            ("R" if mark["think"] else "A", "", mark["text"].strip()),
            ("O", "", text[mark.end() : end].strip()),
        ]
    return pieces


def _turns(pieces: list[tuple[str, str, str]], world: str) -> list[LoggedTurn]:
    turns: list[LoggedTurn] = []
    thoughts: list[str] = []
    thought_last = False
    for kind, name, text in pieces:
        thought = _THINK.fullmatch(text) if kind == "A" else None
        if kind == "R" or thought:
            thoughts.append(text if thought is None else (thought["inside"] or thought["after"] or "").strip())
            thought_last = True
        elif kind == "A":
            turns.append(LoggedTurn(" ".join(filter(None, thoughts)), _action(name, text, world)))
            thoughts, thought_last = [], False
        elif thought_last and text.lower() in _SAID:
            thought_last = False
        elif turns:
            turns[-1] = turns[-1]._replace(observation="\n".join(filter(None, (turns[-1].observation, text))))
    if any(thoughts):
        turns.append(LoggedTurn(" ".join(filter(None, thoughts)), ""))
    return turns


def _action(name: str, text: str, world: str) -> str:
    """The first line; the rest of an action is no action. `Answer:` is how appendix D of the paper ends an episode."""
    lines = text.strip().splitlines()
    action = lines[0].strip() if lines else ""
    return f"finish[{action}]" if name.startswith("answer") and world == "hotpotqa" and action else action
