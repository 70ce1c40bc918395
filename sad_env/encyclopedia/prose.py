"""How the generated encyclopedia is written: sentences with slots, which the expert reads with the same grammar.

Slots: ``{s}`` is the subject (its name, or a pronoun after the first sentence), ``{m}`` the same inside a sentence,
``{is}`` "is" or "was"; any other slot is a fact. In filler sentences ``{year}``, ``{number}``, ``{person}``, ``{town}``
and ``{word}`` are decoration that no question asks for.
"""

from __future__ import annotations

from sad_env.tables import read_table

_TABLE = read_table("sad_env.encyclopedia", "prose.toml")

LEADS: dict[str, tuple[str, ...]] = _TABLE["leads"]
"""First sentences by kind of article; one is drawn."""

FACTS: dict[str, dict[str, tuple[str, ...]]] = _TABLE["facts"]
"""Further facts by kind of article; one sentence is drawn for each fact that the first sentence does not state."""

FILLERS: dict[str, tuple[str, ...]] = _TABLE["fillers"]
"""Sentences about things that no question asks for."""

PRONOUNS: dict[str, tuple[str, ...]] = _TABLE["pronouns"]
"""What may replace the subject after the first sentence; a person is he, she or the surname."""

WORDS: dict[str, tuple[str, ...]] = _TABLE["words"]
"""Words for the slots that no question asks for."""
