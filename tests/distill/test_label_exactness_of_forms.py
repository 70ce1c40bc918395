"""Labels of every form, with and without chat turns: sampled ones against the record that is read again, in bytes."""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sad_agents.agent import Sampling
from sad_agents.prompts import Prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.continuation import Sample
from sad_agents.sampling.local_model import LocalModel, decode, encode
from sad_agents.windowing import Windowing
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.labels import label_trajectory
from sad_distill.data.rows import rows_from
from sad_distill.models.tokenizer import train_tokenizer
from transformers import PreTrainedTokenizerBase

from sad_env.records import Trajectory, check_tiling
from sad_env.transcript import FORMS, form_of, in_form

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))
sys.path.insert(0, str(Path(__file__).parent))
from test_label_exactness import bytes_of, compare_with_reading, count_exact, gpt2_kind
from tiny import tiny_model

TEMPLATES = Path(__file__).parents[1] / "agents" / "chat_templates"
PIECES = [
    "cabinet 12", "mug", "é", "💥", "\t", "search[blue]", "[ACT] look", " [OBS]", "[REASON] ", "<think>", "</think>",
    "<action> take it </action>", "<action>", "Action: go\n", "Reasoning: ", "\n", "\n\n", " ",
]  # fmt: skip
TEXTS = [*PIECES, "Observation: You see: ring.\n", "Reasoning: I see.\nAction: take ring\n"] * 3
MAKE = {"nano": lambda: train_tokenizer(TEXTS, 500), "gpt2-kind": lambda: gpt2_kind(TEXTS)}
WRITTEN = ("lines", "tags", "think")
CONVERSATIONS = (100, pytest.param(1000, marks=pytest.mark.slow))


@functools.cache
def tokenizer_with(name: str, template: str) -> PreTrainedTokenizerBase:
    tokenizer: Any = MAKE[name]()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = (TEMPLATES / f"{template}.jinja").read_text()
    return tokenizer  # type: ignore[no-any-return]


def random_speech(local: LocalModel, seed: int) -> dict[str, list[Sequence[int]]]:
    """Let the model say random things in random spellings, each until it would have been stopped.

    Returns:
        What it was shown at each step of each conversation.
    """
    draw = random.Random(seed)
    shown: dict[str, list[Sequence[int]]] = {}

    def sample(requests: Any, sampling: Sampling) -> list[Sample]:
        (request,) = requests
        shown.setdefault(request.key, []).append(request.ids)
        begun = list(request.ids[len(request.ids) - request.begun :])
        words = [draw.choice(PIECES) for _ in range(draw.randrange(1, 9))]
        if draw.random() < 0.6:
            words.append(local.form.render("so be it" if draw.random() < 0.5 else "", draw.choice(["look", "é"])).text)
        said: list[int] = []
        for word in words:
            # Each piece by itself, and some letter by letter: mostly not as the tokenizer would spell the whole.
            for part in word if draw.random() < 0.2 else [word]:
                for token in encode(local.tokenizer, part):
                    said.append(token)
                    if token in local.sampler._stop_ids and local.sampler._stop(begun + said):
                        return [Sample(said, len(said))]
        return [Sample(said, len(said) + 1)]

    local.sampler.sample = sample  # type: ignore[method-assign]
    local.flow = lambda sampling: None  # type: ignore[method-assign]
    return shown


