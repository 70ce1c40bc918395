"""What variations of a prompt do to segmentation and to the loss on actions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_agents.model import Request, ScriptedModel
from sad_agents.prompts import load_prompt
from sad_agents.prompts.variations import KINDS
from sad_eval.analysis import prompt_stability as module
from sad_eval.analysis.prompt_stability import prompt_stability, recorded_steps, varied_completion
from sad_eval.runs.run_folder import RunFolder

from sad_env.errors import DataError
from sad_env.transcript import FORMS, Form

Evaluate = Callable[..., int]


def run_of(evaluate: Evaluate, agent: str = "expert") -> RunFolder:
    assert evaluate("--env", "toy", "--agent", agent, "--workers", "0", "--episodes", "20", "--out", "run") == 0
    return RunFolder.open("run")


@pytest.mark.parametrize("form", list(FORMS.values()), ids=list(FORMS))
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_is_parsed_as_it_was_meant(kind: str, form: Form) -> None:
    text, reasoning, action = varied_completion("I need it.", "take mug 1 from shelf 2", kind, form)
    read = form.parse(text)
    assert (read.reasoning, read.action) == (reasoning, action)
    if kind == "actions":
        assert action == "from shelf 2 pick mug 1"
    if kind == "nested":
        assert "Action: look" in reasoning


def test_segmentation_and_loss_by_kind(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    class Scored(ScriptedModel):
        def ids_with(self, request: Request, continuation: str) -> tuple[list[int], tuple[int, ...]]:
            return [], (1, 2)

    def score(model: object, request: Request, actions: list[str]) -> list[float]:
        return [-3.0 if "# Rules" in request.text else -1.0]

    monkeypatch.setattr(module, "score_actions", score)
    steps = recorded_steps(run_of(evaluate), 30, seed=0)
    assert len(steps) == 30
    found = {one.kind: one for one in prompt_stability(steps, Scored("x"), load_prompt("toy"), 1, lambda *_: None)}
    assert {kind: one.parsed for kind, one in found.items()} == dict.fromkeys(KINDS, 1.0)
    assert {kind: one.by_expressions for kind, one in found.items()} == {"style": 0.0, "nested": 1.0, "actions": 1.0}
    assert (found["style"].loss_change, found["style"].stable) == (pytest.approx(1.0), 0.0)
    assert (found["nested"].loss_change, found["nested"].stable) == (0.0, 1.0)


def test_models_without_log_probabilities_have_no_loss(evaluate: Evaluate) -> None:
    steps = recorded_steps(run_of(evaluate), 5, seed=0)
    for one in prompt_stability(steps, ScriptedModel("x"), load_prompt("toy"), 0, lambda *_: None):
        assert (one.loss_change, one.stable) == (None, None)


def test_a_run_without_reasoning_is_refused(evaluate: Evaluate) -> None:
    with pytest.raises(DataError, match="no step has both"):
        recorded_steps(run_of(evaluate, "random"), 5, seed=0)


def test_the_command_varies_the_prompt(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("robustness", "--of", "prompt", "--env", "toy", "--agent", "scripted:script.json", "--workers", "0")
    Path("script.json").write_text(json.dumps("Reasoning: I look.\nAction: look\n") + "\n")
    assert evaluate(*words, "--episodes", "3", "--max-steps", "2") == 2
    assert "name a folder with --out" in capsys.readouterr().err
    assert evaluate(*words, "--episodes", "3", "--max-steps", "2", "--out", "varied", "--dry-run") == 0
    assert not Path("varied").exists()
    capsys.readouterr()
    assert evaluate(*words, "--episodes", "3", "--max-steps", "2", "--out", "varied") == 0
    said = capsys.readouterr().out
    for kind in KINDS:
        assert Path("varied", kind, "results.json").exists()
        assert f"{kind:7}" in said
    assert "steps of the plain run" in said
    hashes = {RunFolder.open(f"varied/{kind}").manifest.identity["agent prompt_sha256"] for kind in ("none", *KINDS)}
    assert len(hashes) == 4
