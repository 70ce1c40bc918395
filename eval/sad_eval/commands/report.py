"""`sad-eval report` and `sad-eval rescore`: a finished run in other forms, and its metrics computed again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sad_env import cli
from sad_env.errors import ConfigError
from sad_env.safe_text import console, visible
from sad_eval.records import exit_code
from sad_eval.report import episode_tables, export
from sad_eval.report.html import render_html
from sad_eval.report.model import build_report, check_results, json_schema
from sad_eval.report.terminal import print_report
from sad_eval.runs.run_folder import RunFolder
from sad_eval.runs.score import score


@dataclass(frozen=True)
class ReportConfig:
    """Print the report of one or several runs, or write it in other forms.

    $ sad-eval report runs/expert --html report.html --latex table.tex
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...")] = ()
    """Run folders, in the order of the report."""
    html: Path | None = None
    """Page to write, self-contained, with figures and episodes to click through."""
    latex: Path | None = None
    """A booktabs table, one line a run."""
    csv: Path | None = None
    """One line an episode with all metrics; a name in .parquet is written as Parquet (needs pyarrow)."""
    csv_steps: Path | None = None
    """One line a step, with its texts, tokens and times; .parquet as for --csv."""
    md: Path | None = None
    """A Markdown table, one line a run."""
    json: Path | None = None
    """Everything as JSON, of the schema that --schema writes."""
    schema: Path | None = None
    """Write the JSON Schema of --json; needs no run."""
    episodes: int = 200
    """Episodes of each run that the HTML page holds in full."""


def report(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval report`."""
    parsed = cli.read(ReportConfig, arguments, prog="sad-eval report")
    config = parsed.settings
    if config.html is None:
        parsed.refuse_ignored({"episodes": "only the HTML page holds episodes: give --html, too"})
    if config.schema is not None:
        _write(config.schema, [json.dumps(json_schema(), indent=2) + "\n"])
    if not config.runs:
        if config.schema is not None:
            return 0
        raise ConfigError("a report needs a run folder, e.g. `sad-eval report runs/NAME --html report.html`")
    cli.at_least("episodes", config.episodes, 0)
    folders = [RunFolder.open(path) for path in config.runs]
    made = build_report(folders)
    for run in made.runs:
        check_results(run)
    if config.html is not None:
        _write(config.html, render_html(folders, episodes=config.episodes, report=made))
    for path, form in (
        (config.latex, export.to_latex),
        (config.md, export.to_markdown),
        (config.json, export.to_json),
    ):
        if path is not None:
            _write(path, [form(made)])
    if config.csv is not None:
        _write_table(config.csv, episode_tables.episode_columns(), episode_tables.episode_lines(folders))
    if config.csv_steps is not None:
        _write_table(config.csv_steps, episode_tables.STEP_COLUMNS, episode_tables.step_lines(folders))
    if not any((config.html, config.latex, config.csv, config.csv_steps, config.md, config.json)):
        for run in made.runs:
            print_report(run.results, console())
    return 0


@dataclass(frozen=True)
class RescoreConfig:
    """Compute a run's results again from its episodes, without playing them again.

    $ sad-eval rescore runs/student --reference runs/teacher
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder."""
    reference: str = ""
    """Run folder whose reasoning CoT match compares with; several with commas; the run's own when left out."""
    tokenizer: str = ""
    """Unit of reasoning length: words, sampled, a tokenizer.json, auto; the run's own when left out."""
    semantic: bool = False
    """Also match reasoning by sentence embeddings, where the run did not (extra sad-env-core[semantic])."""


def rescore(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval rescore`."""
    config = cli.parse(RescoreConfig, arguments, prog="sad-eval rescore")
    run = RunFolder.open(config.run)
    changes = {name: getattr(config, name) for name in ("reference", "tokenizer", "semantic")}
    with run.lock():
        results = score(run, **{name: value for name, value in changes.items() if value})
        run.write_results(results)
    print_report(results, console())
    return exit_code(results)


def _write_table(path: Path, columns: Sequence[str], lines: Iterable[episode_tables.Line]) -> None:
    episode_tables.write_table(path, columns, lines)
    print(visible(f"wrote {path}"))


def _write(path: Path, pieces: Iterable[str]) -> None:
    export.write_pieces(path, pieces)
    print(visible(f"wrote {path}"))
