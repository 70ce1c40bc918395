"""Trajectories for other programs: exported and imported again they are the same, and other programs take them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sad_agents.collect_command import main
from sad_agents.exporting.messages import chat_row, step_rows
from sad_distill.data.labels import label_offsets, label_trajectory
from sad_eval.commands.evaluate import main as evaluate
from sad_eval.runs.run_folder import RunFolder

from sad_env.records import Span, SpanKind, Step, Trajectory, read_trajectories
from sad_env.transcript import FORMS, form_of, in_form, render

sys.path.insert(0, str(Path(__file__).parent))
from test_chat import TEMPLATES, with_template


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of the experts of two worlds, slips included."""
    folder = tmp_path_factory.mktemp("recorded")
    both = folder / "both.jsonl"
    with both.open("w") as out:
        for world, count in (("alfworld", 6), ("toy", 20)):
            one = folder / f"{world}.jsonl"
            flags = ["--episodes", str(count), "--slip", "0.2", "--workers", "0", "--quiet"]
            assert main(["--env", world, *flags, "--out", str(one)]) == 0
            out.write(one.read_text())
    return both


def export(source: Path, layout: str, out: Path, *flags: str, code: int = 0) -> Path:
    assert main(["export", str(source), "--to", layout, "--out", str(out), *flags]) == code
    return out


def imported(file: Path, layout: str, *flags: str) -> list[Trajectory]:
    out = file.with_suffix(".again.jsonl")
    assert main(["import", str(file), "--from", layout, "--env", "toy", "--out", str(out), *flags]) == 0
    return list(read_trajectories(out))


def texts(one: Trajectory) -> list[Any]:
    steps = [(step.completion, step.spans, step.reasoning, step.action, step.observation) for step in one.steps]
    return [one.observation, steps, one.form, one.task_id, one.success, one.score, one.status, one.unknown]


def odd(form: str) -> Trajectory:
    """What models write: no action, thoughts on several lines, text without a header, sampled ids, foreign letters."""
    writing = form_of(form)
    written = ["I do not know.\n\n", f"{writing.thought('Hm.')}and more\n{writing.render('', 'look 💥').text}", "x"]
    steps = []
    for text in written:
        reasoning, action, spans, _ = writing.parse(text)
        ids = tuple(range(len(spans)))
        steps.append(
            Step(
                completion=text,
                spans=spans,
                reasoning=reasoning,
                action=action,
                observation="Observation: of\n\nlines",
                token_ids=ids,
                logprobs=tuple(-0.5 * one for one in ids),
                token_labels="".join(span.kind.value for span in spans),
                generated_tokens=7,
                valid=False,
                parsed=bool(action),
            )
        )
    return Trajectory(
        world="toy",
        data="generated",
        split="test",
        task_id="odd",
        agent="m",
        prompt="Play.",
        observation="You see: ring.",
        steps=tuple(steps),
        status="max_steps",
        success=False,
        form=form,
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", ["atif", "messages"])
def test_what_is_exported_and_imported_has_the_same_texts_and_spans(
    layout: str, form: str, recorded: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source.jsonl"
    episodes = [*(in_form(one, form) for one in read_trajectories(recorded)), odd(form)]
    source.write_text("".join(one.to_json() + "\n" for one in episodes))
    again = imported(export(source, layout, tmp_path / "out.jsonl"), layout)
    assert [texts(one) for one in again] == [texts(one) for one in episodes]
    slips = [span for one in again for step in one.steps for span in step.spans if span.kind is SpanKind.NONE]
    assert len(slips) > 10
    other = "tags" if form == "lines" else "lines"
    (tmp_path / "out.again.jsonl").unlink()
    changed = imported(tmp_path / "out.jsonl", layout, "--form", other)
    assert {one.form for one in changed} == {other}
    assert [step.action for one in changed for step in one.steps] == [
        step.action for one in episodes for step in one.steps
    ]


def test_an_import_whose_ending_is_not_known_stays_so(tmp_path: Path) -> None:
    source = tmp_path / "source.jsonl"
    source.write_text(
        odd("lines").model_copy(update={"unknown": ("success", "status", "score")}).to_json()
    )  # no newline
    for layout in ("atif", "messages"):
        out = export(source, layout, tmp_path / f"{layout}.jsonl")
        assert imported(out, layout)[0].unknown == ("success", "status", "score")


def test_damaged_spans_are_told(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = chat_row(next(read_trajectories(recorded)))
    short = {**row, "spans": row["spans"][:-1]}
    torn = {**row, "spans": [one[:-1] for one in row["spans"]]}
    foreign = {**row, "spans": [[{"kind": "R", "start": 0, "end": "x"}]] * len(row["spans"])}
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in (row, short, torn, foreign)))
    out = tmp_path / "again.jsonl"
    assert main(["import", str(file), "--from", "messages", "--env", "alfworld", "--out", str(out)]) == 5
    told = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"{file}:").partition(":")[0] for line in told] == ["2", "3", "4"]
    assert len(list(read_trajectories(out))) == 1


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_chat_through_a_template_is_labelled_as_training_labels_it(template: str, recorded: Path) -> None:
    tokenizer: Any = with_template(template)
    if template == "qwen3_thinking":
        pytest.skip("it opens thoughts by itself: episodes in the form of lines are no chats of it")
    for episode in read_trajectories(recorded):
        row = chat_row(episode)
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False, date_string="26 Jul 2024")
        labels = letters(text, row)
        ours = label_trajectory(tokenizer, episode.model_copy(update={"chat": True}))
        # A template that trims takes the newline at a completion's end, which is a token of its own.
        last = -1 if next(filter(is_written, row["messages"]))["content"] not in text else None
        agent = "".join(segment.labels[:last] for segment in ours if set(segment.labels) & set("RA"))
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = tuple(Span(kind=letter, start=at, end=at + 1, body=at) for at, letter in enumerate(labels))
        theirs, _ = label_offsets(encoded["offset_mapping"], spans)
        assert theirs.replace("N", "") == agent.replace("N", "")


