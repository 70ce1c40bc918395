"""How the experts think aloud: several wordings of each kind of thought, 10 to 35 words long."""

from __future__ import annotations

from collections.abc import Mapping

from sad_env.encyclopedia.wordings import Wordings
from sad_env.tables import read_table

_TABLE = read_table("sad_env.hotpotqa", "wordings.toml")
READING = Wordings(_TABLE)
"""Wordings of the expert that reads: search, namesake, lookup, return, value, contest, same, common, guess."""
GOLD: Mapping[str, tuple[str, ...]] = _TABLE["gold"]
"""Wordings of the expert that knows the gold titles."""
