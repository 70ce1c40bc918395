"""Methods of training a student from its SFT start: the paper's baselines, SAD, its ablations, as flags of `train`."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from sad_env.config_files import EXTENDS, find_config, shipped_configs
from sad_env.errors import UnknownNameError
from sad_env.tables import read_toml


class Method(NamedTuple):
    """One way to train a student.

    Attributes:
        title: what tables call it.
        flags: flags of `sad-distill`.
        preset: what the configuration that they name says, where the study leaves its settings to it.
        stages: the methods that a configuration of stages takes one after the other.
    """

    title: str
    flags: dict[str, str]
    preset: dict[str, Any] = {}  # noqa: RUF012
    stages: tuple[Method, ...] = ()

    @property
    def online(self) -> bool:
        """True when the student learns from its own episodes."""
        return any(stage.flags["mode"] != "offline" for stage in self.stages or [self])

    @property
    def recorded(self) -> bool:
        """True when the student learns from the teacher's episodes; MiniLLM learns from both."""
        return not self.online or any(stage.flags["method"] == "minillm" for stage in self.stages or [self])

    @property
    def reads_episodes(self) -> bool:
        """True when training is given the teacher's episodes, be it for their order alone."""
        if self.stages:
            return any(stage.reads_episodes for stage in self.stages)
        begins = bool(self.preset.get("replay_every")) or self.preset.get("teacher_told") == "recorded"
        return self.recorded or bool(self.flags.get("curriculum")) or begins or self.flags["mode"] == "mixed"

    @property
    def recorded_scores(self) -> bool:
        """True when the student learns from what the teacher's episodes say of its scores."""
        return self.preset.get("teacher") == "recorded"


def _sad(**flags: str) -> dict[str, str]:
    return {"method": "sad", "mode": "offline", **{name.replace("_", "-"): value for name, value in flags.items()}}


def _paper(title: str, row: str, **flags: str) -> Method:
    """A row of a table of the paper: a configuration of `sad-distill` and those of its flags that decide the plan."""
    return Method(title, {"config": f"paper/{row}", "method": "sad", "mode": "online", **flags})


_CURRICULUM = {"curriculum": "sort"}
_OURS = _paper("Ours", "table3/ours", **_CURRICULUM)

PAPER_METHODS: dict[str, Method] = {
    "paper-ours": _OURS,
    "paper-token": _paper("Token", "table3/token", method="minillm", passes="4"),
    "paper-kd": _paper("KD", "table3/kd", method="word_kd", mode="offline"),
    "paper-seqkd": _paper("SeqKD", "table3/seqkd", method="seqkd", mode="offline"),
    "paper-only-reasoning": _paper("Only reasoning supervision", "table5/only-reasoning", **_CURRICULUM),
    "paper-only-action": _paper("Only action supervision", "table5/only-action", **_CURRICULUM),
    "paper-no-segmentation": _paper(
        "No span segmentation", "table5/no-segmentation", method="token_flat", **_CURRICULUM
    ),
    "paper-random-masking": _paper("Random span masking", "table5/random-masking", **_CURRICULUM),
    "paper-0.5-1": _paper("λ 0.5 : 1", "table6/0.5-1", **_CURRICULUM),
    "paper-2-1": _paper("λ 2 : 1", "table6/2-1", **_CURRICULUM),
    "paper-no-curriculum": _paper("Without curriculum", "table13/without-curriculum"),
    "paper-entropy-0.5": _paper("γ 0.5", "table15/entropy-0.5", **_CURRICULUM),
    "paper-entropy-2.0": _paper("γ 2.0", "table15/entropy-2.0", **_CURRICULUM),
}
"""Rows of the paper's tables with the paper's own settings; a row that several tables print is here once."""

