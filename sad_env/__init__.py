"""Worlds for language agents as Gymnasium environments, and the records that all parts of sad-env speak."""

from sad_env.core import TextEnv, Turn
from sad_env.expert import Expert, ThoughtAction
from sad_env.listing import panel, splits, task_types, worlds
from sad_env.panels import Panel
from sad_env.records import Span, SpanKind, Status, Step, Trajectory
from sad_env.registry import WorldSpec, known, make, make_expert, make_vec, register
from sad_env.text_space import AnyText
from sad_env.transcript import render

__version__ = "0.1.0"
"""Of both distributions, sad-env and sad-env-core."""

__all__ = [
    "AnyText",
    "Expert",
    "Panel",
    "Span",
    "SpanKind",
    "Status",
    "Step",
    "TextEnv",
    "ThoughtAction",
    "Trajectory",
    "Turn",
    "WorldSpec",
    "known",
    "make",
    "make_expert",
    "make_vec",
    "panel",
    "register",
    "render",
    "splits",
    "task_types",
    "worlds",
]
