"""Records: round trip, strictness, spans that tile, and appends that survive kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sad_env.json_lines import JsonLinesWriter, RecordError
from sad_env.records import SpanKind, Status, Step, Trajectory, observation_chain, read_trajectories
from sad_env.transcript import HEADERS, action_end, compose, is_complete, parse, render, segment

anything = st.text(st.characters(), max_size=60)
line = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    completion = draw(st.one_of(anything, st.builds(lambda r, a: compose(r, a).text, line, line)))
    parsed = parse(completion)
    ids = tuple(draw(st.lists(st.integers(0, 50_000), max_size=8)))
    return Step(
        completion=completion,
        spans=parsed.spans,
        reasoning=parsed.reasoning,
        action=parsed.action,
        observation=draw(anything),
        reward=draw(st.floats(-1, 1)),
        parsed=not parsed.complaint,
        valid=draw(st.booleans()),
        admissible=draw(st.none() | st.lists(anything, max_size=3).map(tuple)),
        token_ids=ids,
        token_labels="R" * len(ids),
        logprobs=draw(st.none() | st.tuples(*[st.floats(-30, 0)] * len(ids))),
    )


trajectories = st.builds(
    Trajectory,
    world=st.just("toy"),
    data=st.sampled_from(["generated", "official", "given"]),
    split=st.just("test"),
    task_id=anything,
    seed=st.integers(0, 2**31),
    agent=anything,
    prompt=anything,
    observation=anything,
    steps=st.lists(steps(), max_size=4).map(tuple),
    status=st.sampled_from(Status),
    success=st.booleans(),
    score=st.floats(0, 1),
    extra=st.dictionaries(st.text(max_size=5), st.floats(0, 1), max_size=2),
)


@given(trajectories)
def test_json_round_trip_is_identity_and_ascii(trajectory: Trajectory) -> None:
    text = trajectory.to_json()
    assert text.isascii()
    assert "\n" not in text
    assert Trajectory.from_json(text) == trajectory


@given(trajectories, st.sampled_from(["lines", "tags"]))
def test_rendered_spans_tile_the_text(trajectory: Trajectory, style: str) -> None:
    rendering = render(trajectory, style)  # type: ignore[arg-type]
    assert "".join(rendering.text[s.start : s.end] for s in rendering.spans) == rendering.text
    position = 0
    for span in rendering.spans:
        assert span.start == position
        assert span.start <= span.body <= span.end
        position = span.end
    assert position == len(rendering.text)


@given(trajectories)
def test_lines_hold_completions_and_observations_to_the_character(trajectory: Trajectory) -> None:
    rendering = render(trajectory)
    agent = "".join(
        rendering.text[s.start : s.end] for s in rendering.spans if s.kind in (SpanKind.REASON, SpanKind.ACT)
    )
    world = [rendering.text[s.body : s.end - 1] for s in rendering.spans if s.kind is SpanKind.OBS]
    assert agent == "".join(step.completion for step in trajectory.steps)
    assert world == [trajectory.observation, *(step.observation for step in trajectory.steps)]


@given(anything)
def test_any_completion_is_tiled_and_parsed_without_raising(completion: str) -> None:
    parsed = parse(completion)
    assert "".join(completion[s.start : s.end] for s in parsed.spans) == completion
    assert bool(parsed.action) != bool(parsed.complaint)


@given(line, line)
def test_segment_inverts_compose(reasoning: str, action: str) -> None:
    composed = compose(reasoning, action)
    assert segment(composed.text) == composed.spans


@pytest.mark.parametrize(
    ("completion", "reasoning", "action"),
    [
        ("Reasoning: a\nAction: b\n", "a", "b"),
        ("Thought: a\nAction: b\n", "a", "b"),
        ("Thought 1: a\nAction 1: b\n", "a", "b"),
        ("I think.\nAction: b", "I think.", "b"),
        ("Reasoning: a\nReasoning: c\nAction: b\nAction: d\n", "a c", "b"),
        ("Action: search[a: b]\n", "", "search[a: b]"),
        ("reasoning: a\naction: b\n", "a", "b"),
    ],
)
def test_parse_reads_the_forms_models_write(completion: str, reasoning: str, action: str) -> None:
    parsed = parse(completion)
    assert (parsed.reasoning, parsed.action, parsed.complaint) == (reasoning, action, "")


@pytest.mark.parametrize("completion", ["", "\n", "go to bed", "Reasoning: a\n", "Action:\n", "Action:  \n\n"])
def test_parse_complains_where_there_is_no_action(completion: str) -> None:
    assert parse(completion).complaint


@given(st.text("aA: \n\r\x0b", max_size=30).flatmap(lambda text: st.just(text.replace("A", "Action:"))))
def test_the_end_of_the_action_is_where_its_span_first_holds_a_whole_line(text: str) -> None:
    """By the definition, on ever longer beginnings of the text."""

    def whole(part: str) -> bool:
        bodies = [part[span.body : span.end] for span in segment(part) if span.kind is SpanKind.ACT]
        return any("\n" in body.lstrip() for body in bodies if body.strip())

    ends = [end for end in range(len(text) + 1) if whole(text[:end])]
    assert action_end(text) == (ends[0] if ends else None)


def test_a_completion_is_complete_once_its_action_line_has_ended() -> None:
    assert not is_complete("Reasoning: a\nAction: b")
    assert is_complete("Reasoning: a\nAction: b\n")
    assert not is_complete("Reasoning: a\nAction: \n")
    assert not is_complete("Reasoning: I will not say Action: b\n")


def small(task: str = "t", observation: str = "o") -> Trajectory:
    written = compose("r", "a")
    step = Step(completion=written.text, spans=written.spans, reasoning="r", action="a", observation=observation)
    return Trajectory(
        world="toy", data="generated", split="test", task_id=task, agent="x", observation="first", steps=(step,),
        status=Status.SUCCESS, success=True,
    )  # fmt: skip


def test_a_step_names_its_author_only_where_that_was_another() -> None:
    own = small()
    assert "author" not in own.to_json()
    guided = own.model_copy(update={"steps": (own.steps[0].model_copy(update={"author": "teacher"}),)})
    assert json.loads(guided.to_json())["steps"][0]["author"] == "teacher"
    assert Trajectory.from_json(guided.to_json()) == guided


def test_the_observation_chain_sees_actions_observations_and_task() -> None:
    chains = {observation_chain(t) for t in (small(), small("u"), small(observation="p"))}
    assert len(chains) == 3
    assert observation_chain(small()) == observation_chain(small())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema version 2; this release reads version 1"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"seed": "7"}, "seed: Input should be a valid integer"),
        ({"status": "won"}, "status: Input should be"),
        ({"score": None}, "score"),
    ],
)
def test_a_foreign_record_is_refused_with_its_reason(change: dict[str, object], message: str) -> None:
    record = json.loads(small().to_json()) | change
    with pytest.raises(RecordError, match=message):
        Trajectory.from_json(json.dumps(record))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ('{"a": 1, "a": 2}', "'a' comes twice"),
        ('{"a": NaN}', "NaN is no number"),
        ("[" * 200_000, "nested too deep"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_hostile_json_is_refused_in_one_line(text: str | bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        Trajectory.from_json(text)
    assert "\n" not in str(caught.value)


def test_spans_that_do_not_tile_are_refused() -> None:
    record = json.loads(small().to_json())
    record["steps"][0]["spans"][1]["start"] += 1
    with pytest.raises(RecordError, match="a span starts at"):
        Trajectory.from_json(json.dumps(record))


def test_a_torn_tail_is_cut_and_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "episodes.jsonl"
    path.write_bytes(b'{"a":1}\n{"b":2')
    with JsonLinesWriter(path) as writer:
        writer.append('{"c":3}')
    assert path.read_bytes() == b'{"a":1}\n{"c":3}\n'
    assert (tmp_path / "episodes.jsonl.torn").read_bytes() == b'{"b":2\n'


def test_reading_names_the_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(small().to_json() + "\n{}\n")
    with pytest.raises(RecordError, match=r"x\.jsonl:2: "):
        list(read_trajectories(path))


def test_a_last_line_without_a_newline_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    line = small().to_json()
    path.write_text(f"{line}\n{line}")
    assert len(list(read_trajectories(path))) == 2
    assert len(list(read_trajectories(path, unended=False))) == 1
    path.write_text(f"{line}\n{line[:-1]}")
    assert len(list(read_trajectories(path))) == 1


def test_appends_survive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    program = textwrap.dedent(f"""
        from sad_env.json_lines import JsonLinesWriter
        writer = JsonLinesWriter({str(path)!r})
        number = 0
        while True:
            writer.append('{{"n": %d, "pad": "%s"}}' % (number, "x" * 5000))
            print(number, flush=True)
            number += 1
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    confirmed = 20 + len(process.stdout.read().splitlines())
    process.wait()
    process.stdout.close()
    with JsonLinesWriter(path) as writer:
        writer.append('{"n": -1}')
    numbers = [json.loads(row)["n"] for row in path.read_text().splitlines()]
    assert numbers[-1] == -1
    assert numbers[:-1] == list(range(len(numbers) - 1))
    assert len(numbers) - 1 >= confirmed


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    program = textwrap.dedent(f"""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from sad_env.json_lines import JsonLinesWriter
        writer = JsonLinesWriter({str(path)!r})
        writer.append("1" * 100)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))
        try:
            writer.append("2" * 100)
        except OSError:
            print("refused")
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    assert path.read_text() == "1" * 100 + "\n"


def test_headers_are_those_of_the_template() -> None:
    assert list(HEADERS.values()) == ["Reasoning: ", "Action: ", "Observation: "]
