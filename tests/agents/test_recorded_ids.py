"""Ids in records: those of another tokenizer are not taken for a model's own."""

from __future__ import annotations

import string
import sys
from pathlib import Path

from sad_agents.agent import Sampling
from sad_agents.prompts import Prompt
from sad_agents.react import ReActAgent, recorded_request
from sad_agents.recorded_ids import spells, with_own_ids
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.local_model import LocalModel, encode

sys.path.insert(0, str(Path(__file__).parent))
from tiny import byte_fallback_tokenizer, tiny_model, tiny_tokenizer

from sad_env.records import Trajectory

OWN, OTHER = tiny_tokenizer(), byte_fallback_tokenizer(string.printable)
TEXT = "Reasoning: I see the ring.\nAction: take ring\n"


def test_ids_are_those_of_the_tokenizer_that_decodes_them_to_the_text() -> None:
    ids = encode(OWN, TEXT)
    assert spells(OWN, ids, TEXT)
    assert spells(OWN, ids, TEXT[:-3])  # a text that was cut within its last id
    assert not spells(OWN, ids, TEXT.replace("ring", "lamp"))
    assert not spells(OWN, encode(OTHER, TEXT), TEXT)
    assert not spells(OWN, [len(OWN)], "x")
    assert not spells(OWN, [], "")


def test_a_model_is_shown_its_own_ids_and_what_another_one_sampled_as_text() -> None:
    agent = ReActAgent(
        LocalModel(tiny_model("llama", len(OWN)), OWN), Prompt("Play."), sampling=Sampling(max_tokens=12)
    )
    jobs = [Job("test-0000"), Job("test-0001")]
    played = [one.trajectory for one in rollout(agent, jobs, WorldRecipe("toy"), limits=Limits(max_steps=3))]
    assert all(step.token_ids for one in played for step in one.steps)
    other = LocalModel(tiny_model("llama", len(OTHER)), OTHER)
    for episode in played:
        assert all(with_own_ids(step, OWN) is step for step in episode.steps)
        for model, ids in ((agent.model, episode.steps[1].token_ids), (other, ())):
            newest, _ = recorded_request(episode, 2, model).tail[-2:]
            assert (newest.text, newest.ids) == (episode.steps[1].completion, ids)


def test_a_step_as_text_alone_can_be_written_and_read() -> None:
    agent = ReActAgent(
        LocalModel(tiny_model("llama", len(OWN)), OWN),
        Prompt("Play."),
        sampling=Sampling(temperature=1.0, max_tokens=12, logprobs=True),
    )
    (played,) = rollout(agent, [Job("test-0000")], WorldRecipe("toy"), limits=Limits(max_steps=2))
    episode = played.trajectory
    assert episode.steps[0].logprobs
    plain = episode.model_copy(update={"steps": tuple(step.without_ids() for step in episode.steps)})
    assert Trajectory.from_json(plain.to_json()) == plain
