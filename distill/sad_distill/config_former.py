"""Settings and configurations of earlier releases, and what they are called now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sad_distill.config import TrainConfig
from sad_env.settings import present_names

FORMER_TERMS = {"contrastive": "contrastive={}", "alignment": "align_{}=1", "action_head": "{}=1"}
"""Settings of the release before that are further terms now, as formats of their value."""

REMOVED = {
    "temperature": "--kd-temperature for the loss, --sampling-temperature for the student's draws",
    "preset": "--config NAME",
    "noise_every": "--gradients-every",
}
"""Settings of the release before that a file may not have any more, with what to give instead."""


_RATIOS = "Tables 6 and 12 are the ratios of λ: give paper/table6/1-1 and so on, or --reason-weight and --act-weight"
_ENTROPY = "γ weighs entropy in Eq. 13, paper/table15/entropy-1.0; the strength of draws is --curriculum-strength"
GONE_CONFIGS = {
    "paper/table3/sad": "the paper's whole method is paper/table3/ours; --method sad is the default",
    "paper/table3/token-level": "the printed row is MiniLLM, paper/table3/token; the flat loss is --method token_flat",
    "paper/table3/minillm": "it is paper/table3/token with the paper's values; or give --method minillm --passes 4",
    "paper/table3/word-kd": "it is paper/table3/kd with the paper's values; or give --method word_kd --mode offline",
    "paper/table3/sft": "Table 3 has no such row: give --method sft --mode offline",
    "paper/table5/full": "it is paper/table5/ours, the paper's whole method",
    "paper/table5/no-reasoning": "it is paper/table5/only-action with the paper's values; or give --reason-weight 0",
    "paper/table5/no-action": "it is paper/table5/only-reasoning with the paper's values; or give --act-weight 0",
    "paper/table5/random-mask": "it is paper/table5/random-masking with the paper's values; or give --masks random",
    "paper/table5/no-curriculum": "the curriculum is in Table 13: give paper/table13/without-curriculum",
    "paper/table6/full": "components are in Table 5: give paper/table5/ours",
    "paper/table6/no-curriculum": "the curriculum is in Table 13: give paper/table13/without-curriculum",
    "paper/table6/no-segmentation": "components are in Table 5: give paper/table5/no-segmentation",
    "paper/table6/random-mask": "components are in Table 5: give paper/table5/random-masking",
    **{f"paper/table13/{ratio}": _RATIOS for ratio in ("0-1", "1-0", "1-1", "1-2", "2-1")},
    "paper/table14/fixed": "it is in no table; fixed weights are the default",
    "paper/table14/learned": "it is in no table: give --learned-weights",
    "paper/table14/projected": "it is in no table: give --project",
    **{f"paper/table15/gamma-{gamma}": _ENTROPY for gamma in ("0", "0.5", "1", "2")},
}
"""Configurations of the release before that meant something else than the paper's tables, with what to give instead."""


def former_term(name: str, value: str) -> str:
    """The further term that a former setting asked for, "" for none."""
    return "" if value in ("none", "0", "0.0") else FORMER_TERMS[name].format(value)


def present_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded flat settings, those of the release before included, as they would be given now."""
    kept = {name: value for name, value in values.items() if name not in FORMER_TERMS}
    found = present_names(TrainConfig, kept)
    if "temperature" in found:
        found["kd_temperature"] = found.pop("temperature")
    terms = [former_term(name, str(values[name])) for name in FORMER_TERMS if name in values]
    return {**found, "terms": sorted([*found.get("terms", ()), *filter(None, terms)])}
