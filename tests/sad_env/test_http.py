"""Connections that a server closes: one that was kept open is no fault of the next request, a new one is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from sad_env.http import Client, Patience, RequestError

ONCE = Patience(seconds=0, attempts=1, pause=0.01, longest=0.05, connect=2.0, answer=5.0)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers so many requests of each connection, and closes it when the next one has come."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.requests = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                for left in range(self.answers, -1, -1):
                    if not connection.recv(1 << 16):
                        break
                    self.requests += 1
                    if left:
                        connection.sendall(ANSWER)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    one = Server(request.param)
    yield one
    one.listening.shutdown(socket.SHUT_RDWR)
    one.listening.close()


@pytest.mark.parametrize("server", [1], indirect=True)
def test_a_kept_connection_that_was_closed_meanwhile_counts_as_no_attempt(server: Server) -> None:
    client = Client(ONCE, proxies=False)
    for asked in range(3):
        assert client.ask("GET", server.url, lambda answer: answer.json()) == {}
        # The second and the third went out twice, first on the connection that was kept.
        assert server.requests == 1 + 2 * asked


@pytest.mark.parametrize("server", [0], indirect=True)
def test_a_new_connection_that_is_closed_without_an_answer_is_an_attempt(server: Server) -> None:
    with pytest.raises(RequestError, match="closed the connection") as found:
        Client(ONCE, proxies=False).ask("GET", server.url, lambda answer: answer.json())
    assert found.value.tries == server.requests == 1
