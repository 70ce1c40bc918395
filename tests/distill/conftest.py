"""Expert episodes of the toy world with wrong turns, a tokenizer trained on them, and tiny models."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sad_agents.checkpoints import save_student
from sad_distill.models.tokenizer import texts_of, train_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sad_env.records import Status, Step, Trajectory
from sad_env.toy import ToyEnv, ToyExpert
from sad_env.transcript import compose


def _play_toy(task: str, seed: int = 0, slips: float = 0.0, split: str = "train") -> Trajectory:
    """The toy expert plays a task; with chance `slips` a step is a needless look instead of its decision."""
    env, expert, draw = ToyEnv(split=split), ToyExpert(seed), random.Random(f"{task} {seed}")
    observation, info = env.reset(options={"task_id": task})
    expert.begin(observation, info)
    first, steps, done = observation, [], False
    while not done:
        decision = expert.decide()
        if draw.random() < slips:
            decision = decision._replace(action="look")
        rendering = compose(*decision)
        admissible = tuple(info["admissible_actions"])
        observation, reward, done, _, info = env.step(decision.action)
        expert.observe(decision.action, observation, info)
        steps.append(
            Step(
                completion=rendering.text,
                spans=rendering.spans,
                reasoning=decision.reasoning,
                action=decision.action,
                observation=observation,
                reward=reward,
                admissible=admissible,
            )
        )
    return Trajectory(
        world="toy",
        data="generated",
        split=split,
        task_id=task,
        agent="expert",
        observation=first,
        steps=tuple(steps),
        status=Status.SUCCESS if info["success"] else Status.FAILURE,
        success=info["success"],
        score=info["score"],
    )


@pytest.fixture(scope="session")
def toy_episodes() -> list[Trajectory]:
    return [_play_toy(f"train-{number:04d}", number, slips=0.2) for number in range(60)]


@pytest.fixture(scope="session")
def play_toy() -> Callable[..., Trajectory]:
    return _play_toy


@pytest.fixture(scope="session")
def toy_tokenizer(toy_episodes: list[Trajectory]) -> PreTrainedTokenizerFast:
    return train_tokenizer(texts_of(toy_episodes), 400)


@pytest.fixture(scope="session")
def tiny_llama(toy_tokenizer: PreTrainedTokenizerFast) -> Callable[..., LlamaForCausalLM]:
    """Makes models small enough that a test trains one in no time."""

    def make(width: int = 16, layers: int = 2, seed: int = 0) -> LlamaForCausalLM:
        torch.manual_seed(seed)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(toy_tokenizer),
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=layers,
                num_attention_heads=2,
                max_position_embeddings=1024,
                tie_word_embeddings=True,
                initializer_range=0.3,
                pad_token_id=0,
                bos_token_id=0,
                eos_token_id=0,
            )
        ).eval()

    return make


@pytest.fixture(scope="session")
def files(
    toy_episodes: list[Trajectory],
    toy_tokenizer: PreTrainedTokenizerFast,
    tiny_llama: Callable[..., LlamaForCausalLM],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with expert episodes, a tiny teacher and a tiny student."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("distill")
    (folder / "expert.jsonl").write_text("".join(one.to_json() + "\n" for one in toy_episodes))
    window = {"acting": {"prompt": "", "window": {"budget": 200, "room": 40, "keep": 0.75}}}
    save_student(folder / "teacher.pt", tiny_llama(24, seed=1), toy_tokenizer, window)
    save_student(folder / "start.pt", tiny_llama(16, seed=2), toy_tokenizer, window)
    return folder
