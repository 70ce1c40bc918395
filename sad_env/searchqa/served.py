"""Passages of a retrieval server, which speaks Search-R1's protocol: dense retrieval, or anything else."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sad_env.addresses import endpoint, public_address, web_address
from sad_env.data import USER_AGENT
from sad_env.errors import InfrastructureError
from sad_env.http import Answer, Client, Patience, RequestError

_LARGEST = 16 * 2**20
PATIENCE = Patience(seconds=20.0, longest=5.0, connect=5.0, answer=10.0)
"""All attempts together stay below a minute, which is the patience of the harness with one step."""


class ServedRetriever:
    """Asks a server for passages: POST {"queries": [query], "topk": k, "return_scores": true}.

    The answer is ``{"result": [[{"document": {"contents": ...}, "score": ...}, ...]]}``; a server that leaves the
    scores out, and gives the documents themselves, is understood as well (search_r1/search/retrieval_server.py).

    Args:
        address: of the server; without a path it is that of ``/retrieve``.
        patience: timeouts and retries.

    Raises:
        ConfigError: the address is no http(s) address.
    """

    def __init__(self, address: str, *, patience: Patience = PATIENCE) -> None:
        web_address(address, "a retrieval server's address")
        self._address = address if urlsplit(address).path.strip("/") else endpoint(address, "retrieve")
        self._client = Client(patience, headers={"User-Agent": USER_AGENT}, limit=_LARGEST)

    def search(self, query: str, k: int) -> list[str]:
        """Contents of the best `k` passages, best first.

        Raises:
            InfrastructureError: no answer after all attempts, a refusal, or something that is no answer.
        """
        # Half a character, which only an agent's broken output holds, has no UTF-8 and would stop the server.
        body = {"queries": [query.encode("utf-8", "replace").decode()], "topk": k, "return_scores": True}
        try:
            return self._client.ask("POST", self._address, _contents, json=body)[:k]
        except RequestError as fault:
            shown = public_address(self._address)
            if not fault.passing:
                raise InfrastructureError(f"{shown}: the retrieval server refuses with {fault}") from None
            raise InfrastructureError(f"{shown}: no passages after {fault.tries} attempts: {fault}") from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _contents(answer: Answer) -> list[str]:
    found = answer.json().get("result")
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], list):
        raise RequestError("the answer has no list of passages under result[0]")
    return [_one(entry) for entry in found[0]]


def _one(entry: Any) -> str:
    document = entry.get("document", entry) if isinstance(entry, dict) else None
    contents = document.get("contents") if isinstance(document, dict) else None
    if not isinstance(contents, str):
        raise RequestError("a passage of the answer has no contents")
    return contents
