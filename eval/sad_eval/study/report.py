"""The report of a study: setting, findings, claims, tables, plots and CSV, from what lies in its folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from sad_env.errors import DataError
from sad_env.files import sha256_file, write_text
from sad_eval.study.arms import ARMS
from sad_eval.study.claims import claims_text
from sad_eval.study.comparisons import compare
from sad_eval.study.plan import REFERENCES, run_name, teacher_file
from sad_eval.study.plots import Dot, cost_plot, success_plot
from sad_eval.study.results import METRICS, WorldResults, read_study
from sad_eval.study.statistics import RESAMPLES
from sad_eval.study.tables import ablation_tables, contests, cost_table, main_table, pooled, tests_table, title_of

REPORT = "README.md"
FINDINGS = "findings.md"
"""Written by hand; the report holds its text."""

_METHOD = f"""## How to read it

Episodes are greedy, one try a task; all ways of a world are measured on the same tasks. Figures pool the seeds. Their
95 % intervals are bootstraps over tasks ({RESAMPLES:,} resamples; a task is drawn with all students that played it), so
they say what other tasks would bring; what other seeds would bring is seen in the columns that list student by student.
A success rate of 0 or 100 % has Wilson's interval for the number of tasks. Differences are paired: both sides of a
resample hold the same tasks, sizes and seeds; p is of the same bootstrap, two-sided. McNemar's exact test compares two
students. An episode that is no success counts as many steps as it was allowed. Reasoning is counted in the model's own
tokens, of the expert in words and signs; that less of it is better is the paper's reading, by which a student that
thinks nothing is best. CoT match compares with the teacher's reasoning on the same task. Processor seconds are those of
the whole stage, loading included.
"""


def write_report(out: Path) -> list[WorldResults]:
    """Write `README.md`, the plots and the CSV files of a study; returns what they are about.

    Raises:
        DataError: no world of the study was begun.
    """
    worlds = read_study(out)
    if not worlds:
        raise DataError(f"no study in {str(out)!r}: run sad-distill study first")
    findings = out / FINDINGS
    parts = [
        f"# Study {out.name}\n",
        "All commands: [commands.sh](commands.sh). Figures: [results.csv](results.csv), [tests.csv](tests.csv).\n",
        *([findings.read_text(encoding="utf-8").strip() + "\n"] if findings.exists() else []),
        claims_text(worlds),
        "## Success, reasoning, CoT match, steps (the shape of the paper's Table 3)\n",
        *(part for world in worlds for part in (main_table(world), _plots(out, world))),
        "## Ablations\n",
        ablation_tables(worlds),
        "## Tests of SAD against each way, success\n",
        tests_table(worlds),
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


def _plots(out: Path, world: WorldResults) -> str:
    dots = _dots(world)
    references = [
        (name, value)
        for name in (*REFERENCES, "teacher")
        if name in world.evaluations and (value := world.evaluations[name].value("success")) is not None
    ]
    plots = {"success": success_plot(f"{world.name}: success by way and size", [dot for dot, _ in dots], references)}
    axes = {"seconds": "processor seconds of training", "tokens": "supervised tokens"}
    for name, axis in axes.items():
        costly = [replace(dot, cost=costs[name]) for dot, costs in dots if costs[name] > 0]
        plots[name] = cost_plot(f"{world.name}: success against cost", axis, costly)
    for name, plot in plots.items():
        write_text(out / f"{world.name}-{name}.svg", plot)
    return "\n".join(f"![{world.name}: {name}]({world.name}-{name}.svg)" for name in plots) + "\n"


def _dots(world: WorldResults) -> list[tuple[Dot, dict[str, float]]]:
    """Success of each way and size, with the mean processor seconds and tokens of its training; 0 is not known."""
    found = []
    for way in ("start", *world.settings["arms"]):
        for size in world.settings["students"]:
            runs = world.runs(size, way)
            success = pooled(list(runs.values()), "success")
            if success is None:
                continue
            names = [run_name(size, way, seed) for seed in runs]
            costs = [world.costs[name] for name in names if name in world.costs]
            dot = Dot(title_of(way), size, success.value, success.low, success.high)
            means = {"seconds": [one.cpu_seconds for one in costs], "tokens": [float(one.tokens) for one in costs]}
            found.append((dot, {name: fmean(values) if values else 0.0 for name, values in means.items()}))
    return found


def _setting(out: Path, world: WorldResults) -> str:
    settings = world.settings
    tasks = max((len(one.tasks) for one in world.evaluations.values()), default=0)
    limit = f"{settings['max_steps']} steps at most" if settings["max_steps"] else "the world's own step limit"
    start = "shared by all seeds" if settings["shared_start"] else "one a seed"
    lines = [
        f"### {world.name}\n",
        f"- Stages done: {world.done} of {world.planned}."
        + ("" if world.done == world.planned else " **Not finished.**"),
        f"- Teacher: {_teacher(out, world)}.",
        f"- Students: {', '.join(settings['students'])}; {settings['seeds']} seeds; SFT start of"
        f" {settings['start_steps']} updates on expert episodes, {start}; then {settings['steps']} updates of each way,"
        f" offline {settings['batch']} rows each, online {settings['rollouts']} episodes, drawn at temperature"
        f" {settings['sampling_temperature']:g}, for every {settings['updates']} of them.",
        f"- Evaluation: {tasks} tasks, {limit}; data: {settings['data']}.",
        f"- Window {settings['budget']} tokens, {settings['precision']}, learning rates {settings['learning_rate']:g}"
        f" (SFT; of embeddings {settings['embedding_factor']:g} times that) and {settings['distill_rate']:g} (ways).",
    ]
    return "\n".join(lines) + "\n"


def _teacher(out: Path, world: WorldResults) -> str:
    path = teacher_file(
        out, world.name, given=bool(world.settings["teachers"]), dagger=bool(world.settings["dagger_steps"])
    )
    if not path.exists():
        return "not there yet"
    from sad_agents.checkpoints import load_student

    record = load_student(path).record
    settings = record.get("settings", {})
    # Paths of another machine would tell nobody anything.
    shown = [
        f"{key} {settings[key]}" for key in ("student", "method", "mode", "batch", "learning_rate") if key in settings
    ]
    shown += [f"{key} {record[key]}" for key in ("parameters", "updates", "seconds") if key in record]
    origin = "trained beforehand" if world.settings["teachers"] else "trained here"
    return f"{origin}, sha256 `{sha256_file(path)}`; its training record: {', '.join(shown)}"


def _results_csv(worlds: Sequence[WorldResults]) -> str:
    header = [
        "world",
        "student",
        "way",
        "seed",
        "tasks",
        *METRICS,
        "cpu_seconds",
        "updates",
        "tokens",
        "sampled_tokens",
    ]
    rows: list[list[object]] = []
    for world in worlds:
        for name in (*REFERENCES, "teacher"):
            if name in world.evaluations:
                one = world.evaluations[name]
                rows.append([world.name, name, "", "", len(one.tasks), *map(one.value, METRICS), "", "", "", ""])
        for size in world.settings["students"]:
            for way in ("start", *ARMS):
                for seed, one in world.runs(size, way).items():
                    cost = world.costs.get(run_name(size, way, seed))
                    costs = [cost.cpu_seconds, cost.updates, cost.tokens, cost.sampled] if cost else [""] * 4
                    rows.append([world.name, size, way, seed, len(one.tasks), *map(one.value, METRICS), *costs])
    return _csv(header, rows)


def _tests_csv(worlds: Sequence[WorldResults]) -> str:
    header = ["metric", "first", "second", "world", "difference", "low", "high", "p", "resolution"]
    rows: list[list[object]] = []
    ablations = [("sad-offline", arm) for arm in ARMS if any(arm in world.settings["ablations"] for world in worlds)]
    for first, second in (*contests(worlds), *ablations):
        for metric in METRICS:
            found = compare(worlds, first, second, metric)
            for name, one in (("all", found.overall), *found.worlds.items()):
                if one is not None:
                    rows.append([metric, first, second, name, one.value, one.low, one.high, one.p, one.resolution])
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{one:.6g}" if isinstance(one, float) else "" if one is None else one for one in row])
    return text.getvalue()
