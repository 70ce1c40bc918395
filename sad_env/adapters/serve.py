"""`sad-serve`: a world over HTTP and WebSocket, for programs that speak OpenEnv."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import tyro

from sad_env import cli
from sad_env.errors import ConfigError
from sad_env.local_server import foreign_request
from sad_env.safe_text import one_line, visible

_LONGEST_BODY = 2**20
_MORE_CONNECTIONS = 64
"""Connections beside those of sessions: for health, metadata and tasks."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Serve a world as an OpenEnv environment, each WebSocket session with an episode of its own.

    $ sad-serve --env alfworld --port 8000
    """

    env: str
    """World: toy, alfworld, webshop, hotpotqa, searchqa, a plug-in's, module:Class or file.py:Class."""
    data: str = "generated"
    """generated, official, official:PACK, or a folder in the official layout."""
    split: str = ""
    """Split of the world's tasks that a reset without one plays; the world's own when left out."""
    options: tuple[str, ...] = ()
    """Further keyword arguments of the world as NAME=VALUE, e.g. backend=textworld."""
    max_steps: int = 0
    """Steps of an episode; 0 takes the world's own limit."""
    sessions: int = 64
    """Sessions open at once at most."""
    session_seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 900.0
    """Silence after which a session is ended."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets other machines in, who are asked for no password."""
    port: int = 8000
    """Port; 0 takes a free one."""


class LocalOnly:
    """Refuses requests of other sites' pages, and bodies that are no request of an agent, before the application.

    Args:
        application: any ASGI application.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        refusal = _refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._application(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            kind = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": refusal[0].value, "headers": kind})
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(_discard(receive), 1.0)
            await send({"type": "http.response.body", "body": refusal[1].encode()})


async def _discard(receive: Receive) -> None:
    """Read what a refused request still sends: a connection that is closed before is reset, answer and all."""
    left = 4 * _LONGEST_BODY
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body"):
            return


def _refusal(scope: Message) -> tuple[HTTPStatus, str] | None:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    if reason := foreign_request(headers.get("host", []), next(iter(headers.get("origin", [])), None)):
        return HTTPStatus.FORBIDDEN, reason
    length = next(iter(headers.get("content-length", [])), "0")
    if "transfer-encoding" in headers or not (length.isascii() and length.isdecimal()):
        return HTTPStatus.LENGTH_REQUIRED, "a request says its Content-Length"
    if len(length) > 15 or int(length) > _LONGEST_BODY:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {_LONGEST_BODY:,} bytes"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `sad-serve`; returns the exit code."""
    return cli.run("sad-serve", lambda: serve(cli.parse(ServeSettings, arguments, prog="sad-serve")))


def serve(settings: ServeSettings) -> int:
    """Serve until Ctrl-C.

    Raises:
        ConfigError: the packages are missing, the port is taken, or settings that make no server.
        SadEnvError: the world cannot be made.
    """
    cli.at_least("sessions", settings.sessions, 1)
    cli.at_least("session-seconds", settings.session_seconds, 1)
    cli.at_least("max-steps", settings.max_steps, 0)
    try:
        import uvicorn

        from sad_env.adapters.openenv import openenv_app
    except ImportError as error:
        raise ConfigError(
            f"sad-serve needs OpenEnv ({one_line(str(error), 80)}): pip install 'sad-env-core[openenv]'"
        ) from None
    application = openenv_app(
        settings.env,
        data=settings.data,
        split=settings.split,
        max_steps=settings.max_steps,
        options=_options(settings.options),
        sessions=settings.sessions,
        session_seconds=settings.session_seconds,
    )
    with _listener(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        print(
            visible(f"{settings.env} is served at http://{host}:{port} ({settings.sessions} sessions); Ctrl-C ends it")
        )
        sys.stdout.flush()
        config = uvicorn.Config(
            LocalOnly(application),
            log_level="warning",
            access_log=False,
            ws_max_size=_LONGEST_BODY,
            limit_concurrency=settings.sessions + _MORE_CONNECTIONS,
            timeout_graceful_shutdown=5,
        )
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _options(words: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments from NAME=VALUE; a value that is no JSON is text."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier() or name in ("data", "split", *found):
            raise ConfigError(f"--options takes NAME=VALUE of the world, not {one_line(word, 60)!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=256)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot serve at {one_line(host, 60)}:{port} ({reason}): choose another --port") from None


if __name__ == "__main__":
    sys.exit(main())
