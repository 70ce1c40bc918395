"""The stages of a study, several at a time, each when what it needs is there; resumable after any end."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from rich.text import Text
from sad_agents.model_words import shipped_student

from sad_env.errors import ConfigError, DataError, IncompleteError
from sad_env.files import exclusive, sha256_file, when_written, write_bytes, write_text
from sad_env.json_lines import parse_json
from sad_env.progress import about, shown
from sad_env.safe_text import one_line, safe_text, visible
from sad_eval.study.config import StudyConfig
from sad_eval.study.costs import counted
from sad_eval.study.estimates import estimate_text
from sad_eval.study.kept_episodes import keep_episodes
from sad_eval.study.paper_tables import MAIN, printed_table
from sad_eval.study.plan import StudyStage, keys, marker, stages, teacher_of
from sad_eval.study.processes import Ended, StageProcess, prepare, stop
from sad_eval.study.stale_runs import begun_as, former_keys, set_aside

_POLL_SECONDS = 0.1
_SECONDS_BETWEEN_LINES = 30.0
"""Between two lines on the stages that run, where there is no terminal."""
_TAIL_BYTES = 4096
"""Of a log in which its last line is looked for."""


def run_study(config: StudyConfig) -> int:
    """Run what is missing, then write the report. Returns the exit code.

    Raises:
        ConfigError: settings that contradict one another or what is in the folder.
        DataError: a given teacher that is not there.
        IncompleteError: stages failed; their logs say why.
    """
    plan = stages(config)
    if config.dry_run:
        print(visible("\n".join(stage.line for stage in plan)))
    if config.plan:
        print(visible(estimate_text(config, plan)))
    if config.dry_run or config.plan:
        if config.table:
            sizes = config.students if config.table in MAIN else config.ablation_students or config.students
            print(visible("\n" + printed_table(config.table, config.worlds, sizes, config.labels)))
        return 0
    runner = None if config.report_only else _run(config, plan)
    from sad_eval.study.report import REPORT, write_report
    from sad_eval.study.tables import summary
    from sad_eval.study.teacher_doubts import doubts

    for world in write_report(Path(config.out)):
        print(visible("\n".join((*summary(world), *(f"warning: {line}" for line in doubts(world))))))
    print(visible(f"report: {Path(config.out) / REPORT}"))
    if runner is not None:
        runner.complain()
    return 0


def _run(config: StudyConfig, plan: Sequence[StudyStage]) -> Runner:
    importlib.import_module("sad_distill")  # sad-env-core has none, and not every stage would say so
    _check_teachers(config)  # before anything is written
    with contextlib.ExitStack() as locks:
        for world in config.worlds:
            folder = Path(config.out) / world
            locks.enter_context(exclusive(folder / ".lock", f"{world} of the study {config.out}"))
        runner = begin(config, plan)
        runner.run()
    return runner


def begin(config: StudyConfig, plan: Sequence[StudyStage]) -> Runner:
    """Make a study's folder ready for a plan: given teachers are copied, results of other settings are moved away."""
    folders = [Path(config.out) / world for world in config.worlds]
    begun = {folder: then for folder in folders if (then := begun_as(folder)) not in ("", str(folder))}
    found = keys(plan, take_teachers(config), begun)
    for world in config.worlds:
        set_aside(Path(config.out) / world, [stage for stage in plan if stage.world == world], found)
    runner = Runner(plan, found, config)
    _write_plan(config, runner)
    return runner


def _check_teachers(config: StudyConfig) -> None:
    """Make sure that the given teachers are there, or were copied into the study before.

    Raises:
        DataError: one is not.
    """
    for world in config.worlds:
        if world in config.teachers and not teacher_of(config, world).exists():
            source = _given_teacher(config, world)
            if not source.is_file():
                raise DataError(f"no teacher {str(source)!r} for {world}: train it, or leave it out of teachers")


def _given_teacher(config: StudyConfig, world: str) -> Path:
    """The file that the settings name; nano is the student that ships for the world."""
    word = config.teachers[world]
    return shipped_student(world) if word == "nano" else Path(word)


def take_teachers(config: StudyConfig) -> dict[Path, str]:
    """Copy the given teachers into the study; returns their sha256 by path.

    Raises:
        ConfigError: the study was begun with another one.
    """
    given = {}
    for world in config.worlds:
        if world not in config.teachers:
            continue
        source, copy = _given_teacher(config, world), teacher_of(config, world)
        if not copy.exists():
            write_bytes(copy, source.read_bytes())
        elif source.is_file() and sha256_file(source) != sha256_file(copy):
            raise ConfigError(
                f"{config.out} was begun with another teacher of {world} than {source}: choose another --out"
            )
        given[copy] = sha256_file(copy)
    return given


