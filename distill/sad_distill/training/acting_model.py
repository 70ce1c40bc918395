"""A model under training as an agent of the worlds."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from sad_agents.agent import EpisodeStart, Sampling
from sad_agents.prompts import Prompt
from sad_agents.react import ReActAgent
from sad_agents.sampling.action_head import ActionHead
from sad_agents.sampling.headed_model import HeadedModel
from sad_agents.sampling.local_model import LocalModel
from sad_agents.windowing import Windowing

from sad_distill.config import TrainConfig
from sad_distill.models.heads import unwrap
from sad_distill.models.language import Language
from sad_distill.training.served_student import ServedStudent
from sad_env.transcript import form_of


class ActingModel:
    """A local model as an agent of the worlds, as `sad-eval` will play it.

    Args:
        language: the model and its tokenizer.
        windowing: what it sees.
        config: temperature and seed. What is drawn is computed as it is learned, greedy decoding as by `sad-eval`.
        prompt: comes before an episode; a student has none.
        told: what it ends with, see `ReActAgent`.
        served: makes a model on a server in the place of a `LocalModel`.
        head: chooses its actions.
    """

    def __init__(
        self,
        language: Language,
        windowing: Windowing,
        config: TrainConfig,
        prompt: str = "",
        told: Callable[[EpisodeStart], str] | None = None,
        served: Callable[..., ServedStudent] | None = None,
        head: ActionHead | None = None,
    ) -> None:
        temperature, most = config.online.sampling_temperature, config.model.max_new_tokens
        half = config.hardware.precision == "bf16" and temperature > 0
        precision = torch.bfloat16 if half else torch.float32
        kind = LocalModel if head is None else functools.partial(HeadedModel, head)
        local = functools.partial(kind, precision=precision)
        self._model = (served or local)(
            unwrap(language.model),
            language.tokenizer,
            windowing=windowing,
            name="student",
            start_ids=language.start_ids,
            form=form_of(language.form),
            chat=language.chat,
            constrained=config.data.constrained == "on",
        )
        sampling = Sampling(temperature=temperature, max_tokens=most, seed=config.data.seed)
        self.agent = ReActAgent(self._model, Prompt(prompt), sampling=sampling, told=told)

    def refresh(self) -> None:
        """Forget all that was computed with the weights before an update; a server loads those of now."""
        self._model.clear()
