"""Requests to a teacher's server: what it refuses and what it fails at, in the words of a training run."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from sad_agents.openai_answers import ContextError, NoSuchPathError

from sad_env.addresses import public_address
from sad_env.errors import ConfigError, DataError, InfrastructureError
from sad_env.http import PATIENCE, Answer, Client, RequestError, Value
from sad_env.safe_text import one_line

TEACHER_PATIENCE = replace(PATIENCE, attempts=6, answer=300.0)
"""A training run waits longer than an evaluation, which can leave an episode for later."""


CONCURRENCY = 8
"""Requests to a teacher's server at once."""

_LONGEST_TEXT = 2**20


def written(text: object) -> str:
    """A completion of a teacher, which is to become a target of training.

    Raises:
        RequestError: it is no text, or none that a model could have written for one step.
    """
    if not isinstance(text, str) or not text.strip():
        raise RequestError("the completion holds no text")
    if len(text) > _LONGEST_TEXT:
        raise RequestError(f"a completion of {len(text):,} characters")
    return text


def ask(client: Client, method: str, url: str, read: Callable[[Answer], Value], **options: Any) -> Value:
    """What `read` makes of a teacher's answer, after retries.

    Faults of the network, stalls, 408, 409, 429, 5xx and answers that `read` refuses are tried again.

    Raises:
        ConfigError: the server refuses the request itself (another 4xx); trying again would not help.
        InfrastructureError: it did not answer in all attempts.
    """

    def checked(answer: Answer) -> Value:
        try:
            return read(answer)
        except (DataError, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise RequestError(f"{type(error).__name__}: {error}") from None

    shown = public_address(url)
    try:
        return client.ask(method, url, checked, **options)
    except RequestError as fault:
        said = one_line(str(fault), 200)
        if not fault.passing:
            raise ConfigError(f"{shown} refuses the request: {said}") from None
        raise InfrastructureError(
            f"{shown} did not answer in {fault.tries} attempts ({said}); nothing is lost, run it again"
        ) from None
    except ContextError as error:
        raise ConfigError(
            f"{shown}: a row is longer than the teacher's context: {error}; give a smaller --context"
        ) from None
    except NoSuchPathError:
        raise ConfigError(f"{shown}: there is no such path; give the address of an OpenAI-compatible server") from None


def in_order(jobs: Iterable[Callable[[], Value]], most: int = CONCURRENCY) -> Iterator[Value]:
    """What each job returns, in their order; at most `most` of them have begun and not been taken.

    The first error in that order is raised, and no further job begins. Those under way are left to themselves, in
    threads that keep no process alive, so that neither an error nor Ctrl-C waits for a server.
    """
    begun: deque[Future[Value]] = deque()
    for job in jobs:
        begun.append(_begun(job) if most > 1 else _done(job))
        if len(begun) >= most:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _begun(job: Callable[[], Value]) -> Future[Value]:
    future: Future[Value] = Future()
    threading.Thread(target=functools.partial(_fill, future, job), daemon=True, name="teacher").start()
    return future


def _done(job: Callable[[], Value]) -> Future[Value]:
    future: Future[Value] = Future()
    future.set_result(job())
    return future


def _fill(future: Future[Value], job: Callable[[], Value]) -> None:
    try:
        future.set_result(job())
    except BaseException as error:  # it is raised where the result is asked for
        future.set_exception(error)
