"""`sad-eval`: evaluates an agent in a world, and holds the commands that belong to it."""

from __future__ import annotations

import functools
import importlib
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import cast

from sad_agents.rollout.backend import LOCAL, Play, player
from sad_agents.tracking import tracker_names

from sad_env import cli
from sad_env.addresses import public_address
from sad_env.errors import INTERRUPTED, ConfigError, IncompleteError
from sad_env.progress import announced
from sad_env.safe_text import console, one_line, safe_text, visible
from sad_eval.records import Results, exit_code
from sad_eval.report.export import results_json
from sad_eval.report.terminal import print_report, side_by_side
from sad_eval.runs.harness import EvaluationOutcome, evaluate
from sad_eval.runs.plan import EvaluationPlan, claimed, make_agent, make_plan, panels_of
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.score import sums_for
from sad_eval.runs.settings import EvalSettings, read_settings
from sad_eval.runs.tracking import report_run

COMMANDS = {
    "ls": "sad_eval.commands.ls:run_ls",
    "doctor": "sad_eval.commands.doctor:run_doctor",
    "validate": "sad_eval.commands.validate:run_validate",
    "runs": "sad_eval.commands.runs:run_runs",
    "view": "sad_eval.commands.runs:run_view",
    "compare": "sad_eval.commands.compare:run_compare",
    "merge": "sad_eval.commands.merge:run_merge",
    "robustness": "sad_eval.commands.robustness:run_robustness",
    "faithfulness": "sad_eval.commands.faithfulness:run_faithfulness",
    "report": "sad_eval.commands.report:report",
    "rescore": "sad_eval.commands.report:rescore",
    "new-world": "sad_eval.commands.new_world:run_new_world",
}
"""First words that are not an evaluation, and where their functions are; imported when they are called."""

