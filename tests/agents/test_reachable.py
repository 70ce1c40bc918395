"""Whether a server answers is known in time, whatever the network does."""

from __future__ import annotations

import socket
import threading

import pytest
from sad_agents import hub_models, reachable

from sad_env.errors import InfrastructureError


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable.urllib.request, "getproxies", dict)


def test_a_server_that_listens_is_reachable_and_a_closed_port_is_not() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert not reachable.reachable(url)
        server.listen()
        assert reachable.reachable(url)


def test_a_proxy_stands_for_the_hosts_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        place = f"127.0.0.1:{proxy.getsockname()[1]}"
        monkeypatch.setattr(reachable.urllib.request, "getproxies", lambda: {"https": place})
        assert reachable.reachable("https://no-such-host.invalid")


def test_a_name_that_is_looked_up_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, never = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> socket.socket:
        asked.set()
        never.wait()
        raise OSError

    monkeypatch.setattr(reachable.socket, "create_connection", look_up)
    assert not reachable.reachable("https://example.org", seconds=0.1)
    assert asked.is_set()
    never.set()


def test_a_model_of_the_hub_offline_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_models, "reachable", lambda url: False)
    with pytest.raises(InfrastructureError, match="does not answer: connect to the network, or give a folder"):
        hub_models.hub_folder("nobody/no-such-model")
