"""Our small servers: a request that is refused before it was read whole still gets its answer."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from http.server import HTTPServer

import pytest

from sad_env.adapters.serve import LocalOnly, Message
from sad_env.local_server import RefusingHandler

LIMIT = 2**16


class Reading(RefusingHandler):
    def do_POST(self) -> None:
        if (body := self.body(LIMIT)) is not None:
            self.reply(200, "text/plain", str(len(body)).encode())


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Reading) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("length", "status"), [(LIMIT, b"200"), (LIMIT + 1, b"413"), (3 * LIMIT, b"413")])
def test_a_body_that_is_too_long_is_refused_and_its_sender_reads_why(port: int, length: int, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % length)
        for half in (length // 2, length - length // 2):
            time.sleep(0.1)  # the answer is on its way before all is sent
            client.sendall(b" " * half)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(LIMIT), b""))
    assert answer.startswith((b"HTTP/1.0 " + status, b"HTTP/1.1 " + status))
    assert (b"at most 65,536 bytes" in answer) == (status == b"413")


@pytest.mark.parametrize("more", [3, 10**6])
def test_a_refused_request_of_a_session_is_read_on_up_to_a_bound(more: int) -> None:
    sent, left = list[Message](), more

    async def receive() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": b" " * 2**16, "more_body": left > 0}

    async def send(message: Message) -> None:
        sent.append(message)

    async def application(*_: object) -> None:
        raise AssertionError

    headers = [(b"host", b"127.0.0.1"), (b"content-length", b"%d" % 2**21)]
    asyncio.run(LocalOnly(application)({"type": "http", "headers": headers}, receive, send))
    assert sent[0]["status"] == 413
    assert left == max(0, more - 64)  # four times as much as is allowed
