"""Live Wikipedia, or any MediaWiki, as a page source: with retries, and a cache on disk that keeps dates."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path

from sad_env.addresses import public_address, web_address
from sad_env.data import USER_AGENT, data_root
from sad_env.errors import InfrastructureError
from sad_env.files import write_text
from sad_env.hotpotqa.mediawiki import read_answer, search_url
from sad_env.hotpotqa.pages import Page, Similar
from sad_env.http import Answer, Client, Patience, RequestError, status_error
from sad_env.json_lines import RecordError, read_json

WIKIPEDIA = "https://en.wikipedia.org/w/index.php"
_LARGEST = 16 * 2**20
_ANSWERS = (200, 400, 414)
"""What a wiki answers with to what was asked: a page, or that an agent's search cannot be one."""
PATIENCE = Patience(seconds=0.0, longest=5.0, connect=5.0, answer=10.0)
"""All attempts together stay below a minute, which is the patience of the harness with one step."""


class LiveSource:
    """Pages of a MediaWiki, over the network.

    An answer is kept in the cache with its address and the day it came, so that a run can be repeated; pages drift
    over the years, and a question of 2017 may have another answer today. Connection faults, 429 and 5xx are tried
    again with doubled pauses, or after the time that the server asks for.

    Args:
        base: address of the wiki's index.php.
        cache: folder of the cache; by default one under the data folder.
        patience: timeouts and retries.

    Raises:
        ConfigError: the address is no http(s) address.
    """

    def __init__(self, base: str = WIKIPEDIA, *, cache: Path | None = None, patience: Patience = PATIENCE) -> None:
        self._base = web_address(base, "a wiki's address")
        self._cache = cache or data_root() / "hotpotqa" / "live"
        self._client = Client(patience, headers={"User-Agent": USER_AGENT}, limit=_LARGEST)

    def find(self, entity: str) -> Page | Similar:
        """What the wiki answers to a search for this name.

        Raises:
            InfrastructureError: no answer after all attempts, or a refusal.
        """
        url = search_url(self._base, entity)
        kept = self._recall(url)
        if kept is None:
            kept = (self._fetch(url), datetime.datetime.now(datetime.timezone.utc).date().isoformat())
            write_text(self._place(url), json.dumps({"url": url, "date": kept[1], "html": kept[0]}))
        html, date = kept
        answer = read_answer(html)
        return Page(answer.title, answer.text, date, answer.damaged) if isinstance(answer, Page) else answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _fetch(self, url: str) -> str:
        shown = public_address(self._base)
        try:
            return self._client.ask("GET", url, _html)
        except RequestError as fault:
            if not fault.passing:
                raise InfrastructureError(
                    f"{shown}: the wiki refuses with {str(fault).removeprefix('HTTP ')}"
                ) from None
            raise InfrastructureError(f"{shown}: no answer after {fault.tries} attempts: {fault}") from None

    # --- cache ---

    def _place(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()
        return self._cache / name[:2] / f"{name}.json"

    def _recall(self, url: str) -> tuple[str, str] | None:
        """HTML and date of an answer that is kept; a file that cannot be read counts as none."""
        try:
            record = read_json(self._place(url))
            if isinstance(record, dict) and record["url"] == url:
                return str(record["html"]), str(record["date"])
        except (OSError, RecordError, KeyError):
            pass
        return None


def _html(answer: Answer) -> str:
    if answer.status not in _ANSWERS:
        raise status_error(answer.status, answer.reason, answer.wait)
    return answer.content.decode(_known_encoding(answer.encoding), errors="replace")


def _known_encoding(name: str | None) -> str:
    """The declared encoding, UTF-8 where there is none or one that Python does not know."""
    try:
        "".encode(name or "utf-8")
    except LookupError:
        return "utf-8"
    return name or "utf-8"
