"""ALFWorld as verl-agent has it: groups of episodes on one game, all in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sad_env.adapters.verl_agent.groups import WON, Groups
from sad_env.alfworld.env import ALFWorldEnv
from sad_env.alfworld.problem import GAME_FILE, TASK_TYPES
from sad_env.alfworld.progress import progress
from sad_env.alfworld.session import ALFWorldSession
from sad_env.alfworld.sources import open_store
from sad_env.alfworld.store import FolderStore, GameStore
from sad_env.errors import ConfigError, DataError, UnknownNameError

_STEPS = 50
_OPTIONS = ("eval_dataset", "data")
_SPLITS = {
    "train": ("train", "data_path"),
    "eval_in_distribution": ("valid_seen", "eval_id_data_path"),
    "eval_out_of_distribution": ("valid_unseen", "eval_ood_data_path"),
}
"""Name of a data set there to our split and the key of its folder in alfworld's configuration."""
_TYPES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)
"""Task types by their numbers in alfworld's configuration, which begin with 1."""


@dataclass(frozen=True)
class GameList:
    """The games that are played, in the order of their names, and the steps that an episode has at most."""

    store: GameStore
    task_ids: tuple[str, ...]
    split: str
    max_steps: int

    def path(self, task_id: str) -> str:
        """What `extra.gamefile` says: the file, or the place that it would have in the official layout."""
        folder = self.store.folder if isinstance(self.store, FolderStore) else Path(self.split)
        return str(folder / task_id / GAME_FILE)

    def shuffled(self, seed: int) -> Iterator[str]:
        """The games in the order in which textworld's environment of this seed goes through them, without an end."""
        draw = np.random.RandomState(seed)
        order = list(self.task_ids)
        while True:
            draw.shuffle(order)
            yield from list(order)


class _Episode:
    """One game; after its end every step gives what the last one gave."""

    def __init__(self, games: GameList, task_id: str) -> None:
        self._session = ALFWorldSession(games.store.game(task_id))
        self._path, self._left = games.path(task_id), games.max_steps
        self.text, self.done, self._progress = self._session.opening, False, 0.0
        self.info = self._about()

    def step(self, action: str) -> None:
        if not self.done:
            self.text, _ = self._session.step(action)
            self._left -= 1
            self.done = self._session.won or self._left <= 0
            self.info = self._about()

    def _about(self) -> dict[str, Any]:
        session = self._session
        self._progress = max(self._progress, progress(session.game, session.state))
        return {
            "won": session.won,
            "admissible_commands": session.admissible(),
            "extra.gamefile": self._path,
            "observation_text": self.text,
            "goal_condition_success_rate": self._progress,
        }


class VerlALFWorldEnvs(Groups[_Episode]):
    """What `build_alfworld_envs` gives.

    Args:
        games: to play.
        seed: that of group g is `seed + g`; it decides the order of its games.
        env_num: groups.
        group_n: episodes of a group; all on one game.
    """

    def __init__(self, games: GameList, seed: int, env_num: int, group_n: int) -> None:
        super().__init__(env_num, group_n)
        self._games = games
        self._orders = [games.shuffled(seed + group) for group in range(env_num)]

    def reset(self) -> tuple[list[str], None, list[dict[str, Any]]]:
        """Begin each group's next game; texts, no images, infos."""
        # Members of a group share the compiled game; each has a session of its own.
        tasks = [next(order) for order in self._orders]
        self._episodes = [_Episode(self._games, task) for task in tasks for _ in range(self.group_n)]
        return [one.text for one in self._episodes], None, [dict(one.info) for one in self._episodes]

    def step(self, actions: Sequence[str]) -> tuple[list[str], None, list[float], list[bool], list[dict[str, Any]]]:
        """Take one action in each episode.

        Returns:
            Texts, no images, rewards (10 in and after the step that wins), dones, infos.

        Raises:
            ResetNeededError: before the first reset.
            ConfigError: not one action for each episode.
        """
        for episode, action in self._paired(actions):
            episode.step(action)
        infos = [dict(one.info) for one in self._episodes]
        rewards = [WON * info["won"] for info in infos]
        return [one.text for one in self._episodes], None, rewards, [one.done for one in self._episodes], infos

    @property
    def get_admissible_commands(self) -> list[list[str] | None]:
        """What can be done now in each episode, "help" included; None before the first reset."""
        if not self._episodes:
            return [None] * self.num_processes
        return [one.info["admissible_commands"] for one in self._episodes]