def _write_plan(config: StudyConfig, runner: Runner) -> None:
    """`commands.sh` of the study, of all worlds, and what each world's part was run with."""
    out = Path(config.out)
    for world in config.worlds:
        mine = [stage for stage in runner.plan if stage.world == world]
        settings = asdict(config.in_world(world))
        # The path of a given teacher means nothing on another machine; its copy and its sha256 do.
        settings["teachers"] = sorted(set(config.teachers) & {world})
        kept = {key: value for key, value in settings.items() if key not in _NOT_OF_A_WORLD}
        planned = [[stage.name, runner.keys[stage.name]] for stage in mine]
        former = {name: key for name, key in former_keys(out / world).items() if name not in runner.keys}
        folder = begun_as(out / world) or str(out / world)
        record = {"settings": kept, "folder": folder, "stages": planned, "former": former}
        write_text(out / world / "study.json", json.dumps(record, indent=1) + "\n")
        lines = "".join(f"# {stage.name}\n{stage.line}\n" for stage in mine)
        write_text(out / world / "commands.sh", lines)
    parts = [path.read_text(encoding="utf-8") for path in sorted(out.glob("*/commands.sh"))]
    write_text(out / "commands.sh", "".join(parts))


_NOT_OF_A_WORLD = frozenset(
    {"out", "worlds", "per_world", "panels", "jobs", "threads", "dry_run", "plan", "report_only"}
)


