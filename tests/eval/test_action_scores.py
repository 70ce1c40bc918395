"""Distributions over whole actions from a local model, and faithfulness measured on them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sad_agents.checkpoints import save_student
from sad_agents.model import Piece, Request
from sad_agents.sampling.action_scores import score_actions
from sad_agents.sampling.local_model import LocalModel
from sad_eval.commands.evaluate import main
from sad_eval.runs.run_folder import RunFolder

ACTIONS = [" go to attic", " go to the cellar", " look", " take lamp"]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> LocalModel:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "agents"))
    from tiny import tiny_model, tiny_tokenizer

    tokenizer = tiny_tokenizer()
    return LocalModel(tiny_model("gpt2", len(tokenizer)), tokenizer)


def test_an_actions_score_is_the_sum_over_its_tokens(model: LocalModel) -> None:
    """Padded batches give what one row by itself gives, token by token."""
    request = Request("k", [Piece("Go.\n")], [Piece("Observation: here\n")], "0", forced="Reasoning: hm\nAction:")
    together = score_actions(model, request, ACTIONS, batch=3)
    for action, scored in zip(ACTIONS, together, strict=True):
        context, ids = model.ids_with(request, f"{action}\n")
        assert model.tokenizer.decode([*context, *ids]) == f"{request.text}{request.forced}{action}\n"
        expected = 0.0
        for place, token in enumerate(ids):
            with torch.inference_mode():
                logits = model.sampler.model(input_ids=torch.tensor([[*context, *ids[:place]]])).logits[0, -1]
            expected += float(logits.float().log_softmax(-1)[token])
        assert scored == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_shifts_of_a_local_model_are_total_variations(
    model: LocalModel, evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The expert's run, probed with another model: what is read off are that model's own distributions."""
    save_student("student.pt", model.sampler.model, model.tokenizer, {})
    flags = ("--env", "toy", "--episodes", "5", "--workers", "0")
    assert evaluate(*flags, "--agent", "expert", "--out", "run") == 0
    assert main(["faithfulness", "run", "--agent", "student.pt", "--probes", "6", "--quiet", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)["figures"]
    assert 0 < found["shift_counterfactual"]["value"] < 1
    assert 0 < found["shift_paraphrase"]["value"] < 1
    assert found["shift_counterfactual"]["n"] == 6
    assert not math.isnan(found["follow_rate"]["value"])
    assert RunFolder.open("run").manifest.agent == "expert"
