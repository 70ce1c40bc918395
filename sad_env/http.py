"""HTTP: one policy of retries, and answers bounded in time and size."""

from __future__ import annotations

import codecs
import contextlib
import math
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util.retry import Retry

from sad_env.addresses import public_address
from sad_env.json_lines import RecordError, parse_json
from sad_env.safe_text import one_line

Value = TypeVar("Value")

LARGEST_ANSWER = 64 * 2**20
"""Bytes of an answer, unpacked, above which it is not read any further."""

_OVERLOADED = frozenset({429, 503, 529})
_PASSING = frozenset({408, 409, 425, 500, 502, 504}) | _OVERLOADED
_BLOCK = 1 << 16


class RequestError(Exception):
    """One request failed.

    Args:
        reason: one line.
        passing: the same request may go well a little later.
        overloaded: the server is too busy, rather than broken.
        wait: seconds that it asks for, 0 when it does not say.
    """

    def __init__(self, reason: str, *, passing: bool = True, overloaded: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.passing = passing
        self.overloaded = overloaded
        self.wait = wait
        self.tries = 1


class _Backoff(Retry):
    """urllib3's policy, with Retry-After as a fraction or in milliseconds, and pauses that differ among threads."""

    def get_retry_after(self, response: Any) -> float:
        """Seconds that the server asks for; 0 when it does not say so in a form that is known."""
        try:
            if milliseconds := response.headers.get("retry-after-ms"):
                return max(0.0, _finite(milliseconds) / 1000)
            return float(super().get_retry_after(response) or 0.0)
        except (ValueError, OverflowError, InvalidHeader):
            return 0.0

    def parse_retry_after(self, retry_after: str) -> float:
        """Seconds from now, of a number or a date."""
        try:
            return max(0.0, _finite(retry_after))
        except ValueError:
            return float(super().parse_retry_after(retry_after))

    def get_backoff_time(self) -> float:
        """A doubled pause for each fault so far; requests that failed together do not come back together."""
        pause = self.backoff_factor * 2.0 ** min(len(self.history) - 1, 30)
        return float(min(self.backoff_max, pause * (0.75 + random.random() / 2)))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server.

    Attributes:
        seconds: how long a server that is overloaded (429, 503, or Retry-After) is asked again, however often that is.
        attempts: tries of one request on any other fault that may pass.
        pause: seconds before the second try, doubled for each further one.
        longest: seconds of one pause at most.
        connect: seconds to connect.
        answer: seconds for a whole answer.
    """

    seconds: float = 120.0
    attempts: int = 4
    pause: float = 1.0
    longest: float = 60.0
    connect: float = 10.0
    answer: float = 120.0

    def retry(self, attempt: Callable[[], Value]) -> Value:
        """What `attempt` returns, called again while it raises a fault that may pass.

        Raises:
            RequestError: the last one; its `tries` counts the calls.
        """
        policy: Retry = _Backoff(total=self.attempts - 1, backoff_factor=self.pause, backoff_max=self.longest)
        until = time.monotonic() + self.seconds
        while True:
            try:
                return attempt()
            except RequestError as fault:
                fault.tries = len(policy.history) + 1
                waiting = fault.overloaded and time.monotonic() < until
                try:
                    if not fault.passing:
                        raise
                    policy = (policy.new(total=max(1, policy.total or 0)) if waiting else policy).increment(error=fault)
                except MaxRetryError:
                    raise fault from None
                time.sleep(min(max(policy.get_backoff_time(), fault.wait), self.longest))


PATIENCE = Patience()
"""Survives a quota of one minute; a server that is not there is given up after seconds."""


@dataclass(frozen=True)
class Answer:
    """A whole answer.

    Attributes:
        status: of HTTP.
        reason: its words.
        content: the body, unpacked.
        encoding: that the server declares, None where it declares none.
        wait: seconds after which the server wants to be asked again, 0 when it does not say.
    """

    status: int
    reason: str
    content: bytes
    encoding: str | None
    wait: float

    @property
    def beginning(self) -> str:
        """The first characters, for messages and for recognising an error."""
        return self.content[:4000].decode("utf-8", "replace")

    def check(self) -> None:
        """Refuse an answer that is none.

        Raises:
            RequestError: the status is not 200.
        """
        if self.status != 200:
            raise status_error(self.status, self.beginning, self.wait)

    def json(self, of: type | tuple[type, ...] = dict, *, minus_infinity: bool = False) -> Any:
        """The JSON value that it holds, strictly read.

        Args:
            of: types that it may have.
            minus_infinity: it may hold ``-Infinity``, the logarithm of a probability of zero.

        Raises:
            RequestError: the status is not 200, or the content is something else.
        """
        self.check()
        try:
            value = parse_json(self.content.removeprefix(codecs.BOM_UTF8), minus_infinity=minus_infinity)
        except RecordError as error:
            why = one_line(str(error).removeprefix("not JSON: "), 80)
            raise RequestError(f"the answer ({why}) is no JSON") from None
        if not isinstance(value, of):
            raise RequestError("the answer is no JSON object")
        return value


class Client:
    """A session whose answers are bounded in time and size. Threads may share it.

    Args:
        patience: timeouts and retries.
        headers: of every request.
        connections: kept open at once.
        limit: bytes of an answer at most, unpacked.
        proxies: False ignores the environment's proxies and .netrc.
    """

    def __init__(
        self,
        patience: Patience = PATIENCE,
        *,
        headers: dict[str, str] | None = None,
        connections: int = 10,
        limit: int = LARGEST_ANSWER,
        proxies: bool = True,
    ) -> None:
        self.patience = patience
        self._limit = limit
        self._session = requests.Session()
        self._session.trust_env = proxies
        self._session.headers.update(headers or {})
        # A server that sets another one with each answer would make the requests longer until it refuses them.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.hooks["response"].append(_drop_redirect_body)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(pool_maxsize=connections))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(self, method: str, url: str, read: Callable[[Answer], Value], **options: Any) -> Value:
        """What `read` makes of the answer to a request, which is sent again while it fails in a way that may pass.

        Args:
            method: of HTTP.
            url: the address.
            read: turns an answer of any status into a value; a `RequestError` of it counts as one of the request.
            options: as `requests` takes them.

        Raises:
            RequestError: it failed for good.
        """

        def attempt() -> Value:
            with self.stream(method, url, deadline=self.patience.answer, **options) as response:
                answer = _read(response, self._limit)
            return read(answer)

        return self.patience.retry(attempt)

    @contextlib.contextmanager
    def stream(
        self, method: str, url: str, *, deadline: float = math.inf, **options: Any
    ) -> Iterator[requests.Response]:
        """One request, whose body the caller reads; a block that fails on the network raises `RequestError`.

        Args:
            method: of HTTP.
            url: the address.
            deadline: seconds for all that happens in the block, infinite for none.
            options: as `requests` takes them.
        """
        late = f"no answer within {self.patience.answer:g} s"
        with _deadline(deadline) as passed:
            try:
                with self._open(method, url, passed, **options) as response:
                    yield response
            except requests.Timeout:
                raise RequestError(late) from None
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, ConnectionError) as error:
                if passed.is_set():
                    raise RequestError(late) from None
                raise RequestError("closed the connection" if _was_closed(error) else "unreachable") from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                # Their own words may hold the address with all its secrets.
                raise RequestError(f"the request failed: {type(error).__name__}") from None
            if passed.is_set():
                raise RequestError(late)

    def _open(self, method: str, url: str, passed: threading.Event, **options: Any) -> requests.Response:
        timeout = (self.patience.connect, self.patience.answer)
        while True:
            _reading.kept = False
            try:
                return self._session.request(method, url, timeout=timeout, stream=True, **options)
            except requests.ConnectionError as error:
                # A server may close a connection that was kept open just as the next request goes out on it: that is
                # no fault of the request, which goes out again, at last on a new connection.
                if passed.is_set() or not _reading.kept or not _was_closed(error):
                    raise


def _was_closed(error: Exception) -> bool:
    return any(word in str(error).lower() for word in ("aborted", "broken", "reset", "incomplete", "ended"))


def status_error(status: int, said: str, wait: float) -> RequestError:
    """What an answer of an unwanted status is.

    Args:
        status: of HTTP.
        said: what the answer says.
        wait: seconds after which the server wants to be asked again, 0 when it does not say.
    """
    said = one_line(public_address(said), 120)
    return RequestError(
        f"HTTP {status}: {said}" if said else f"HTTP {status}",
        # Below 400 nothing was refused: the answer is damaged.
        passing=status in _PASSING or status >= 520 or status < 400,
        overloaded=status in _OVERLOADED or wait > 0,
        wait=wait,
    )


def wait_asked_for(response: requests.Response) -> float:
    """Seconds after which a server wants to be asked again, by its headers; 0 when it does not say."""
    return _Backoff().get_retry_after(response)


def _read(response: requests.Response, limit: int) -> Answer:
    body = bytearray()
    for block in response.iter_content(_BLOCK):
        body += block
        if len(body) > limit:
            raise RequestError(f"an answer of more than {limit:,} bytes")
    return Answer(response.status_code, response.reason or "", bytes(body), response.encoding, wait_asked_for(response))


def _drop_redirect_body(response: requests.Response, **_: Any) -> None:
    """Requests would read it whole, whatever its size."""
    if response.is_redirect:
        response.raw.close()


# --- a deadline for a whole answer: timeouts of sockets begin again with each byte ----------------------------------

_reading = threading.local()


class _Watched:
    sock: Any
    _answered: Any = None
    """The socket over which an answer came, as long as it is the one of this connection."""

    def request(self, *args: Any, **options: Any) -> None:
        _reading.kept = self.sock is not None and self.sock is self._answered
        super().request(*args, **options)  # type: ignore[misc]

    def getresponse(self) -> Any:
        _reading.socket = self.sock
        response = super().getresponse()  # type: ignore[misc]
        self._answered = _reading.socket
        return response


class _WatchedHTTP(_Watched, urllib3.connection.HTTPConnection): ...


class _WatchedHTTPS(_Watched, urllib3.connection.HTTPSConnection): ...


class _Adapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _WatchedHTTPS if pool.scheme == "https" else _WatchedHTTP
        return pool


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[threading.Event]:
    """Shut down the connection that this thread reads from after `seconds`; the event tells whether that was done."""
    passed = threading.Event()
    reading = _reading.__dict__
    reading.clear()

    def end() -> None:
        passed.set()
        if (connection := reading.get("socket")) is not None:
            with contextlib.suppress(OSError):
                # Of the bare socket: that of TLS would change under the reading thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    if seconds == math.inf:
        yield passed
        return
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield passed
    finally:
        timer.cancel()
