"""A study: experts, a teacher, students by every method, evaluation, tables. One command, resumable at every stage.

Each stage is one of the project's own commands in a process of its own; the study only says which, in which order, and
writes them to `commands.sh`. A stage whose product is there is not run again; one that was cut off goes on.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sad_distill.files import write_text
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.files import exclusive, safe_name

ARMS: dict[str, dict[str, str]] = {
    "seqkd": {"method": "seqkd", "mode": "offline"},
    "word-kd": {"method": "word_kd", "mode": "offline"},
    "token-offline": {"method": "token_flat", "mode": "offline"},
    "token-online": {"method": "token_flat", "mode": "online"},
    "minillm": {"method": "minillm", "mode": "online"},
    "sad-offline": {"method": "sad", "mode": "offline"},
    "sad-online": {"method": "sad", "mode": "online"},
    "sad-random-mask": {"method": "sad", "mode": "offline", "masks": "random"},
    "sad-no-reasoning": {"method": "sad", "mode": "offline", "reason-weight": "0"},
    "sad-no-action": {"method": "sad", "mode": "offline", "act-weight": "0"},
    "sad-1-2": {"method": "sad", "mode": "offline", "act-weight": "2"},
    "sad-2-1": {"method": "sad", "mode": "offline", "reason-weight": "2"},
    "sad-curriculum": {"method": "sad", "mode": "offline", "curriculum": "sample"},
}
"""Ways to train a student from its SFT start, as flags of `sad-distill`."""


@dataclass(frozen=True)
class StudyConfig:
    """Run a whole study: sad-distill study configs/nano.toml."""

    out: str
    """Folder of the study; the same command goes on in it."""
    worlds: tuple[str, ...] = ("alfworld", "webshop", "hotpotqa")
    """Worlds, each with a teacher and students of its own."""
    data: str = "generated"
    """generated, official, or a folder in the official schema."""
    panels: tuple[str, ...] = ()
    """Panel to evaluate on, one a world; empty takes each world's own."""
    teacher: str = "nano-8m"
    """What the teacher begins from."""
    students: tuple[str, ...] = ("nano-2m", "nano-0.7m")
    """What the students begin from."""
    arms: tuple[str, ...] = tuple(ARMS)
    """Ways to train the students."""
    seeds: int = 3
    """Students of each size and way."""
    expert_episodes: int = 4000
    """Expert episodes for the teacher."""
    slips: float = 0.15
    """Share of the expert's steps that are disturbed, so that recoveries are seen."""
    teacher_episodes: int = 2000
    """Episodes of the teacher for the students."""
    teacher_steps: int = 2000
    """Updates of the teacher's SFT."""
    dagger_steps: int = 200
    """Updates of the teacher's DAgger rounds after it; 0 leaves them out."""
    start_steps: int = 300
    """Updates of the SFT that every student starts with."""
    steps: int = 300
    """Updates of each way after it."""
    rollouts: int = 16
    """Online: episodes of an iteration."""
    learning_rate: float = 1e-3
    """Of everything that begins from nothing."""
    observation_weight: float = 1.0
    """Of predicting observations while a model begins from nothing: more text to learn from."""
    distill_rate: float = 3e-4
    """Of the ways."""
    episodes: int = 100
    """Tasks of an evaluation."""
    budget: int = 768
    """Tokens that the models see at once."""
    precision: str = "bf16"
    """fp32 or bf16."""
    stop_after: str = ""
    """Stop after the stages whose name begins so, e.g. teacher."""


@dataclass(frozen=True)
class Stage:
    """One command and what it leaves.

    Attributes:
        name: for the reader and for the log.
        command: module and flags.
        product: what it makes.
    """

    name: str
    command: tuple[str, ...]
    product: Path

    @property
    def line(self) -> str:
        """The command as a user would type it."""
        return shlex.join(("python", "-m", *self.command))


def stages(config: StudyConfig) -> Iterator[Stage]:
    """All stages in order.

    Raises:
        ConfigError: an arm that does not exist, or panels that do not fit the worlds.
    """
    for arm in config.arms:
        if arm not in ARMS:
            raise ConfigError(f"no arm {arm!r}; known: {', '.join(ARMS)}")
    if config.panels and len(config.panels) != len(config.worlds):
        raise ConfigError(f"{len(config.panels)} panels for {len(config.worlds)} worlds: give one each, or none")
    for index, world in enumerate(config.worlds):
        panel = config.panels[index] if config.panels else ""
        yield from _World(config, world, panel).stages()