def check(tokenizer: PreTrainedTokenizerBase, local: LocalModel, episode: Trajectory, shown: list[Any]) -> list[str]:
    """Hold an episode against what its model was shown and against its own text."""
    read = Trajectory.from_json(episode.to_json())
    segments = label_trajectory(tokenizer, read)
    before: list[int] = []
    found = []
    for number, step in enumerate(read.steps):
        before += segments[2 * number].ids + segments[2 * number + 1].ids
        begun = local.glue.begun_ids if local.glue else ()
        assert [*before, *begun] == list(shown[number])
        parsed = form_of(read.form).parse(step.completion)
        assert (step.spans, step.reasoning, step.action) == (parsed.spans, parsed.reasoning, parsed.action)
        check_tiling(step.completion, step.spans)
        text = decode(tokenizer, step.token_ids)
        if text == step.completion.removesuffix("\n"):
            # The end of the turn stands for the newline.
            step = step.model_copy(update={"completion": text, "spans": form_of(read.form).spans(text)})
        if text == step.completion:
            found.append(compare_with_reading(tokenizer, step))
        else:
            assert text.startswith(step.completion[:-1])
            found.append("a token reaches behind the action")
    glued = segments[0].labels + "".join(one.labels for one in segments[1::2])
    assert set(glued) <= ({"N", "O"} if read.chat or read.prompt else {"O"})
    assert sum(label == "O" for label in glued) == sum(
        len(encode(tokenizer, form_of(read.form).observation(text).removesuffix("\n" if read.chat else "")))
        for text in (read.observation, *(step.observation for step in read.steps))
    )
    return found


@pytest.mark.parametrize("conversations", CONVERSATIONS)
@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("template", ["", "qwen2_5", "qwen3_thinking"])
@pytest.mark.parametrize("form", WRITTEN)
def test_random_conversations(form: str, template: str, name: str, conversations: int) -> None:
    assert set(WRITTEN) == set(FORMS)
    tokenizer = tokenizer_with(name, template or "qwen2_5")
    model = tiny_model("llama", len(tokenizer), positions=8192)
    found: list[str] = []
    local = LocalModel(model, tokenizer, windowing=Windowing(8192, 512), form=form_of(form), chat=bool(template))
    prompt = Prompt("Play it.", ("Observation: A hall.\nReasoning: hm\nAction: go\nObservation: You won.\n",))
    agent = ReActAgent(local, prompt, shots=1, sampling=Sampling(max_tokens=512))
    recipe, limits = WorldRecipe("toy", {"split": "train"}), Limits(max_steps=3)
    jobs = [Job(f"train-{number % 50:04d}", seed=number) for number in range(conversations)]
    shown = random_speech(local, 0)
    for number, one in enumerate(rollout(agent, jobs, recipe, live=1, limits=limits), start=1):
        found += check(tokenizer, local, one.trajectory, shown.pop(f"{number}.0"))
    counts = {how: found.count(how) for how in dict.fromkeys(found)}
    print(f"{form}, {template or 'no chat'}, {name}: {len(found)} completions, {counts}")
    assert len(found) > conversations
    assert counts.get("other ids", 0) + counts.get("same ids", 0) > 0.99 * len(found)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("form", WRITTEN)
def test_recorded_text_is_partitioned_exactly(toy_episodes: list[Trajectory], form: str, name: str) -> None:
    tokenizer = tokenizer_with(name, "qwen2_5")
    spelled = bytes_of(tokenizer)
    for episode in toy_episodes[:20]:
        other = in_form(episode, form)
        plain = label_trajectory(tokenizer, other)
        chat = label_trajectory(tokenizer, other.model_copy(update={"chat": True}))
        for number, step in enumerate(other.steps):
            count_exact(tokenizer, plain[2 + 2 * number], step.completion, step.spans)
            assert chat[2 + 2 * number] == plain[2 + 2 * number]
            told = b"".join(spelled[token] for token in plain[3 + 2 * number].ids).decode()
            assert told == form_of(form).observation(step.observation)
        supervised = sum(label in "RA" for one in plain for label in one.labels)
        for as_chat in (False, True):
            rows = rows_from([other.model_copy(update={"chat": as_chat})], tokenizer, Windowing(256, 64))
            assert sum(label in "RA" for row in rows for label in row.labels) == supervised


def test_actions_in_the_papers_form_have_the_same_token_sets(toy_episodes: list[Trajectory]) -> None:
    tokenizer = tokenizer_with("nano", "qwen2_5")
    sets = {}
    for form in ("lines", "tags"):
        support = ActionSupport(tokenizer)
        rows = rows_from([in_form(one, form) for one in toy_episodes[:10]], tokenizer, Windowing(4096, 512))
        sets[form] = [list(support(row).values()) for row in rows]
        assert support.counts.positions > 0
        assert support.counts.off_trie == 0
    assert sets["lines"] == sets["tags"]
