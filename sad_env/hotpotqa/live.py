"""Live Wikipedia, or any MediaWiki, as a page source: polite, patient, and remembered on disk with dates."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from pathlib import Path

import requests

from sad_env.data import USER_AGENT, data_root
from sad_env.errors import ConfigError, InfrastructureError
from sad_env.files import atomic_text
from sad_env.hotpotqa.mediawiki import read_answer, search_url
from sad_env.hotpotqa.pages import Page, Similar
from sad_env.json_lines import RecordError, parse_json

WIKIPEDIA = "https://en.wikipedia.org/w/index.php"
_LARGEST = 16 * 2**20
_BUSY = (429, 500, 502, 503, 504)
_ANSWERS = (200, 400, 414)
"""What a wiki answers with to what was asked: a page, or that an agent's search cannot be one."""
_LONGEST_PAUSE = 5.0


class LiveSource:
    """Pages of a MediaWiki, over the network.

    An answer is kept in the cache with its address and the day it came, so that a run can be repeated; pages drift
    over the years, and a question of 2017 may have another answer today. Connection faults, 429 and 5xx are tried
    again with doubled pauses, or after the time that the server asks for, up to five seconds each. With the defaults
    all attempts together stay below a minute, which is the patience of the harness with one step.

    Args:
        base: address of the wiki's index.php.
        cache: folder of the cache; by default one under the data folder.
        attempts: tries for one page.
        pause: seconds before the second try.
        timeout: seconds for the connection, for each part of the answer, and for the whole answer.

    Raises:
        ConfigError: the address is no http(s) address.
    """

    def __init__(
        self,
        base: str = WIKIPEDIA,
        *,
        cache: Path | None = None,
        attempts: int = 4,
        pause: float = 1.0,
        timeout: tuple[float, float, float] = (5.0, 8.0, 10.0),
    ) -> None:
        if not base.startswith(("http://", "https://")):
            raise ConfigError(f"a wiki's address starts with http:// or https://, not {base[:60]!r}")
        self._base = base
        self._cache = cache or data_root() / "hotpotqa" / "live"
        self._attempts = attempts
        self._pause = pause
        self._timeout = timeout
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT

    def find(self, entity: str) -> Page | Similar:
        """What the wiki answers to a search for this name.

        Raises:
            InfrastructureError: no answer after all attempts, or a refusal.
        """
        url = search_url(self._base, entity)
        kept = self._recall(url)
        if kept is None:
            kept = (self._fetch(url), datetime.datetime.now(datetime.timezone.utc).date().isoformat())
            self._remember(url, *kept)
        html, date = kept
        found = read_answer(html)
        return Page(found.title, found.text, date, found.damaged) if isinstance(found, Page) else found

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _fetch(self, url: str) -> str:
        fault = ""
        for attempt in range(self._attempts):
            pause = self._pause * 2**attempt
            try:
                return self._get(url)
            except _BusyError as busy:
                fault, pause = str(busy), max(pause, busy.wait)
            except (requests.RequestException, OSError) as error:
                fault = str(error)
            if attempt + 1 < self._attempts:
                time.sleep(min(pause, _LONGEST_PAUSE))
        raise InfrastructureError(f"{url[:200]}: no answer after {self._attempts} attempts: {fault[:200]}")

    def _get(self, url: str) -> str:
        connect, read, whole = self._timeout
        deadline = time.monotonic() + whole
        with self._session.get(url, timeout=(connect, read), stream=True) as answer:
            if answer.status_code in _BUSY:
                raise _BusyError(answer)
            if answer.status_code not in _ANSWERS:
                raise InfrastructureError(f"{url[:200]}: the wiki refuses with {answer.status_code} {answer.reason}")
            body = bytearray()
            for block in answer.iter_content(1 << 16):
                body += block
                if len(body) > _LARGEST:
                    raise InfrastructureError(f"{url[:200]}: an answer of more than {_LARGEST:,} bytes")
                if time.monotonic() > deadline:
                    raise requests.Timeout(f"the answer takes longer than {whole:g} s")
            return body.decode(_known_encoding(answer.encoding), errors="replace")

    # --- cache ---

    def _place(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()
        return self._cache / name[:2] / f"{name}.json"

    def _recall(self, url: str) -> tuple[str, str] | None:
        """HTML and date of an answer that is kept; a file that cannot be read counts as none."""
        try:
            record = parse_json(self._place(url).read_bytes())
            if isinstance(record, dict) and record["url"] == url:
                return str(record["html"]), str(record["date"])
        except (OSError, RecordError, KeyError):
            pass
        return None

    def _remember(self, url: str, html: str, date: str) -> None:
        with atomic_text(self._place(url)) as file:
            json.dump({"url": url, "date": date, "html": html}, file)


class _BusyError(Exception):
    """The server asks to come again later."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(f"{answer.status_code} {answer.reason}")
        after = answer.headers.get("Retry-After", "")
        self.wait = float(after) if after.isdigit() else 0.0


def _known_encoding(name: str | None) -> str:
    """The declared encoding, UTF-8 where there is none or one that Python does not know."""
    try:
        "".encode(name or "utf-8")
    except LookupError:
        return "utf-8"
    return name or "utf-8"
