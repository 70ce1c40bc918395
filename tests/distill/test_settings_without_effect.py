"""Settings of a distillation that would be accepted and do nothing: each is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.config_ignored import ignored_by

from sad_env.errors import ConfigError
from sad_env.settings import replaced

POLICY = {"method": "policy", "mode": "online"}
DAGGER = {"method": "sad", "mode": "dagger", "teacher": "t.pt"}


def told(**changes: Any) -> TrainConfig:
    return replaced(TrainConfig(out="x"), trajectories=("t.jsonl",), **changes)


@pytest.mark.parametrize(
    ("beside", "ignored", "counted"),
    [
        ({**POLICY, "terms": ("opd=1",)}, {"reward", "invalid_penalty"}, {"ratio_clip", "averaging"}),
        ({**POLICY, "terms": ("gate=1",)}, {"reward", "invalid_penalty", "ratio_clip"}, {"averaging"}),
        ({**POLICY, "terms": ("rft=1",)}, {"ratio_clip", "reward", "invalid_penalty"}, {"averaging"}),
        ({**POLICY, "terms": ("opd=1",), "group": 4, "redraws": 1}, set(), {"reward", "invalid_penalty"}),
        ({**POLICY, "terms": ("gate=1", "grpo=1"), "group": 4}, set(), {"reward", "invalid_penalty", "ratio_clip"}),
        (DAGGER, {"masks", "observation_weight"}, {"act_weight"}),
        ({"mode": "offline", "terms": ("align_min=1",)}, {"method_weight"}, set()),
        ({"mode": "offline", "terms": ("start=1",)}, set(), {"method_weight", "masks", "observation_weight"}),
    ],
)
def test_what_has_no_effect_is_known(beside: dict[str, Any], ignored: set[str], counted: set[str]) -> None:
    found = ignored_by(told(**beside)).keys()
    assert ignored <= found
    assert not counted & found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "policy", "mode": "mixed", "terms": ("opd=1",)}, "mode mixed has recorded rows, which no signal"),
        ({**DAGGER, "terms": ("observation_head=1",)}, "mode dagger learns turns"),
        ({"method": "minillm", "mode": "online", "method_weight": "0.5"}, "--method-weight 0.5 would weigh a part"),
    ],
    ids=str,
)
def test_what_would_do_nothing_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(told(**changes))


def test_recorded_rows_of_mode_mixed_may_be_learned_by_a_term_or_a_method() -> None:
    check(told(method="policy", mode="mixed", terms=("opd=1", "atomic=1")))
    check(told(method="sad", mode="mixed", terms=("opd=1",)))
