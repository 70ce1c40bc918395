"""WebShop as a Gymnasium text environment."""

from __future__ import annotations

import bisect
import functools
import itertools
import random
from typing import Any, Literal, get_args

from sad_env.core import TextEnv, Turn
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.webshop.goals import GoalKind, ShoppingGoal
from sad_env.webshop.html import render_page
from sad_env.webshop.oracle import plan
from sad_env.webshop.react import ReactSession
from sad_env.webshop.session import Result, WebShopSession, parse_action
from sad_env.webshop.shops import (
    SHOPS_SPLIT,
    make_panel,
    open_shop,
    own_options,
    task_number,
    training_panel,
    training_shop,
)

ObservationMode = Literal["text", "text_rich", "html", "url"]
View = Literal["react", "original"]
_BLANKED = str.maketrans("[]/?#", " " * 5)


class WebShopEnv(TextEnv):
    """Buy what an instruction asks for.

    Actions: ``search[WORDS]`` and ``click[NAME]``, where NAME is a product, an option's value, or a button such as
    ``Buy Now``. A purchase ends the episode; its reward in [0, 1] is the original's, and success is reward 1.0.

    Two views of the same shop:

    - ``view="react"`` (the default) is what ReAct's own loop showed and what most published numbers of language
      agents were taken on: three products of a result, the instruction on the first page only, "Invalid action!" for
      what cannot be done. Its pages are short enough for small models.
    - ``view="original"`` is the original's text environment to the character: ten products a page, next pages, four
      observation modes. It also has its leniencies: a search works on any page, text after the closing bracket is
      ignored, and an action that cannot be understood changes nothing and is not answered. `strict` ends that. A reset
      that names no task draws it by the original's weights, so that a product of many combinations of options does not
      come up more often (its shift of them by one goal is not kept). HTML is of our own design; its URLs and names of
      elements are the original's.

    Info, besides what all worlds give: ``task_type`` (category of the product sought), ``available_actions``
    (``has_search_bar`` and ``clickables``, as in the original), and after the purchase ``reward_parts``.
    ``admissible_actions`` lists every click, and where there is a search bar one search: for the instruction itself.

    Args:
        data: "generated" (made in memory in a second), "official", "official:PACK", or a folder: in the original
            schema, or a store built by ``sad-data build webshop``.
        split: "test", "eval" or "train", by product; "index-test", "index-eval" or "index-train" as in the original;
            "paper-test", "paper-eval" or "paper-train" (of 12,000 goals); "cold-start" or "cold-start-train", by type
            of product; "all"; "train_shops" (generated only): tasks in many shops, none that of the other splits.
        view: "react" or "original".
        observation_mode: "text", "text_rich", "html" or "url"; anything but "text" needs the original view.
        goals: "synthetic" or "human".
        strict: original view only: an action that is malformed, or not possible on this page, is answered with what is
            possible.
        show_attributes: item pages have a button for the product's attributes.
        num_prev_obs: original view only: number of earlier observations shown before the present one.
        num_prev_actions: original view only: number of earlier actions shown before the present observation.
        seed: of all draws that make goals and generated products.
        render_mode: as in `TextEnv`.
    """

    world = "webshop"

    def __init__(
        self,
        *,
        data: str = "generated",
        split: str = "test",
        view: View = "react",
        observation_mode: ObservationMode = "text",
        goals: GoalKind = "synthetic",
        strict: bool = False,
        show_attributes: bool = False,
        num_prev_obs: int = 0,
        num_prev_actions: int = 0,
        seed: int = 233,
        render_mode: str | None = None,
    ) -> None:
        if view not in get_args(View):
            raise UnknownNameError("view of webshop", view, get_args(View))
        if observation_mode not in get_args(ObservationMode):
            raise UnknownNameError("observation mode of webshop", observation_mode, get_args(ObservationMode))
        if view == "react" and (observation_mode != "text" or strict or num_prev_obs or num_prev_actions):
            raise ConfigError("observation_mode, strict and earlier observations belong to view='original'; name it")
        kind, self.shop = open_shop(data, goals=goals, seed=seed, show_attributes=show_attributes)
        panel = training_panel(kind, goals) if split == SHOPS_SPLIT else make_panel(kind, self.shop, split)
        super().__init__(panel=panel, render_mode=render_mode)
        self._seed, self._show_attributes = seed, show_attributes
        self.view, self.observation_mode, self.strict = view, observation_mode, strict
        self._history = _History(num_prev_obs, num_prev_actions)
        self._session: WebShopSession | ReactSession | None = None

    @property
    def goal(self) -> ShoppingGoal:
        """The goal of the running episode, its hidden parts included."""
        return self._running_session().goal

    @property
    def session(self) -> WebShopSession | ReactSession:
        """The shopper of the running episode."""
        return self._running_session()

    def _begin(self, task_id: str) -> Turn:
        number = task_number(task_id)
        self.shop = training_shop(task_id, seed=self._seed, show_attributes=self._show_attributes) or self.shop
        goal, draw = self.shop.goals.goals[number], random.Random(task_id)
        product = self.shop.catalogue.get(goal.asin)
        self._task_type = product.category if product else ""
        if self.view == "react":
            self._session = ReactSession(self.shop, goal, draw)
        else:
            self._session = WebShopSession(self.shop, goal, str(number), draw)
        return self._turn(self._history.begin(self._observe()), Result(0.0, done=False, understood=True))

    def _act(self, action: str) -> Turn:
        session = self._running_session()
        complaint = self._complaint(session, action) if self.strict and isinstance(session, WebShopSession) else ""
        if complaint:
            return self._turn(complaint, Result(0.0, done=False, understood=False))
        result = session.act(action)
        return self._turn(self._history.extend(action, self._observe()), result)

    def _draw_task(self) -> str:
        # Tasks of many shops are no draw of the original's.
        if self.view == "react" or self.panel.name == SHOPS_SPLIT:
            return super()._draw_task()
        weights = self._cumulated_weights
        return self.panel.task_ids[
            bisect.bisect_right(weights, self.np_random.random() * weights[-1], hi=len(weights) - 1)
        ]

    @functools.cached_property
    def _cumulated_weights(self) -> list[float]:
        goals = self.shop.goals.goals
        return list(itertools.accumulate(goals[task_number(task)].weight for task in self.panel.task_ids))

    def oracle(self) -> list[str] | None:
        """Actions that buy the goal's own product with its own options; None where that does not reach reward 1.0."""
        if self._task_id is None:
            return None
        return plan(self.shop, self.goal, react=self.view == "react")

    def privileged(self) -> str:
        """The product that the goal was made from, with its options, and how to buy it where that is known."""
        if self._task_id is None:
            return ""
        options = ", ".join(own_options(self.goal).values())
        product = f"The product is {self.goal.asin}, {self.goal.title}{f' ({options})' if options else ''}"
        return ". ".join(filter(None, (product, super().privileged())))

    def _running_session(self) -> WebShopSession | ReactSession:
        if self._session is None:
            raise ConfigError("no episode has begun: call reset() first")
        return self._session

    def _observe(self) -> str:
        session = self._running_session()
        if isinstance(session, ReactSession):
            return session.observation
        if self.observation_mode == "text":
            return session.text()
        if self.observation_mode == "text_rich":
            return session.rich_text()
        return session.url if self.observation_mode == "url" else render_page(session)

    def _complaint(self, session: WebShopSession, action: str) -> str:
        name, argument = parse_action(action)
        buttons = [f"click[{clickable}]" for clickable in session.clickables if clickable != "search"]
        if session.page.has_search_bar:
            buttons.append("search[words]")
        well_formed = action == f"{name}[{argument}]" or action.lower() == f"{name}[{argument}]"
        if well_formed and name == "search" and argument and session.page.has_search_bar:
            return ""
        if well_formed and name == "click" and f"click[{argument}]" in buttons:
            return ""
        return f"Invalid action. Possible here: {', '.join(buttons) or 'nothing'}"

    def _turn(self, observation: str, result: Result) -> Turn:
        session = self._running_session()
        clickables = session.possible() if isinstance(session, ReactSession) else list(session.clickables)
        info: dict[str, Any] = {
            "task_type": self._task_type,
            "available_actions": {"has_search_bar": session.page.has_search_bar, "clickables": clickables},
        }
        if result.done and session.outcome is not None:
            info["reward_parts"] = dict(session.outcome.parts)
        admissible = [f"click[{name}]" for name in clickables if name != "search"]
        if session.page.has_search_bar:
            # Brackets would be read as those of the action; the others broke the requests of ReAct's notebook.
            admissible.append(f"search[{session.goal.text.translate(_BLANKED).strip()}]")
        return Turn(
            observation,
            reward=result.reward,
            terminated=result.done,
            success=result.done and result.reward == 1.0,
            score=result.reward,
            valid_action=result.understood,
            admissible_actions=admissible,
            info=info,
        )


class _History:
    """Earlier observations and actions before the present one, as the original joins them."""

    def __init__(self, observations: int, actions: int) -> None:
        if min(observations, actions) < 0:
            raise ConfigError("num_prev_obs and num_prev_actions count from 0")
        self._counts = observations, actions
        self._observations: list[str] = []
        self._actions: list[str] = []

    def begin(self, observation: str) -> str:
        self._observations, self._actions = [observation], []
        return observation

    def extend(self, action: str, observation: str) -> str:
        observations, actions = self._counts
        self._actions.append(action)
        parts = [observation]
        for back in range(1, 1 + max(observations, actions)):
            if back <= min(actions, len(self._actions)):
                parts.append(self._actions[-back])
            if back <= min(observations, len(self._observations)):
                parts.append(self._observations[-back])
        # No more is kept than can be shown.
        self._observations = [*self._observations, observation][-max(observations, 1) :]
        self._actions = self._actions[-max(actions, 1) :]
        return " [SEP] ".join(reversed(parts))
