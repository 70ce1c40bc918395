"""Whether a server answers at all, known within seconds: libraries try for minutes before they say so."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request
from urllib.parse import urlsplit

SECONDS = 2.0
"""That a server, or the proxy before it, may take to accept a connection."""


def reachable(url: str, seconds: float = SECONDS) -> bool:
    """Whether the host of an address, or the proxy that leads to it, accepts a connection in time.

    Args:
        url: an http or https address.
        seconds: to wait. Looking up a name knows no limit of its own, so the attempt is left behind in a thread.
    """
    target = urlsplit(url)
    proxy = urllib.request.getproxies().get(target.scheme)
    if proxy and not urllib.request.proxy_bypass(target.hostname or ""):
        target = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    address = (target.hostname or "", target.port or (443 if target.scheme == "https" else 80))
    answered = threading.Event()

    def attempt() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            socket.create_connection(address, timeout=seconds).close()
            answered.set()
        done.set()

    done = threading.Event()
    threading.Thread(target=attempt, daemon=True).start()
    done.wait(seconds)
    return answered.is_set()
