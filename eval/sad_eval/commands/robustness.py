"""`sad-eval robustness`: the same tasks with their instructions perturbed, each kind compared with the plain run."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence

from sad_agents.perturbed_agent import KINDS

from sad_env.addresses import public_address
from sad_env.errors import ConfigError
from sad_env.safe_text import console, safe_text, visible
from sad_eval.analysis.compare import compare
from sad_eval.commands.evaluate import describe, run_plan, stopped
from sad_eval.records import Results, exit_code
from sad_eval.report.export import results_json
from sad_eval.report.terminal import side_by_side
from sad_eval.runs.plan import make_plan, panels_of
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.settings import read_settings

PLAIN = "none"


def run_robustness(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval robustness`: takes the flags of `sad-eval`, and runs every perturbation into a folder of its own."""
    words = list(arguments or [])
    settings = read_settings(words, prog="sad-eval robustness")
    panels = panels_of(settings)
    if settings.perturb != PLAIN or len(panels) > 1:
        raise ConfigError("this command chooses --perturb itself and takes one --panel")
    command = shlex.join(["sad-eval", "robustness", *map(public_address, words)])
    done: list[tuple[str, Results]] = []
    folders: list[RunFolder] = []
    for kind in (PLAIN, *KINDS):
        out = f"{settings.out}/{kind}" if settings.out else ""
        plan = make_plan(dataclasses.replace(settings, perturb=kind, out=out), panels[0], command=command)
        if settings.dry_run:
            print(visible(describe(plan)))
            continue
        outcome = run_plan(plan)
        if outcome.interrupted or outcome.failure:
            return stopped(outcome)
        done.append(("plain" if kind == PLAIN else kind, outcome.results))
        folders.append(RunFolder.open(plan.folder))
    if settings.json and done and not settings.quiet:
        print(results_json([results for _, results in done]))
    elif done and not settings.quiet:
        _print(done, folders)
    return max((exit_code(results) for _, results in done), default=0)


def _print(done: Sequence[tuple[str, Results]], folders: Sequence[RunFolder]) -> None:
    side_by_side(done, console())
    out = console()
    out.print()
    for (kind, _), folder in zip(done[1:], folders[1:], strict=True):
        pair = compare([folders[0], folder]).pairs[0]
        change = pair.differences["success_rate"]
        interval = f"[{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
        flips = f"{pair.only_first} lost, {pair.only_second} won"
        out.print(
            safe_text(
                f"{kind:12} {100 * change.value:+.1f} points {interval}  {flips}, {pair.test} p = {pair.p_value:.3g}"
            )
        )
    out.print(safe_text(f"run folders in {folders[0].path.parent}", "dim"))