PERSON = "human"
"""Plays one episode at a time, at the terminal that would show the progress."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `sad-eval`; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        return cli.run(f"sad-eval {words[0]}", lambda: _other(words[0], words[1:]))
    return cli.run("sad-eval", lambda: _evaluate(words))


def _other(name: str, words: Sequence[str]) -> int:
    with announced(f"sad-eval {name}: working", quiet="--quiet" in words):
        return _command(name)(words)


def _command(word: str) -> Callable[[Sequence[str]], int]:
    module, _, name = COMMANDS[word].partition(":")
    return cast(Callable[[Sequence[str]], int], getattr(importlib.import_module(module), name))


def _evaluate(words: Sequence[str]) -> int:
    if words and not words[0].startswith("-"):
        raise ConfigError(f"no command {one_line(words[0], 40)!r}; known: {', '.join(COMMANDS)}, or flags to evaluate")
    settings = read_settings(words, prog="sad-eval", kind=EvalSettings)
    command = shlex.join(["sad-eval", *map(public_address, words)])
    names = panels_of(settings)
    done: list[tuple[str, Results]] = []
    for name in names:
        with announced(f"sad-eval: loading {settings.agent} and {settings.env}", quiet=settings.quiet):
            plan = make_plan(settings, name, command=command, alone=len(names) == 1)
        if settings.dry_run:
            print(visible(describe(plan)))
            continue
        outcome = run_plan(plan)
        done.append((name, outcome.results))
        if outcome.interrupted or outcome.failure:
            return stopped(outcome)
        if not settings.quiet and not settings.json:
            _finish(plan, outcome.results)
    if done and settings.json and not settings.quiet:
        print(results_json([results for _, results in done]))
    elif len(done) > 1 and not settings.quiet:
        side_by_side(done, console())
    return max((exit_code(results) for _, results in done), default=0)


def run_plan(plan: EvaluationPlan) -> EvaluationOutcome:
    """Play what a plan's run still owes, and say so where that is nothing.

    Raises:
        SadEnvError: see `evaluate`.
    """
    outcome = play_plan(plan)
    if outcome.idle:
        manifest = RunFolder.open(plan.folder).manifest
        last = manifest.resumptions[-1].at if manifest.resumptions else manifest.created
        where = one_line(str(plan.folder), 120)
        print(visible(f"nothing played: results of {last} in {where}; --new plays again"), file=sys.stderr)
    return outcome


def play_plan(plan: EvaluationPlan) -> EvaluationOutcome:
    """Play what a plan's run still owes; shows its progress alone.

    Raises:
        SadEnvError: see `evaluate`.
    """
    # A wrong reference, tokenizer or backend is reported before anything is written.
    sums, play = sums_for(plan.manifest), player_of(plan)
    tracker_names(plan.settings.report_to)
    with claimed(plan) as run:
        outcome = evaluate(
            run,
            play,
            sums,
            reference=plan.settings.reference,
            quiet=plan.settings.quiet or plan.settings.agent == PERSON,
            seconds=plan.settings.run_seconds,
            now=plan.manifest,
        )
        if outcome.results.status == "complete" and not outcome.idle:
            report_run(plan.settings.report_to, run, outcome.results)
    return outcome


def player_of(plan: EvaluationPlan) -> Play:
    """What plays the episodes of a plan, on its backend.

    Raises:
        ConfigError: no such backend, its extra is not installed, or a person would have to play on a cluster.
        InfrastructureError: the cluster does not answer.
    """
    settings = plan.settings
    person = settings.agent == PERSON
    if person and settings.backend != LOCAL:
        raise ConfigError(f"--backend {one_line(settings.backend, 40)}: a person plays here, leave it out")
    return player(
        settings.backend,
        plan.agent,
        functools.partial(make_agent, settings, plan.recipe),
        plan.recipe,
        live=1 if person else settings.concurrency,
        workers=settings.workers,
        limits=plan.limits,
    )


def describe(plan: EvaluationPlan) -> str:
    """What a plan would do, in a few lines."""
    manifest, limits = plan.manifest, plan.limits
    tries = f", {manifest.repeats} tries each" if manifest.repeats > 1 else ""
    part = f", part {manifest.shard[0]} of {manifest.shard[1]}" if manifest.shard[1] > 1 else ""
    tokens, seconds = limits.max_tokens or "free", limits.seconds or "free"
    return "\n".join(
        (
            f"would run {len(manifest.planned()):,} episodes of {manifest.agent} in {manifest.world}{part}",
            f"  panel   {plan.panel.name}: {len(plan.panel.task_ids):,} tasks{tries}, sha256 {plan.panel.sha256[:12]}",
            f"  data    {manifest.data}" + (f", sha256 {manifest.data_sha256[:18]}" if manifest.data_sha256 else ""),
            f"  limits  {limits.max_steps} steps; tokens {tokens}; seconds {seconds}"
            + (f"; the whole run {plan.settings.run_seconds:g} s" if plan.settings.run_seconds else ""),
            f"  folder  {plan.folder}" + (" (exists: the run would go on)" if plan.folder.exists() else ""),
            "nothing was written",
        )
    )


def _finish(plan: EvaluationPlan, results: Results) -> None:
    out = console()
    print_report(results, out)
    out.print(safe_text(f"run folder: {plan.folder}", "dim"), soft_wrap=True)
    if results.status != "complete":
        out.print(safe_text(f"{results.owed:,} episodes are owed: run the same command to go on", "bold yellow"))


def stopped(outcome: EvaluationOutcome) -> int:
    """Say what an evaluation that could not go on has done, and return the exit code."""
    results = outcome.results
    done = f"{results.scored:,} done, {results.owed:,} owed; run the same command to go on"
    if outcome.failure:
        print(visible(f"sad-eval: {one_line(outcome.failure, 300)}"), file=sys.stderr)
    print(done, file=sys.stderr)
    return INTERRUPTED if outcome.interrupted else IncompleteError.exit_code


if __name__ == "__main__":
    sys.exit(main())