METHODS: dict[str, Method] = {
    "seqkd": Method("SeqKD", {"method": "seqkd", "mode": "offline"}),
    "word-kd": Method("word-level KD", {"method": "word_kd", "mode": "offline"}),
    "token-offline": Method("token KL, offline", {"method": "token_flat", "mode": "offline"}),
    "token-online": Method("token KL, online", {"method": "token_flat", "mode": "online"}),
    # Its authors train four times on what was sampled; with as many updates, it samples a quarter of the tokens.
    "minillm": Method("MiniLLM", {"method": "minillm", "mode": "online", "passes": "4"}),
    "sad-offline": Method("SAD, offline", _sad()),
    "sad-online": Method("SAD, online", _sad(mode="online")),
    "sad-random-mask": Method("SAD, random masks", _sad(masks="random")),
    "sad-no-reasoning": Method("SAD, no reasoning term", _sad(reason_weight="0")),
    "sad-no-action": Method("SAD, no action term", _sad(act_weight="0")),
    "sad-1-2": Method("SAD, λ 1 : 2", _sad(act_weight="2")),
    "sad-2-1": Method("SAD, λ 2 : 1", _sad(reason_weight="2")),
    "sad-curriculum": Method("SAD, curriculum", _sad(curriculum="sample")),
    "sad-constrained": Method("SAD, Eq. 8 with constrained decoding", _sad(config="constrained")),
    **PAPER_METHODS,
}
"""Methods by name; an ablation changes one thing of `sad-offline`."""

REFERENCES = ("sad-offline", "sad-online", "field/opd")
"""Methods that every other one of a study with a budget is tested against."""

FIELD_CLAIMS: dict[tuple[str, str], str] = {
    ("field/gigpo", "field/grpo"): "GiGPO, 2505.10978",
    ("field/sdar", "field/grpo"): "SDAR, 2605.15155",
    ("field/skill-sd", "field/grpo"): "Skill-SD",
    ("field/tcod-f2b", "field/opd"): "TCOD, 2604.24005",
    ("field/tcod-b2f", "field/opd"): "TCOD, 2604.24005",
    ("field/guided-opd", "field/opd"): "Guided-OPD, 2606.15912",
    ("field/opd", "field/grpo"): "ATOD, 2606.27814",
    ("field/atod", "field/opd"): "ATOD, 2606.27814",
    ("field/atod", "field/grpo"): "ATOD, 2606.27814",
}
"""What papers of the field say: the first is ahead of the second in success; by whom."""


@cache
def method_of(name: str) -> Method:
    """A method by its name, or by that of a configuration of `sad-distill` such as field/opd.

    Raises:
        UnknownNameError: there is neither.
    """
    if name in METHODS:
        return METHODS[name]
    presets = shipped_configs("sad_distill")
    if "field/" not in name or name not in presets:
        raise UnknownNameError("method", name, [*METHODS, *(preset for preset in presets if "field/" in preset)])
    preset = read_toml(presets[name])
    if "stages" in preset:
        stages = tuple(method_of(entry.rpartition("=")[0]) for entry in preset["stages"])
        return Method(name, {"config": name}, preset, stages)
    return Method(name, {"config": name, "method": preset["method"], "mode": preset["mode"]}, preset)


def configuration(word: str) -> dict[str, Any]:
    """All that a configuration of `sad-distill` says, with what it extends and with its stages in place of their names.

    Args:
        word: its name, or a file of one's own, as `--config` takes it.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    values = read_toml(find_config(word, "sad_distill"))
    stages = [(entry, configuration(entry.rpartition("=")[0])) for entry in values.get("stages", ())]
    base = configuration(values[EXTENDS]) if EXTENDS in values else {}
    return {**base, **values, **({"stages": stages} if stages else {})}


MAIN_METHODS = ("seqkd", "word-kd", "token-offline", "token-online", "minillm", "sad-offline", "sad-online")
_ON_REQUEST = ("sad-constrained", *PAPER_METHODS)
ABLATIONS = tuple(name for name in METHODS if name not in (*MAIN_METHODS, *_ON_REQUEST))
BASELINES = tuple(name for name in MAIN_METHODS if not name.startswith("sad"))
