"""Our worlds in TRL's GRPOTrainer (`trl` 1.16): an environment with one tool, or whole rollouts in our own forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset

from sad_agents.frameworks.session import ChatSession
from sad_agents.prompts import load_prompt
from sad_env import listing
from sad_env.errors import ConfigError
from sad_env.transcript import LINES

_CALL = "Each turn, call the tool `act` with one action. Stop calling it when the episode is over."
_OVER = "The episode is over."
_MARK = "assistant answer"


class WorldEnvironment:
    """One episode at a time, played with the tool `act`; its reward is the world's score.

    Args:
        session: where it is played; nobody else may use it.
    """

    def __init__(self, session: ChatSession) -> None:
        self._session = session

    def reset(self, **row: Any) -> str:
        """Begin the episode of a dataset's row: of its "task_id", else of one that its "seed" draws."""
        return self._session.begin(row.get("task_id"), row.get("seed"))

    def act(self, action: str) -> str:
        """Take one action in the world and see what comes of it.

        Args:
            action: The action in the world's own words, for example "go to desk 1".

        Returns:
            What is seen afterwards.
        """
        if self._session.done:
            return _OVER
        reply = self._session.act(action)
        return f"{reply.observation}\n\n{_OVER}" if reply.done else reply.observation

    def get_reward(self) -> float:
        """The world's own score of the episode, in [0, 1]."""
        return self._session.score


def environment_factory(world: str, **settings: Any) -> Callable[[], WorldEnvironment]:
    """What GRPOTrainer's `environment_factory` takes; rows come from `tool_rows`.

    Args:
        world: as `--env` takes it.
        settings: further arguments of `ChatSession`.
    """
    return lambda: WorldEnvironment(ChatSession(world, **settings))


def tool_rows(world: str, split: str = "", *, data: str = "generated", episodes: int = 0) -> Dataset:
    """A dataset for `environment_factory`: a prompt that says what to do, and the task."""
    instruction = load_prompt(world).instruction.strip()
    text = instruction.replace(LINES.request, _CALL) if LINES.request in instruction else f"{instruction}\n{_CALL}"
    panel = listing.panel(world, split, data=data, episodes=episodes)
    prompt = [{"role": "user", "content": f"{text.strip()}\n\n"}]
    return Dataset.from_list([{"prompt": prompt, "task_id": task} for task in panel.task_ids])


def chat_rows(world: str, split: str = "", *, data: str = "generated", episodes: int = 0, **settings: Any) -> Dataset:
    """A dataset for `rollout_function`, made with the same settings: what a model is shown first.

    The first message carries the task, which no template shows.
    """
    session = ChatSession(world, data=data, split=split, **settings)
    rows = []
    for task_id in listing.panel(world, split, data=data, episodes=episodes).task_ids:
        first, second = session.messages(session.begin(task_id))
        rows.append({"prompt": [{**first, "task_id": task_id}, {**second, "task_id": task_id}]})
    session.close()
    return Dataset.from_list(rows)


def score_reward(completions: Sequence[Any], score: Sequence[float], **columns: Any) -> list[float]:
    """The reward function that goes with `rollout_function`: the world's own score."""
    return list(score)


def rollout_function(world: str, **settings: Any) -> Callable[[list[Any], Any], dict[str, Any]]:
    """What GRPOTrainer's `rollout_func` takes: episodes in our forms, a chat turn for every step.

    Tokens are never decoded and encoded again: what the model sampled stands as it was sampled, and what the world
    said is masked out (`env_mask`). An episode also ends where its tokens reach `max_completion_length`. Besides what
    TRL asks for, the answer has `score`, `success` and `steps`, which reward functions are given.

    Args:
        world: as `--env` takes it.
        settings: further arguments of `ChatSession`.
    """

    def rollout(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        tokenizer = getattr(trainer.processing_class, "tokenizer", trainer.processing_class)
        episodes = [_ChatEpisode(ChatSession(world, **settings), prompt, tokenizer) for prompt in prompts]
        try:
            while live := [one for one in episodes if one.open]:
                # The trainer's own generation, whichever backend it was told to use.
                found, logprobs = trainer._generate_single_turn([one.prompt + one.ids for one in live], None, {}, 1)
                for place, one in enumerate(live):
                    one.hear(list(found[place]), None if logprobs is None else list(logprobs[place]))
                    one.open = one.open and len(one.ids) < trainer.max_completion_length
        finally:
            for one in episodes:
                one.session.close()
        return {
            "prompt_ids": [one.prompt for one in episodes],
            "completion_ids": [one.ids for one in episodes],
            "logprobs": None if any(one.logprobs is None for one in episodes) else [one.logprobs for one in episodes],
            "env_mask": [one.mask for one in episodes],
            "score": [one.session.score for one in episodes],
            "success": [one.session.success for one in episodes],
            "steps": [one.session.steps for one in episodes],
        }

    return rollout


class _ChatEpisode:
    """The tokens of one episode: `mask` is 1 for those of the model, 0 for those of the world."""

    def __init__(self, session: ChatSession, prompt: Sequence[dict[str, Any]], tokenizer: Any) -> None:
        self.session, self._tokenizer, self.open = session, tokenizer, True
        session.begin(prompt[0].get("task_id"))
        messages = [{"role": one["role"], "content": one["content"]} for one in prompt]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        self.prompt: list[int] = tokenizer.encode(text, add_special_tokens=False)
        self.ids: list[int] = []
        self.mask: list[int] = []
        self.logprobs: list[float] | None = []

    def hear(self, ids: list[int], logprobs: list[float] | None) -> None:
        """Take the model's turn, and append the world's."""
        reply = self.session.answer(self._tokenizer.decode(ids, skip_special_tokens=True))
        self.open = not reply.done
        between = [] if reply.done else self._between(reply.observation, ids)
        self.ids += ids + between
        self.mask += [1] * len(ids) + [0] * len(between)
        if logprobs is None:
            self.logprobs = None
        elif self.logprobs is not None:
            self.logprobs += logprobs + [0.0] * len(between)

    def _between(self, observation: str, ids: list[int]) -> list[int]:
        """What the template writes from the end of the model's turn to the beginning of its next."""
        chat = [
            {"role": "user", "content": "."},
            {"role": "assistant", "content": _MARK},
            {"role": "user", "content": observation},
        ]
        text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        _, mark, rest = text.partition(_MARK)
        if not mark:
            raise ConfigError("the chat template changes an assistant's answer: rollouts need one that does not")
        between: list[int] = self._tokenizer.encode(rest, add_special_tokens=False)
        ended = ids[-1:] == [self._tokenizer.eos_token_id] == between[:1]
        return between[1:] if ended else between
