"""Structured Agent Distillation: labels, losses, curriculum, teachers and the online loop.

The names below are imported when they are first used; most of them load torch.
"""

from typing import TYPE_CHECKING

from sad_env.lazy import lazy_names

if TYPE_CHECKING:
    from sad_distill.api import Distilled, distill
    from sad_distill.config import Measure, Optimisation, TrainConfig
    from sad_distill.data.action_support import ActionSupport
    from sad_distill.data.batch import collate
    from sad_distill.data.rows import rows_from
    from sad_distill.losses.divergence import divergence
    from sad_distill.losses.objective import Objective, Totals, combine
    from sad_distill.losses.scoring import score_positions
    from sad_distill.models.nano import from_scratch
    from sad_distill.models.tokenizer import train_tokenizer
    from sad_distill.teachers.local import LocalTeacher
    from sad_distill.training.learner import Learner
    from sad_distill.training.run import Run

__all__ = [
    "ActionSupport",
    "Distilled",
    "Learner",
    "LocalTeacher",
    "Measure",
    "Objective",
    "Optimisation",
    "Run",
    "Totals",
    "TrainConfig",
    "collate",
    "combine",
    "distill",
    "divergence",
    "from_scratch",
    "rows_from",
    "score_positions",
    "train_tokenizer",
]

__getattr__ = lazy_names(
    __name__,
    {
        "sad_distill.api": "Distilled distill",
        "sad_distill.config": "Measure Optimisation TrainConfig",
        "sad_distill.data.action_support": "ActionSupport",
        "sad_distill.data.batch": "collate",
        "sad_distill.data.rows": "rows_from",
        "sad_distill.losses.divergence": "divergence",
        "sad_distill.losses.objective": "Objective Totals combine",
        "sad_distill.losses.scoring": "score_positions",
        "sad_distill.models.nano": "from_scratch",
        "sad_distill.models.tokenizer": "train_tokenizer",
        "sad_distill.teachers.local": "LocalTeacher",
        "sad_distill.training.learner": "Learner",
        "sad_distill.training.run": "Run",
    },
)
