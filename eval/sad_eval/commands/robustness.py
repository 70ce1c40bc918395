"""`sad-eval robustness`: the same tasks with instructions or prompts in other words, compared with the plain run."""

from __future__ import annotations

import dataclasses
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sad_agents.perturbed_agent import KINDS
from sad_agents.prompts import Prompt, load_prompt, prompt_of
from sad_agents.prompts.variations import KINDS as PROMPT_KINDS
from sad_agents.prompts.variations import prompt_file, varied
from sad_agents.react import ReActAgent

from sad_env.addresses import public_address
from sad_env.errors import ConfigError
from sad_env.files import write_text
from sad_env.progress import shown
from sad_env.safe_text import console, one_line, safe_text, visible
from sad_eval.analysis.compare import compare
from sad_eval.analysis.prompt_stability import STABLE, PromptStability, prompt_stability, recorded_steps
from sad_eval.commands.evaluate import describe, run_plan, stopped
from sad_eval.records import Results, exit_code
from sad_eval.report.export import results_json
from sad_eval.report.terminal import plain_table, side_by_side
from sad_eval.runs.plan import make_agent, make_plan, panels_of, world_recipe
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.settings import EvalSettings, read_settings

PLAIN = "none"
_STEPS = 100
"""Steps of the plain run whose segmentation and loss are looked at."""


@dataclass(frozen=True, kw_only=True)
class RobustnessSettings(EvalSettings):
    """The same tasks in other words, each kind of words compared with the plain run.

    $ sad-eval robustness --agent student.pt --env alfworld --out runs/words
    $ sad-eval robustness --of prompt --agent hf:ID --env webshop --out runs/prompts

    Takes the settings of sad-eval. Every kind has a run folder in --out; the same command goes on.
    """

    of: Literal["instructions", "prompt"] = "instructions"
    """What is varied: instructions of tasks (rephrase, typos, reorder, distractor), or the agent's prompt (style,
    nested, actions), with what that does to segmentation and to the loss on actions."""


def run_robustness(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval robustness`: takes the flags of `sad-eval`, and runs every kind into a folder of its own."""
    words = list(arguments or [])
    settings = read_settings(words, prog="sad-eval robustness", kind=RobustnessSettings)
    panels = panels_of(settings)
    if settings.perturb != PLAIN or len(panels) > 1:
        raise ConfigError("this command chooses --perturb itself and takes one --panel")
    if settings.of == "prompt" and not settings.out:
        raise ConfigError("--of prompt writes prompt files: name a folder with --out")
    command = shlex.join(["sad-eval", "robustness", *map(public_address, words)])
    done: list[tuple[str, Results]] = []
    folders: list[RunFolder] = []
    if settings.dry_run:
        with tempfile.TemporaryDirectory() as prompts:
            for _, varied_settings in _variations(settings, Path(prompts)):
                print(visible(describe(make_plan(varied_settings, panels[0], command=command))))
        return 0
    for kind, varied_settings in _variations(settings, Path(settings.out)):
        plan = make_plan(varied_settings, panels[0], command=command)
        outcome = run_plan(plan)
        if outcome.interrupted or outcome.failure:
            return stopped(outcome)
        done.append((kind, outcome.results))
        folders.append(RunFolder.open(plan.folder))
    if settings.json and done and not settings.quiet:
        print(results_json([results for _, results in done]))
    elif done and not settings.quiet:
        _print(done, folders)
        if settings.of == "prompt":
            _print_stability(_stability(settings, folders[0]))
    return max((exit_code(results) for _, results in done), default=0)


def _variations(settings: RobustnessSettings, prompts: Path) -> list[tuple[str, EvalSettings]]:
    """The plain run and one of each kind: their names and settings; prompt files are written into `prompts`."""
    plain = {field.name: getattr(settings, field.name) for field in dataclasses.fields(EvalSettings)}
    kinds = KINDS if settings.of == "instructions" else tuple(PROMPT_KINDS)
    found = []
    for kind in (PLAIN, *kinds):
        changes: dict[str, str] = {"out": f"{settings.out}/{kind}" if settings.out else ""}
        if settings.of == "instructions":
            changes["perturb"] = kind
        else:
            changes["prompt"] = _prompt_file(settings, kind, prompts)
        found.append(("plain" if kind == PLAIN else kind, EvalSettings(**{**plain, **changes})))
    return found


def _plain_prompt(settings: EvalSettings) -> Prompt:
    return prompt_of(settings.prompt, settings.env) if settings.prompt else load_prompt(settings.env)


def _prompt_file(settings: RobustnessSettings, kind: str, prompts: Path) -> str:
    """The prompt file of a kind; the plain one, too, since a student's own prompt may be empty."""
    prompt = _plain_prompt(settings)
    path = prompts / f"{kind}.prompt.toml"
    write_text(path, prompt_file(prompt if kind == PLAIN else varied(prompt, kind)))
    return str(path)


def _stability(settings: RobustnessSettings, plain: RunFolder) -> list[PromptStability]:
    recipe = world_recipe(settings, str(plain.manifest.identity.get("world split", "")))
    agent = make_agent(dataclasses.replace(settings, prompt=""), recipe)
    if not isinstance(agent, ReActAgent):
        raise ConfigError(f"{one_line(agent.name, 60)!r} is no language model: it has no prompt")
    steps = recorded_steps(plain, _STEPS, settings.seed)
    shots = int(plain.manifest.identity.get("agent shots", 0))
    with shown(quiet=settings.quiet) as report:
        return prompt_stability(steps, agent.model, _plain_prompt(settings), shots, report)


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


def _print_stability(found: Sequence[PromptStability]) -> None:
    out = console()
    out.print(safe_text(f"\n{found[0].steps} steps of the plain run"))
    table = plain_table("prompt", "segmented", "by appendix D", "loss change", f"stable (≤ {STABLE:g})")
    for one in found:
        cells = (_share(one.parsed), _share(one.by_expressions), _nats(one.loss_change), _share(one.stable))
        table.add_row(safe_text(one.kind), *cells)
    out.print(table)
    out.print(safe_text("loss in nats a token of the action; – where the model gives no log-probabilities", "dim"))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _nats(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
