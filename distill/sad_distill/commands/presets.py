"""Settings of the paper's experiments by name, in our terms."""

from __future__ import annotations

import dataclasses
import difflib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, get_type_hints

from sad_distill.config import TrainConfig
from sad_env import cli
from sad_env.errors import ConfigError
from sad_env.safe_text import one_line

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


def preset(name: str) -> dict[str, Any]:
    """What a preset sets.

    Raises:
        ConfigError: no such preset; it names them all.
    """
    if name in PRESETS:
        return PRESETS[name]
    families: dict[str, list[str]] = defaultdict(list)
    for known in PRESETS:
        family, _, last = known.rpartition("/")
        families[family].append(last)
    # By family, since a message is cut at 500 characters.
    listed = "; ".join(f"{family}/ {', '.join(names)}" for family, names in families.items())
    close = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f" did you mean {close[0]!r}?" if close else ""
    raise ConfigError(f"no preset {one_line(name, 60)!r}:{hint} known: {listed}")


def parse(arguments: Sequence[str], *, prog: str) -> TrainConfig:
    """The settings of these flags: a flag beats a configuration file, which beats the preset, which beats defaults.

    Args:
        arguments: of the command line.
        prog: the command's name, for its help.

    Raises:
        ConfigError: no such preset.
    """
    given = cli.parse(TrainConfig, arguments, prog=prog)
    if not given.preset:
        return given
    # Only the parser can tell a flag that repeats a default from one that was not given: it reads once more, with the
    # preset's values as the defaults.
    kinds = get_type_hints(TrainConfig)
    fields = [(name, kinds[name], value) for name, value in preset(given.preset).items()]
    defaults = dataclasses.make_dataclass("TrainConfig", fields, bases=(TrainConfig,), frozen=True)
    return TrainConfig(**vars(cli.parse(defaults, arguments, prog=prog)))
