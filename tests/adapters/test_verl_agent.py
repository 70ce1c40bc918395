"""The drop-in for verl-agent: its interface, and the originals' own recorded and live episodes."""

from __future__ import annotations

import itertools
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sad_env
from sad_env.adapters.verl_agent import (
    alfworld_projection,
    build_alfworld_envs,
    build_webshop_envs,
    webshop_projection,
)
from sad_env.adapters.verl_agent.alfworld import GameList, VerlALFWorldEnvs
from sad_env.alfworld.store import FolderStore
from sad_env.errors import ConfigError, DataError, ResetNeededError, UnknownNameError

Golden = Callable[[str], Iterator[Any]]
GENERATED = {"data": "generated"}
MEMBERS = 8
GROUPS = 200
LIVE_EPISODES = int(os.environ.get("COMPARED_EPISODES", "8"))
WAIT = ""  # neither engine changes anything for it

CONFIG = """
dataset: {data_path: $GAMES/train, eval_id_data_path: $GAMES/valid_seen, eval_ood_data_path: $GAMES/valid_unseen,
  num_train_games: -1, num_eval_games: -1}
env: {type: AlfredTWEnv, domain_randomization: false, task_types: [1, 2, 3, 4, 5, 6], expert_type: handcoded,
  goal_desc_human_anns_prob: 0.0}
general: {training_method: dqn}
rl: {training: {max_nb_steps_per_episode: 50}}
"""


def delayed(actions: list[str], member: int, moment: int) -> str:
    """Each member of a group begins a step later than the one before, so that no two are in the same state."""
    return actions[moment - member] if 0 <= moment - member < len(actions) else WAIT


# ---- interface


def test_a_group_plays_one_game_and_members_do_not_disturb_one_another() -> None:
    envs = build_alfworld_envs(
        None, 3, env_num=4, group_n=3, resources_per_worker={"num_cpus": 0.1}, env_kwargs=GENERATED
    )
    assert envs.get_admissible_commands == [None] * 12
    texts, images, infos = envs.reset()
    assert images is None
    files = [info["extra.gamefile"] for info in infos]
    assert all(len(set(files[group : group + 3])) == 1 for group in range(0, 12, 3))
    assert len(set(files)) == 4
    assert envs.get_admissible_commands == [info["admissible_commands"] for info in infos]
    assert "help" in infos[0]["admissible_commands"]
    assert [info["observation_text"] for info in infos] == texts
    first = next(command for command in infos[0]["admissible_commands"] if command.startswith("go to"))
    texts, _, rewards, dones, infos = envs.step([first, *["look"] * 11])
    assert texts[0] != texts[1] == texts[2]
    assert (rewards, dones) == ([0.0] * 12, [False] * 12)


def test_a_win_pays_ten_and_ends_the_episode_and_the_last_answer_is_repeated() -> None:
    envs = build_alfworld_envs(None, 0, 1, 2, None, is_train=False, env_kwargs=GENERATED)
    _, _, infos = envs.reset()
    world = sad_env.make("alfworld", split="valid_seen")
    task = "/".join(Path(infos[0]["extra.gamefile"]).parts[-3:-1])
    world.reset(options={"task_id": task})
    for command in world.oracle() or []:
        last = envs.step([command, "look"])
    _, _, rewards, dones, infos = last
    assert (rewards, dones) == ([10.0, 0.0], [True, False])
    assert infos[0]["won"]
    assert infos[0]["goal_condition_success_rate"] == 1.0
    again = envs.step(["look", "look"])
    assert again[0][0] == last[0][0]
    assert again[2:4] == ([10.0, 0.0], [True, False])