class Runner:
    """Runs a plan.

    Args:
        plan: stages, each after those that it needs.
        keys: of the stages, by name.
        config: of the study.
    """

    def __init__(self, plan: Sequence[StudyStage], keys: Mapping[str, str], config: StudyConfig) -> None:
        self.plan, self.keys, self.config = plan, keys, config
        self.failed: list[StudyStage] = []
        self._made_here = {stage.product for stage in plan}
        self._inner = {path for stage in plan for path in stage.needs}
        self._done = self._found()
        self._running: dict[str, tuple[StudyStage, StageProcess]] = {}
        self._took: dict[str, float] = {}

    def _found(self) -> set[str]:
        """Stages that were done before. A product may be gone where all that need it are done, or where it is kept."""
        done: set[str] = set()
        needed: set[Path] = set()
        for stage in reversed(self.plan):
            spared = stage.product in self._inner or (stage.kept is not None and stage.kept.exists())
            there = stage.product.exists() or (spared and stage.product not in needed)
            if self._marker(stage).exists() and there:
                done.add(stage.name)
            else:
                needed |= set(stage.needs)
        return done

    def run(self) -> None:
        """Run all stages that can be run; Ctrl-C stops those that are running."""
        for stage in self.plan:
            # Earlier releases kept no episodes.
            if stage.name in self._done and stage.kept and stage.product.exists() and not stage.kept.exists():
                keep_episodes(stage.product.parent, stage.kept)
        if len(self._done) == len(self.plan):
            when = when_written(*map(self._marker, self.plan))
            print(f"nothing run: all {len(self.plan)} stages are of {when}; another --out runs again", file=sys.stderr)
            return
        prepare(self.config.threads)
        self._report_progress("resumed" if self._done else "begun")
        with shown(below=self._below, seconds=_SECONDS_BETWEEN_LINES, left=self.seconds_left) as report:
            try:
                while self._start() or self._running:
                    self._reap()
                    report("stages", len(self._done), len(self.plan), None if _terminal() else self._note)
                    time.sleep(_POLL_SECONDS)
            finally:
                stop([process for _, process in self._running.values()])

    def running(self) -> list[str]:
        """Names of the stages that run now, each with the last that it said of its progress."""
        return [
            f"{name}: {last_line(self.log(stage)) or 'starting'}" for name, (stage, _) in tuple(self._running.items())
        ]

    def _below(self) -> Text:
        return safe_text("\n".join(self.running()))

    def _note(self) -> str:
        return "; ".join(self.running())

    def complain(self) -> None:
        """Say what is missing.

        Raises:
            IncompleteError: something is.
        """
        missing = len(self.plan) - len(self._done)
        if missing:
            for stage in self.failed:
                print(visible(f"failed: {stage.name}: {last_line(self.log(stage))}"), file=sys.stderr)
                print(visible(f"  its log: {self.log(stage)}"), file=sys.stderr)
            raise IncompleteError(
                f"{len(self.failed)} stages failed and {missing - len(self.failed)} wait for them: see the logs above;"
                " the same command goes on"
            )

    def _seconds(self, stage: StudyStage) -> float:
        if stage.name not in self._took:  # asked for as often as a screen is drawn
            self._took[stage.name] = float(parse_json(self._marker(stage).read_bytes())["seconds"])
        return self._took[stage.name]

    def log(self, stage: StudyStage) -> Path:
        """Where the output of a stage goes."""
        name = stage.name.partition(": ")[2].replace(" ", "-")
        return Path(self.config.out) / stage.world / "logs" / f"{name}.log"

    def _marker(self, stage: StudyStage) -> Path:
        return marker(Path(self.config.out), stage.world, self.keys[stage.name])

    def _start(self) -> bool:
        """Start what can be started; True when anything was."""
        started = False
        there = {stage.product for stage in self.plan if stage.name in self._done}
        tried = {stage.name for stage in self.failed} | self._running.keys() | self._done
        for stage in self.plan:
            if len(self._running) == self.config.jobs:
                break
            if stage.name not in tried and all(path in there or path not in self._made_here for path in stage.needs):
                log = self.log(stage)
                log.parent.mkdir(parents=True, exist_ok=True)
                with log.open("a", encoding="utf-8") as file:
                    file.write(f"$ {stage.line}\n")
                self._running[stage.name] = stage, StageProcess(stage.command, log, self.config.threads)
                started = True
        return started

    def _reap(self) -> None:
        for name, (stage, process) in list(self._running.items()):
            ended = process.poll()
            if ended is None:
                continue
            del self._running[name]
            made = stage.product.exists() and stage.product.stat().st_size > 0
            if ended.code == 0 and made:
                self._keep(stage, ended)
                self._report_progress(f"{stage.name} {ended.seconds:.0f} s")
            else:
                self.failed.append(stage)
                why = f"with code {ended.code}" if ended.code else f"to fill {stage.product}"
                self._report_progress(f"{stage.name} FAILED {why}, log {self.log(stage)}")

    def _keep(self, stage: StudyStage, ended: Ended) -> None:
        if stage.kept is not None:
            keep_episodes(stage.product.parent, stage.kept)
        record = {
            "name": stage.name,
            "kind": stage.kind,
            "command": stage.line,
            "seconds": round(ended.seconds, 2),
            "cpu_seconds": round(ended.cpu_seconds, 2),
            # The report needs them when the run folder has been deleted.
            **counted(stage.product.parent),
        }
        write_text(self._marker(stage), json.dumps(record, indent=1) + "\n")
        self._done.add(stage.name)
        if stage.kept is not None:
            from sad_eval.study.teacher_doubts import doubt_of_run

            begun, won_alone = bool(self.config.begin_method), not self.config.failures
            if line := doubt_of_run(stage.product.parent, begun=begun, won_alone=won_alone):
                print(visible(f"warning: {stage.name}: {line}"), file=sys.stderr, flush=True)

    def _report_progress(self, what: str) -> None:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        estimate = about(self.seconds_left())
        counts = f"{len(self._done)}/{len(self.plan)}{failed}{estimate and f', {estimate}'}"
        print(visible(f"[{counts}] {what}"), file=sys.stderr, flush=True)

    def seconds_left(self) -> float | None:
        """Wall time of what is missing, by the mean of finished stages of its kind.

        None while half of what is missing is of kinds of which none is finished: collecting says nothing of training.
        """
        known: dict[str, list[float]] = defaultdict(list)
        for stage in self.plan:
            if stage.name in self._done:
                known[stage.kind].append(self._seconds(stage))
        means = {kind: fmean(values) for kind, values in known.items()}
        missing = [stage for stage in self.plan if stage.name not in self._done]
        if 2 * sum(stage.kind in means for stage in missing) < len(missing) or not means:
            return None
        general = fmean(means.values())
        return sum(means.get(stage.kind, general) for stage in missing) / self.config.jobs


def _terminal() -> bool:
    return sys.stderr.isatty()


def last_line(log: Path) -> str:
    """The last line of a log that says anything; "" where nothing was said since the stage's command."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    found = next((one_line(line, 200) for line in reversed(lines) if line.strip()), "")
    return "" if found.startswith("$ ") else found