class _World:
    """The stages of one world."""

    def __init__(self, config: StudyConfig, world: str, panel: str) -> None:
        self.config, self.world, self.panel = config, world, panel
        self.folder = Path(config.out) / safe_name(world, "world")
        self.teacher = self.folder / ("teacher-dagger" if config.dagger_steps else "teacher") / "student.pt"
        self.episodes = self.folder / "teacher.jsonl"

    def stages(self) -> Iterator[Stage]:
        config = self.config
        expert = self.folder / "expert.jsonl"
        slips = ("--slip", str(config.slips))
        yield self._collect("collect expert", "expert", config.expert_episodes, expert, *slips)
        yield self._distill(
            "teacher sft",
            self.folder / "teacher",
            {
                "student": config.teacher,
                "method": "sft",
                "mode": "offline",
                "episodes": expert,
                "observation-weight": config.observation_weight,
            },
            config.teacher_steps,
            config.learning_rate,
        )
        if config.dagger_steps:
            start = self.folder / "teacher" / "student.pt"
            yield self._distill(
                "teacher dagger",
                self.teacher.parent,
                {"student": start, "method": "sft", "mode": "dagger", "teacher": "expert", "rollouts": config.rollouts},
                config.dagger_steps,
                config.distill_rate,
            )
        yield self._evaluate("teacher", self.teacher)
        yield self._collect("collect teacher", str(self.teacher), config.teacher_episodes, self.episodes)
        for size in config.students:
            for seed in range(config.seeds):
                yield from self._student(size, seed)

    def _student(self, size: str, seed: int) -> Iterator[Stage]:
        config = self.config
        start = self.folder / f"{size}-start-{seed}"
        shared = {"teacher": self.teacher, "episodes": self.episodes, "seed": seed}
        yield self._distill(
            f"{size} start {seed}",
            start,
            {
                **shared,
                "student": size,
                "method": "seqkd",
                "mode": "offline",
                "observation-weight": config.observation_weight,
            },
            config.start_steps,
            config.learning_rate,
        )
        yield self._evaluate(start.name, start / "student.pt")
        for arm in config.arms:
            out = self.folder / f"{size}-{arm}-{seed}"
            flags = {**shared, **ARMS[arm], "student": start / "student.pt", "rollouts": config.rollouts}
            yield self._distill(f"{size} {arm} {seed}", out, flags, config.steps, config.distill_rate)
            yield self._evaluate(out.name, out / "student.pt")

    def _distill(self, name: str, out: Path, flags: dict[str, object], steps: int, rate: float) -> Stage:
        config = self.config
        every = {
            "out": out,
            **flags,
            "world": self.world,
            "data": config.data,
            "steps": steps,
            "learning-rate": rate,
            "budget": config.budget,
            "precision": config.precision,
        }
        return self._stage(name, "sad_distill", every, out / "student.pt")

    def _evaluate(self, name: str, student: Path) -> Stage:
        out = self.folder / "eval" / name
        flags: dict[str, object] = {
            "agent": student,
            "env": self.world,
            "data": self.config.data,
            "episodes": self.config.episodes,
            "out": out,
        }
        if self.panel:
            flags["panel"] = self.panel
        if name != "teacher":
            flags["reference"] = self.folder / "eval" / "teacher"
        return self._stage(f"evaluate {name}", "sad_eval", flags, out / "results.json")

    def _collect(self, name: str, agent: str, count: int, out: Path, *more: str) -> Stage:
        flags: dict[str, object] = {
            "agent": agent,
            "env": self.world,
            "data": self.config.data,
            "episodes": count,
            "out": out,
        }
        return self._stage(name, "sad_agents", flags, out, *more)

    def _stage(self, name: str, module: str, flags: dict[str, object], product: Path, *more: str) -> Stage:
        words = [word for key, value in flags.items() for word in (f"--{key}", str(value))]
        return Stage(f"{self.world}: {name}", (module, *words, *more), product)


def run_study(config: StudyConfig) -> int:
    """Run what is missing, then write the report. Returns the exit code.

    Raises:
        InfrastructureError: a stage failed; its log says why.
    """
    folder = Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    plan = list(stages(config))
    with exclusive(folder / ".lock", f"the study {config.out}"):
        write_text(folder / "commands.sh", "".join(f"# {stage.name}\n{stage.line}\n" for stage in plan))
        for number, stage in enumerate(plan, 1):
            # A product may be there in part, so that a stage is done when its command has ended well.
            done = folder / "done" / f"{number:04d}"
            if not done.exists():
                print(f"[{number}/{len(plan)}] {stage.name}", file=sys.stderr, flush=True)
                _run(stage, folder / "logs" / f"{number:04d}.log")
                write_text(done, stage.line + "\n")
            if config.stop_after and stage.name.partition(": ")[2].startswith(config.stop_after):
                return 0
        from sad_distill.study_report import write_report

        print(write_report(config, json.loads))
    return 0


def _run(stage: Stage, log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        file.write(f"$ {stage.line}\n".encode())
        file.flush()
        outcome = subprocess.run([sys.executable, "-m", *stage.command], stdout=file, stderr=file, check=False)
    if outcome.returncode or not stage.product.exists():
        raise InfrastructureError(
            f"{stage.name} ended with code {outcome.returncode}: see {log}; the same command goes on from here"
        )
