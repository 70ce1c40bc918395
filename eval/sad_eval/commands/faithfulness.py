"""`sad-eval faithfulness`: does a language model act on what it reasons?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from sad_agents.model import Model
from sad_agents.react import ReActAgent

from sad_env import cli
from sad_env.errors import ConfigError, DataError, UnknownNameError
from sad_env.files import write_text
from sad_env.progress import shown
from sad_env.safe_text import console, one_line, safe_text
from sad_env.settings import formerly
from sad_eval.analysis.editors import EDIT_TOKENS, Editor, ModelEditor, RuleEditor
from sad_eval.analysis.faithfulness import Probe, ProbeOutcome, ask, figures, probes
from sad_eval.records import Estimate
from sad_eval.report.terminal import plain_table
from sad_eval.runs.plan import make_agent, world_recipe
from sad_eval.runs.run_folder import MANIFEST, RunFolder
from sad_eval.runs.settings import EvalSettings, recorded_settings

REPORT, PROBES = "faithfulness.json", "faithfulness.jsonl"
"""In the run folder: the figures; every edit and the actions that followed, a line a step."""


@dataclass(frozen=True)
class FaithfulnessSettings:
    """Does a language model act on what it reasons? Needs a run of that model.

    $ sad-eval --agent student.pt --env alfworld --out runs/student
    $ sad-eval faithfulness runs/student
    $ sad-eval faithfulness runs/student --editor openai:http://localhost:8000/v1
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The model's own run."""
    agent: str = ""
    """Who acts: the run's model, where it is not where it was when the run was made."""
    editor: str = "rules"
    """Who rewrites the reasoning: rules, or a model that can follow an instruction, e.g. the teacher (hf:ID,
    openai:URL#NAME)."""
    probes: Annotated[int, tyro.conf.arg(metavar="N"), formerly("steps")] = 200
    """Steps to probe, drawn from all that have a counterfactual."""
    seed: int = 0
    """Seed of all draws."""
    quiet: bool = False
    """Show no progress."""
    json: bool = False
    """Print JSON instead of a table."""
    out: Path | None = None
    """Output file for the figures (JSON), besides those in the run folder."""


def run_faithfulness(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval faithfulness`; the figures are also written into the run folder."""
    settings = cli.parse(FaithfulnessSettings, arguments, prog="sad-eval faithfulness")
    cli.at_least("probes", settings.probes, 1)
    run = RunFolder.open(settings.run)
    stored = _settings_of(run, settings.agent)
    model = _model_of(run, stored)
    editor = _editor(settings.editor, run, stored)
    found = probes(run, model, settings.probes, settings.seed, editor)
    outcomes = list(_asked(model, found, stored.max_new_tokens, quiet=settings.quiet))
    estimates = figures(found, outcomes)
    document: dict[str, Any] = {
        "agent": run.manifest.agent,
        "model": model.name,
        "editor": editor.name,
        "unusable_edits": editor.unusable,
        "probes": len(found),
        "seed": settings.seed,
        "figures": {name: estimate.model_dump(mode="json") for name, estimate in estimates.items()},
    }
    _write(run, document, found, outcomes)
    if settings.out is not None:
        write_text(settings.out, json.dumps(document, indent=2, allow_nan=False) + "\n")
    if settings.json:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        _print(run, model, editor, estimates)
    return 0


def _write(run: RunFolder, document: dict[str, Any], found: Sequence[Probe], outcomes: Sequence[ProbeOutcome]) -> None:
    write_text(run.path / REPORT, json.dumps(document, indent=2, allow_nan=False) + "\n")
    lines = [
        {
            "task_id": probe.task,
            "step": probe.request.step,
            "implied": probe.implied,
            "reasonings": probe.reasonings,
            "actions": outcome.actions,
        }
        for probe, outcome in zip(found, outcomes, strict=True)
    ]
    write_text(run.path / PROBES, "".join(json.dumps(line) + "\n" for line in lines))


def _asked(model: Model, found: Sequence[Probe], max_tokens: int, *, quiet: bool) -> Iterator[ProbeOutcome]:
    with shown(quiet=quiet) as progress:
        for number, probe in enumerate(found, 1):
            yield ask(model, probe, max_tokens)
            progress("steps probed", number, len(found))


def _settings_of(run: RunFolder, agent: str) -> EvalSettings:
    """The settings of a run, with another word for its agent where one is given.

    Raises:
        DataError: this version has other settings.
    """
    changes: dict[str, Any] = {"agent": agent} if agent else {}
    if not agent and "form" not in run.manifest.settings:
        # Versions that knew no other wrote so.
        changes |= {"form": "lines", "chat": "off"}
    try:
        return recorded_settings(run.manifest.settings, perturb="none", **changes)
    except ConfigError as error:
        raise DataError(f"{one_line(str(run.path / MANIFEST), 120)}: {error}") from None


def _model_of(run: RunFolder, settings: EvalSettings) -> Model:
    """The language model that the settings name.

    Raises:
        ConfigError: they name another kind of agent.
    """
    recipe = world_recipe(settings, str(run.manifest.identity.get("world split", "")))
    made = make_agent(settings, recipe)
    if not isinstance(made, ReActAgent):
        raise ConfigError(f"{one_line(made.name, 60)!r} is no language model: its reasoning cannot be replaced")
    return made.model


def _editor(word: str, run: RunFolder, settings: EvalSettings) -> Editor:
    if word == RuleEditor.name:
        return RuleEditor()
    changes: dict[str, Any] = {"max_new_tokens": EDIT_TOKENS, "prompt": "", "chat": "auto"}
    # An edit is written as the steps are.
    changes["form"] = str(run.manifest.identity.get("agent form", "lines"))
    plain = dataclasses.replace(settings, agent=word, temperature=0.0, votes=1, **changes)
    try:
        return ModelEditor(_model_of(run, plain))
    except UnknownNameError as error:
        raise ConfigError(f"--editor is rules or a model: {error}") from None


def _print(run: RunFolder, model: Model, editor: Editor, estimates: dict[str, Estimate]) -> None:
    out = console()
    out.print(safe_text(f"{one_line(model.name, 40)} in {run.manifest.world}", "bold"))
    if model.name != run.manifest.agent:
        out.print(safe_text(f"! the steps are those of {one_line(run.manifest.agent, 40)}", "yellow"))
    unusable = f", {editor.unusable:,} unusable" if editor.unusable else ""
    out.print(safe_text(f"edits by {one_line(editor.name, 40)}{unusable}", "dim"))
    table = plain_table("", "value", "95 % interval", "n")
    for name, one in estimates.items():
        label = safe_text(name.replace("_", " "), "bold" if name == "faithfulness" else "")
        table.add_row(label, f"{one.value:.3f}", f"{one.low:.3f} – {one.high:.3f}", f"{one.n:,}")
    out.print(table)
