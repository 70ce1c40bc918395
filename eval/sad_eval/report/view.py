"""All runs of a folder on one self-contained page: agents by worlds, runs, episodes, two agents on one task, curves.

Episodes are compressed blocks of text in the page, and its script unpacks those that are looked at. Everything that
can be read without an episode is plain HTML, escaped like every page of ours; what the script shows, it sets as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sad_env.charts import BOX, Plot
from sad_env.curves import METRICS, Curves
from sad_env.errors import SadEnvError
from sad_env.json_lines import RecordError
from sad_env.safe_text import one_line, visible
from sad_eval.analysis.compare import ComparedRun, Comparison, Pair, compare_read
from sad_eval.metrics.episode_metrics import METRICS as KNOWN
from sad_eval.records import Results
from sad_eval.report.comparison import verdict
from sad_eval.report.html import environment, facts
from sad_eval.report.known_tasks import known_texts
from sad_eval.report.model import EpisodeSummary, check_results, report_of, summary
from sad_eval.report.numbers import interval_text, plain, unit_text, value_text
from sad_eval.report.packing import Packer, packed
from sad_eval.report.run_index import FoundRuns, ListedRun

MOST_BYTES = 24 * 2**20
"""Of all blocks of episodes; what does not fit in is there in figures alone."""

LONGEST_TASKS = 200_000
"""Characters of what is known of all tasks of one panel, at most."""


def render_view(found: FoundRuns, folder: Path) -> Iterator[str]:
    """The page as pieces of HTML, to be written one after the other. One episode block is in memory at a time."""
    pages = _Pages(found)
    curves, faults = _curves(found, folder)
    template = environment().get_template("view.html.j2")
    yield from template.generate(
        title=f"Evaluations in {one_line(folder.resolve().name, 60)}/",
        runs=found.runs,
        matrix=_matrix(found),
        trainings=curves,
        remarks=(*found.remarks, *faults),
        box=BOX,
        rate=lambda results: results.metrics.get("success_rate") if results else None,
        blocks=pages.blocks(),
        index=pages.index,
    )


class _Pages:
    """What the script reads: blocks of episodes first, then the index of all runs."""

    def __init__(self, found: FoundRuns) -> None:
        self._found = found
        self._packer = Packer(MOST_BYTES, max(1, len(found.runs)))
        self._runs: list[dict[str, Any]] = []
        self._compared: list[tuple[int, ComparedRun]] = []

    def blocks(self) -> Iterator[str]:
        """All blocks, in the order of their numbers; each run is read once."""
        for number, listed in enumerate(self._found.runs):
            yield from self._run(number, listed)

    def index(self) -> str:
        """Everything but the episodes' texts; after the blocks."""
        tasks = list(dict.fromkeys(row[0] for run in self._runs for row in run["rows"]))
        numbers = {task: number for number, task in enumerate(tasks)}
        for run in self._runs:
            run["rows"] = [[numbers[row[0]], *row[1:]] for row in run["rows"]]
        return packed(
            {
                "runs": self._runs,
                "tasks": [one_line(task, 200) for task in tasks],
                "known": self._known(numbers),
                "comparisons": self._comparisons(),
            }
        )

    def _run(self, number: int, listed: ListedRun) -> Iterator[str]:
        compared, rows, summaries = ComparedRun(listed.run), [], []
        remarks = list(listed.results.remarks) if listed.results else ["There are no results yet."]

        def lines() -> Iterator[Any]:
            for line in listed.run.episodes():
                compared.add(line)
                one = summary(line)
                summaries.append(one)
                figures = (one.score, one.steps, one.invalid_actions, one.generated_tokens, round(one.seconds, 3))
                told = (one_line(one.task_type, 60), one.repeat, line.trajectory.ending, int(one.success))
                rows.append([one.task_id, *told, *figures])
                yield line

        places: dict[int, tuple[int, int]] = {}
        try:
            yield from self._packer.run(lines(), places)
        except SadEnvError as error:
            remarks.append(f"Not all episodes can be read: {one_line(str(error), 200)}")
        for place, row in enumerate(rows):
            row += places.get(place, (-1, -1))
        if len(places) < len(rows):
            remarks.append(
                f"The texts of {len(rows) - len(places):,} episodes are not in this page, which would be too large;"
                " `sad-play` shows them."
            )
        if compared.rows:
            self._compared.append((number, compared))
        self._runs.append(
            {**_described(listed, summaries), "remarks": [visible(remark) for remark in remarks], "rows": rows}
        )

    def _known(self, numbers: dict[str, int]) -> dict[str, dict[int, str]]:
        """What is known of the tasks, by panel."""
        known: dict[str, dict[int, str]] = {}
        for listed in self._found.runs:
            manifest = listed.run.manifest
            panel = _panel(listed)
            if panel not in known:
                texts = {numbers[task]: text for task, text in known_texts(manifest).items() if task in numbers}
                known[panel] = texts if sum(map(len, texts.values())) <= LONGEST_TASKS else {}
        return known

    def _comparisons(self) -> list[dict[str, Any]]:
        """Every pair of runs of one panel; p values are adjusted for all pairs of the panel."""
        groups: dict[str, list[tuple[int, ComparedRun]]] = {}
        for number, compared in self._compared:
            groups.setdefault(_panel(self._found.runs[number]), []).append((number, compared))
        found = []
        for group in groups.values():
            if len(group) < 2:
                continue
            numbers, columns = [number for number, _ in group], [compared for _, compared in group]
            try:
                found.append({"runs": numbers, **_comparison(compare_read(columns))})
            except SadEnvError:
                continue  # they have no episode in common
        return found


