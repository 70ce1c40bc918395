"""The settings of a study: what is trained, from what, for how long, and on which tasks it is measured."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from sad_env.errors import ConfigError, UnknownNameError
from sad_env.settings import RARE, formerly, present_names
from sad_eval.study.methods import ABLATIONS, MAIN_METHODS, method_of

PAPER_TABLES = ("3", "4", "5", "6", "12", "13", "14", "15")
"""Tables of the paper whose rows are trained; 8 to 11 print those of Table 4 metric by metric."""

Override = int | float | str | bool


@dataclass(frozen=True, kw_only=True)
class StudyTasks:
    """Tasks."""

    worlds: tuple[str, ...] = ("alfworld", "webshop", "hotpotqa")
    """Worlds, each with a teacher and students of its own."""
    data: str = "generated"
    """generated, official, official:PACK, or a folder in the official layout."""
    split: str = "train"
    """Split of the world's tasks that experts, teachers and students play and learn from."""
    panels: dict[str, str] = field(default_factory=dict)
    """WORLD PANEL: panel to evaluate on; the world's own where none is given."""
    episodes: int = 100
    """Episodes of an evaluation, each with a task of its own."""
    max_steps: int = 0
    """Steps of an episode, in evaluations and rollouts; 0 takes the world's own limit."""


@dataclass(frozen=True, kw_only=True)
class StudyTeachers:
    """Experts and teachers."""

    prompted: Annotated[bool, RARE] = False
    """Also measure the teacher's model as it is, with a prompt and an exemplar, as the paper's teachers."""
    expert: str = "expert"
    """The world's expert policy, where it has several."""
    expert_option: str = ""
    """NAME=VALUE of the world while the expert plays, where it needs to see more than a student: reveal=true."""
    expert_episodes: int = 4000
    """Expert episodes, for the SFT of teachers and students."""
    slip: Annotated[float, formerly("slips")] = 0.15
    """Probability that a step of the expert is disturbed, so that recoveries are seen."""
    renamed: float = 0.0
    """Share of the expert's episodes with exchanged names, where the world can."""
    teacher: str = "nano-8m"
    """Model that teachers are trained from."""
    teachers: dict[str, str] = field(default_factory=dict)
    """WORLD FILE.pt: teachers trained beforehand, which are copied into the study; nano is the student that ships."""
    teacher_steps: int = 2000
    """Updates of a teacher's SFT."""
    dagger_steps: int = 200
    """Updates of its DAgger rounds after it; 0 leaves them out."""
    teacher_episodes: int = 400
    """Episodes of the teacher that the offline methods learn from; only successful ones are kept."""
    failures: Annotated[bool, RARE] = False
    """Keep the teacher's failed episodes, too; the paper does not say that it leaves them out."""


@dataclass(frozen=True, kw_only=True)
class StudyMethods:
    """Students and methods."""

    students: tuple[str, ...] = ("nano-2m", "nano-0.7m")
    """Models that students are trained from."""
    arms: tuple[str, ...] = MAIN_METHODS
    """Methods that train students of all sizes: by name, or a preset of sad-distill, e.g. field/opd."""
    ablations: tuple[str, ...] = ABLATIONS
    """Ablations of SAD, for the sizes of ablation_students only."""
    ablation_students: tuple[str, ...] = ("nano-0.7m",)
    """Sizes on which the ablations run."""
    table: Annotated[str, RARE] = ""
    """Number of the paper's table whose layout the report has: 3, 4, 5, 6, 12, 13, 14, 15."""
    labels: Annotated[dict[str, str], RARE] = field(default_factory=dict)
    """STUDENT TEXT: what that table calls a student, e.g. 120M."""
    seeds: int = 3
    """Students of each size and method."""
    faithfulness: int = 0
    """Steps of each student's evaluation in which its reasoning is edited (appendix O); 0 leaves the stage out."""
    shared_start: Annotated[bool, RARE] = False
    """One SFT start a size for all seeds: cheaper, but the spread over seeds is then that of the methods alone."""


