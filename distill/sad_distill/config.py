"""The settings of a distillation: groups of flags; field docstrings are the help. Nothing here needs torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro
from sad_agents.rollout.backend import LOCAL
from sad_agents.windowing import Windowing

from sad_distill.config_policy import PolicySettings, ValidationSettings
from sad_distill.schedules import Schedule
from sad_env.errors import ConfigError
from sad_env.settings import RARE, formerly

Method = Literal["sad", "sft", "seqkd", "word_kd", "token_flat", "minillm", "policy"]
Mode = Literal["offline", "online", "mixed", "guided", "dagger"]
Divergence = Literal["forward", "reverse", "js", "skew_forward", "skew_reverse"]
"""forward KL(p‖q) (Eq. 4); reverse KL(q‖p); js: beta KL(p‖m) + (1-beta) KL(q‖m) with m = beta p + (1-beta) q;
skew_forward KL(p‖beta p + (1-beta) q) and skew_reverse KL(q‖beta q + (1-beta) p) as in DistiLLM. p is the teacher."""
Outside = Literal["bucket", "ignore"]
"""What becomes of the mass outside a token set: one more outcome, or nothing (Eq. 8, renormalised)."""
Reduction = Literal["type_mean", "paper_sum", "token_mean", "span_mean"]
"""type_mean: each kind is averaged over its own tokens of the global batch (the default). paper_sum: Eq. 4-6, divided
by the number of rows. token_mean: one average over all tokens of the agent, which at equal weights is the flat
token-level loss. span_mean: each span is averaged, then the spans of a kind."""
SpanLoss = Literal["divergence", "likelihood"]
"""What a kind of span is learned by: the divergence from the teacher (Eq. 4, 5), or the cross-entropy with the recorded
tokens (Eq. 19)."""
ActLoss = Literal["divergence", "likelihood", "linear_head", "pointer_head"]
"""The same of actions, or a head in the place of their tokens, by which the student then acts (appendix L)."""
ACT_HEADS = ("linear_head", "pointer_head")
OptimiserName = Literal["adamw", "muon"]
SAMPLER = "vllm:"
"""What a server's address that samples begins with."""


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Models."""

    student: str = "nano-2m"
    """nano-0.7m, nano-2m, nano-8m (from scratch), layers:N (of the teacher), FILE.pt, a folder, smollm2, hf:ID."""
    teacher: str = ""
    """Model that teaches: FILE.pt, a folder, nano:WORLD, smollm2, hf:ID, http://HOST:PORT (served), openai:URL#MODEL,
    base (without adapters), self (as it began), recorded (scores in trajectories) or expert."""
    form: Annotated[Literal["auto", "lines", "tags", "think"], RARE] = "auto"
    """How a model writes: lines (Reasoning:, Action:), tags ([REASON], [ACT]), think (<think>, <action>); auto: as its
    record says, others as the trajectories are written, or lines."""
    chat: Annotated[Literal["auto", "on", "off"], RARE] = "auto"
    """Episodes as turns of a chat; auto: as the student's record says, others where their tokenizer has a template."""
    teacher_context: Annotated[Literal["student", "own", "privileged"], RARE] = "student"
    """The teacher reads what the student does, its own prompt and chat template, or these and the solution."""
    teacher_told: Annotated[str, RARE] = "solution"
    """What only a privileged teacher reads of a task: how its world solves it (solution), the actions of a won episode
    of the trajectories (recorded) or of the same group (group), or a hint for tasks of its type (FILE.toml)."""
    teacher_prompt: Annotated[str, RARE] = ""
    """Prompt file (TOML) of the teacher, or a world's name; by default the world's own for models not trained here."""
    teacher_chat: Annotated[Literal["auto", "on", "off"], RARE] = "auto"
    """The teacher reads turns of its chat template; auto: where it has one and is used to it."""
    context: Annotated[int, formerly("budget")] = 512
    """Tokens a model is shown at once at most."""
    max_new_tokens: Annotated[int, formerly("room")] = 96
    """Tokens of one completion at most."""
    vocabulary: Annotated[int, RARE] = 2048
    """Tokens of a nano student's own tokenizer, where no teacher gives one."""
    adapters: int = 0
    """LoRA rank; 0 trains all weights."""
    top: Annotated[int, RARE] = 0
    """A local teacher answers with this many likeliest tokens and the rest; 0 with everything. Servers: 64."""
    cache: Annotated[str, RARE] = ""
    """Folder where a teacher's answers are kept."""
    teacher_precision: Annotated[Literal["auto", "fp32", "bf16"], RARE] = "auto"
    """Of a local teacher's numbers; auto: fp32 on a processor, bf16 elsewhere."""
    student_precision: Annotated[Literal["fp32", "bf16"], RARE] = "fp32"
    """Of the student's weights; bf16 halves them, but loses small updates to all that is no adapter."""
    teacher_concurrency: Annotated[int, RARE] = 8
    """Requests to a teacher's server at once."""
    patience: Annotated[float, RARE, tyro.conf.arg(metavar="S")] = 120.0
    """Wall time that an overloaded teacher's server (429, 503) is waited for, at each request."""

    @property
    def windowing(self) -> Windowing:
        """What a model sees of an episode."""
        return Windowing(self.context, self.max_new_tokens)


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Data."""

    trajectories: Annotated[tuple[str, ...], formerly("episodes", remark="elsewhere --episodes is a number")] = ()
    """Recorded trajectories (JSON lines) of teacher or expert."""
    env: Annotated[str, formerly("world")] = "alfworld"
    """World that the student plays."""
    data: str = "generated"
    """generated, official, official:PACK, or a folder in the official layout."""
    split: str = "train"
    """Split of the world's tasks that are played."""
    tasks: Annotated[int, RARE] = 0
    """Tasks of the split at most; 0 takes all."""
    batch: int = 16
    """Recorded rows of an update (offline, minillm)."""
    masks: Annotated[Literal["spans", "random", "none"], RARE] = "spans"
    """Kinds of agent tokens: spans, dealt at random, or all one kind."""
    action_support: Literal["full", "static", "trie", "byte"] = "trie"
    """Token sets of actions: none, of the data, of the admissible actions, or of those in every spelling."""
    constrained: Annotated[Literal["off", "on"], RARE] = "off"
    """Actions of the student are sampled among the admissible ones, here and later: --outside ignore supposes it."""
    seed: int = 0
    """Seed of all draws."""


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Optimiser."""

    steps: int = 1000
    """Updates in all; a finished run can be given more, with the schedule of the new total."""
    processor_seconds: Annotated[float, RARE, tyro.conf.arg(metavar="S")] = 0.0
    """End the run when it has used these for acting, scoring and updating; schedules over --steps follow the share that
    is used. 0 ends it after --steps."""
    learning_rate: float = 2e-5
    """Peak; models from scratch want about 1e-3."""
    warmup: Annotated[float, RARE] = 0.03
    """Share of the updates in which the rate rises."""
    weight_decay: Annotated[float, RARE] = 0.01
    """Of matrices only, not of gains and biases."""
    clip: Annotated[float, RARE] = 1.0
    """Gradient norm at most; 0 is no limit."""
    optimiser: OptimiserName = "adamw"
    """muon (for the matrices between embedding and head) suits models from scratch."""
    embedding_factor: Annotated[float, RARE] = 1.0
    """Multiple of the rate for embeddings; from scratch, about 10."""

    def rate(self, step: float) -> float:
        """Learning rate of update `step`, counted from 0: a pure function, so that a resumed run needs no state."""
        return self.learning_rate * self.share_of_peak(step)

    def share_of_peak(self, step: float) -> float:
        """The same as a share of the peak: a linear rise, then a cosine to 0."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return (step + 1) / rising
        progress = min(1.0, (step - rising) / max(1, self.steps - rising))
        return 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Loss.

    How student and teacher are compared at one position.
    """

    divergence: Divergence = "forward"
    """Divergence from the teacher (Eq. 4 is forward)."""
    beta: Annotated[float, RARE] = 0.5
    """Mixture weight of js and the skew forms."""
    kd_temperature: Annotated[float, RARE] = 1.0
    """Softens both distributions; the loss has its square as factor."""
    outside: Annotated[Outside, RARE] = "bucket"
    """Mass outside a token set: one more outcome, or renormalised away (Eq. 8)."""
    clamp: Annotated[float, RARE] = 0.0
    """A position's divergence counts at most this much; 0 is no limit, online 10 is a good one."""


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Loss."""

    reason_weight: float = 1.0
    """λ_r, of reasoning."""
    act_weight: float = 1.0
    """λ_a, of actions."""
    observation_weight: float = 0.0
    """Of predicting observations."""
    reason_loss: Annotated[SpanLoss, RARE] = "divergence"
    """What reasoning is learned by: divergence from the teacher, or likelihood of the recorded tokens."""
    act_loss: Annotated[ActLoss, RARE] = "divergence"
    """The same of actions (both by likelihood are Eq. 19), or a head that chooses whole actions and then acts: with a
    row for each action of the trajectories (App. L), or with rows made of their words."""
    reduction: Reduction = "type_mean"
    """Average per kind of span; Eq. 4-6; one average; average per span."""
    learned_weights: Annotated[bool, RARE] = False
    """Learn λ_r and λ_a, from the given ones on."""
    project: Annotated[bool, RARE] = False
    """Project conflicting gradients off one another (PCGrad)."""
    measure: Measure = Measure()

    @property
    def learns_recorded(self) -> bool:
        """A kind of span is learned by the likelihood of recorded tokens."""
        return "likelihood" in (self.reason_loss, self.act_loss)


@dataclass(frozen=True, kw_only=True)
class FurtherTerms:
    """Loss.

    Further terms of it.
    """

    terms: tuple[str, ...] = ()
    """NAME=WEIGHT of further terms: opd, grpo, ... (docs/methods.md); contrastive, start, observation_head; atomic,
    atomic_local, pointer; align_min, _sum, _soft_dtw, _ot, _spans, _spans_sum (instead)."""
    method_weight: Annotated[str, RARE] = "1"
    """Weight of the method's own loss beside the terms: a number, linear:FROM:TO:OVER or cosine:FROM:TO:OVER."""

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Weight by name of term, as it changes over the run; terms that never have one are left out.

        Raises:
            ConfigError: not of that form, a weight that is no number of at least 0, or a name twice.
        """
        found: dict[str, Schedule] = {}
        for term in self.terms:
            name, _, weight = term.partition("=")
            try:
                value = Schedule.of(weight)
            except ConfigError:
                value = None
            if value is None or name in found:
                raise ConfigError(
                    f"--terms {term}: give each term once, as NAME=WEIGHT with a weight of at least 0, or"
                    " NAME=linear:FROM:TO:OVER"
                )
            found[name] = value
        return {name: value for name, value in found.items() if value.greatest}

    @property
    def weights(self) -> dict[str, float]:
        """The greatest weight of each term that ever has one."""
        return {name: schedule.greatest for name, schedule in self.schedules.items()}

    @property
    def aligned(self) -> bool:
        """An alignment of texts is the whole loss."""
        return any(name.startswith("align_") for name in self.weights)


@dataclass(frozen=True, kw_only=True)
class CurriculumSettings:
    """Curriculum."""

    curriculum: Literal["none", "sample", "sort", "walk"] = "none"
    """Easy episodes first: drawn, paced or sorted."""
    curriculum_scale: Annotated[Literal["scores", "raw"], RARE] = "scores"
    """Quantities of Eq. 13: as standard scores over all episodes, or as printed: tokens and nats."""
    curriculum_reason: Annotated[float, RARE] = 1.0
    """alpha of Eq. 13."""
    curriculum_act: Annotated[float, RARE] = 1.0
    """beta of Eq. 13."""
    curriculum_entropy: Annotated[float, RARE] = 1.0
    """gamma of Eq. 13; needs a teacher that scores."""
    curriculum_strength: Annotated[float, RARE] = 1.0
    """g of "sample" at the first update; it falls to 0."""


@dataclass(frozen=True, kw_only=True)
class OnlineSettings:
    """The student's own episodes (all modes but offline)."""

    rollouts: int = 16
    """Episodes of an iteration."""
    updates: int = 1
    """Updates on an iteration's rows, each on its share."""
    passes: Annotated[int, RARE] = 1
    """Times that the updates of an iteration go through all of its rows; MiniLLM's authors take 4."""
    sampling_temperature: float = 1.0
    """Of the student's draws, and of its local teacher's."""
    sampler: Annotated[str, RARE] = ""
    """vllm:URL[#NAME]: a vLLM server that samples the student's episodes, given its weights before each iteration."""
    max_steps: Annotated[int, RARE] = 0
    """Steps of an episode at most, of validation's, too; 0 takes the world's limit."""
    horizon_start: Annotated[int, RARE] = 0
    """Steps of an episode at first; 0 takes --max-steps from the beginning."""
    horizon_every: Annotated[int, RARE] = 10
    """Iterations after which one more step is allowed."""
    replay_every: Annotated[int, RARE] = 0
    """Recorded won episodes are replayed but for their last action, after this many iterations for one more, and so
    on; the student plays on from there (TCOD backward to forward). 0 begins at the beginning."""
    group: Annotated[int, RARE] = 1
    """Episodes of an iteration on one task, for terms that compare them (grpo, gigpo, rloo)."""
    redraws: Annotated[int, RARE] = 0
    """How often groups whose episodes all ended alike are replaced by groups on other tasks."""
    online_share: Annotated[float, RARE] = 0.5
    """Mode mixed: chance that an episode is the student's own."""
    online_share_end: Annotated[float | None, RARE] = None
    """What that chance becomes, in equal steps over the run; left out it stays."""
    guidance: Annotated[float, RARE] = 0.5
    """Mode guided: chance at first of a teacher's turn; it falls to 0."""
    guidance_fall: Annotated[Literal["linear", "cosine"], RARE] = "linear"
    """How it falls: over the whole run, or by half a cosine over four fifths of it (Guided-OPD)."""
    workers: Annotated[int, RARE] = 0
    """Processes that hold worlds; 0 runs them in this process."""
    backend: Annotated[str, RARE] = LOCAL
    """local, ray (starts a cluster here) or ray:ADDRESS."""
    actors: Annotated[int, RARE] = 0
    """Processes (with --backend ray its workers, whatever the number) that play the next iteration's episodes while
    this one's are learned from, with the student as it was before that; 0 plays and learns by turns."""

    @property
    def own_share(self) -> Schedule:
        """The chance of an episode of the student's own over the run, in mode mixed."""
        end = self.online_share_end
        return Schedule(self.online_share, self.online_share if end is None else end)

    @property
    def guidance_schedule(self) -> Schedule:
        """The chance of a teacher's turn over the run."""
        return Schedule(self.guidance, 0.0, 0.8 if self.guidance_fall == "cosine" else 1.0, self.guidance_fall)


