"""Actions that are sampled among the admissible ones never leave the token sets of the loss (Eq. 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sad_agents.agent import Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.loading import model_agent, react_agent
from sad_agents.model import ScriptedModel
from sad_agents.prompts import Prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.action_trie import ActionLimits
from sad_agents.sampling.local_model import LocalModel
from sad_agents.windowing import Windowing
from sad_distill.config import TrainConfig
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.labels import encode
from sad_distill.data.rows import rows_from
from sad_distill.training.run import Run
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError
from sad_env.records import Step, Trajectory
from sad_env.settings import replaced
from sad_env.transcript import LINES, form_of

Tiny = Callable[..., Any]
WINDOW = Windowing(200, 40)


def played(model: Any, tokenizer: PreTrainedTokenizerFast, constrained: bool, count: int) -> list[Trajectory]:
    """Episodes of a random model, whose first word is the header of an action."""
    local = LocalModel(model, tokenizer, windowing=WINDOW, constrained=constrained)
    agent = ReActAgent(local, Prompt(""), sampling=Sampling(1.0, max_tokens=40))
    agent._requests = forced(agent, "Action:")  # type: ignore[method-assign]
    jobs = [Job(f"train-{number:04d}") for number in range(count)]
    world = WorldRecipe.of("toy", "generated", "train")
    episodes = [one.trajectory for one in rollout(agent, jobs, world, live=50, limits=Limits(max_steps=4))]
    # As if the header, too, had been sampled: what is forced has no label.
    return [one.model_copy(update={"steps": tuple(map(with_its_header, one.steps))}) for one in episodes]


def with_its_header(step: Step) -> Step:
    return step.model_copy(update={"token_labels": step.token_labels.replace("N", "A")})


def forced(agent: ReActAgent, text: str) -> Callable[[int], Any]:
    """Requests whose completions all begin with this text: a random model writes no header by itself."""
    requests = agent._requests
    return lambda episode: [replace(request, forced=text) for request in requests(episode)]


def test_no_action_of_200_episodes_leaves_the_trie(toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny) -> None:
    model = tiny_llama(16, seed=3)
    rates = {}
    for constrained, count in ((True, 200), (False, 20)):
        episodes = played(model, toy_tokenizer, constrained, count)
        assert len(episodes) == count
        support = ActionSupport(toy_tokenizer, "trie")
        for row in rows_from(episodes, toy_tokenizer, WINDOW):
            support(row)
        assert support.counts.positions > 10 * count
        rates[constrained] = support.counts.off_trie_rate
        if constrained:
            assert all(step.valid for one in episodes for step in one.steps)
    assert rates[True] == 0
    assert rates[False] > 0.5


def test_only_paths_of_admissible_actions_are_left_behind_the_header(toy_tokenizer: PreTrainedTokenizerFast) -> None:
    limits = ActionLimits(toy_tokenizer, LINES)
    allowed = limits.among(("go to hall", "go to kitchen", "look"))

    def ids(text: str) -> list[int]:
        return encode(toy_tokenizer, text)

    assert allowed(ids("Reasoning: I see.\n")) is None
    head = ids("Reasoning: I see.\nAction:")
    path = ids(" go to hall\n")
    starts = {ids(f" {action}\n")[0] for action in ("go to hall", "go to kitchen", "look")}
    assert set(allowed(head) or ()) == starts
    for count in range(1, len(path)):
        assert path[count] in (allowed(head + path[:count]) or ())
    assert allowed(head + path) is None
    assert allowed(ids("Reasoning: I see.\nAction")) == [toy_tokenizer.convert_tokens_to_ids(":")]
    # A guessed beginning that is not taken leaves no trace.
    assert allowed(ids("Reasoning: I see.\nWhat")) is None
    assert set(allowed(head) or ()) == starts


def test_a_slot_ends_with_its_bracket(toy_tokenizer: PreTrainedTokenizerFast) -> None:
    allowed = ActionLimits(toy_tokenizer, LINES).among(("search[<query>]", "look"))
    head = encode(toy_tokenizer, "Action:")
    assert allowed([*head, *encode(toy_tokenizer, " search[")]) is None
    assert allowed([*head, *encode(toy_tokenizer, " search["), *encode(toy_tokenizer, "a ring")]) is None
    ended = [*head, *encode(toy_tokenizer, " search["), *encode(toy_tokenizer, "a ring]")]
    assert [toy_tokenizer.decode([id_]) for id_ in allowed(ended) or ()] == ["\n"]


def test_drafts_change_nothing_of_what_is_sampled_under_constraints(
    toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    """A second round over the same episodes is drafted from the first one."""
    model = tiny_llama(16, seed=3)
    first = played(model, toy_tokenizer, True, 10)
    alone = [played(model, toy_tokenizer, True, 10)[number] for number in range(3)]
    by_task = {one.task_id: [step.completion for step in one.steps] for one in first}
    assert all(by_task[one.task_id] == [step.completion for step in one.steps] for one in alone)


def test_what_cannot_be_constrained_is_refused(toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny) -> None:
    with pytest.raises(ConfigError, match="actions that end with their line, not the form 'think'"):
        LocalModel(tiny_llama(), toy_tokenizer, windowing=WINDOW, form=form_of("think"), constrained=True)
    with pytest.raises(ConfigError, match="--constrained on: only a local model's actions"):
        react_agent(ScriptedModel([]), "toy", AgentOptions(constrained="on"))


def test_a_student_that_was_trained_so_acts_so(files: Path, tmp_path: Path) -> None:
    config = replaced(
        TrainConfig(out=str(tmp_path)),
        student=str(files / "start.pt"),
        teacher=str(files / "teacher.pt"),
        trajectories=(str(files / "expert.jsonl"),),
        env="toy",
        mode="offline",
        steps=1,
        batch=2,
        context=200,
        max_new_tokens=40,
        outside="ignore",
        constrained="on",
    )
    student = Run(config).train()
    agent = model_agent(str(student), "toy", AgentOptions())
    assert isinstance(agent, ReActAgent)
    assert agent.provenance["decoding"] == "constrained"
    free = model_agent(str(student), "toy", AgentOptions(constrained="off"))
    assert isinstance(free, ReActAgent)
    assert "decoding" not in free.provenance
