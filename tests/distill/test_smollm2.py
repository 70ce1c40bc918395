"""SmolLM2 from its package: labels, tries, layers, saving. Needs the extra packages, and half a minute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sad_agents.checkpoints import load_student, save_student
from sad_agents.smollm2 import load_smollm2, smollm2_folder
from sad_distill.data.action_support import spelled
from sad_distill.data.labels import encode, label_trajectory
from sad_distill.models.students import every_kth_layer, parameter_count

from sad_env.errors import ConfigError
from sad_env.records import Trajectory
from sad_env.transcript import render


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_smollm2_loads_labels_thins_and_saves(toy_episodes: list[Trajectory], tmp_path: Path) -> None:
    try:
        smollm2_folder()
    except ConfigError as error:
        pytest.skip(str(error))
    model, tokenizer = load_smollm2()
    assert 134e6 < parameter_count(model) < 135e6
    ids = tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert tokenizer.decode(model(ids).logits[0, -1].argmax()) == " Paris"
    for episode in toy_episodes:
        segments = label_trajectory(tokenizer, episode)
        assert sum(one.borders for one in segments) == 0
        assert tokenizer.decode([i for one in segments for i in one.ids]) == render(episode).text
        for step in episode.steps:
            for action in step.admissible or ():
                prefix = encode(tokenizer, "Action:")
                assert encode(tokenizer, "Action:" + spelled(action)) == prefix + encode(tokenizer, spelled(action))
    student = every_kth_layer(model, 5)
    assert student.config.num_hidden_layers == 5
    path = save_student(tmp_path / "student.pt", student, tokenizer, {})
    again = load_student(path).model
    with torch.no_grad():
        torch.testing.assert_close(again(ids).logits, student(ids).logits)