def _described(listed: ListedRun, summaries: list[EpisodeSummary]) -> dict[str, Any]:
    manifest, results = listed.run.manifest, listed.results
    told: dict[str, Any] = {
        "name": one_line(listed.name, 80),
        "agent": one_line(manifest.agent, 80),
        "world": one_line(manifest.world, 40),
        "panel": one_line(f"{manifest.panel.name} · {manifest.data}", 80),
        "group": _panel(listed),
        "created": one_line(manifest.created, 40),
        "metrics": [],
        "facts": [],
    }
    if results is None:
        return told
    told["metrics"] = [_metric(name, results) for name in results.metrics]
    try:
        report = report_of(listed.run, summaries)
        check_results(report)
        told["facts"] = [[label, one_line(fact, 400)] for label, fact in facts(report) if fact]
    except SadEnvError as error:
        told["facts"] = [["fault", one_line(str(error), 300)]]
    return told


def _metric(name: str, results: Results) -> list[str]:
    estimate = results.metrics[name]
    help_ = KNOWN[name].help if name in KNOWN else ""
    counted = " · ".join(filter(None, (one_line(unit_text(name, results), 60), one_line(estimate.interval, 40))))
    shown = one_line(name, 60).replace("_", " ")
    return [shown, value_text(name, estimate), interval_text(name, estimate), f"{estimate.n:,}", counted, help_]


def _panel(listed: ListedRun) -> str:
    manifest = listed.run.manifest
    return f"{manifest.world} {manifest.data} {manifest.data_sha256[:16]} {manifest.panel.sha256[:16]}"


def _comparison(comparison: Comparison) -> dict[str, Any]:
    places = {run.name: place for place, run in enumerate(comparison.runs)}
    values = {run.name: run.values for run in comparison.runs}
    return {
        "episodes": comparison.episodes,
        "remarks": [one_line(remark, 300) for remark in comparison.remarks],
        "pairs": [[places[pair.first], places[pair.second], _pair(pair, values)] for pair in comparison.pairs],
    }


def _pair(pair: Pair, values: dict[str, dict[str, float]]) -> dict[str, Any]:
    rows = []
    for name, difference in pair.differences.items():
        metric = KNOWN[name]
        scale = 100 if metric.unit == "share" else 1
        ours, theirs = (plain(round(scale * values[run][name], 6)) for run in (pair.first, pair.second))
        value, low, high = (f"{scale * number:+,.3g}" for number in difference)
        apart = not difference.low <= 0 <= difference.high
        # Whatever tokenizer the runs were counted with, comparisons count reasoning in words.
        unit = "%" if scale == 100 else "words" if name.startswith("reasoning_per_") else metric.unit
        rows.append([name.replace("_", " "), unit, ours, theirs, value, f"{low} to {high}", int(apart)])
    return {
        "counts": [pair.both, pair.only_first, pair.only_second, pair.neither],
        "test": pair.test,
        "p": f"{pair.p_value:.3g}",
        "adjusted": f"{pair.p_adjusted:.3g}",
        "verdict": visible(verdict(pair)),
        "rows": rows,
    }


def _matrix(found: FoundRuns) -> dict[str, Any]:
    """Agents by worlds: columns are panels of a world, cells the numbers of the runs in them."""
    columns = dict.fromkeys(sorted((_panel(one), _column_title(one)) for one in found.runs))
    agents = sorted({one.run.manifest.agent for one in found.runs})
    cells: dict[tuple[str, str], list[int]] = {}
    for number, one in enumerate(found.runs):
        cells.setdefault((one.run.manifest.agent, _panel(one)), []).append(number)
    rows = [(agent, [cells.get((agent, panel), []) for panel, _ in columns]) for agent in agents]
    return {"columns": [title for _, title in columns], "rows": rows}


def _column_title(listed: ListedRun) -> tuple[str, str]:
    manifest = listed.run.manifest
    return manifest.world, f"{manifest.panel.name} · {manifest.data}"


def _curves(found: FoundRuns, folder: Path) -> tuple[list[tuple[str, int, list[Plot]]], list[str]]:
    """Name, updates and charts of every training run; and what could not be read."""
    shown, faults = [], []
    for relative in found.trainings:
        curves = Curves(folder / relative / METRICS)
        try:
            curves.read()
        except (RecordError, OSError) as error:
            faults.append(one_line(str(error), 200))
            continue
        name = relative.as_posix() if relative.parts else folder.resolve().name
        shown.append((name, curves.updates, curves.plots()))
    return shown, faults
