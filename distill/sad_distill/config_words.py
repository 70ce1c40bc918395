"""Words of the settings that mean something else in each world."""

from __future__ import annotations

from sad_agents.model_words import of_world

from sad_distill.config import TrainConfig
from sad_env.settings import replaced


def in_its_world(config: TrainConfig) -> TrainConfig:
    """The settings with `nano` as the student that ships for their world, where one does."""
    model, world = config.model, config.data.env
    return replaced(config, student=of_world(model.student, world), teacher=of_world(model.teacher, world))
