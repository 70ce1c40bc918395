"""Settings of the paper's experiments by name, in our terms."""

from __future__ import annotations

import dataclasses
from typing import Any

from sad_distill.config import TrainConfig
from sad_env.errors import UnknownNameError

_OFFLINE: dict[str, Any] = {"mode": "offline"}
_CURRICULUM: dict[str, Any] = {"mode": "offline", "curriculum": "sample"}

PRESETS: dict[str, dict[str, Any]] = {
    # Table 3 and 4: the method and its baselines.
    "paper/table3/sad": {"method": "sad", "mode": "online"},
    "paper/table3/sft": {"method": "sft", "mode": "offline"},
    "paper/table3/seqkd": {"method": "seqkd", "mode": "offline"},
    "paper/table3/word-kd": {"method": "word_kd", "mode": "offline"},
    "paper/table3/token-level": {"method": "token_flat", "mode": "online"},
    "paper/table3/minillm": {"method": "minillm", "mode": "online", "learning_rate": 5e-6, "updates": 4, "passes": 4},
    # Table 5: what each part contributes.
    "paper/table5/full": _CURRICULUM,
    "paper/table5/no-reasoning": {**_CURRICULUM, "reason_weight": 0.0},
    "paper/table5/no-action": {**_CURRICULUM, "act_weight": 0.0},
    "paper/table5/random-mask": {**_CURRICULUM, "masks": "random"},
    "paper/table5/no-curriculum": _OFFLINE,
    # Table 6: segmentation and curriculum.
    "paper/table6/full": _CURRICULUM,
    "paper/table6/no-segmentation": {**_CURRICULUM, "masks": "none", "action_support": "full"},
    "paper/table6/no-curriculum": _OFFLINE,
    "paper/table6/random-mask": {**_OFFLINE, "masks": "random"},
    # Table 13: λ_r to λ_a.
    "paper/table13/1-1": {"reason_weight": 1.0, "act_weight": 1.0},
    "paper/table13/2-1": {"reason_weight": 2.0, "act_weight": 1.0},
    "paper/table13/1-2": {"reason_weight": 1.0, "act_weight": 2.0},
    "paper/table13/1-0": {"reason_weight": 1.0, "act_weight": 0.0},
    "paper/table13/0-1": {"reason_weight": 0.0, "act_weight": 1.0},
    # Table 14: how the weights come about.
    "paper/table14/fixed": {},
    "paper/table14/learned": {"learned_weights": True},
    "paper/table14/projected": {"project": True},
    # Table 15: the strength of the curriculum.
    "paper/table15/gamma-0": {**_CURRICULUM, "curriculum_strength": 0.0},
    "paper/table15/gamma-0.5": {**_CURRICULUM, "curriculum_strength": 0.5},
    "paper/table15/gamma-1": {**_CURRICULUM, "curriculum_strength": 1.0},
    "paper/table15/gamma-2": {**_CURRICULUM, "curriculum_strength": 2.0},
}
"""What each changes. The paper defines few of these exactly; each is our reading, and a name for it."""


def apply_preset(config: TrainConfig) -> TrainConfig:
    """The settings with their preset's where they still stand at their defaults.

    Raises:
        UnknownNameError: no such preset.
    """
    if not config.preset:
        return config
    if config.preset not in PRESETS:
        raise UnknownNameError("preset", config.preset, PRESETS)
    defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    values = {name: value for name, value in PRESETS[config.preset].items() if getattr(config, name) == defaults[name]}
    return dataclasses.replace(config, **values)
