"""Lines that are no trajectory are refused, each with one clear line; none is half-read, none ends in a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sad_distill.commands.main import main as distill
from sad_eval.commands.play import main as play

from sad_env import cli, json_lines
from sad_env.json_lines import RecordError
from sad_env.records import Trajectory, read_trajectories

Episode = dict[str, Any]


def _set(**fields: Any) -> Callable[[Episode], str]:
    return lambda episode: json.dumps({**episode, **fields})


def _step(**fields: Any) -> Callable[[Episode], str]:
    return lambda episode: json.dumps({**episode, "steps": [{**episode["steps"][0], **fields}]})


def _text(change: Callable[[str], str]) -> Callable[[Episode], str]:
    return lambda episode: change(json.dumps(episode))


def _without(name: str) -> Callable[[Episode], str]:
    return lambda episode: json.dumps({key: value for key, value in episode.items() if key != name})


BAD: dict[str, Callable[[Episode], str | bytes]] = {
    "nothing": lambda episode: "",
    "blanks": lambda episode: "   ",
    "null": lambda episode: "null",
    "a number": lambda episode: "1",
    "a list": lambda episode: "[]",
    "a string": lambda episode: '"trajectory"',
    "half a line": _text(lambda line: line[: len(line) // 2]),
    "two objects": _text(lambda line: line + line),
    "a comment": _text(lambda line: line + " // fine"),
    "a trailing comma": _text(lambda line: line[:-1] + ",}"),
    "single quotes": _text(lambda line: line.replace('"', "'")),
    "a NUL before it": _text(lambda line: "\0" + line),
    "a raw control in a string": _text(lambda line: line.replace('"toy"', '"t\x1boy"')),
    "a byte-order mark": lambda episode: b"\xef\xbb\xbf" + json.dumps(episode).encode(),
    "UTF-16": lambda episode: json.dumps(episode).encode("utf-16"),
    "UTF-32": lambda episode: json.dumps(episode).encode("utf-32"),
    "a byte that is no UTF-8": lambda episode: json.dumps(episode).encode().replace(b"toy", b"t\xffy"),
    "a surrogate in UTF-8": lambda episode: json.dumps(episode).encode().replace(b"toy", b"t\xed\xa0\x80y"),
    "NaN": _text(lambda line: line.replace('"score": 0.0', '"score": NaN')),
    "Infinity": _text(lambda line: line.replace('"score": 0.0', '"score": -Infinity')),
    "an overflowing number": _text(lambda line: line.replace('"score": 0.0', '"score": 1e999')),
    "an overflowing extra": _text(lambda line: line.replace('"extra": {}', '"extra": {"f": 1e999}')),
    "a number of 5,000 digits": _text(lambda line: line.replace('"seed": 0', '"seed": ' + "9" * 5000)),
    "a hundred thousand brackets": lambda episode: "[" * 100_000,
    "a hundred thousand closed brackets": lambda episode: "[" * 100_000 + "]" * 100_000,
    "objects in objects": lambda episode: '{"a":' * 50_000 + "1" + "}" * 50_000,
    "depth inside a field": _text(lambda line: line.replace("{}", '{"a":' * 5000 + "1" + "}" * 5000)),
    "a key twice": _text(lambda line: line[:-1] + ', "success": true}'),
    "a key twice, deep": _text(lambda line: line.replace('"valid": false', '"valid": false, "valid": true')),
    "a key nobody knows": _set(injected=1),
    "a magic key": _set(__class__="os.system"),
    "no world": _without("world"),
    "no status": _without("status"),
    "no verdict": _without("success"),
    "version 0": _set(schema_version=0),
    "version 2": _set(schema_version=2),
    "version true": _set(schema_version=True),
    "version 1.0": _set(schema_version=1.0),
    "version '1'": _set(schema_version="1"),
    "an unknown status": _set(status="won"),
    "a status in capitals": _set(status="SUCCESS"),
    "a status list": _set(status=["success"]),
    "a verdict in words": _set(success="true"),
    "a verdict in numbers": _set(success=1),
    "a score in words": _set(score="1.0"),
    "a score that is a verdict": _set(score=True),
    "a score beyond floats": _set(score=10**400),
    "a seed with a point": _set(seed=0.5),
    "steps as an object": _set(steps={"0": {}}),
    "steps as a string": _set(steps="steps"),
    "a step that is none": _set(steps=[None]),
    "a task as a list": _set(task_id=["a"]),
    "extra as a list": _set(extra=[1]),
    "extra in words": _set(extra={"f1": "1"}),
    "spans with a gap": _step(spans=[{"kind": "A", "start": 1, "end": 3, "body": 1}]),
    "spans that overlap": _step(
        spans=[{"kind": "A", "start": 0, "end": 20, "body": 0}, {"kind": "R", "start": 5, "end": 30, "body": 5}]),
    "a span before the text": _step(spans=[{"kind": "A", "start": -5, "end": 3, "body": 0}]),
    "a span beyond the text": _step(spans=[{"kind": "A", "start": 0, "end": 10**12, "body": 0}]),
    "a body outside its span": _step(spans=[{"kind": "A", "start": 0, "end": 3, "body": 9}]),
    "a kind nobody knows": _step(spans=[{"kind": "<script>", "start": 0, "end": 3, "body": 0}]),
    "no spans": _step(spans=[]),
    "ids without labels": _step(token_ids=[1, 2], token_labels="A"),
    "labels nobody knows": _step(token_ids=[1], token_labels="Z"),
    "ids with points": _step(token_ids=[1.5], token_labels="A"),
    "admissible as a string": _step(admissible="look"),
    "admissible as an object": _step(admissible={"look": 1}),
    "an action that is null": _step(action=None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_refused_in_one_clear_line(
    name: str, episode: Episode, one_clear_line: Callable[[str], None]
) -> None:
    with pytest.raises(RecordError) as refused:
        Trajectory.from_json(BAD[name](episode))
    one_clear_line(str(refused.value))


@pytest.mark.parametrize("name", ["NaN", "a key twice", "objects in objects", "a byte that is no UTF-8", "version 2"])
def test_a_command_that_meets_a_bad_line_says_which_and_ends_with_code_5(
    name: str,
    episode: Episode,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    one_clear_line: Callable[[str], None],
) -> None:
    bad = BAD[name](episode)
    content = bad if isinstance(bad, bytes) else bad.encode()
    (tmp_path / "episodes.jsonl").write_bytes(json.dumps(episode).encode() + b"\n" + content + b"\n")
    assert play([str(tmp_path / "episodes.jsonl")]) == 5
    error = capsys.readouterr().err
    one_clear_line(error.rstrip("\n"))
    assert "episodes.jsonl:2:" in error


def test_an_endless_line_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", 1 << 20)
    with open(tmp_path / "bomb.jsonl", "wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(RecordError, match="a line longer than"):
        list(read_trajectories(tmp_path / "bomb.jsonl"))


def test_a_surrogate_survives_the_round_trip_and_is_written_as_an_escape(episode: Episode) -> None:
    trajectory = Trajectory.from_json(json.dumps({**episode, "agent": "\ud800"}))
    assert trajectory.agent == "\ud800"
    assert Trajectory.from_json(trajectory.to_json()) == trajectory
    trajectory.to_json().encode("ascii")


def test_an_error_message_that_quotes_the_input_is_made_visible(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise RecordError("\x1b]0;owned\x07 \u202e" + "x" * 10_000)

    assert cli.run("command", command) == 5
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(shown) < 1100


@pytest.mark.parametrize("key", ["messages", "conversations"])
def test_a_log_of_chats_is_told_how_it_is_read(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chats.jsonl").write_text(json.dumps({key: [{"role": "user", "content": "Find it."}]}) + "\n")
    said = "chats.jsonl:1: world: Field required; it is no file of trajectories: `sad-collect import` reads logs of"
    train = ["--method", "sft", "--mode", "offline", "--env", "toy", "--trajectories", "chats.jsonl", "--out", "run"]
    for command in (lambda: play(["chats.jsonl", "--plain"]), lambda: distill(train)):
        assert command() == 5
        assert said in capsys.readouterr().err
    Path("chats.jsonl").write_text(json.dumps({key: "none"}) + "\n")
    with pytest.raises(RecordError, match=r"chats\.jsonl:1: \w+: Field required$"):
        list(read_trajectories("chats.jsonl"))
