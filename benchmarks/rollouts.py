"""Two numbers about rollouts: tokens/s of the cached sampler against uncached `generate`, and the loop's own cost.

    python benchmarks/rollouts.py [--env alfworld] [--student student.pt] [--live 64 16]

Without a student, a small model is first taught the template on expert episodes, so that its actions mean something.
First, the same model plays the same episodes greedily several times: through the batched sampler that keeps each
episode's KV cache, with so many episodes live; and with `generate` on the whole prompt each step, one episode at a
time, once with the cache that `generate` itself keeps within a call, and once without any. All must write the same
completions, to the character. Then the toy world is played with scripted completions, against a bare loop over the
world alone.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from sad_agents.agent import GREEDY, Agent, Sampling
from sad_agents.checkpoints import load_student
from sad_agents.model import Completion, Piece, Request, ScriptedModel
from sad_agents.policies import ExpertAgent
from sad_agents.prompts import Prompt, load_prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Finished, Job, Limits, WorldRecipe, rollout
from sad_agents.sampling.local_model import LocalModel, decode, encode, end_ids, ids_with_newline
from sad_agents.windowing import Windowing
from sad_distill.models.nano import SIZES, from_scratch
from sad_distill.models.tokenizer import texts_of, train_tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from sad_env import registry
from sad_env.transcript import LINES, is_complete


class GenerateModel:
    """The straightforward way: `generate` on the whole prompt for one episode after the other."""

    name = "generate"
    form, chat = LINES, False

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, windowing: Windowing, *, use_cache: bool
    ) -> None:
        self.windowing = windowing
        self._use_cache = use_cache
        self._newlines = ids_with_newline(tokenizer)
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
                use_cache=self._use_cache,
                max_new_tokens=sampling.max_tokens,
                eos_token_id=self._end,
                pad_token_id=self._end[0],
                stopping_criteria=StoppingCriteriaList([_ActionLine(self._tokenizer, self._newlines, len(ids))]),
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
    def __init__(self, tokenizer: PreTrainedTokenizerBase, newlines: frozenset[int], start: int) -> None:
        self._tokenizer, self._newlines, self._start = tokenizer, newlines, start

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        ids = input_ids[0, self._start :].tolist()
        return torch.tensor([ids[-1] in self._newlines and is_complete(decode(self._tokenizer, ids))])


def taught(env: str, size: str, steps: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A small model that has seen enough expert episodes to write the template."""
    panel = registry.make(env, split="train").panel
    jobs = [Job(task) for task in panel.task_ids[:48]]
    expert = ExpertAgent(env)
    episodes = [
        finished.trajectory for finished in rollout(expert, jobs, WorldRecipe(env, {"split": "train"}), live=16)
    ]
    tokenizer = train_tokenizer(texts_of(episodes), 1024)
    model = from_scratch(size, tokenizer, positions=2048)
    texts = [
        "".join(f"Observation: {o}\n{c}" for o, c in zip(observations, completions, strict=False))
        for episode in episodes
        for observations in [(episode.observation, *(step.observation for step in episode.steps))]
        for completions in [[step.completion for step in episode.steps]]
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


def played(
    agent: Agent, env: str, tasks: Sequence[str], live: int, max_steps: int
) -> tuple[list[Finished], float, float]:
    recipe = WorldRecipe(env, {"split": registry.world(env).panel})
    jobs = [Job(task) for task in tasks]
    began, cpu = time.perf_counter(), time.process_time()
    finished = list(rollout(agent, jobs, recipe, live=live, limits=Limits(max_steps=max_steps, invalid_actions=999)))
    seconds = time.perf_counter() - began, time.process_time() - cpu
    return sorted(finished, key=lambda episode: episode.job.task_id), *seconds


class Run(NamedTuple):
    """One way of playing: tokens written, wall and CPU seconds, and the completions of each task."""

    tokens: int
    seconds: float
    cpu: float
    written: dict[str, list[str]]


def run(name: str, agent: Agent, env: str, tasks: Sequence[str], live: int, max_steps: int) -> Run:
    finished, seconds, cpu = played(agent, env, tasks, live, max_steps)
    lengths = [step.generated_tokens for episode in finished for step in episode.trajectory.steps]
    tokens, won = sum(lengths), sum(episode.trajectory.success for episode in finished)
    print(
        f"{name:>36}: {tokens:7,} tokens, {tokens / seconds:7,.0f} a second, {tokens / cpu:7,.0f} a CPU second"
        f"   ({len(finished)} episodes, {won} won, {len(lengths)} steps of {tokens / len(lengths):.1f} tokens,"
        f" {seconds:.1f} s)",
        flush=True,
    )
    written = {episode.job.task_id: [step.completion for step in episode.trajectory.steps] for episode in finished}
    return Run(tokens, seconds, cpu, written)


def report(name: str, cached: Run, plain: Sequence[Run]) -> None:
    """Compare with the runs of `generate` around it, so that what else the machine does weighs on both."""
    tokens = sum(run.tokens for run in plain)
    by_clock = cached.tokens / cached.seconds / (tokens / sum(run.seconds for run in plain))
    by_cpu = cached.tokens / cached.cpu / (tokens / sum(run.cpu for run in plain))
    written = {task: completions for run in plain for task, completions in run.written.items()}
    shared = cached.written.keys() & written.keys()
    same = all(cached.written[task] == written[task] for task in shared)
    print(
        f"{name} / generate: {by_clock:.1f} by the clock, {by_cpu:.1f} by CPU time;"
        f" {'the same' if same else 'DIFFERENT'} completions in {len(shared)} episodes, to the character",
        flush=True,
    )
    if not same:
        raise SystemExit(1)


def compare(args: argparse.Namespace) -> None:
    prompt, windowing = Prompt(""), Windowing(budget=args.context)  # as in the episodes that the model has seen
    if args.student:
        model, tokenizer, record = load_student(args.student, dtype=torch.float32)
        acting = record.get("acting", {})
        prompt = Prompt(acting.get("prompt") or "")
        windowing = Windowing(**acting["window"]) if acting.get("window") else windowing
    else:
        model, tokenizer = taught(args.env, args.model, args.train_steps)
    print(f"model: {sum(p.numel() for p in model.parameters()):,} parameters; {windowing}; {args.env}", flush=True)
    tasks = registry.make(args.env, split=registry.world(args.env).panel).panel.task_ids[: args.episodes]

    def one_by_one(name: str, chosen: Sequence[str], *, use_cache: bool) -> Run:
        slow = GenerateModel(model, tokenizer, windowing, use_cache=use_cache)
        return run(name, ReActAgent(slow, prompt, sampling=GREEDY), args.env, chosen, 1, args.max_steps)

    # One by one, the rate does not depend on how many episodes are played.
    parts = [tasks[start : args.slow_episodes : len(args.live) + 1] for start in range(len(args.live) + 1)]
    plain = [one_by_one("generate, one by one", parts[0], use_cache=True)]
    for live, part in zip(args.live, parts[1:], strict=True):
        name = f"cached, {live} live"
        agent = ReActAgent(LocalModel(model, tokenizer, windowing=windowing), prompt, sampling=GREEDY)
        cached = run(name, agent, args.env, tasks, live, args.max_steps)
        plain.append(one_by_one("generate, one by one", part, use_cache=True))
        report(name, cached, plain[-2:])
    if args.uncached_episodes:
        name = "generate, one by one, use_cache=False"
        report(name, one_by_one(name, tasks[: args.uncached_episodes], use_cache=False), plain)


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
    parser.add_argument("--episodes", type=int, default=128)
    parser.add_argument("--slow-episodes", type=int, default=9, help="of these, how many are also played one by one")
    parser.add_argument("--uncached-episodes", type=int, default=1, help="of these, how many without any cache")
    parser.add_argument("--live", type=int, nargs="+", default=[64, 16])
    parser.add_argument("--max-steps", type=int, default=25)
    parser.add_argument("--context", type=int, default=512, help="window of a student that names none")
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
