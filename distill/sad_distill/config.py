"""The settings of a distillation: one flat, frozen dataclass; its fields are the flags, their docstrings the help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sad_env.errors import ConfigError

Method = Literal["sad", "sft", "seqkd", "word_kd", "token_flat", "minillm"]
Mode = Literal["offline", "online", "mixed", "guided", "dagger"]


@dataclass(frozen=True)
class TrainConfig:
    """Train a student: from recorded episodes, or in live worlds under a teacher's eyes.

    Example: sad-distill --method sft --mode offline --episodes expert.jsonl --student nano-2m --out runs/sft

    Other commands: sad-distill sft-teacher, serve, inspect, study (each with --help).
    Settings that ship: --config paper/table5/random-mask and others (any other word lists them all).
    Several GPUs: accelerate launch --multi_gpu -m sad_distill ... (or torchrun); --batch is that of all of them.
    """

    out: str
    """Run folder; the same command resumes what is in it."""
    student: str = "nano-2m"
    """nano-0.7m, nano-2m, nano-8m (from scratch), layers:N (of the teacher), student.pt, folder, smollm2, hub id."""
    teacher: str = ""
    """student.pt, folder, smollm2 or hub id; http://HOST:PORT (sad-distill serve); openai:URL#MODEL; expert."""
    episodes: tuple[str, ...] = ()
    """Recorded episodes (JSON lines) of teacher or expert, for offline and mixed training, minillm, and tokenizers."""
    method: Method = "sad"
    """sad; baselines sft, seqkd (likelihood), word_kd, token_flat (divergence from the teacher), minillm."""
    mode: Mode = "online"
    """offline; online: the student plays, the teacher scores; mixed; guided: the teacher takes turns; dagger (sft)."""
    preset: str = ""
    """Former name of --config for shipped settings, e.g. paper/table5/random-mask; these lie beneath a --config."""

    world: str = "alfworld"
    """World that the student plays."""
    data: str = "generated"
    """generated, official, or a folder in the official schema."""
    split: str = "train"
    """Split whose tasks are played."""
    tasks: int = 0
    """Tasks of the split at most; 0 takes all."""

    steps: int = 1000
    """Updates; a run that is there can be given more, and goes on with the schedule of the new total."""
    batch: int = 16
    """Rows of an update (offline); online all rows of an iteration make its updates, and with method minillm these many
    of --episodes as well."""
    micro_batch: int = 8
    """Rows in the models at one time at most; a processor takes fewer where they are long."""
    learning_rate: float = 2e-5
    """Peak; models from scratch want about 1e-3."""
    embedding_factor: float = 1.0
    """Learning rate of embeddings, as a multiple; models from scratch want about 10, with a lower learning_rate."""
    warmup: float = 0.03
    """Share of the updates in which the rate rises."""
    weight_decay: float = 0.01
    """Of matrices."""
    clip: float = 1.0
    """Gradient norm at most; 0 is no limit."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """muon for models from scratch: they learn to copy from the context in fewer updates."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 computes in bfloat16 with float32 weights."""
    seed: int = 0
    """Seeds weights, order, tasks and the student's draws."""
    budget: int = 512
    """Tokens that the student sees at once."""
    room: int = 96
    """Tokens of one completion at most."""
    vocabulary: int = 2048
    """Tokens of a nano student's own tokenizer, when no teacher gives one."""

    divergence: Literal["forward", "reverse", "js", "skew_forward", "skew_reverse"] = "forward"
    """Divergence from the teacher (Eq. 4 is forward)."""
    beta: float = 0.5
    """Mixture weight of js and the skew forms."""
    temperature: float = 1.0
    """Softens both distributions; the loss is multiplied by its square."""
    clamp: float = 0.0
    """A token's divergence counts at most this much; 0 is no limit, online 10 is a good one."""
    action_support: Literal["full", "static", "trie", "byte"] = "trie"
    """Token sets of actions: none, of the data, of the admissible actions, or those in every spelling."""
    outside: Literal["bucket", "ignore"] = "bucket"
    """Mass outside a token set: one more outcome, or renormalised away (Eq. 8; the student may then leave the set)."""
    action_head: Literal["none", "atomic", "atomic_local", "pointer"] = "none"
    """A further loss on whole actions: divergence over the admissible ones, or a pointer head."""
    reduction: Literal["type_mean", "paper_sum", "token_mean", "span_mean"] = "type_mean"
    """Average per kind of span; Eq. 4-6; one average; average per span."""
    reason_weight: float = 1.0
    """λ_r."""
    act_weight: float = 1.0
    """λ_a."""
    observation_weight: float = 0.0
    """Weight of predicting observations."""
    learned_weights: bool = False
    """Learn λ_r and λ_a, from the given ones on, at a rate of their own; metrics show them."""
    project: bool = False
    """Project gradients of reasoning and action off one another where they conflict (PCGrad)."""
    masks: Literal["spans", "random", "none"] = "spans"
    """none: all agent tokens are of one kind; random: kinds are dealt at random (ablations)."""
    contrastive: float = 0.0
    """Weight of the contrastive term between student and teacher trajectories (InfoNCE), within a --micro-batch."""
    alignment: Literal["none", "min", "soft_dtw", "ot", "spans"] = "none"
    """For teachers whose text differs from the student's: alignment of the two texts' tokens (offline)."""

    curriculum: Literal["none", "sample", "sort"] = "none"
    """Easy episodes first: drawn by complexity (Eq. 13), or a growing easiest share."""
    curriculum_reason: float = 1.0
    """alpha of Eq. 13."""
    curriculum_act: float = 1.0
    """beta of Eq. 13."""
    curriculum_entropy: float = 1.0
    """gamma of Eq. 13; needs a teacher that scores."""
    curriculum_strength: float = 1.0
    """g at the first update of pacing "sample"; it falls to 0."""

    rollouts: int = 16
    """Online: episodes of an iteration."""
    updates: int = 1
    """Online: updates on an iteration's rows, each on its share of them."""
    passes: int = 1
    """Online: how often these updates go through all of an iteration's rows; MiniLLM's authors take 4."""
    workers: int = 0
    """Online: processes for the worlds."""
    sampling_temperature: float = 1.0
    """Online: of the student's draws."""
    horizon_start: int = 0
    """Online: steps an episode may take at first; 0 is the world's own limit."""
    horizon_every: int = 10
    """Online: iterations after which one more step is allowed."""
    online_share: float = 0.5
    """Mixed: chance that an episode is the student's own."""
    guidance: float = 0.5
    """Guided: chance at first that the teacher takes a turn; it falls to 0."""
    top: int = 0
    """A local teacher answers with this many likeliest tokens and the rest; 0 with everything. Servers: 64."""
    patience: float = 120.0
    """Seconds that a teacher's server which is overloaded (429, 503) is waited for, at each request."""
    cache: str = ""
    """Folder where a teacher's answers are kept."""

    adapters: int = 0
    """LoRA rank; 0 trains all weights."""
    recompute: bool = False
    """Recompute activations in the backward pass to save memory."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    save_every: int = 50
    """Updates (online: iterations) between two states on disk."""
    stored: Literal["fp32", "bf16"] = "fp32"
    """Numbers of student.pt; bf16 halves the file."""
    tensorboard: bool = False
    """Also write metrics for TensorBoard."""

    def check(self) -> None:
        """Refuse settings that contradict one another.

        Raises:
            ConfigError: naming them.
        """
        if self.steps < 1 or self.batch < 1 or self.micro_batch < 1 or self.rollouts < 1 or self.updates < 1:
            raise ConfigError("steps, batch, micro-batch, rollouts and updates are at least 1")
        if self.passes < 1 or self.updates % self.passes:
            raise ConfigError(
                f"--passes {self.passes} does not divide --updates {self.updates}: each pass takes as many updates"
            )
        for name, low, high in _RANGES:
            if not low <= getattr(self, name) <= high:
                bound = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
                raise ConfigError(f"--{name.replace('_', '-')} {getattr(self, name):g}: give a number {bound}")
        if self.divergence not in ("forward", "reverse") and not 0 < self.beta < 1:
            raise ConfigError(
                f"--beta {self.beta:g}: {self.divergence} mixes with a weight between 0 and 1, both excluded"
            )
        if self.mode == "dagger" and self.method not in ("sft", "seqkd"):
            raise ConfigError(
                f"mode dagger learns by likelihood what its teacher would have written, method {self.method} does not:"
                " give --method sft"
            )
        if self.method in ("sft", "seqkd") and self.mode not in ("offline", "dagger"):
            raise ConfigError(f"method {self.method} learns from recorded text: give --mode offline (or dagger)")
        if self.method == "word_kd" and self.mode != "offline":
            raise ConfigError("method word_kd learns from recorded text: give --mode offline")
        if self.method == "minillm" and self.mode != "online":
            raise ConfigError("method minillm samples from the student: give --mode online")
        if self.method == "minillm" and (not self.sampling_temperature or self.temperature != 1):
            raise ConfigError(
                "method minillm compares at the temperature that it samples at: give --sampling-temperature above 0,"
                " and no --temperature"
            )
        if self.curriculum != "none" and self.mode != "offline":
            raise ConfigError(
                f"--curriculum {self.curriculum} orders recorded episodes, which mode {self.mode} does not: give"
                " --mode offline, or --horizon-start to let episodes grow"
            )
        if self.alignment != "none" and self.mode != "offline":
            raise ConfigError(
                f"--alignment {self.alignment} compares with recordings of the same task, and mode {self.mode} may play"
                " others: give --mode offline, or leave it out"
            )
        if self.contrastive and (self.micro_batch < 2 or (self.mode == "offline" and self.batch < 2)):
            raise ConfigError(
                "--contrastive compares the rows of a micro-batch: give --micro-batch and --batch of 2 or more"
            )
        if self.mode in ("offline", "mixed") and not self.episodes:
            raise ConfigError(f"mode {self.mode} needs recorded episodes: give --episodes FILE.jsonl")

    def caution(self) -> str:
        """One line on what these settings do that their user may not want; empty when there is nothing to say."""
        restricted = self.method == "sad" and self.action_support != "full"
        if restricted and self.outside == "ignore":
            return (
                "--outside ignore gives no gradient to tokens outside the action support: an agent that decodes freely"
                " may leave it; --outside bucket teaches it not to"
            )
        return ""


_RANGES = (
    ("learning_rate", 0.0, float("inf")),
    ("embedding_factor", 0.0, float("inf")),
    ("warmup", 0.0, 1.0),
    ("weight_decay", 0.0, float("inf")),
    ("clip", 0.0, float("inf")),
    ("temperature", 1e-3, float("inf")),
    ("sampling_temperature", 0.0, float("inf")),
    ("clamp", 0.0, float("inf")),
    ("contrastive", 0.0, float("inf")),
    ("online_share", 0.0, 1.0),
    ("guidance", 0.0, 1.0),
    ("horizon_every", 1, float("inf")),
    ("adapters", 0, float("inf")),
    ("top", 0, float("inf")),
    ("patience", 0, float("inf")),
    ("tasks", 0, float("inf")),
    ("workers", 0, float("inf")),
    ("save_every", 1, float("inf")),
)
"""Settings that are numbers, and the least and the greatest value of each."""
