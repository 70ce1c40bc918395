"""The forms of a report: the same figures in each, and each what its reader expects."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sad_eval.commands.evaluate import main
from sad_eval.report.export import to_json, to_latex, to_markdown
from sad_eval.report.html import render_html
from sad_eval.report.model import Report, build_report, json_schema, shown_trajectories, solved_within
from sad_eval.report.overlay import span_texts
from sad_eval.report.plots import nice_step, size_plot, steps_plot
from sad_eval.report.terminal import side_by_side
from sad_eval.runs.run_folder import RunFolder

from sad_env.records import SpanKind, parse_record
from sad_env.safe_text import console

MakeRun = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def runs(toy_run: MakeRun) -> list[RunFolder]:
    return [toy_run(), toy_run("random", repeats=2)]


@pytest.fixture(scope="module")
def report(runs: list[RunFolder]) -> Report:
    return build_report(runs)


def test_json_reads_back_as_the_same_report(report: Report) -> None:
    assert parse_record(Report, to_json(report)) == report


def test_the_published_schema_describes_the_json(report: Report) -> None:
    schema = json_schema()
    assert schema["properties"]["schema_version"]["const"] == 1
    assert schema["additionalProperties"] is False
    run = schema["$defs"]["RunReport"]
    assert set(run["properties"]) == set(json.loads(to_json(report))["runs"][0])


def test_tables_hold_a_line_a_run_with_intervals(report: Report) -> None:
    rate = report.runs[1].results.metrics["success_rate"]
    value, low = f"{100 * rate.value:.1f}", f"{100 * rate.low:.1f}"
    for table in (to_markdown(report), to_latex(report)):
        (line,) = [line for line in table.splitlines() if "toy-random" in line]
        assert value in line
        assert low in line


def test_every_length_of_reasoning_names_its_unit(runs: list[RunFolder], report: Report) -> None:
    expert = report.runs[0]
    sampled = expert.results.model_copy(update={"tokenizer": "sampled"})
    file = expert.results.model_copy(update={"tokenizer": "models/tokenizer.json"})
    others = [expert.model_copy(update={"name": one.tokenizer, "results": one}) for one in (sampled, file)]
    mixed = report.model_copy(update={"runs": (expert, *others)})
    for table in (to_markdown(mixed), to_latex(mixed)):
        header = next(line for line in table.splitlines() if "reasoning per step" in line)
        assert header.count("reasoning per step, words") == 1
        assert header.count("reasoning per step, sampled tokens") == 1
        assert header.count("reasoning per step, tokens of models/tokenizer.json") == 1
        assert "Lengths of reasoning in different units do not compare." in table
    rows = [line for line in to_markdown(mixed).splitlines() if line.startswith("| ")][1:]
    first = (
        next(line for line in to_markdown(mixed).splitlines() if "reasoning per step" in line)
        .split(" | ")
        .index("reasoning per step, words")
    )
    lengths = [line.split(" | ")[first : first + 3] for line in rows if "toy" in line]
    assert [[cell != "–" for cell in line] for line in lengths] == [
        [place == row for place in range(3)] for row in range(3)
    ]
    alone = to_markdown(report.model_copy(update={"runs": (expert,)}))
    assert "reasoning per step, words |" in alone
    assert "do not compare" not in alone
    page = "".join(render_html(runs[:1]))
    assert "<span>reasoning a step, words</span>" in page
    assert "<small>words, bootstrap over tasks</small>" in page


def test_side_by_side_on_a_terminal_each_unit_has_a_row(report: Report) -> None:
    results = report.runs[0].results
    sampled = results.model_copy(update={"tokenizer": "sampled"})
    screen = io.StringIO()
    side_by_side([("a", results), ("b", sampled)], console(screen, width=100))
    rows = [line for line in screen.getvalue().splitlines() if line.startswith("reasoning per step")]
    assert [row.count("—") for row in rows] == [1, 1]
    assert "words" in rows[0]
    assert "sampled tokens" in rows[1]


def test_latex_compiles_in_structure(report: Report) -> None:
    table = to_latex(report)
    columns = table.partition(r"\begin{tabular}{")[2].partition("}")[0]
    rows = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3
    assert all(row.replace(r"\&", "").count("&") == len(columns) - 1 for row in rows)


def test_shares_solved_within_steps_rise_to_the_success_rate(report: Report) -> None:
    for run in report.runs:
        assert list(run.solved_within) == sorted(run.solved_within)
        assert run.solved_within[0] == 0.0
        assert run.solved_within[-1] == pytest.approx(run.results.metrics["success_rate"].value)
    assert solved_within([]) == ()


def test_the_steps_plot_stays_in_its_box_and_ends_at_the_last_share(report: Report) -> None:
    plot = steps_plot(report.runs)
    assert plot is not None
    assert [series.label for series in plot.series] == ["expert · toy-expert", "random · toy-random"]
    assert plot.series[0].y < plot.series[1].y
    assert all(0 < tick.at < 640 for tick in plot.x_ticks)


def test_sizes_are_plotted_only_where_two_are_known(report: Report) -> None:
    expert, chance = report.runs
    assert size_plot([expert, chance]) is None
    small, large = (run.model_copy(update={"parameters": size}) for run, size in ((chance, 10**6), (expert, 10**9)))
    plot = size_plot([small, large])
    assert plot is not None
    assert plot.series[0].x < plot.series[1].x
    assert plot.series[0].low > plot.series[0].y > plot.series[0].high


@pytest.mark.parametrize("span", [1, 7, 50, 99, 1000, 123_456])
def test_axis_steps_are_round_and_few(span: int) -> None:
    step = nice_step(span)
    assert span / step <= 8
    assert str(step).rstrip("0") in ("1", "2", "5")


def test_the_overlay_is_the_completion_piece_by_piece(runs: list[RunFolder]) -> None:
    trajectory = next(runs[0].episodes()).trajectory
    for step in trajectory.steps:
        found = span_texts(step)
        assert "".join(piece.header + piece.body for piece in found) == step.completion
        assert [piece.kind for piece in found] == [SpanKind.REASON, SpanKind.ACT]
    page = "".join(render_html(runs[:1]))
    numbers = [int(number) for number in re.findall(r'<div class="at">(\d+)</div>', page)]
    episodes = sorted((line.trajectory for line in runs[0].episodes()), key=lambda one: one.task_id)
    assert numbers == [number for one in episodes for number in range(len(one.steps) + 1)]


def test_a_cut_page_shows_failures_and_successes_in_turn(runs: list[RunFolder]) -> None:
    shown, total = shown_trajectories(runs[1], 6)
    assert total == 24
    assert len(shown) == 6
    assert sum(trajectory.success for trajectory in shown) == 3
    assert shown_trajectories(runs[1], 1000)[0] == sorted(
        shown_trajectories(runs[1], 1000)[0], key=lambda one: (one.task_id, one.seed, one.repeat)
    )


class Balance(HTMLParser):
    """Counts elements that are opened and not closed."""

    VOID = frozenset({"meta", "link", "input", "br", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attributes if name == "id"]

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Closed at once."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_complete(runs: list[RunFolder]) -> None:
    page = "".join(render_html(runs))
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert page.count('<details class="episode') == 36
    assert page.count("<svg") == 1
    assert "default-src 'none'" in page


def test_an_incomplete_run_says_so_in_every_form_for_readers(
    toy_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = toy_run()
    lines = (run.path / "episodes.jsonl").read_text().splitlines(keepends=True)
    (run.path / "episodes.jsonl").write_text("".join(lines[:-2]))
    assert main(["rescore", str(run.path)]) == 3
    assert "INCOMPLETE" in capsys.readouterr().out
    made = build_report([run])
    assert "INCOMPLETE" in "".join(render_html([run]))
    assert "INCOMPLETE" in to_latex(made)
    assert "INCOMPLETE" in to_markdown(made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world": "alfworld"}, "says world 'alfworld', manifest and episodes say 'toy'"),
        ({"agent": "oracle"}, "says agent 'oracle', manifest and episodes say 'expert'"),
        ({"panel": "train"}, "says panel 'train', manifest and episodes say 'test-12'"),
        ({"scored": 11}, "says scored '11', manifest and episodes say '12'"),
        ({"counts": {"success": 11, "failure": 1}}, "says success '11', manifest and episodes say '12'"),
    ],
)
def test_results_of_other_episodes_are_not_reported(
    toy_run: MakeRun, change: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = toy_run()
    run.write_results(run.results().model_copy(update=change))
    assert main(["report", str(run.path)]) == 5
    error = capsys.readouterr().err
    assert message in error
    assert error.endswith("`sad-eval rescore`\n")
    assert main(["rescore", str(run.path)]) == 0
    assert main(["report", str(run.path)]) == 0


def test_rescore_gives_the_results_that_the_evaluation_gave(runs: list[RunFolder]) -> None:
    for run in runs:
        before = (run.path / "results.json").read_bytes()
        (run.path / "results.json").unlink()
        assert main(["rescore", str(run.path)]) == 0
        assert (run.path / "results.json").read_bytes() == before


@pytest.mark.parametrize("shard", [[1, 0], [0, 1], [3, 2]])
@pytest.mark.parametrize("command", ["rescore", "compare", "report"])
def test_a_part_that_there_is_not_is_told_in_one_line(
    toy_run: MakeRun, shard: list[int], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = toy_run(episodes=2)
    manifest = json.loads((run.path / "manifest.json").read_text())
    (run.path / "manifest.json").write_text(json.dumps({**manifest, "shard": shard}))
    assert main([command, str(run.path)]) == 5
    error = capsys.readouterr().err
    assert f"not {shard[0]} of {shard[1]}" in error
    assert error.count("\n") == 1


def test_results_that_lack_a_metric_are_printed_without_it(
    toy_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = toy_run(episodes=2)
    results = run.results()
    rate = results.metrics["success_rate"]
    run.write_results(
        results.model_copy(
            update={
                "metrics": {**results.metrics, "cot_match_sets": rate},
                "by_task_type": {"hard": {}, "easy": {"success_rate": rate}},
            }
        )
    )
    assert main(["report", str(run.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (sets,) = (line.split() for line in lines if line.startswith("sets "))
    assert sets[-3:] == ["–"] * 3
    assert not any(line.startswith("hard") for line in lines)
    assert any(line.startswith("easy") and "–" in line for line in lines)


def test_the_command_writes_all_forms(runs: list[RunFolder], tmp_path: Path) -> None:
    forms = ["html", "latex", "csv", "md", "json", "schema"]
    flags = [word for form in forms for word in (f"--{form}", str(tmp_path / f"report.{form}"))]
    assert main(["report", str(runs[0].path), *flags]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"report.{form}" for form in forms)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "needs a run folder"),
        (["nowhere"], 5, "is no run folder"),
        (["RUN", "--html", "/dev/null/report.html"], 2, "cannot write"),
        (["RUN", "--html", "report.html", "--episodes", "-1"], 2, "is 0 or more"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    words: list[str], code: int, message: str, runs: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *(str(runs[0].path) if word == "RUN" else word for word in words)]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
