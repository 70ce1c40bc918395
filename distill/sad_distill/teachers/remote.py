"""A teacher behind `sad-distill serve`: it scores any token at any position of the student's own ids."""

from __future__ import annotations

from collections.abc import Sequence

import requests

from sad_distill.batch import Batch
from sad_distill.targets import Target
from sad_distill.teachers.base import Prompt
from sad_distill.teachers.http import PATIENCE, Patience, ask
from sad_distill.teachers.wire import answered, question
from sad_env.errors import ConfigError


class RemoteTeacher:
    """A client of our own teacher server.

    Args:
        url: e.g. ``http://localhost:8700``.
        top: likeliest tokens that it tells of positions without a token set.
        patience: timeouts and retries.

    Raises:
        InfrastructureError: nobody answers there.
    """

    def __init__(self, url: str, *, top: int = 64, patience: Patience = PATIENCE) -> None:
        self.url = url.rstrip("/")
        self.top = top
        self._patience = patience
        self._session = requests.Session()
        self._session.trust_env = False
        about = ask(self._session, "GET", f"{self.url}/about", lambda response: response.json(), patience)
        self.name = str(about["name"])
        self.vocabulary = int(about["vocabulary"])

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`."""
        if batch.sees is not None:
            raise ConfigError("a remote teacher scores plain rows, not branches; use a local one")
        device = batch.ids_BT.device
        target = ask(
            self._session,
            "POST",
            f"{self.url}/score?top={self.top}",
            lambda response: answered(response.content, len(batch.kind_N)),
            self._patience,
            data=question(batch),
            headers={"Content-Type": "application/octet-stream"},
        )
        return type(target)(target.ids_NK.to(device), target.log_p_NK.to(device), target.log_rest_N.to(device))

    def generate(self, prompts: Sequence[Prompt]) -> list[str]:
        """See `WritingTeacher`."""
        return ask(
            self._session,
            "POST",
            f"{self.url}/generate",
            lambda response: [str(text) for text in response.json()["completions"]],
            self._patience,
            json={"prompts": [{"text": prompt.text, "seed": prompt.seed} for prompt in prompts]},
        )
