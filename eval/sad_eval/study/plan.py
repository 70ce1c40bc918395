"""Which commands a study consists of, what each of them needs, and what it leaves."""

from __future__ import annotations

import hashlib
import itertools
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sad_env import registry
from sad_env.files import safe_name
from sad_eval.runs.run_folder import RESULTS
from sad_eval.study.config import StudyConfig, short_name
from sad_eval.study.kept_episodes import kept_file
from sad_eval.study.methods import Method, configuration, method_of

TEACHER = "teacher"
"""The name of the teacher's evaluation."""
REFERENCES = ("expert", "random")
"""Agents that are evaluated in addition to teacher and students."""
BEGIN = "begin"
"""Name of the students that `begin_method` made of the SFT starts."""
PROMPTED = "teacher-prompted"
"""The run of the teacher's model before any training."""
_TOP = 16
"""Likeliest ids at each place of the teacher's episodes, where a method learns from them."""


@dataclass(frozen=True)
class StudyStage:
    """One of the project's commands.

    Attributes:
        world: whose stage it is.
        name: for the reader and for the log; unique within a study.
        kind: stages of one kind take about the same time.
        command: module and flags.
        product: what it makes.
        needs: products of other stages that it reads.
    """

    world: str
    name: str
    kind: str
    command: tuple[str, ...]
    product: Path
    needs: tuple[Path, ...]

    @property
    def line(self) -> str:
        """The command as a user would type it."""
        return shlex.join(("python", "-m", *self.command))

    @property
    def kept(self) -> Path | None:
        """Where the episodes of an evaluation are kept; None for other stages."""
        run = self.product.parent
        return kept_file(run.parent.parent, run.name) if self.product.name == RESULTS else None


def stages(config: StudyConfig) -> list[StudyStage]:
    """All stages of the config's worlds; each after those that it needs.

    Raises:
        ConfigError: settings that contradict one another.
    """
    config.check()
    return [stage for world in config.worlds for stage in _World(config.in_world(world), world).stages()]


def keys(
    plan: Sequence[StudyStage], given: Mapping[Path, str], begun: Mapping[Path, str] | None = None
) -> dict[str, str]:
    """What a stage's result depends on, as a hash: command, configuration that it names, and those of all it needs.

    Args:
        plan: stages, each after those that it needs.
        given: sha256 of products that no stage of the plan makes.
        begun: what a folder of the study was called when it was begun, where it has another name or place now.

    Returns:
        Key by name of stage. A changed setting changes the keys of what follows from it, and of nothing else.
    """
    of_product = dict(given)
    found = {}
    for stage in plan:
        content: list[object] = [_recorded_line(stage, begun or {}), sorted(of_product[path] for path in stage.needs)]
        # Which may say something else in another release.
        named = [name for flag, name in itertools.pairwise(stage.command) if flag == "--config"]
        content += map(configuration, named)
        key = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        found[stage.name] = of_product[stage.product] = key
    return found


_FORMER_FLAGS = {"--env": "--world", "--context": "--budget", "--trajectories": "--episodes"}
"""Flags of `sad-distill` by what the release before called them: the keys of studies that it began are made of them."""


def _recorded_line(stage: StudyStage, begun: Mapping[Path, str]) -> str:
    """The command as keys are made of it, the same in all releases and wherever the study lies."""
    former = _FORMER_FLAGS if stage.command[0] == "sad_distill" else {}
    words = [former.get(word, word) for word in stage.command]
    for now, then in begun.items():
        words = [then + word.removeprefix(str(now)) if f"{word}/".startswith(f"{now}/") else word for word in words]
    return shlex.join(("python", "-m", *words))


