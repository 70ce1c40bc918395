"""Methods of training a student from its SFT start: the paper's baselines, SAD, its ablations, as flags of `train`."""

from __future__ import annotations

from typing import NamedTuple


class Method(NamedTuple):
    """One way to train a student.

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
        """True when the student learns from the teacher's episodes; MiniLLM learns from both."""
        return not self.online or self.flags["method"] == "minillm"


def _sad(**flags: str) -> dict[str, str]:
    return {"method": "sad", "mode": "offline", **{name.replace("_", "-"): value for name, value in flags.items()}}


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
}
"""Methods by name; an ablation changes one thing of `sad-offline`."""

MAIN_METHODS = ("seqkd", "word-kd", "token-offline", "token-online", "minillm", "sad-offline", "sad-online")
_ON_REQUEST = ("sad-constrained",)
ABLATIONS = tuple(name for name in METHODS if name not in (*MAIN_METHODS, *_ON_REQUEST))
BASELINES = tuple(name for name in MAIN_METHODS if not name.startswith("sad"))
