"""The report of a study: setting, findings, claims, tables, figures and CSV, from what is in its folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from sad_env.errors import DataError
from sad_env.files import sha256_file, write_text
from sad_env.json_lines import parse_json
from sad_eval.study.claims import claims_text
from sad_eval.study.comparisons import compare_methods
from sad_eval.study.costs import Cost
from sad_eval.study.curves import curves_section
from sad_eval.study.faithfulness_tables import faithfulness_section
from sad_eval.study.figures import COSTS, Point, write_figures
from sad_eval.study.methods import METHODS, method_of
from sad_eval.study.paper_tables import MAIN, printed_table
from sad_eval.study.plan import REFERENCES, TEACHER, run_name, teacher_file
from sad_eval.study.results import COLUMNS, WorldResults, read_study
from sad_eval.study.scaling import write_scaling
from sad_eval.study.statistics import RESAMPLES
from sad_eval.study.tables import (
    ablation_tables,
    contests,
    cost_table,
    main_table,
    pooled,
    starts_of,
    teacher_table,
    tests_table,
    title_of,
)
from sad_eval.study.teacher_doubts import doubts

REPORT = "README.md"
FINDINGS = "findings.md"
"""Written by hand; the report includes its text."""
NO_FIGURES = "The figures are missing: install `sad-env-core[plots]` and run `sad-study` again with `--report-only`."

_UNFINISHED = "**Not finished: what is compared below is what is there; see Setting for how much that is.**\n"

_METHOD = f"""## How to read it

Episodes are greedy, one try a task; all methods of a world are measured on the same tasks. Figures pool the seeds.
Their 95 % intervals are bootstraps over tasks ({RESAMPLES:,} resamples; a task is drawn with all students that played
it), so they say what other tasks would bring; what other seeds would bring is seen in the columns that list student by
student. A success rate of 0 or 100 % has Wilson's interval for the number of tasks. Differences are paired: both sides
of a resample hold the same tasks, sizes and seeds; p is of the same bootstrap, two-sided. McNemar's exact test compares
two students. An episode that is no success counts as many steps as it was allowed. Reasoning is counted in the model's
own tokens, of the expert in words and signs; that less of it is better is the paper's reading, by which a student that
thinks nothing is best. CoT match compares with the teacher's reasoning on the same task. Processor seconds are those of
the whole stage, loading included.
"""


def write_report(out: Path) -> list[WorldResults]:
    """Write `README.md`, the figures and the CSV files of a study; returns what they are about.

    Raises:
        DataError: no world of the study was begun, or a file of it cannot be read.
    """
    worlds = read_study(out)
    if not worlds:
        raise DataError(f"no study in {str(out)!r}: run sad-study first")
    findings = out / FINDINGS
    parts = [
        f"# Study {out.name}\n",
        "All commands: [commands.sh](commands.sh). Figures: [results.csv](results.csv), [tests.csv](tests.csv).\n",
        *([findings.read_text(encoding="utf-8").strip() + "\n"] if findings.exists() else []),
        *([] if all(world.done == world.planned for world in worlds) else [_UNFINISHED]),
        *(f"**{line[0].upper()}{line[1:]}.**\n" for world in worlds for line in doubts(world)),
        claims_text(worlds),
        curves_section(out, worlds),
        "## Success, reasoning, CoT match, steps (the shape of the paper's Table 3)\n",
        *(part for world in worlds for part in (main_table(world), _figures(out, world))),
        *_printed(worlds),
        "## Ablations\n",
        ablation_tables(worlds),
        faithfulness_section(out, worlds),
        "## Tests of SAD against each method, success\n",
        tests_table(worlds),
        teacher_table(worlds),
        "## Cost of a student\n",
        *(cost_table(world) for world in worlds),
        "## Setting\n",
        *(_setting(out, world) for world in worlds),
        _METHOD,
    ]
    write_text(out / REPORT, "\n".join(parts))
    write_text(out / "results.csv", _results_csv(worlds))
    write_text(out / "tests.csv", _tests_csv(worlds))
    return worlds


def _printed(worlds: Sequence[WorldResults]) -> list[str]:
    """The paper's table that the study is laid out for, if it is."""
    settings = worlds[0].settings
    table = settings.get("table", "")
    if not table:
        return []
    sizes = settings["students"] if table in MAIN else settings["ablation_students"] or settings["students"]
    found = {world.name: world for world in worlds}
    return [printed_table(table, list(found), sizes, settings.get("labels", {}), found)]


def _figures(out: Path, world: WorldResults) -> str:
    references = [
        (name, value)
        for name in (*REFERENCES, TEACHER)
        if name in world.evaluations and (value := world.evaluations[name].value("success")) is not None
    ]
    names = write_figures(out, world.name, _points(world), references)
    if names is None:
        return f"{NO_FIGURES}\n"
    names = [*names, *write_scaling(out, world)]
    return "".join(f"![{name.replace('-', ': ')}]({name}.svg)\n" for name in names)


def _points(world: WorldResults) -> list[Point]:
    """Success of each main method and size, with the mean cost of its training."""
    found = []
    for method in (*starts_of(world), *world.settings["arms"]):
        for size in world.settings["students"]:
            runs = world.runs(size, method)
            success = pooled(list(runs.values()), "success")
            if success is None:
                continue
            names = [run_name(size, method, seed) for seed in runs]
            costs = [world.costs[name] for name in names if name in world.costs]
            found.append(Point(title_of(method), size, success, _mean_costs(costs)))
    return found