class _World:
    """The stages of one world."""

    def __init__(self, config: StudyConfig, world: str) -> None:
        self.config, self.world = config, world
        self.folder = Path(config.out) / safe_name(world, "world")
        self.teacher = teacher_of(config, world)
        self.expert = self.folder / "expert.jsonl"
        self.episodes = self.folder / "teacher.jsonl"
        self.reference = self.folder / "eval" / "teacher"

    def stages(self) -> Iterator[StudyStage]:
        config = self.config
        flags: dict[str, object] = {"agent": config.expert, "episodes": config.expert_episodes, "slip": config.slip}
        if config.renamed:
            flags["renamed"] = config.renamed
        yield self._collect("collect expert", flags, self.expert, self._options("expert"), needs=[])
        if self.world not in config.teachers:
            yield from self._teacher()
        yield self._evaluate(TEACHER, TEACHER, str(self.teacher), needs=[self.teacher])
        flags = {"agent": self.teacher, "episodes": config.teacher_episodes, "temperature": 0.2}
        if any(
            method_of(name).recorded_scores for name in (config.begin_method, *config.arms, *config.ablations) if name
        ):
            flags["record-top-logprobs"] = _TOP
        yield self._collect(
            "collect teacher",
            flags,
            self.episodes,
            [] if config.failures else ["--only-success"],
            needs=[self.teacher],
        )
        if config.prompted:
            yield self._evaluate(PROMPTED, PROMPTED, config.teacher)
        for name in REFERENCES:
            yield self._evaluate(name, name, config.expert if name == "expert" else name)
        # One whole round of all methods after the other, so that a study that is stopped has whole rounds.
        for seed in range(config.seeds):
            for size in config.students:
                yield from self._students(size, seed)

    def _teacher(self) -> Iterator[StudyStage]:
        config = self.config
        sft = self.folder / "teacher" / "student.pt"
        flags: dict[str, object] = {"student": config.teacher, **self._sft(config.teacher_steps)}
        yield self._train("teacher", "teacher", sft, flags, needs=[self.expert])
        if config.dagger_steps:
            flags = {"student": sft, "method": "sft", "mode": "dagger", "teacher": config.expert, **self._acting()}
            ends = {"steps": config.dagger_steps, **self._moving()}
            yield self._train("teacher-dagger", "teacher-dagger", self.teacher, {**flags, **ends}, needs=[sft])

    def _students(self, size: str, seed: int) -> Iterator[StudyStage]:
        config = self.config
        first = 0 if config.shared_start else seed
        start = self.folder / run_name(size, "start", first) / "student.pt"
        if seed == first:
            # The teacher lends its tokenizer.
            flags = {"teacher": self.teacher, "seed": seed, "student": size, **self._sft(config.start_steps)}
            yield from self._student(size, "start", start, flags, [self.teacher, self.expert])
        if config.begin_method:
            before, start = start, self.folder / run_name(size, BEGIN, first) / "student.pt"
            if seed == first:
                flags = {**self._learning(config.begin_method, seed, before), "steps": config.begin_steps}
                yield from self._student(size, BEGIN, start, flags, self._needs(config.begin_method, before))
        for name in (*config.arms, *(config.ablations if size in config.ablation_students else ())):
            student = self.folder / run_name(size, name, seed) / "student.pt"
            flags = {**self._learning(name, seed, start), **self._budget()}
            more = shlex.split(config.method_flags.get(name, ""))
            yield from self._student(size, name, student, flags, self._needs(name, start), more, config.keep_at)

    def _needs(self, name: str, start: Path) -> list[Path]:
        return [self.teacher, start, *([self.episodes] if method_of(name).reads_episodes else [])]

    def _learning(self, name: str, seed: int, start: Path) -> dict[str, object]:
        """How a method learns; a preset is left what it says itself, its teacher included."""
        config, method = self.config, method_of(name)
        teacher = {} if "teacher" in method.preset else {"teacher": self.teacher}
        flags: dict[str, object] = {**teacher, "seed": seed, **method.flags, "student": start}
        if method.preset:
            if "precision" in method.preset:
                flags["precision"] = method.preset["precision"]
            if method.online and 0 < config.max_steps < registry.world(self.world).max_steps:
                flags["max-steps"] = config.max_steps
        elif method.online:
            flags |= self._sampling(method)
            if config.sampling_temperature != 1.0:
                flags["sampling-temperature"] = config.sampling_temperature
        if method.reads_episodes:
            flags["trajectories"] = self.episodes
        if method.recorded and not method.preset:
            flags["batch"] = config.batch
        if not method.preset:
            flags |= {"steps": config.steps, **self._moving()}
        if name in config.rates:
            flags["learning-rate"] = config.rates[name]
        return flags

    def _budget(self) -> dict[str, object]:
        seconds = self.config.processor_seconds
        return {"processor-seconds": f"{seconds:g}"} if seconds else {}

    def _student(
        self,
        size: str,
        method: str,
        student: Path,
        flags: dict[str, object],
        needs: Sequence[Path],
        more: Sequence[str] = (),
        keep_at: Sequence[float] = (),
    ) -> Iterator[StudyStage]:
        run = student.parent.name
        more = [*more, *(["--keep-at", *(f"{share:g}" for share in keep_at)] if keep_at else [])]
        yield self._train(run, f"{size} {method}", student, flags, more, needs=needs)
        for share in keep_at:
            kept = student.with_name(f"at-{100 * share:g}.pt")
            yield self._evaluate(kept_name(run, share), size, str(kept), needs=[student])
        evaluation = self._evaluate(run, size, str(student), needs=[student])
        yield evaluation
        if self.config.faithfulness:
            yield self._faithfulness(run, evaluation.product, student)

    def _faithfulness(self, run: str, results: Path, student: Path) -> StudyStage:
        product = faithfulness_file(self.folder, run)
        flags: dict[str, object] = {"probes": self.config.faithfulness, "out": product}
        command = ["sad_eval", "faithfulness", str(results.parent), *_words(flags), "--quiet"]
        return self._stage(f"faithfulness {run}", "faithfulness", command, product, [results, student])

    def _sft(self, steps: int) -> dict[str, object]:
        config = self.config
        return {
            "method": "sft",
            "mode": "offline",
            "trajectories": self.expert,
            "batch": config.batch,
            "steps": steps,
            "learning-rate": config.learning_rate,
            "embedding-factor": config.embedding_factor,
            "optimiser": config.optimiser,
            "observation-weight": config.observation_weight,
        }

    def _moving(self) -> dict[str, object]:
        return {"learning-rate": self.config.distill_rate, "optimiser": self.config.distill_optimiser}

    def _acting(self) -> dict[str, object]:
        config = self.config
        return {"rollouts": config.rollouts, **(self._horizon() if config.max_steps else {})}

    def _horizon(self) -> dict[str, object]:
        """A horizon that does not grow is the limit of evaluations."""
        return {"horizon-start": self.config.max_steps, "horizon-every": 10**9}

    def _sampling(self, method: Method) -> dict[str, object]:
        """How often an online method plays, and how many updates it makes of that."""
        config, flags = self.config, self._acting()
        updates = config.updates * int(method.flags.get("passes", 1))
        if method.flags["method"] == "minillm" and config.minillm_rollouts:
            updates *= config.minillm_rollouts // config.rollouts
            flags["rollouts"] = config.minillm_rollouts
        return {**flags, "updates": updates}

    def _hardware(self) -> dict[str, object]:
        """Flags of hardware, where they say anything new."""
        config = self.config
        flags: dict[str, object] = {"device": config.device} if config.device != "auto" else {}
        flags |= {"adapters": config.adapters} if config.adapters else {}
        return flags | ({"micro-batch": config.micro_batch} if config.micro_batch != 8 else {})

    def _train(
        self,
        name: str,
        kind: str,
        product: Path,
        flags: dict[str, object],
        more: Sequence[str] = (),
        *,
        needs: Iterable[Path],
    ) -> StudyStage:
        config = self.config
        every = {
            "out": product.parent,
            **flags,
            "env": self.world,
            "data": config.data,
            "split": config.split,
            "context": config.context,
            "precision": flags.get("precision", config.precision),
            **self._hardware(),
        }
        module = ["sad_distill"]
        if config.devices > 1:
            module = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(config.devices), "-m", *module]
        words = [*module, *_words(every), *(["--recompute"] if config.recompute else []), *more]
        return self._stage(f"train {name}", f"train {kind}", words, product, needs)

    def _evaluate(self, name: str, kind: str, agent: str, *, needs: Sequence[Path] = ()) -> StudyStage:
        config = self.config
        flags: dict[str, object] = {
            "agent": agent,
            "env": self.world,
            "data": config.data,
            "episodes": config.episodes,
            "max-steps": config.max_steps,
            "out": self.reference.parent / name,
            "workers": 0,
        }
        if config.device != "auto":
            flags["device"] = config.device
        if panel := config.panels.get(self.world):
            flags["panel"] = panel
        product = self.reference.parent / name / RESULTS
        if name != TEACHER:
            flags["reference"] = self.reference
            needs = [*needs, self.reference / RESULTS]
        return self._stage(
            f"evaluate {name}",
            f"evaluate {kind}",
            ["sad_eval", *_words(flags), "--quiet", *self._options(name)],
            product,
            needs,
        )

    def _options(self, player: str) -> list[str]:
        option = self.config.expert_option
        return ["--options", option] if option and player == "expert" else []

    def _collect(
        self, name: str, flags: dict[str, object], out: Path, more: Sequence[str] = (), *, needs: Iterable[Path]
    ) -> StudyStage:
        config = self.config
        every = {
            **flags,
            "env": self.world,
            "data": config.data,
            "split": config.split,
            "max-steps": config.max_steps,
            "out": out,
            "workers": 0,
        }
        return self._stage(name, name, ["sad_agents", *_words(every), *more], out, needs)

    def _stage(self, name: str, kind: str, command: Sequence[str], product: Path, needs: Iterable[Path]) -> StudyStage:
        return StudyStage(
            self.world, f"{self.world}: {name}", f"{self.world}: {kind}", tuple(command), product, tuple(needs)
        )