@dataclass(frozen=True, kw_only=True)
class StudyTraining:
    """Training."""

    start_steps: int = 300
    """Updates of the SFT on expert episodes that students start with."""
    begin_method: Annotated[str, RARE] = ""
    """Method that students go on with after it, so that all methods begin where it ends."""
    begin_steps: Annotated[int, RARE] = 0
    """Its updates."""
    steps: int = 100
    """Updates of each method after it."""
    processor_seconds: Annotated[float, RARE, tyro.conf.arg(metavar="S")] = 0.0
    """End each method when it has used these for acting, scoring and updating; presets keep --steps of their own."""
    keep_at: Annotated[tuple[float, ...], RARE] = ()
    """Shares of a method's run after which the student is evaluated, too: 0.25 0.5."""
    batch: int = 16
    """Recorded rows of an update (offline)."""
    rollouts: int = 16
    """Episodes of an iteration (online)."""
    updates: int = 2
    """Updates on an iteration's rows (online)."""
    learning_rate: float = 1e-3
    """Peak for all that is trained from scratch."""
    optimiser: str = "muon"
    """muon, or adamw for models that know language already, for all that is trained from scratch."""
    observation_weight: float = 1.0
    """Of predicting observations while a model is trained from scratch: more text to learn from."""
    embedding_factor: Annotated[float, RARE] = 1.0
    """Multiple of the rate for embeddings while a model is trained from scratch."""
    distill_rate: float = 3e-4
    """Learning rate of the methods."""
    sampling_temperature: float = 1.0
    """Of the student's draws, in online methods."""
    distill_optimiser: str = "adamw"
    """Optimiser of the methods: muon moves models trained from scratch further in few updates."""
    context: Annotated[int, formerly("budget")] = 512
    """Tokens a model is shown at once at most."""
    precision: str = "bf16"
    """Of computation: fp32 or bf16."""
    rates: Annotated[dict[str, float], RARE] = field(default_factory=dict)
    """METHOD RATE: learning rate of a method, where it is another than distill_rate, or than a preset's own."""
    method_flags: Annotated[dict[str, str], RARE] = field(default_factory=dict)
    """METHOD FLAGS: further flags of sad-distill, for one method."""
    minillm_rollouts: Annotated[int, RARE] = 0
    """Episodes that MiniLLM samples at a time, a multiple of rollouts; 0 takes rollouts."""


@dataclass(frozen=True, kw_only=True)
class StudyHardware:
    """Hardware of training."""

    adapters: Annotated[int, RARE] = 0
    """LoRA rank, of all that is trained; 0 trains all weights."""
    micro_batch: Annotated[int, RARE] = 8
    """Rows in the models at one time at most."""
    recompute: Annotated[bool, RARE] = False
    """Recompute activations in the backward pass to save memory."""
    device: Annotated[str, RARE] = "auto"
    """auto, cpu or cuda."""
    devices: Annotated[int, RARE] = 1
    """GPUs that share a stage of training."""