def is_written(message: dict[str, str]) -> bool:
    return message["role"] == "assistant"


def letters(text: str, row: dict[str, Any]) -> str:
    """A letter for each character of a rendered chat, from the column `spans` alone; every span is found again."""
    found, position = ["N"] * len(text), 0
    written = [message["content"] for message in row["messages"] if is_written(message)]
    for content, spans in zip(written, row["spans"], strict=True):
        start = text.index(content.strip(), position) - (len(content) - len(content.lstrip()))
        for span in spans:
            piece = content[span["start"] : span["end"]]
            assert text[start + span["start"] :].startswith(piece.rstrip("\n"))
            end = min(start + span["end"], start + len(content.rstrip("\n")) + text[start:].startswith(content))
            found[start + span["start"] : end] = span["kind"] * (end - start - span["start"])
        position = start + len(content.strip())
    return "".join(found)


def test_prompts_and_completions_of_steps_are_the_transcript(recorded: Path) -> None:
    for episode in read_trajectories(recorded):
        whole = render(episode).text
        rows = list(step_rows(episode))
        assert [row["step"] for row in rows] == [
            number
            for number, step in enumerate(episode.steps)
            if any(span.kind is not SpanKind.NONE for span in step.spans)
        ]
        for row in rows:
            assert whole.startswith(row["prompt"] + row["completion"])
            assert row["spans"] == [span.model_dump(mode="json") for span in episode.steps[row["step"]].spans]