def _mean_costs(costs: Sequence[Cost]) -> dict[str, float]:
    if not costs:
        return {}
    return {
        COSTS["seconds"]: fmean(cost.cpu_seconds for cost in costs),
        COSTS["tokens"]: fmean(cost.tokens for cost in costs),
    }


def _setting(out: Path, world: WorldResults) -> str:
    settings = world.settings
    tasks = max((len(evaluation.tasks) for evaluation in world.evaluations.values()), default=0)
    limit = f"{settings['max_steps']} steps at most" if settings["max_steps"] else "the world's own step limit"
    start = "shared by all seeds" if settings["shared_start"] else "one a seed"
    budget = settings.get("processor_seconds")
    methods, others = ("methods that are no presets", " unless a preset has another") if budget else ("methods", "")
    lines = [
        f"### {world.name}\n",
        f"- Stages done: {world.done} of {world.planned}."
        + ("" if world.done == world.planned else " **Not finished.**"),
        f"- Teacher: {_teacher(out, world)}.",
        f"- Students: {', '.join(settings['students'])}; {settings['seeds']} seeds; SFT start of"
        f" {settings['start_steps']} updates on expert episodes, {start}; then {_learning(settings)}.",
        f"- Evaluation: {tasks} tasks, {limit}; data: {settings['data']}.",
        f"- Window {settings['context']} tokens, {settings['precision']}{others}, learning rates"
        f" {settings['learning_rate']:g} (SFT; of embeddings {settings['embedding_factor']:g} times that) and"
        f" {settings['distill_rate']:g} ({methods}).",
    ]
    return "\n".join(lines) + "\n"


def _learning(settings: dict[str, Any]) -> str:
    """How much each method learns, and from what; presets have settings of their own."""
    offline = f"offline {settings['batch']} rows each"
    online = (
        f"online {settings['rollouts']} episodes, drawn at temperature {settings['sampling_temperature']:g}, for every"
        f" {settings['updates']} of them"
    )
    if not (budget := settings.get("processor_seconds")):
        return f"{settings['steps']} updates of each method, {offline}, {online}"
    plain = [method_of(name) for name in settings["arms"] if not method_of(name).preset]
    found = [
        *([offline] if any(not method.online for method in plain) else []),
        *([online] if any(method.online for method in plain) else []),
    ]
    own = f"updates of the methods that are no presets: {', '.join(found)}; " if found else ""
    return f"{budget:g} processor seconds of each method ({own}presets, field/..., have settings of their own)"


def _teacher(out: Path, world: WorldResults) -> str:
    given = bool(world.settings["teachers"])
    path = teacher_file(out, world.name, given=given, dagger=bool(world.settings["dagger_steps"]))
    # Published without the checkpoint, a study still says which teacher it had.
    kept = out / world.name / "teacher.json"
    if path.exists():
        write_text(kept, json.dumps(_described(path), indent=1) + "\n")
    if not kept.exists():
        return "not there yet"
    teacher = parse_json(kept.read_bytes())
    shown = ", ".join(f"{key} {value}" for key, value in teacher["record"].items())
    origin = "trained beforehand" if given else "trained here"
    return f"{origin}, sha256 `{teacher['sha256']}`; its training record: {shown}"


def _described(teacher: Path) -> dict[str, Any]:
    """The sha256 of a checkpoint, and of its training record what makes sense on another machine: no path."""
    from sad_agents.checkpoints import load_student

    record = load_student(teacher).record
    settings = record.get("settings", {})
    kept = {key: settings[key] for key in ("student", "method", "mode", "batch", "learning_rate") if key in settings}
    kept |= {key: record[key] for key in ("parameters", "updates", "seconds") if key in record}
    return {"sha256": sha256_file(teacher), "record": kept}


def _results_csv(worlds: Sequence[WorldResults]) -> str:
    costs = ["cpu_seconds", "updates", "tokens", "sampled_tokens"]
    rows: list[list[object]] = []
    for world in worlds:
        for name in (*REFERENCES, TEACHER):
            if name in world.evaluations:
                found = world.evaluations[name]
                rows.append(
                    [world.name, name, "", "", len(found.tasks), *map(found.value, COLUMNS), *[""] * len(costs)]
                )
        for size in world.settings["students"]:
            for method in _all_methods(world):
                for seed, found in world.runs(size, method).items():
                    cost = world.costs.get(run_name(size, method, seed))
                    spent = [cost.cpu_seconds, cost.updates, cost.tokens, cost.sampled] if cost else [""] * len(costs)
                    values = map(found.value, COLUMNS)
                    rows.append([world.name, size, method, seed, len(found.tasks), *values, *spent])
    return _csv(["world", "student", "way", "seed", "tasks", *COLUMNS, *costs], rows)


def _all_methods(world: WorldResults) -> list[str]:
    presets = [name for name in world.settings["arms"] if name not in METHODS]
    return [*starts_of(world), *METHODS, *presets]


def _tests_csv(worlds: Sequence[WorldResults]) -> str:
    header = ["metric", "first", "second", "world", "difference", "low", "high", "p", "resolution"]
    rows: list[list[object]] = []
    ablations = [
        ("sad-offline", method) for method in METHODS if any(method in world.settings["ablations"] for world in worlds)
    ]
    for first, second in (*contests(worlds), *ablations):
        for column in COLUMNS:
            found = compare_methods(worlds, first, second, column)
            for name, effect in (("all", found.overall), *found.worlds.items()):
                if effect is not None:
                    figures = [effect.value, effect.low, effect.high, effect.p, effect.resolution]
                    rows.append([column, first, second, name, *figures])
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else "" if cell is None else cell for cell in row])
    return text.getvalue()
