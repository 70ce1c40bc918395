"""Ways to train a student from its SFT start: the paper's baselines, SAD, and its ablations, as flags of `train`."""

from __future__ import annotations

from typing import NamedTuple


class Arm(NamedTuple):
    """One way.

    Attributes:
        title: what tables call it.
        flags: flags of `sad-distill`.
    """

    title: str
    flags: dict[str, str]

    @property
    def online(self) -> bool:
        """True when the student learns from its own episodes."""
        return self.flags["mode"] == "online"

    @property
    def recorded(self) -> bool:
        """True when the student learns from the teacher's episodes; MiniLLM does from both."""
        return not self.online or self.flags["method"] == "minillm"


def _sad(**flags: str) -> dict[str, str]:
    return {"method": "sad", "mode": "offline", **{name.replace("_", "-"): value for name, value in flags.items()}}


ARMS: dict[str, Arm] = {
    "seqkd": Arm("SeqKD", {"method": "seqkd", "mode": "offline"}),
    "word-kd": Arm("word-level KD", {"method": "word_kd", "mode": "offline"}),
    "token-offline": Arm("token KL, offline", {"method": "token_flat", "mode": "offline"}),
    "token-online": Arm("token KL, online", {"method": "token_flat", "mode": "online"}),
    # Its authors go through what was sampled four times; with as many updates, it so samples a quarter of the others'.
    "minillm": Arm("MiniLLM", {"method": "minillm", "mode": "online", "passes": "4"}),
    "sad-offline": Arm("SAD, offline", _sad()),
    "sad-online": Arm("SAD, online", _sad(mode="online")),
    "sad-random-mask": Arm("SAD, random masks", _sad(masks="random")),
    "sad-no-reasoning": Arm("SAD, no reasoning term", _sad(reason_weight="0")),
    "sad-no-action": Arm("SAD, no action term", _sad(act_weight="0")),
    "sad-1-2": Arm("SAD, λ 1 : 2", _sad(act_weight="2")),
    "sad-2-1": Arm("SAD, λ 2 : 1", _sad(reason_weight="2")),
    "sad-curriculum": Arm("SAD, curriculum", _sad(curriculum="sample")),
}
"""Arms by name; an ablation varies `sad-offline` in one thing."""

BASELINES_AND_SAD = ("seqkd", "word-kd", "token-offline", "token-online", "minillm", "sad-offline", "sad-online")
VARIANTS = tuple(name for name in ARMS if name not in BASELINES_AND_SAD)
BASELINES = tuple(name for name in BASELINES_AND_SAD if not name.startswith("sad"))
