"""A model with its tokenizer: loaded from a file, a folder or the hub, or begun from scratch."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sad_agents.acting import writing_of
from sad_agents.loading import load_language_model
from sad_agents.model_words import model_path
from sad_agents.sampling.action_head import ActionHead
from sad_agents.trained_world import trained_in
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sad_distill.models.heads import restrict
from sad_distill.models.token_ids import TokenIds
from sad_distill.models.tokenizer import texts_of, train_tokenizer
from sad_env.errors import ConfigError
from sad_env.records import FormName, Trajectory
from sad_env.safe_text import one_line

_TOKENIZER_EPISODES = 2000
"""Episodes that a tokenizer is trained on at most."""


@dataclass(frozen=True)
class Language:
    """A model with its tokenizer.

    Attributes:
        model: on its device.
        tokenizer: its tokenizer.
        identity: a name for keys and records, with a hash or revision where the model was loaded.
        start_ids: ids before everything, by the agents' rule (`sad_agents.loading.LoadedModel`).
        form: name of the form that it writes in (`sad_env.transcript`).
        chat: it reads and writes in the turns of the tokenizer's chat template.
        ours: it is a student of this project: trained on the task, it needs no exemplars.
        trained: the world that it was trained in; empty where that is not known.
        success: by world, its success at the last validation of its training, where there was one.
        head: chooses its actions; None for models that write them.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    identity: str = ""
    start_ids: tuple[int, ...] = ()
    form: FormName = "lines"
    chat: bool = False
    ours: bool = False
    trained: str = ""
    success: Mapping[str, float] = field(default_factory=dict)
    head: ActionHead | None = None


def load_language(spec: str, device: str = "cpu", dtype: str = "float32", *, teaches: bool = False) -> Language:
    """A model and its tokenizer, loaded as the agents load them.

    Args:
        spec: see `sad_agents.loading.load_language_model`.
        device: see there.
        dtype: see there.
        teaches: it is asked for likelihoods of actions.

    Raises:
        ConfigError: a teacher that acts by an action head.
        SadEnvError: see `sad_agents.loading.load_language_model`.
    """
    if spec != "smollm2" and not spec.startswith("hf:") and model_path(spec) is None:
        name = one_line(spec, 80)
        print(f"sad-distill: {name} is now hf:{name}; the bare name goes with the next release", file=sys.stderr)
    loaded = load_language_model(spec, device=device, dtype=dtype)
    if teaches and loaded.head is not None:
        raise ConfigError(
            f"{one_line(spec, 80)} chooses by an action head and has not learned to write actions: name another teacher"
        )
    restrict(loaded.model, TokenIds.of(loaded.tokenizer.get_vocab().values()))
    form, chat = writing_of(spec, loaded.record, loaded.tokenizer)
    return Language(
        loaded.model,
        loaded.tokenizer,
        loaded.identity,
        loaded.start_ids,
        form.name,
        chat,
        ours=bool(loaded.record),
        trained=trained_in(loaded.record),
        success=validated(loaded.record),
        head=loaded.head,
    )


def validated(record: Mapping[str, Any]) -> dict[str, float]:
    """Success at the validation that a training record tells of, by its world; empty where there was none."""
    world, success = trained_in(record), record.get("validation_success")
    return {world: float(success)} if world and isinstance(success, int | float) else {}


def own_tokenizer(student: str, episodes: Sequence[Trajectory], vocabulary: int) -> PreTrainedTokenizerBase:
    """A tokenizer for a student that begins from scratch and has no teacher to take one from.

    Args:
        student: its name, for the message.
        episodes: the text that it is trained on.
        vocabulary: tokens at most.

    Raises:
        ConfigError: there are no episodes.
    """
    if not episodes:
        raise ConfigError(
            f"{student} begins from scratch and needs text for its tokenizer: give --trajectories or --teacher"
        )
    # A seeded sample of many: more of them hardly change a token, and each takes time.
    part = random.Random(0).sample(list(episodes), min(len(episodes), _TOKENIZER_EPISODES))
    return train_tokenizer(texts_of(part), vocabulary)