def test_the_page_runs_as_printed(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    exec("".join(page.blocks("verl-agent and its forks")), {})
    printed = capsys.readouterr().out
    assert printed.startswith("You are in the middle of a room.")
    assert str([False] * 8) in printed
    assert "[SEP]" in printed


def test_an_episode_has_fifty_steps() -> None:
    envs = build_alfworld_envs(None, 0, 1, 1, None, env_kwargs=GENERATED)
    envs.reset()
    ends = [envs.step(["look"])[3][0] for _ in range(50)]
    assert ends == [False] * 49 + [True]


def test_shopping_goals_are_drawn_as_there_and_a_purchase_of_score_one_pays_ten() -> None:
    options = {**GENERATED, "goal_seed": 233}
    envs = build_webshop_envs(5, 3, 2, None, env_kwargs=options)
    texts, infos = envs.reset()
    count = len(envs._shop_of(233).goals.goals)
    numbers = np.random.RandomState(5).choice(range(500, count), size=3, replace=False)
    wanted = [envs._shop_of(233).goals.goals[number].text for number in numbers for _ in range(2)]
    assert [text.split(" [SEP] ")[2] for text in texts] == wanted
    assert infos[0] == {"available_actions": {"has_search_bar": True, "clickables": ["search"]}, "won": False}

    from sad_env.webshop.oracle import plan
    from sad_env.webshop.shops import own_reward

    shop = envs._shop_of(233)
    good = [number for number in range(500, count) if own_reward(shop, shop.goals.goals[number]) == 1.0][:1]
    envs = build_webshop_envs(5, 1, 2, None, env_kwargs=options)
    envs.goal_idxs = good
    envs.reset()
    for action in plan(shop, shop.goals.goals[good[0]], react=False) or []:
        texts, rewards, dones, infos = envs.step([action, "click[nothing]"])
    assert (rewards, dones) == ([10.0, 0.0], [True, False])
    assert [(info["won"], info["task_score"]) for info in infos] == [(True, 1.0), (False, 0.0)]
    assert texts[0].startswith("Thank you for shopping with us!")
    assert infos[0]["available_actions"] == {"has_search_bar": True, "clickables": ["search"]}


def test_every_group_shuffles_the_goals_by_its_own_seed_unless_one_is_given() -> None:
    envs = build_webshop_envs(7, 2, 1, None, is_train=False, env_kwargs=GENERATED)
    assert envs._seeds == [7, 8]
    assert envs.goal_idxs == range(500)
    first, second = (envs._shop_of(seed).goals.goals for seed in (7, 8))
    assert {goal.asin for goal in first} == {goal.asin for goal in second}
    assert [goal.asin for goal in first] != [goal.asin for goal in second]


@pytest.mark.parametrize(
    ("answer", "action", "valid"),
    [
        ("<think>a</think><action> Go To desk 1 </action>", "go to desk 1", 1),
        ("<think>a</think>", "<think>a</think>", 0),
        ("<action>look</action>", "look", 0),
        ("<THINK>a</THINK><action>look</action>", "look", 0),
        ("<think>\u4e2d</think><action>look</action>", "look", 0),
        ("x" * 40, "x" * 30, 0),
        ("<think></think></action>a<action>b", "", 1),
    ],
)
def test_an_answer_is_projected_as_there(answer: str, action: str, valid: int) -> None:
    answers = [answer]
    assert alfworld_projection(answers, [[]]) == ([action], [valid])
    assert answers == [answer]
    assert webshop_projection([answer]) == ([action[-20:] if "x" in action else action], [valid])


def test_what_nobody_would_follow_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="eval_dataset of alfworld"):
        build_alfworld_envs(None, 0, 1, 1, None, False, {**GENERATED, "eval_dataset": "eval_in_distributio"})
    with pytest.raises(ConfigError, match="give alf_config_path"):
        build_alfworld_envs(None, 0, 1, 1)
    with pytest.raises(ResetNeededError):
        build_alfworld_envs(None, 0, 1, 1, env_kwargs=GENERATED).step(["look"])
    with pytest.raises(ConfigError, match="group_n is 1 in tests"):
        build_webshop_envs(0, 1, 2, None, is_train=False, env_kwargs=GENERATED)
    with pytest.raises(ConfigError, match="num_products 5"):
        build_webshop_envs(0, 1, 1, env_kwargs={**GENERATED, "num_products": 5})
    with pytest.raises(DataError):
        build_webshop_envs(0, 1, 1, env_kwargs={"file_path": str(tmp_path / "items_shuffle_1000.json")})
    pytest.importorskip("yaml")
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.replace("domain_randomization: false", "domain_randomization: true"))
    with pytest.raises(ConfigError, match="without domain_randomization"):
        build_alfworld_envs(config, 0, 1, 1)
    config.write_text(CONFIG)
    monkeypatch.setenv("GAMES", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="set ALFWORLD_DATA"):
        build_alfworld_envs(config, 0, 1, 1)
    config.write_text("[")
    with pytest.raises(ConfigError, match="cannot read"):
        build_alfworld_envs(config, 0, 1, 1)


# ---- the originals


@pytest.mark.slow
def test_groups_of_eight_on_official_games_are_what_the_original_recorded(official_games: Path, golden: Golden) -> None:
    groups = steps = 0
    for recorded in itertools.islice(golden("alfworld_golden.jsonl.gz"), GROUPS):
        path = official_games / recorded["game"]
        store = FolderStore(path.parents[2])
        envs = VerlALFWorldEnvs(GameList(store, ("/".join(path.parts[-3:-1]),), "", 1000), 0, 1, MEMBERS)
        texts, _, infos = envs.reset()
        assert texts == [recorded["reset_obs"]] * MEMBERS
        assert {info["extra.gamefile"] for info in infos} == {str(path)}
        assert envs.get_admissible_commands == [recorded["reset_admissible"]] * MEMBERS
        commands = [step["command"] for step in recorded["steps"]]
        for moment in range(len(commands) + MEMBERS - 1):
            texts, _, rewards, dones, infos = envs.step([delayed(commands, k, moment) for k in range(MEMBERS)])
            for member in range(MEMBERS):
                if 0 <= moment - member < len(commands):
                    due = recorded["steps"][moment - member]
                    assert texts[member] == infos[member]["observation_text"] == due["obs"]
                    assert infos[member]["admissible_commands"] == due["admissible"]
                    assert (rewards[member], dones[member]) == (10.0 * due["won"], due["done"])
                    assert infos[member]["won"] == due["won"]
                    steps += 1
        groups += 1
    assert groups == GROUPS
    assert steps > 20_000