def test_harbors_models_take_every_document(recorded: Path, tmp_path: Path) -> None:
    python = os.environ.get("SAD_HARBOR_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import harbor.models.trajectories"], capture_output=True).returncode:
        pytest.skip("harbor is not installed: SAD_HARBOR_PYTHON names an interpreter that has it")
    source = tmp_path / "source.jsonl"
    source.write_text(recorded.read_text() + "".join(odd(form).to_json() + "\n" for form in FORMS))
    out = export(source, "atif", tmp_path / "out.jsonl")
    script = Path(__file__).parent / "atif_by_harbor.py"
    done = subprocess.run([python, str(script), str(out)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == sum(1 for _ in read_trajectories(source))


def test_documents_have_what_atif_has_entries_for(tmp_path: Path) -> None:
    source = tmp_path / "source.jsonl"
    source.write_text(odd("think").to_json() + "\n")
    document = json.loads(export(source, "atif", tmp_path / "out.jsonl").read_text())
    assert [step["source"] for step in document["steps"]] == ["system", "user", "agent", "agent", "agent"]
    first, second, _ = document["steps"][2:]
    assert first["message"] == "I do not know.\n\n"
    assert first["metrics"]["completion_token_ids"] == [0]
    assert second["metrics"]["logprobs"] == [-0.5 * one for one in second["metrics"]["completion_token_ids"]]
    assert second["reasoning_content"].startswith("Hm.")
    assert second["tool_calls"][0]["arguments"] == {"action": "look 💥"}
    assert second["observation"]["results"][0]["source_call_id"] == second["tool_calls"][0]["tool_call_id"]
    assert document["final_metrics"] == {"total_steps": 5, "total_completion_tokens": 21}
    assert document["extra"]["status"] == "max_steps"


@pytest.mark.parametrize("rows", ["episodes", "steps"])
def test_a_data_set_comes_back_from_parquet(rows: str, recorded: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    datasets = pytest.importorskip("datasets")
    folder = export(recorded, "parquet", tmp_path / "set", "--rows", rows)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "train.parquet"]
    episodes = list(read_trajectories(recorded))
    due = [row for one in episodes for row in (step_rows(one) if rows == "steps" else [chat_row(one)])]
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    assert [dict(row) for row in loaded["train"]] == due
    card = (folder / "README.md").read_text()
    assert f"| train | alfworld | generated | {episodes[0].agent} " in card.replace("\\", "")
    assert f"`{'messages' if rows == 'episodes' else 'completion'}`" in card


def test_a_lone_surrogate_is_no_parquet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    source = tmp_path / "source.jsonl"
    source.write_text(odd("lines").model_copy(update={"observation": "\ud800"}).to_json() + "\n")
    export(source, "parquet", tmp_path / "set", code=5)
    assert "lone surrogate: odd" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [source]


def test_inspect_reads_its_log(recorded: Path, tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log")
    source = tmp_path / "toy.jsonl"
    toy = [one for one in read_trajectories(recorded) if one.world == "toy"]
    source.write_text("".join(one.to_json() + "\n" for one in toy))
    for suffix in (".eval", ".json"):
        found = log.read_eval_log(str(export(source, "inspect", tmp_path / f"out{suffix}")))
        assert (found.eval.task, found.status, len(found.samples)) == ("sad_env/toy", "success", 20)
        means = {score.name: score.metrics["mean"].value for score in found.results.scores}
        assert means["success"] == sum(one.success for one in toy) / 20
        told = {sample.metadata["task_id"]: sample.messages[0].text for sample in found.samples}
        assert told == {one.task_id: one.observation for one in toy}


def test_a_log_of_several_worlds_is_refused(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("inspect_ai")
    export(recorded, "inspect", tmp_path / "out.eval", code=2)
    assert "one agent in one world" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_evaluations_episodes_are_exported_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--agent", "expert", "--env", "toy", "--episodes", "3", "--workers", "0", "--quiet", "--out", str(run)]
    assert evaluate(words) == 0
    rows = export(run / "episodes.jsonl", "messages", tmp_path / "chats.jsonl").read_text().splitlines()
    played = {line.trajectory.task_id: line.trajectory for line in RunFolder.open(run).episodes()}
    assert {row["task_id"]: row for row in map(json.loads, rows)} == {
        name: chat_row(one) for name, one in played.items()
    }


def test_what_does_not_fit_is_one_line(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "there"
    there.write_text("x\n")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    for source, layout, out, flags, code, said in (
        (recorded, "atif", tmp_path / "a", ("--rows", "steps"), 2, "has no effect"),
        (recorded, "messages", there, (), 2, "exists"),
        (tmp_path / "none", "messages", tmp_path / "a", (), 5, "no file"),
        (empty, "messages", tmp_path / "a", (), 5, "no episode"),
        (there, "messages", tmp_path / "a", (), 5, "there:1"),
        (recorded, "inspect", tmp_path / "a.log", (), 2, ".eval or .json"),
    ):
        export(source, layout, out, *flags, code=code)
        told = capsys.readouterr().err
        assert said in told
        assert len(told.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == [empty, there]