@dataclass(frozen=True, kw_only=True)
class StudyExecution:
    """How it is run."""

    jobs: int = 2
    """Stages that run at a time."""
    threads: int = 1
    """Threads of each."""
    dry_run: bool = False
    """Say what would be run: print the commands, and write nothing."""
    plan: bool = False
    """Say what it would take on 1 and on 8 GPUs, and run nothing."""
    report_only: bool = False
    """Write the report on what is there, run nothing."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig(StudyTasks, StudyTeachers, StudyMethods, StudyTraining, StudyHardware, StudyExecution):
    """Run a whole study: experts, teachers, students by every method, evaluations, report.

    $ sad-study nano --out runs/nano

    The same command goes on where it was stopped. With --worlds, one world of the same study is run at a time; the
    report is about all worlds in the folder. Exit codes: 0 done, 3 stages failed, 130 interrupted.
    """

    out: str
    """Output folder of the study; the same command goes on in it."""
    per_world: Annotated[dict[str, dict[str, Override]], tyro.conf.Suppress] = field(default_factory=dict)
    """Tables [per_world.WORLD] of the file: settings that are others in that world."""

    def check(self) -> None:
        """Refuse settings that contradict one another.

        Raises:
            ConfigError: which ones.
        """
        for method in (*self.arms, *self.ablations):
            method_of(method)
        if twice := set(self.arms) & set(self.ablations):
            raise ConfigError(f"{', '.join(sorted(twice))} is in both arms and ablations: name it once")
        counts = ("jobs", "threads", "seeds", "micro_batch", "devices", "batch", "rollouts", "updates")
        if small := [name for name in counts if getattr(self, name) < 1]:
            raise ConfigError(f"{', '.join(small)}: at least 1 is needed")
        if self.minillm_rollouts % self.rollouts:
            raise ConfigError(f"minillm_rollouts {self.minillm_rollouts} is no multiple of rollouts {self.rollouts}")
        if self.table and self.table not in PAPER_TABLES:
            raise UnknownNameError("table", self.table, PAPER_TABLES)
        known = (*self.arms, *self.ablations)
        for table, names in (("rates", self.rates), ("method_flags", self.method_flags)):
            if other := [name for name in names if name not in known]:
                raise ConfigError(f"{table} has {', '.join(other)}, which is no method of this study")
        if bool(self.begin_method) != bool(self.begin_steps):
            raise ConfigError("begin_method and begin_steps go together: give both, or leave both out")
        if self.begin_method:
            method_of(self.begin_method)
        if not all(0 < share < 1 for share in self.keep_at):
            raise ConfigError("keep_at has shares between 0 and 1, e.g. 0.25 0.5: the whole is evaluated anyway")
        if self.plan and self.processor_seconds:
            count = len(self.arms) * len(self.students) * self.seeds * len(self.worlds)
            raise ConfigError(
                f"a plan counts updates, and processor_seconds gives {self.processor_seconds:g} s to each of {count}"
                " students instead: see --dry-run"
            )
        if len({short_name(size) for size in self.students}) < len(self.students):
            raise ConfigError("two students have the same last part of their name: rename a folder")
        if strange := set(self.ablation_students) - set(self.students):
            raise ConfigError(f"ablation_students {', '.join(sorted(strange))} is not among students")
        for world in self.worlds:
            self.in_world(world)

    def in_world(self, world: str) -> StudyConfig:
        """These settings as they are in one world.

        Raises:
            ConfigError: the world's table holds what cannot differ between worlds.
        """
        changes: dict[str, Any] = {}
        given = {key.replace("-", "_"): value for key, value in self.per_world.get(world, {}).items()}
        for name, value in present_names(StudyConfig, given).items():
            if name not in _OF_A_WORLD:
                raise UnknownNameError(f"setting in per_world.{world}", name, _OF_A_WORLD)
            wanted = type(getattr(self, name))
            if not isinstance(value, wanted) and not (wanted is float and isinstance(value, int)):
                raise ConfigError(f"per_world.{world}.{name} is a {wanted.__name__}, not {value!r}")
            changes[name] = wanted(value)
        return dataclasses.replace(self, **changes)


def short_name(size: str) -> str:
    """A student's name in those of files.

    >>> short_name("layers:5"), short_name("hf:openai-community/gpt2")
    ('layers-5', 'gpt2')
    """
    return size.rpartition("/")[2].replace(":", "-")


_OF_THE_STUDY = {"out", "worlds", "panels", "teachers", "students", "arms", "ablations", "ablation_students", "seeds"}
_OF_THE_STUDY |= {"shared_start", "precision", "per_world", "jobs", "threads", "dry_run", "plan", "report_only"}
_OF_THE_STUDY |= {"table", "labels", "rates", "method_flags", "devices", "device", "prompted", "keep_at"}
_OF_A_WORLD = frozenset(field.name for field in dataclasses.fields(StudyConfig)) - _OF_THE_STUDY
"""Settings that may differ between worlds; a comparison over worlds needs the others to be equal."""
