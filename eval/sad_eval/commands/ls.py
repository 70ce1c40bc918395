"""`sad-eval ls`: worlds with their panels and data, agents, commands, and plug-ins with what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text
from sad_agents import catalogue
from sad_agents.perturbed_agent import KINDS

from sad_env import cli, registry
from sad_env.data import pack_folder
from sad_env.safe_text import console, one_line, safe_text
from sad_eval.metrics.episode_metrics import PLUGIN_GROUP as METRIC_GROUP
from sad_eval.metrics.episode_metrics import load_plugins as load_metrics


@dataclass(frozen=True)
class ListSettings:
    """What there is to evaluate, and on what.

    $ sad-eval ls
    """


def run_ls(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval ls`."""
    cli.parse(ListSettings, arguments, prog="sad-eval ls")
    out = console()
    for title, table in (("worlds (--env)", _worlds()), ("agents (--agent)", _agents()), ("plug-ins", _plugins())):
        if table.row_count:
            out.print(safe_text(title, "bold"))
            out.print(table)
            out.print()
    out.print(safe_text(f"perturbations (--perturb): {', '.join(KINDS)}"))
    return 0


def _table() -> Table:
    return Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 2))


def _worlds() -> Table:
    table = _table()
    for spec in registry.known():
        try:
            packs = [pack.name for pack in registry.load(spec.data).packs] if spec.data else []
        except Exception as error:  # whatever the code of a plug-in may raise
            table.add_row(safe_text(one_line(spec.name, 24), "bold"), _broken(error))
            continue
        here = [name for name in packs if pack_folder(spec.name, name).is_dir()]
        facts = f"panel {spec.panel}, {spec.max_steps} steps"
        if packs:
            facts += f"; official packs: {', '.join(packs)}" + (f" ({', '.join(here)} here)" if here else "")
        table.add_row(safe_text(one_line(spec.name, 24), "bold"), safe_text(f"{one_line(spec.summary, 80)}\n{facts}"))
    return table


def _broken(error: Exception | str) -> Text:
    return safe_text(f"broken: {one_line(str(error), 160)}", "red")


def _agents() -> Table:
    table = _table()
    everywhere = set.intersection(*(set(catalogue.known_agents(spec.name)) for spec in registry.known()))
    table.add_row(safe_text(", ".join(sorted(everywhere)), "bold"), safe_text("in every world"))
    for spec in registry.known():
        further = sorted(set(catalogue.known_agents(spec.name)) - everywhere)
        if further:
            table.add_row(safe_text(", ".join(further), "bold"), safe_text(f"in {one_line(spec.name, 24)}"))
    for form, meaning in (
        ("FILE.pt, FOLDER/", "a student or a model folder"),
        ("hf:ID", "a causal language model of the Hugging Face hub"),
        ("openai:URL#NAME", "a model on an OpenAI-compatible server"),
        ("vllm:URL#NAME", "a model on vLLM, asked by ids: as in this process"),
        ("scripted:FILE", "completions read from a file"),
        ("package.module:Class, file.py:Class", "an agent of your own"),
    ):
        table.add_row(safe_text(form, "bold"), safe_text(meaning))
    return table


def _plugins() -> Table:
    table = _table()
    found = [(name, registry.PLUGIN_GROUP, error) for name, error in registry.load_plugins().items()]
    found += [(name, METRIC_GROUP, error) for name, error in load_metrics().items()]
    found += [(plugin.name, plugin.source, plugin.error) for plugin in catalogue.plugins()]
    for name, source, error in found:
        state = _broken(error) if error else safe_text("ok", "green")
        table.add_row(safe_text(one_line(name, 40), "bold"), safe_text(one_line(source, 60)), state)
    return table