@pytest.mark.slow
def test_groups_of_eight_in_the_official_shop_are_what_the_original_recorded(
    external_path: Callable[[str], Path], golden: Golden
) -> None:
    folder = external_path("data/webshop/items_shuffle_1000.json")
    groups = steps = 0
    for recorded in golden("webshop_golden.jsonl.gz"):
        # Random products came from a generator of unknown state; thirteen human goals are no training goals.
        if recorded["kind"] == "special_random_search" or recorded["goals"] == "human" or groups == GROUPS:
            continue
        options = {"file_path": str(folder), "show_attrs": recorded["goals"].endswith("show_attrs"), "goal_seed": 233}
        envs = build_webshop_envs(0, 1, MEMBERS, env_kwargs=options)
        envs.goal_idxs = [recorded["goal_index"]]  # type: ignore[assignment]
        texts, infos = envs.reset()
        first, *rest = recorded["steps"]
        assert texts == [first["obs_text"]] * MEMBERS
        assert [info["available_actions"] for info in infos] == [first["available"]] * MEMBERS
        end = next((number for number, step in enumerate(rest, 1) if step["done"]), len(rest))
        actions = [step["action"] for step in rest[:end]]
        for moment in range(len(actions) + MEMBERS - 1):
            texts, rewards, dones, infos = envs.step([delayed(actions, k, moment) for k in range(MEMBERS)])
            for member in range(MEMBERS):
                if 0 <= moment - member < len(actions):
                    due = rest[moment - member]
                    assert texts[member] == due["obs_text"]
                    assert dones[member] == due["done"]
                    assert rewards[member] == (10.0 if due["done"] and due["reward"] == 1.0 else 0.0)
                    assert infos[member]["task_score"] == due["reward"]
                    if not due["done"]:
                        assert infos[member]["available_actions"] == due["available"]
                    steps += 1
        groups += 1
    assert groups == GROUPS
    assert steps > 8_000


@pytest.fixture
def original(official_games: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Makes the environment that a worker of verl-agent holds, by the same calls, on the official training games."""
    if sys.version_info >= (3, 13):
        pytest.skip("the original engine does not run on Python 3.13")
    pytest.importorskip("fast_downward", reason="needs the extra sad-env[alfworld]", exc_type=ImportError)
    import yaml
    from alfworld.agents.environment.alfred_tw_env import AlfredTWEnv

    monkeypatch.setenv("GAMES", str(official_games / "json_2.1.1"))
    (tmp_path / "config.yaml").write_text(CONFIG)
    config = yaml.safe_load(CONFIG)
    base = AlfredTWEnv.__new__(AlfredTWEnv)
    base.config, base.train_eval = config, "train"
    games = sorted((official_games / "json_2.1.1" / "train").glob("*/*/game.tw-pddl"))
    base.game_files = [str(path) for path in games if "movable" not in str(path) and "Sliced" not in str(path)]

    def make() -> Any:
        arguments, output = sys.argv, sys.stdout
        try:
            return base.init_env(batch_size=1)
        finally:
            sys.argv, sys.stdout = arguments, output

    return make


@pytest.mark.slow
def test_each_group_has_the_games_that_the_originals_worker_of_its_seed_has(
    original: Callable[[], Any], tmp_path: Path
) -> None:
    envs = build_alfworld_envs(tmp_path / "config.yaml", 42, GROUPS, MEMBERS)
    infos = [envs.reset()[2] for _ in range(2)]
    worker = original()
    for group in range(GROUPS):
        worker.seed(42 + group)
        for once in infos:
            due = next(worker._gamefiles_iterator)
            mine = {info["extra.gamefile"] for info in once[group * MEMBERS : (group + 1) * MEMBERS]}
            assert mine == {due}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the original leaves its game files open
def test_live_workers_of_the_original_say_the_same(original: Callable[[], Any], tmp_path: Path) -> None:
    for group in range(LIVE_EPISODES):
        draw = random.Random(f"live {group}")
        worker = original()
        worker.seed(42 + group)
        envs = build_alfworld_envs(tmp_path / "config.yaml", 42 + group, 1, MEMBERS)
        texts, infos = worker.reset()
        mine = envs.reset()
        assert mine[0] == [texts[0]] * MEMBERS
        plan = list(envs._games.store.game("/".join(Path(infos["extra.gamefile"][0]).parts[-3:-1])).walkthrough)
        for number in range(52):
            commands = infos["admissible_commands"][0]
            command = plan[number] if number < len(plan) and group % 2 == 0 else draw.choice(commands)
            texts, _, dones, infos = worker.step([command])
            mine_texts, _, rewards, mine_dones, _ = envs.step([command] * MEMBERS)
            assert mine_texts == [texts[0]] * MEMBERS
            assert mine_dones == [dones[0]] * MEMBERS
            assert rewards == [10.0 * infos["won"][0]] * MEMBERS
            assert envs.get_admissible_commands == [infos["admissible_commands"][0]] * MEMBERS
            if dones[0] and group % 4:
                break
