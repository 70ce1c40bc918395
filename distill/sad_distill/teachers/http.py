"""One HTTP request with timeouts, and retries of faults that may pass."""

from __future__ import annotations

import time
from collections.abc import Callable
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


def ask(
    session: requests.Session,
    method: str,
    url: str,
    read: Callable[[requests.Response], Value],
    patience: Patience,
    **options: Any,
) -> Value:
    """Send a request until its answer can be read.

    Faults of the network, stalls, 408, 429, 5xx and answers that cannot be read are tried again.

    Raises:
        ConfigError: the server refuses the request itself (another 4xx); trying again would not help.
        InfrastructureError: it did not answer in all attempts.
    """
    fault = ""
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(patience.pause * 2 ** (attempt - 1))
        try:
            timeout = (patience.connect, patience.answer)
            response = session.request(method, url, timeout=timeout, **options)
            if response.status_code < 400:
                return read(response)
            fault = f"status {response.status_code}: {one_line(response.text, 160)}"
            if response.status_code < 500 and response.status_code not in (408, 429):
                raise ConfigError(f"{url} refuses the request: {fault}")
        except (requests.RequestException, DataError, ValueError, KeyError, TypeError, IndexError) as error:
            fault = f"{type(error).__name__}: {error}"
    raise InfrastructureError(
        f"{url} did not answer in {patience.attempts} attempts ({one_line(fault, 200)}); nothing is lost, run it again"
    )