def build_alfworld_envs(
    alf_config_path: str | os.PathLike[str] | None,
    seed: int,
    env_num: int,
    group_n: int,
    resources_per_worker: object = None,
    is_train: bool = True,
    env_kwargs: Mapping[str, Any] | None = None,
) -> VerlALFWorldEnvs:
    """The groups of verl-agent (arXiv 2505.10978): `env_num` games at a time, `group_n` episodes of each.

    Order of games, texts, commands, rewards (10 for a win) and ends are those of its workers around textworld. What
    differs: games are numbered by their names, not in the order in which a file system lists them; and infos also have
    `goal_condition_success_rate`, the largest share of sub-goals reached so far.

    Args:
        alf_config_path: alfworld's configuration (YAML), which names the games; None where `env_kwargs` has "data".
        seed: of the first group; the others have the numbers after it.
        env_num: groups.
        group_n: episodes of a group.
        resources_per_worker: taken and not used: there are no workers.
        is_train: the training games, else those of "eval_dataset".
        env_kwargs: "eval_dataset" (eval_in_distribution or eval_out_of_distribution) and "data" (generated, official,
            or a folder, archive or pack of games), which replaces the configuration.

    Raises:
        ConfigError: settings that nobody would follow here; PyYAML is missing.
        DataError: no games.
        UnknownNameError: an entry of `env_kwargs`, or a data set, that is not known.
    """
    options = dict(env_kwargs or {})
    for name in options:
        if name not in _OPTIONS:
            raise UnknownNameError("entry of env_kwargs", str(name), _OPTIONS)
    wanted = "train" if is_train else str(options.get("eval_dataset", "eval_in_distribution"))
    if wanted not in _SPLITS:
        raise UnknownNameError("eval_dataset of alfworld", wanted, list(_SPLITS)[1:])
    if data := options.get("data"):
        env = ALFWorldEnv(data=str(data), split=_SPLITS[wanted][0])
        games = GameList(env.store, env.panel.task_ids, env.panel.name, _STEPS)
    else:
        games = _configured(_read(alf_config_path), wanted)
    return VerlALFWorldEnvs(games, seed, env_num, group_n)


def _read(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    if path is None:
        raise ConfigError("give alf_config_path, or env_kwargs={'data': 'generated'} (or official, or a folder)")
    try:
        import yaml
    except ImportError:
        raise ConfigError("alf_config_path is YAML: pip install pyyaml, or give env_kwargs={'data': FOLDER}") from None
    try:
        config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {str(path)!r}: {' '.join(str(error).split())[:160]}") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{str(path)!r} is no configuration of alfworld: a mapping was expected")
    return config


def _configured(config: dict[str, Any], wanted: str) -> GameList:
    """The games that alfworld's configuration names.

    Raises:
        ConfigError: it lacks an entry, or asks for what textworld alone can do.
    """
    train = wanted == "train"
    try:
        env, dataset = config["env"], config["dataset"]
        method = config["general"]["training_method"]
        steps = int(config["rl" if method == "dqn" else "dagger"]["training"]["max_nb_steps_per_episode"])
        types = {_TYPES[number - 1] for number in env["task_types"] if 1 <= number <= len(_TYPES)}
        folder = Path(os.path.expandvars(dataset[_SPLITS[wanted][1]]))
        count = int(dataset["num_train_games" if train else "num_eval_games"])
        kind, shuffled = env["type"], train and env["domain_randomization"]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"the configuration of alfworld lacks a usable entry: {error!r}") from None
    if kind != "AlfredTWEnv" or shuffled:
        raise ConfigError("text games without domain_randomization are played here: env.type AlfredTWEnv")
    if not folder.parent.is_dir():
        raise DataError(f"no folder {str(folder.parent)!r}: set ALFWORLD_DATA, or env_kwargs={{'data': 'generated'}}")
    store = open_store(folder.parent, folder.name)
    chosen = tuple(task for task in store.task_ids if types >= set(TASK_TYPES) or store.task_type(task) in types)
    return GameList(store, chosen[:count] if count > 0 else chosen, folder.name, steps)
