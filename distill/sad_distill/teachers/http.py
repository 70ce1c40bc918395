"""HTTP requests with timeouts, and retries of faults that may pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import requests

from sad_env.errors import ConfigError, DataError, InfrastructureError
from sad_env.safe_text import one_line

Value = TypeVar("Value")


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server.

    Attributes:
        attempts: tries of one request.
        pause: seconds before the second, doubled for each further one.
        connect: seconds to connect.
        answer: seconds of silence until it counts as stalled.
    """

    attempts: int = 6
    pause: float = 1.0
    connect: float = 10.0
    answer: float = 300.0


PATIENCE = Patience()


class Client:
    """Sends requests until their answers can be read.

    Args:
        patience: timeouts and retries.
        trust_env: whether proxies of the environment are used.
        headers: of every request.
    """

    def __init__(self, patience: Patience, *, trust_env: bool = True, headers: Mapping[str, str] | None = None) -> None:
        self._patience = patience
        self._session = requests.Session()
        self._session.trust_env = trust_env
        self._session.headers.update(headers or {})

    def ask(self, method: str, url: str, read: Callable[[requests.Response], Value], **options: Any) -> Value:
        """Send a request; `read` makes the value of its answer.

        Faults of the network, stalls, 408, 429, 5xx and answers that cannot be read are tried again.

        Raises:
            ConfigError: the server refuses the request itself (another 4xx); trying again would not help.
            InfrastructureError: it did not answer in all attempts.
        """
        fault, timeout = "", (self._patience.connect, self._patience.answer)
        for attempt in range(self._patience.attempts):
            if attempt:
                time.sleep(self._patience.pause * 2 ** (attempt - 1))
            try:
                response = self._session.request(method, url, timeout=timeout, **options)
                if response.status_code < 400:
                    return read(response)
                fault = f"status {response.status_code}: {one_line(response.text, 160)}"
                if response.status_code < 500 and response.status_code not in (408, 429):
                    raise ConfigError(f"{url} refuses the request: {fault}")
            except (requests.RequestException, DataError, ValueError, KeyError, TypeError, IndexError) as error:
                fault = f"{type(error).__name__}: {error}"
        raise InfrastructureError(
            f"{url} did not answer in {self._patience.attempts} attempts ({one_line(fault, 200)}); nothing is lost,"
            " run it again"
        )