def teacher_of(config: StudyConfig, world: str) -> Path:
    """Where the teacher of a world lies, or will lie."""
    dagger = bool(config.in_world(world).dagger_steps)
    return teacher_file(Path(config.out), world, given=world in config.teachers, dagger=dagger)


def teacher_file(out: Path, world: str, *, given: bool, dagger: bool) -> Path:
    """The same, by how it comes about."""
    return out / world / ("teacher-given" if given else "teacher-dagger" if dagger else "teacher") / "student.pt"


def faithfulness_file(world: Path, run: str) -> Path:
    """Where the faithfulness of an evaluation lies, `world` being the folder of a study's world."""
    return world / "faithfulness" / f"{run}.json"


def marker(out: Path, world: str, key: str) -> Path:
    """The file that says that a stage is done: a product alone may be there in part."""
    return out / world / "done" / f"{key[:24]}.json"


def run_name(size: str, method: str, seed: int) -> str:
    """The folder of a student's run, and of its evaluation.

    >>> run_name("layers:5", "sad-online", 2)
    'layers-5-sad-online-2'
    """
    return safe_name(f"{short_name(size)}-{method.replace('/', '-')}-{seed}", "run")


def kept_name(run: str, share: float) -> str:
    """The evaluation of the student that a run kept on its way.

    >>> kept_name("nano-2m-field-opd-0", 0.25)
    'nano-2m-field-opd-0-at-25'
    """
    return f"{run}-at-{100 * share:g}"


def _words(flags: Mapping[str, object]) -> list[str]:
    return [word for key, value in flags.items() for word in (f"--{key}", str(value))]
