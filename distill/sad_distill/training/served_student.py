"""A student whose episodes are sampled by a vLLM server, which is given its weights after every change."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from sad_agents.model_folder import RECORD_FILE
from sad_agents.sampling.local_model import end_ids
from sad_agents.student_folder import save_folder
from sad_agents.vllm_model import VllmModel
from sad_agents.vllm_server import DEV_MODE, VllmServer
from sad_agents.windowing import Windowing
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sad_distill.config import SAMPLER
from sad_distill.models.exported import adapter_base, save_adapter
from sad_distill.models.heads import head_logits, hidden_states, unwrap
from sad_distill.models.students import merged
from sad_distill.teachers.http import TEACHER_PATIENCE
from sad_distill.training.build import Parts
from sad_distill.training.ranks import Ranks
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.files import refuse_foreign
from sad_env.safe_text import one_line
from sad_env.transcript import LINES, Form

FOLDER = "sampler"
"""In a run's folder: the student as the server last loaded it; with adapters these, numbered."""
_ADAPTER = "sad-student"
_PROBE = "Reasoning: I look around, then I go on.\nAction: look\nObservation: You see 12 things.\n"
_APART = 0.2
"""Nats of a token by which the server may differ on average: bfloat16 takes a few hundredths."""


@dataclass(frozen=True)
class Serving:
    """Where a student is served, and how it gets there.

    Attributes:
        url: of the server, with ``#NAME`` where it serves several models.
        whole: the student with its adapters, where it has some; None where another process has it. All call it.
        folder: of the run.
        ranks: the first one writes and loads, the others wait.
        base: folder or hub id that a student with adapters was made of; empty otherwise.
    """

    url: str
    whole: Callable[[], nn.Module | None]
    folder: Path
    ranks: Ranks
    base: str = ""


class ServedStudent(VllmModel):
    """The student behind vLLM: `clear` hands it the present weights.

    They are written into the run's folder, which the server has to see by the same path. Adapters go alone where the
    server takes them and their base is the model that it serves; otherwise they are merged.

    Args:
        serving: where.
        model: the student without wrappers.
        tokenizer: its tokenizer.
        windowing: what it sees.
        name: for the records.
        start_ids: see `TokenModel`.
        form: how it writes.
        chat: see `TokenModel`.
        constrained: see `TokenModel`.

    Raises:
        ConfigError: no such model there, or a server that sees too little.
        InfrastructureError: the server does not answer.
    """

    def __init__(
        self,
        serving: Serving,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        windowing: Windowing,
        name: str,
        start_ids: Sequence[int] = (),
        form: Form = LINES,
        chat: bool = False,
        constrained: bool = False,
    ) -> None:
        self._serving, self._ranks = serving, serving.ranks
        self._folder = (serving.folder / FOLDER).resolve()
        self.tokenizer = tokenizer
        whole = serving.whole()
        if whole is not None and self._ranks.first and not serving.base:
            refuse_foreign(self._folder, RECORD_FILE)
            self._write(whole)  # what a server can be started with
        address, _, served = serving.url.partition("#")
        try:
            server = VllmServer(address, served, patience=TEACHER_PATIENCE)
        except InfrastructureError as error:
            raise InfrastructureError(
                f"{error}: {DEV_MODE}, e.g. VLLM_SERVER_DEV_MODE=1 vllm serve {serving.base or self._folder}"
                f" --max-model-len {windowing.budget}, and run this again"
            ) from None
        ends = end_ids(model, tokenizer)
        super().__init__(
            server,
            tokenizer,
            windowing=windowing,
            name=name,
            ends=ends,
            start_ids=start_ids,
            form=form,
            chat=chat,
            constrained=constrained,
        )
        self._as_adapters = bool(serving.base) and serving.base in (server.root, adapter_base(server.root))
        self._loaded = 0

    def clear(self) -> None:
        """Give the server the weights of now.

        Raises:
            ConfigError: it cannot load them, or answers as another model would.
            InfrastructureError: it does not answer.
        """
        whole = self._serving.whole()
        if whole is not None and self._ranks.first:
            if self._as_adapters:
                self._load_adapters(whole)
            else:
                self._write(whole)
                self.sampler.server.reload(self._folder)
        self._as_adapters = self._ranks.any(self._ranks.first and self._as_adapters)
        self.sampler.model = _ADAPTER if self._as_adapters else ""
        if whole is not None:
            self._check(whole)

    def _write(self, whole: nn.Module) -> None:
        save_folder(self._folder, unwrap(merged(whole)), self.tokenizer, {})

    def _load_adapters(self, whole: nn.Module) -> None:
        """Each time from another folder: the server's cache of prefixes goes by name and folder."""
        last, self._loaded = self._folder / f"{self._loaded:06d}", self._loaded + 1
        target = self._folder / f"{self._loaded:06d}"
        save_adapter(target, whole, self.tokenizer, {}, self.sampler.server.root)
        try:
            self.sampler.server.load_adapter(_ADAPTER, target)
        except ConfigError:
            if self._loaded > 1:
                raise
            self._as_adapters = False  # it was started without: they are merged
            self._write(whole)
            self.sampler.server.reload(self._folder)
        shutil.rmtree(last, ignore_errors=True)

    def _check(self, whole: nn.Module) -> None:
        ids = self._encode(_PROBE)
        here = log_probs(whole, ids)
        there = self.sampler.server.log_probs(ids, self.sampler.model)
        apart = fmean(abs(a - b) for a, b in zip(here, there, strict=True))
        if not apart < _APART:
            raise ConfigError(
                f"{self.sampler.server.shown} answers as another model than the student ({apart:.2g} nats a token apart"
                f" on average): serve one of its architecture and tokenizer, e.g. {one_line(str(self._folder), 200)}"
            )


def served_student(parts: Parts, folder: Path) -> Callable[..., ServedStudent] | None:
    """What makes the student behind the server that the settings name; None where it samples in this process."""
    config = parts.config
    if not config.online.sampler:
        return None
    url = config.online.sampler.removeprefix(SAMPLER)
    base = adapter_base(config.model.student) if config.model.adapters else ""
    return functools.partial(ServedStudent, Serving(url, parts.learner.whole, folder, parts.ranks, base))


@torch.no_grad()
def log_probs(model: nn.Module, ids: tuple[int, ...]) -> list[float]:
    """The log-probability of each of these ids but the first, given those before."""
    causal = unwrap(model)
    training = causal.training
    causal.eval()
    ids_BT = torch.tensor([ids], device=next(causal.parameters()).device)
    found = head_logits(model, hidden_states(model, ids_BT)[0]).log_softmax(-1)
    causal.train(training)
    return [float(found[at, id_]) for at, id_ in enumerate(ids[1:])]
