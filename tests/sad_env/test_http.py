"""Connections that a server closes: one that was kept open is no fault of the next request, a new one is."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from sad_env.http import Client, Patience, RequestError

ONCE = Patience(seconds=0, attempts=1, pause=0.01, longest=0.05, connect=2.0, answer=5.0)


class Server:
    """Answers so many requests of each connection, and closes it when the next one has come.

    The last number is that of all further connections; -1 resets one before anything is said.
    """

    def __init__(self, *answers: int, headers: bytes = b"") -> None:
        self.answers = answers
        self.headers = headers
        self.connections = 0
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
            answers = self.answers[min(self.connections, len(self.answers) - 1)]
            self.connections += 1
            if answers < 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with connection:
                for left in range(answers, -1, -1):
                    if not connection.recv(1 << 16):
                        break
                    self.requests += 1
                    if left:
                        connection.sendall(b"HTTP/1.1 200 OK\r\n" + self.headers + b"Content-Length: 2\r\n\r\n{}")
                        if self.headers:
                            break


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made = list[Server]()

    def make(*answers: int, **options: bytes) -> Server:
        made.append(Server(*answers, **options))
        return made[-1]

    yield make
    for one in made:
        one.listening.shutdown(socket.SHUT_RDWR)
        one.listening.close()


def ask(client: Client, server: Server) -> object:
    return client.ask("GET", server.url, lambda answer: answer.json())


def test_a_kept_connection_that_was_closed_meanwhile_counts_as_no_attempt(serve: Callable[..., Server]) -> None:
    server, client = serve(1), Client(ONCE, proxies=False)
    for asked in range(3):
        assert ask(client, server) == {}
        # The second and the third went out twice, first on the connection that was kept.
        assert server.requests == 1 + 2 * asked


def test_a_new_connection_that_is_closed_without_an_answer_is_an_attempt(serve: Callable[..., Server]) -> None:
    server = serve(0)
    with pytest.raises(RequestError, match="closed the connection") as found:
        ask(Client(ONCE, proxies=False), server)
    assert found.value.tries == server.requests == 1


@pytest.mark.parametrize("further", [0, -1])
def test_after_a_kept_connection_only_one_new_one_is_tried(serve: Callable[..., Server], further: int) -> None:
    server, client = serve(1, further), Client(ONCE, proxies=False)
    assert ask(client, server) == {}
    with pytest.raises(RequestError, match="closed the connection") as found:
        ask(client, server)
    assert (found.value.tries, server.connections) == (1, 2)


def test_a_connection_after_one_that_was_closed_by_agreement_is_a_new_one(serve: Callable[..., Server]) -> None:
    server, client = serve(1, 0, headers=b"Connection: close\r\n"), Client(ONCE, proxies=False)
    assert ask(client, server) == {}
    with pytest.raises(RequestError, match="closed the connection") as found:
        ask(client, server)
    assert (found.value.tries, server.requests) == (1, 2)
