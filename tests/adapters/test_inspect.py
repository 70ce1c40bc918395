"""Worlds through `inspect_ai.eval`, with a model that writes what the expert would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sad_env

pytest.importorskip("inspect_ai", reason="needs inspect-ai: make test-adapters")


@pytest.mark.parametrize("world", ["alfworld", "hotpotqa"])
@pytest.mark.filterwarnings("ignore")
def test_an_expert_plays_there_as_in_our_harness_and_the_log_can_be_read(
    world: str, harness: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspect_ai import eval as evaluate
    from inspect_ai.log import read_eval_log
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from sad_agents.frameworks.inspect import sad_env_world

    monkeypatch.chdir(tmp_path)
    write, due = harness.writer(world), harness.play(world)

    def complete(chat: list[Any], *_: Any) -> ModelOutput:
        out = ModelOutput.from_content("mockllm/model", write([message.text for message in chat[1:]]))
        out.usage = ModelUsage()  # else tokens would be counted by a tokenizer that has to be fetched
        return out

    model = get_model("mockllm/model", custom_outputs=complete)
    with harness.timed(f"inspect_ai {world}", len(due)):
        (log,) = evaluate(
            sad_env_world(world, episodes=len(due)), model=model, log_dir=str(tmp_path / "logs"), display="none"
        )
    assert log.status == "success", log.error
    read = read_eval_log(log.location)
    outcomes = {}
    for sample in read.samples or []:
        value = sample.scores["world_verdict"].value
        outcomes[sample.id] = (bool(value["success"]), int(value["steps"]))
        assert value["progress"] >= value["success"]
        assert sample.messages[0].role == "system"
    assert outcomes == due
    assert read.results is not None
    rate = {score.name: score.metrics["mean"].value for score in read.results.scores}
    assert rate["success"] == pytest.approx(sum(won for won, _ in due.values()) / len(due))
    assert read.eval.metadata == {
        "panel_sha256": sad_env.panel(world, episodes=len(due)).sha256,
        "data": "generated",
    }
    command = [str(Path(sys.executable).with_name("inspect")), "view", "bundle", "--log-dir", "logs"]
    done = subprocess.run([*command, "--output-dir", "page"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page" / "index.html").is_file()


def test_the_page_runs_as_printed(page: Any, harness: Any, model_server: Any, tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    pytest.importorskip("openai", reason="needs openai: make test-adapters")
    (tmp_path / "worlds.py").write_text("".join(page.blocks("Inspect")))
    command = page.command("Inspect", "inspect").replace("openai/gpt-4o-mini", "openai-api/local/NAME")
    with model_server(harness.writer("alfworld")) as address:
        page.run(command, tmp_path, LOCAL_BASE_URL=address, LOCAL_API_KEY="any")
    [log] = tmp_path.glob("logs/*.eval")
    values = [(one.id, one.scores["world_verdict"].value) for one in read_eval_log(str(log)).samples or []]
    outcomes = {task: (bool(value["success"]), int(value["steps"])) for task, value in values}
    assert len(outcomes) == 20
    assert outcomes.items() <= harness.play("alfworld").items()
