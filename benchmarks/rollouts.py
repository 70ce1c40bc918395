"""Two numbers about rollouts: tokens/s of the cached sampler against uncached `generate`, and the loop's own cost.

    python benchmarks/rollouts.py [--env alfworld] [--episodes 16] [--student student.pt]

Without a student, a small model is first taught the template on expert episodes, so that its actions mean something.
First, the same model plays the same episodes greedily twice: through the batched sampler that keeps each episode's KV
cache, and with `generate` on the whole prompt, one episode at a time, each step. Both must play the same actions. Then
the toy world is played with scripted completions, against a bare loop over the world alone.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from sad_agents.agent import GREEDY, Agent, Sampling
from sad_agents.checkpoints import load_student
from sad_agents.local_model import LocalModel, decode, encode, end_ids
from sad_agents.model import Completion, Piece, Request, ScriptedModel
from sad_agents.policies import ExpertAgent
from sad_agents.prompts import Prompt, load_prompt
from sad_agents.react import ReActAgent
from sad_agents.rollouts import Finished, Job, Limits, WorldRecipe, rollout
from sad_agents.windows import Windowing
from sad_distill.sizes import SIZES, from_scratch
from sad_distill.tokenizer import texts_of, train_tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from sad_env import registry
from sad_env.transcript import is_complete


class GenerateModel:
    """The straightforward way: `generate` on the whole prompt for one episode after the other."""

    name = "generate"

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, windowing: Windowing) -> None:
        self.windowing = windowing
        self._model: Any = model
        self._tokenizer = tokenizer
        self._end = sorted(end_ids(model, tokenizer))

    def measure(self, piece: Piece) -> int:
        """Tokens of a piece."""
        return len(piece.ids or encode(self._tokenizer, piece.text))

    def forget(self, key: str) -> None:
        """Nothing is kept."""

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """One after the other."""
        return [self._one(request, sampling) for request in requests]

    def _one(self, request: Request, sampling: Sampling) -> Completion:
        head, tail = (
            [id_ for piece in pieces for id_ in (piece.ids or encode(self._tokenizer, piece.text))]
            for pieces in (request.head, request.tail)
        )
        ids = self.windowing.cut(head, tail)
        with torch.inference_mode():
            out = self._model.generate(
                input_ids=torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                do_sample=False,
                max_new_tokens=sampling.max_tokens,
                eos_token_id=self._end,
                pad_token_id=self._end[0],
                stopping_criteria=StoppingCriteriaList([_ActionLine(self._tokenizer, len(ids))]),
            )
        sampled = out[0, len(ids) :].tolist()
        generated = len(sampled)
        if sampled and sampled[-1] in self._end:
            sampled.pop()
        text = decode(self._tokenizer, sampled)
        if not text.endswith("\n"):
            text, sampled = text + "\n", [*sampled, *encode(self._tokenizer, "\n")]
        return Completion(text, tuple(sampled), (0,) * len(sampled), generated)


class _ActionLine(StoppingCriteria):
    def __init__(self, tokenizer: PreTrainedTokenizerBase, start: int) -> None:
        self._tokenizer, self._start = tokenizer, start

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        done = is_complete(decode(self._tokenizer, input_ids[0, self._start :].tolist()))
        return torch.tensor([done])


def taught(env: str, size: str, steps: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A small model that has seen enough expert episodes to write the template."""
    panel = registry.make(env, split="train").panel
    jobs = [Job(task) for task in panel.task_ids[:48]]
    expert = ExpertAgent(env)
    episodes = [one.trajectory for one in rollout(expert, jobs, WorldRecipe(env, {"split": "train"}), live=16)]
    tokenizer = train_tokenizer(texts_of(episodes), 1024)
    model = from_scratch(size, tokenizer, positions=2048)
    texts = [
        "".join(f"Observation: {o}\n{c}" for o, c in zip(observations, completions, strict=False))
        for one in episodes
        for observations in [(one.observation, *(step.observation for step in one.steps))]
        for completions in [[step.completion for step in one.steps]]
    ]
    rows = [ids[:512] for ids in (list(encode(tokenizer, text)) for text in texts)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    draw = random.Random(0)
    module = cast(Any, model)
    for _ in range(steps):
        batch = torch.tensor([(row + [0] * 512)[:512] for row in draw.sample(rows, min(4, len(rows)))])
        labels = batch.masked_fill(batch == 0, -100)
        loss = module(input_ids=batch, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    print(
        f"model: {size}, {sum(p.numel() for p in model.parameters()):,} parameters, loss {loss.item():.2f}", flush=True
    )
    return model, tokenizer


def played(agent: Agent, env: str, episodes: int, live: int, max_steps: int) -> tuple[list[Finished], float, float]:
    spec = registry.world(env)
    jobs = [Job(task) for task in registry.make(env, split=spec.panel).panel.task_ids[:episodes]]
    began, cpu = time.perf_counter(), time.process_time()
    recipe = WorldRecipe(env, {"split": spec.panel})
    finished = list(rollout(agent, jobs, recipe, live=live, limits=Limits(max_steps=max_steps, invalid_actions=999)))
    seconds = time.perf_counter() - began, time.process_time() - cpu
    return sorted(finished, key=lambda one: one.job.task_id), *seconds


def compare(args: argparse.Namespace) -> None:
    if args.student:
        model, tokenizer, _ = load_student(args.student)
    else:
        model, tokenizer = taught(args.env, args.model, args.train_steps)
    print(f"model: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    windowing = Windowing(budget=args.context, room=96)
    prompt = Prompt("")  # as in the episodes that the model has seen
    makers: dict[str, Callable[[], Any]] = {
        "cached, batched": lambda: LocalModel(model, tokenizer, windowing=windowing),
        "generate, one by one": lambda: GenerateModel(model, tokenizer, windowing),
    }
    rates, written = {}, {}
    # One by one, the rate does not depend on how many episodes are played.
    for (name, make), episodes in zip(makers.items(), (args.episodes, args.slow_episodes), strict=True):
        agent = ReActAgent(make(), prompt, sampling=GREEDY)
        finished, seconds, cpu = played(agent, args.env, episodes, args.live, args.max_steps)
        tokens = sum(step.generated_tokens for one in finished for step in one.trajectory.steps)
        steps = sum(len(one.trajectory.steps) for one in finished)
        rates[name] = tokens / seconds, tokens / cpu
        written[name] = {one.job.task_id: [step.completion for step in one.trajectory.steps] for one in finished}
        won = sum(one.trajectory.success for one in finished)
        print(
            f"{name:>22}: {tokens:7,} tokens, {tokens / seconds:8,.0f} a second, {tokens / cpu:8,.0f} a CPU second"
            f"   ({len(finished)} episodes of {args.env}, {steps} steps, {won} won, {seconds:.1f} s)",
            flush=True,
        )
    cached, plain = rates.values()
    many, few = written.values()
    same = all(many[task] == few[task] for task in few)
    print(
        f"ratio {cached[0] / plain[0]:.1f} by the clock, {cached[1] / plain[1]:.1f} by CPU time;"
        f" {'the same' if same else 'DIFFERENT'} completions of {len(few)} episodes, to the character"
    )


def loop_cost(episodes: int) -> None:
    world = registry.make("toy")
    tasks = [world.panel.task_ids[number % 100] for number in range(episodes)]
    began, cpu = time.perf_counter(), time.process_time()
    for task in tasks:
        world.reset(seed=0, options={"task_id": task})
        for _ in range(8):
            world.step("look")
    bare, bare_cpu = time.perf_counter() - began, time.process_time() - cpu
    agent = ReActAgent(ScriptedModel(["Reasoning: I look around once more.\nAction: look\n"]), load_prompt("toy"))
    for workers in (0, 1, 2):
        began, cpu = time.perf_counter(), time.process_time()
        jobs = [Job(task, repeat=number // 100) for number, task in enumerate(tasks)]
        count = sum(1 for _ in rollout(agent, jobs, WorldRecipe("toy"), live=64, workers=workers, limits=Limits(8)))
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"{count:,} toy episodes of 8 turns, {workers} workers: {count / seconds:7,.0f} episodes/s;"
            f" above the bare loop {1e3 * (seconds - bare) / (8 * count):.3f} ms a step by the clock,"
            f" {1e3 * (used - bare_cpu) / (8 * count):.3f} ms of this process's CPU"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="toy")
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--slow-episodes", type=int, default=8, help="of these, how many are also played one by one")
    parser.add_argument("--live", type=int, default=64)
    parser.add_argument("--max-steps", type=int, default=25)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--model", default="nano-2m", choices=sorted(SIZES))
    parser.add_argument("--student", default="")
    parser.add_argument("--train-steps", type=int, default=200)
    parser.add_argument("--loop-episodes", type=int, default=2000)
    args = parser.parse_args()
    torch.manual_seed(0)
    compare(args)
    loop_cost(args.loop_episodes)


if __name__ == "__main__":
    main()
