"""The expert for models that are trained from scratch."""

from __future__ import annotations

from sad_env.searchqa.expert import SearchQAExpert


class PlainSearchQAExpert(SearchQAExpert):
    """The policy of `SearchQAExpert` with one wording for each situation."""

    plain = True