@dataclass(frozen=True, kw_only=True)
class HardwareSettings:
    """Hardware."""

    device: str = "auto"
    """auto, cpu or cuda."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of computation: bf16 keeps float32 weights."""
    micro_batch: Annotated[int, RARE] = 8
    """Rows in the models at one time at most."""
    recompute: Annotated[bool, RARE] = False
    """Recompute activations in the backward pass to save memory."""
    shard_learner: Annotated[bool, RARE] = False
    """With --sampler: cut weights, gradients and optimiser state over the processes (FSDP) instead of copying them."""


@dataclass(frozen=True, kw_only=True)
class RunOutput:
    """Output."""

    save_every: Annotated[int, RARE] = 50
    """Updates (online: iterations) between two saved states."""
    stored: Annotated[Literal["fp32", "bf16"], RARE] = "fp32"
    """Numbers of student.pt; bf16 halves the file."""
    gradients_every: Annotated[int, RARE] = 50
    """Updates between two looks at gradients: cosine of reasoning and action, change, noise; 0 for none."""
    keep_at: Annotated[tuple[float, ...], RARE] = ()
    """Shares of the run after which the student is also saved: 0.25 as at-25.pt."""
    report_to: Annotated[str, RARE, formerly(switches={"tensorboard": "tensorboard"})] = ""
    """Trackers of curves and episodes: tensorboard, trackio, wandb; several with commas."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train a student on recorded trajectories, or on its own under a teacher.

    $ sad-distill --method sft --mode offline --trajectories expert.jsonl --out runs/sft

      method           mode             needs
      sft, seqkd       offline          --trajectories
      sft, seqkd       dagger           --teacher expert, or a model
      word_kd          offline          --trajectories --teacher
      sad, token_flat  offline, mixed   --trajectories --teacher
      sad, token_flat  online, guided, dagger   --teacher
      minillm          online           --teacher student.pt
      policy           online, guided   --terms opd=1, grpo=1, ... (see field/opd)

    Other commands: sft-teacher, export, serve, inspect, plan, each with --help. Several GPUs: accelerate launch
    --multi_gpu -m sad_distill ... (or torchrun). A --config that does not exist lists those that ship, e.g. paper.
    """

    out: str
    """Output folder; the same command resumes what is in it."""
    method: Method = "sad"
    """sad; a baseline; or policy, by --terms alone."""
    mode: Mode = "online"
    """online: the student plays, the teacher scores; guided: they take turns; dagger: the teacher rewrites."""
    stages: Annotated[tuple[str, ...], RARE] = ()
    """Configurations one after the other, each with its share of the run: field/sad-offline=0.6 field/gigpo=0.4. Each
    begins with the student of the one before; what else is given is for all of them."""
    model: ModelChoice = ModelChoice()
    data: TrainingData = TrainingData()
    loss: LossSettings = LossSettings()
    terms: FurtherTerms = FurtherTerms()
    curriculum: CurriculumSettings = CurriculumSettings()
    online: OnlineSettings = OnlineSettings()
    policy: PolicySettings = field(default_factory=PolicySettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    optimisation: Optimisation = Optimisation()
    hardware: HardwareSettings = HardwareSettings()
    output: RunOutput = RunOutput()
