"""The expert for models that are trained from scratch."""

from __future__ import annotations

from sad_env.hotpotqa.expert import HotPotQAExpert


class PlainHotPotQAExpert(HotPotQAExpert):
    """The policy of `HotPotQAExpert` with one wording for each situation."""

    plain = True
