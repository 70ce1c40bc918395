"""Addresses of servers: checked, joined with paths, and shown without the secrets that they may hold."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from sad_env.errors import ConfigError
from sad_env.safe_text import one_line

_ADDRESS = re.compile(r"""(https?://)(?:[^\s/?#"<>]*@)?([^\s?#"'<>]*)(?:\?[^\s#"<>]*)?""", re.IGNORECASE)


def public_address(text: str) -> str:
    """`text` with user info and query of every web address in it removed: they may be passwords and keys.

    >>> public_address("openai:https://me:secret@host:8000/v1?key=abc#model")
    'openai:https://host:8000/v1#model'
    """
    return _ADDRESS.sub(r"\1\2", text)


def web_address(url: str, what: str) -> str:
    """`url` itself, when it is an address of HTTP.

    Raises:
        ConfigError: it is not; `what` begins the message.
    """
    if not url.startswith(("http://", "https://")):
        shown = public_address(f"http://{url}").removeprefix("http://")
        raise ConfigError(f"{what} starts with http:// or https://, not {one_line(shown, 60)!r}")
    split_address(url)
    return url


def split_address(url: str) -> SplitResult:
    """The parts of a server's address.

    Raises:
        ConfigError: it names no host, or no port that there can be.
    """
    try:
        parts = urlsplit(url)
        if parts.hostname and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:
        pass
    raise ConfigError(f"{one_line(public_address(url), 60)!r} is no address: give one such as http://localhost:8000")


def endpoint(base: str, path: str) -> str:
    """The address of a path under a server's own address, whose query it keeps.

    >>> endpoint("http://host/v1/?key=abc", "models")
    'http://host/v1/models?key=abc'
    """
    parts = split_address(base)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{path}", parts.query, ""))
