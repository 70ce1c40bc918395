"""What our small HTTP servers share: requests of other sites' pages are refused, and nothing ends in a traceback."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from sad_env.safe_text import one_line

LOCAL_NAME = "localhost"
_BODY_SECONDS = 120.0


class RefusingHandler(BaseHTTPRequestHandler):
    """Closes the connection after every refused request, and refuses those that a web page of another site sends."""

    server_version, sys_version = "sad-env", ""
    timeout = 30
    """Seconds of silence until a connection is closed."""

    def foreign(self) -> str:
        """Why the request does not come from a client of this server (`foreign_request`); empty when it does."""
        name = getattr(self.server, "server_name", "")
        return foreign_request(self.headers.get_all("Host") or [], self.headers.get("Origin"), name)

    def reply(self, status: int, kind: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send an answer; the connection is closed after one that refuses."""
        if status >= 400:
            self.close_connection = True
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, reason: str) -> None:
        """Send one line."""
        self.reply(status, "text/plain; charset=utf-8", one_line(reason).encode())

    def body(self, limit: int) -> bytes | None:
        """The body of a request; None when it was refused.

        Raises:
            TimeoutError: it does not come whole, or in time.
        """
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdecimal()):
            self.refuse(HTTPStatus.LENGTH_REQUIRED, "a request says its Content-Length")
            return None
        if len(length) > 15 or int(length) > limit:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {limit:,} bytes")
            self._discard(min(int(length[:15]), 4 * limit))
            return None
        body, until = bytearray(), time.monotonic() + _BODY_SECONDS
        while len(body) < int(length):
            block = self.rfile.read1(min(1 << 16, int(length) - len(body)))
            if not block or time.monotonic() > until:
                raise TimeoutError
            body += block
        return bytes(body)

    def _discard(self, left: int) -> None:
        """Read what a refused request still sends: a connection that is closed before is reset, answer and all."""
        until = time.monotonic() + 1.0
        self.connection.settimeout(1.0)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while left > 0 and time.monotonic() < until and (block := self.rfile.read1(min(1 << 16, left))):
                left -= len(block)

    def handle(self) -> None:
        """Serve a connection; one that stalls or is cut ends in silence."""
        try:
            super().handle()
        except (TimeoutError, ConnectionError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is printed for each request: requests are foreign text."""


def foreign_request(hosts: Sequence[str], origin: str | None, server_name: str = "") -> str:
    """Why a request does not come from a client of a server of this machine; empty when it does.

    Host must be a number, or a name of this machine: a web page can point a name of its own at this address, and
    its visitors' browsers then take this server for the page's. A browser's Origin must be that host, too.

    Args:
        hosts: values of the header Host.
        origin: value of the header Origin, None where there is none.
        server_name: a further name of this server.
    """
    if len(hosts) != 1 or not _is_ours(_name(hosts[0]), server_name):
        return "the Host header does not name this server: use its number, or its name on this machine"
    if origin is not None and urlsplit(origin).netloc.lower() != hosts[0].lower():
        return "the Origin header names another site"
    return ""


def _is_ours(name: str, server_name: str) -> bool:
    if name in (LOCAL_NAME, socket.gethostname().lower(), server_name.lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """The host of a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
