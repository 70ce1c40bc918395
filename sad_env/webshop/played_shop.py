"""The shop for one person in a browser: what is clicked are the actions of an episode, and purchases are recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sad_env.errors import ConfigError
from sad_env.json_lines import JsonLinesWriter, check_appendable
from sad_env.records import Status, Step, Trajectory
from sad_env.transcript import compose
from sad_env.webshop.env import WebShopEnv
from sad_env.webshop.html import page_links, path, render_finished, render_page
from sad_env.webshop.session import WebShopSession
from sad_env.webshop.site import SiteResponse

NEXT = path("next")
"""Where the next task is asked for."""


class PlayedShop:
    """Episodes of one person, a task after the other.

    The page that is shown is the one that the episode is on: a link of an older page, which a browser's "back" shows,
    leads to it again and changes nothing. An episode that ends by a purchase is added to a file; one that is left for
    the next task is not.

    Args:
        env: the shop, in its original view.
        tasks: in the order in which they are offered; at least one.
        out: JSON lines that episodes are added to.
        seed: written into the episodes.

    Raises:
        ConfigError: another view, or no task.
        OSError: no line can be added to `out`.
    """

    def __init__(self, env: WebShopEnv, tasks: Iterable[str], out: Path, seed: int = 0) -> None:
        if env.view != "original":
            raise ConfigError("a browser shows the original view: make the world with view='original'")
        check_appendable(out)
        self.env, self.out, self.seed = env, out, seed
        self._recorded = str(out)
        self._tasks = iter(tasks)
        self._one_at_a_time = threading.Lock()
        self._task = ""
        self._over: Trajectory | None = None
        if not self._begin():
            raise ConfigError("no task to play")

    def answer(self, target: str, form: Mapping[str, str] | None = None) -> SiteResponse:
        """The answer to a request: of a click, the page that it leads to.

        Args:
            target: path of the request as it was sent, quoted.
            form: fields of a POST; a "search_query" searches.
        """
        with self._one_at_a_time:
            try:
                asked = urlsplit(target).path
            except ValueError:
                return SiteResponse(HTTPStatus.NOT_FOUND, "no such page: not a path")
            if asked == NEXT:
                if form is not None and not self._begin():
                    return SiteResponse(HTTPStatus.OK, render_finished("You have played all tasks.", [], ""))
                return SiteResponse(HTTPStatus.SEE_OTHER, location="/")
            if self._over is not None:
                return SiteResponse(HTTPStatus.OK, self._finished(self._over))
            session = self._session()
            query = (form or {}).get("search_query", "").strip()
            action = page_links(session).get(asked, "")
            if query and session.page.has_search_bar:
                action = f"search[{query}]"
            if not action:
                return SiteResponse(HTTPStatus.OK, render_page(session, bar=self._bar()))
            self._take(action)
            # A page that is loaded again must not repeat the click.
            return SiteResponse(HTTPStatus.SEE_OTHER, location="/")

    def _begin(self) -> bool:
        task = next(self._tasks, None)
        if task is None:
            return False
        self._task, self._over, self._steps = task, None, list[Step]()
        self._first, self._info = self.env.reset(seed=self.seed, options={"task_id": task})
        self._began = self._shown = time.perf_counter()
        return True

    def _take(self, action: str) -> None:
        admissible = tuple(self._info["admissible_actions"])
        now = time.perf_counter()
        rendering = compose("", action)
        observation, reward, done, _, self._info = self.env.step(action)
        taken: dict[str, Any] = {"reasoning": "", "action": action, "observation": observation, "reward": reward}
        told: dict[str, Any] = {"valid": self._info["valid_action"], "admissible": admissible}
        seconds: dict[str, Any] = {"agent_seconds": now - self._shown, "world_seconds": time.perf_counter() - now}
        self._steps.append(Step(completion=rendering.text, spans=rendering.spans, **taken, **told, **seconds))
        self._shown = time.perf_counter()
        if done:
            self._over = self._episode()
            self._record(self._over)

    def _episode(self) -> Trajectory:
        success = bool(self._info["success"])
        return Trajectory(
            world=self.env.world,
            data=self.env.panel.data,
            split=self.env.panel.name,
            task_id=self._task,
            task_type=self._info["task_type"],
            seed=self.seed,
            agent="human",
            observation=self._first,
            steps=tuple(self._steps),
            status=Status.SUCCESS if success else Status.FAILURE,
            success=success,
            score=float(self._info["score"]),
            seconds=time.perf_counter() - self._began,
        )

    def _record(self, episode: Trajectory) -> None:
        try:
            with JsonLinesWriter(self.out) as writer:
                writer.append(episode.to_json())
            self._recorded = str(self.out)
        except OSError as error:
            self._recorded = f"nothing: {error}"

    def _session(self) -> WebShopSession:
        session = self.env.session
        assert isinstance(session, WebShopSession)
        return session

    def _bar(self) -> str:
        return f"Task {self._task}, {len(self._steps)} actions so far"

    def _finished(self, episode: Trajectory) -> str:
        session = self._session()
        bought = ", ".join(session.options.values())
        facts = [
            ("You were asked", session.goal.text),
            ("You bought", session.product().title + (f" ({bought})" if bought else "")),
            ("Your score", f"{episode.score:.3g} of 1"),
            ("Success", "yes" if episode.success else "no: it takes the full score"),
            ("Actions", str(len(episode.steps))),
            ("Recorded in", self._recorded),
        ]
        return render_finished("Thank you for shopping with us!", facts, NEXT)
