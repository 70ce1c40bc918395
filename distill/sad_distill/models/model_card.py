"""The README of a student's folder: what it is, what it reached, how it was trained, how it is used."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sad_env.errors import DataError
from sad_env.json_lines import RecordError, parse_json
from sad_env.safe_text import one_line

CARD_FILE = "README.md"
RESULTS_FILE = "results.json"
"""Of a run folder of `sad-eval`."""
_METRICS = {
    "success_rate": "success rate",
    "score": "score",
    "reasoning_per_step": "reasoning tokens a step",
    "environment_steps": "environment steps",
}
"""What a card shows of an evaluation."""
_HARDWARE = frozenset({"device", "micro_batch", "save_every", "tensorboard", "workers", "recompute"})


@dataclass(frozen=True)
class Figure:
    """A measured number with its interval."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    interval: str


@dataclass(frozen=True)
class Evaluated:
    """An evaluation of a student.

    Attributes:
        world: its name.
        data: generated, official or given.
        panel: name of the tasks.
        panel_sha256: their hash.
        figures: by metric.
    """

    world: str
    data: str
    panel: str
    panel_sha256: str
    figures: tuple[Figure, ...]


def read_results(folder: Path) -> Evaluated:
    """The results of a run folder of `sad-eval`.

    Raises:
        DataError: it holds none, or the run is not complete.
    """
    path = folder / RESULTS_FILE
    shown = one_line(str(path), 120)
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
        if value["status"] != "complete":
            raise DataError(f"{shown}: the evaluation is {one_line(str(value['status']), 20)}: let it play the rest")
        figures = tuple(
            _figure(_METRICS[name], value["metrics"][name])
            for name in _METRICS
            if isinstance(value["metrics"].get(name), dict)
        )
        world, data, panel, digest = (str(value[key]) for key in ("world", "data", "panel", "panel_sha256"))
        return Evaluated(world, data, panel, digest, figures)
    except OSError as error:
        raise DataError(f"{shown}: {error.strerror}: give the folder of a finished sad-eval run") from None
    except (RecordError, KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{shown} holds no results of sad-eval") from None


def _figure(metric: str, told: Mapping[str, Any]) -> Figure:
    value, low, high = (float(told[key]) for key in ("value", "low", "high"))
    return Figure(metric, value, low, high, int(told["n"]), str(told.get("interval", "")))


def model_card(
    name: str, record: Mapping[str, Any], facts: Mapping[str, str], results: Sequence[Evaluated] = ()
) -> str:
    """The card, in the Markdown and YAML of the Hugging Face hub; texts of records and results are escaped.

    Args:
        name: of the student: OWNER/NAME, or its folder's.
        record: its training record.
        facts: architecture, parameters and so on, in words.
        results: evaluations, each with its intervals.
    """
    return "\n".join([*_front(name, record, results), *_body(name, record, facts, results)]) + "\n"


def _settings(record: Mapping[str, Any]) -> Mapping[str, Any]:
    found = record.get("settings")
    return found if isinstance(found, Mapping) else {}


def _world(record: Mapping[str, Any]) -> str:
    settings = _settings(record)
    return re.sub(r"[^\w.-]", "", str(settings.get("env") or settings.get("world") or "toy"))[:40]


def _front(name: str, record: Mapping[str, Any], results: Sequence[Evaluated]) -> Iterator[str]:
    """The metadata. JSON is YAML, and its strings hold nothing that could end them."""
    base = str(_settings(record).get("student", ""))
    yield "---"
    yield "library_name: transformers"
    yield "pipeline_tag: text-generation"
    yield f"tags: {json.dumps(['sad-env', 'agent', 'react', 'distillation', _world(record)])}"
    if base.startswith("hf:"):
        yield f"base_model: {json.dumps(base[3:].partition('@')[0])}"
    if results:
        entries = [
            {
                "task": {"type": "text-generation", "name": "episodes of a ReAct agent"},
                "dataset": {"type": one.world, "name": f"{one.world} {one.panel} ({one.data} data)"},
                "metrics": [{"type": f.metric.replace(" ", "_"), "name": f.metric, "value": f.value}],
            }
            for one in results
            for f in one.figures
        ]
        yield f"model-index: {json.dumps([{'name': name, 'results': entries}])}"
    yield "---"


def _body(
    name: str, record: Mapping[str, Any], facts: Mapping[str, str], results: Sequence[Evaluated]
) -> Iterator[str]:
    world, settings = _world(record), _settings(record)
    yield from (f"# {_cell(name)}", "", "An agent that reasons and acts in turn, trained with sad-env.", "")
    yield from ("| | |", "|---|---|", *(f"| {_cell(key)} | {_cell(value)} |" for key, value in facts.items()), "")
    yield from ("## Use", "", "```", f"sad-eval --agent {name} --env {world}", f"vllm serve {name}")
    yield from (f"sad-eval --agent vllm:http://localhost:8000 --env {world}", "```", "")
    yield "`AutoModelForCausalLM` and `AutoTokenizer` load it, too."
    yield "The prompt, form and window that it was trained with are in `sad_record.json`; `sad-eval` keeps to them."
    yield ""
    if results:
        yield from ("## Results", "", "| tasks | metric | value | 95 % interval | n |", "|---|---|---|---|---|")
        for one in results:
            tasks = f"{one.world} {one.panel}, {one.data} data, {one.panel_sha256[:12]}"
            for f in one.figures:
                span = f"{f.low:.4g} to {f.high:.4g} ({f.interval})"
                yield f"| {_cell(tasks)} | {f.metric} | {f.value:.4g} | {_cell(span)} | {f.n} |"
        yield ""
    yield from ("## Training", "", "| setting | value |", "|---|---|")
    shown = {key: value for key, value in settings.items() if key not in _HARDWARE and str(value) not in ("", "0")}
    done = {f"{key} in all": record[key] for key in ("updates", "seconds") if record.get(key)}
    for key, value in {**shown, **done, **record.get("versions", {})}.items():
        yield f"| {_cell(key)} | {_cell(value if isinstance(value, str) else json.dumps(value))} |"


def _cell(text: object) -> str:
    """Foreign text as plain text of a table's cell."""
    safe = html.escape(one_line(str(text), 200), quote=False)
    return "".join(f"\\{letter}" if letter in "|`*_[]\\" else letter for letter in safe)
