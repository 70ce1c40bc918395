"""Folders, archives, packs and the generator give the same games; damaged ones give one clear line."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import pytest

from sad_env import registry
from sad_env.alfworld.data import DATA
from sad_env.alfworld.env import ALFWorldEnv
from sad_env.alfworld.pack import MAGIC, PackStore, write_pack
from sad_env.alfworld.problem import Problem
from sad_env.alfworld.sources import open_store
from sad_env.alfworld.store import ArchiveStore, FolderStore, GeneratedStore
from sad_env.data import silent
from sad_env.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("games")
    for split in ("train", "valid_unseen"):
        DATA.generate(folder, count=20, seed=3, split=split, progress=silent)
    return folder


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.tw-pddl")):
            archive.write(file, Path("json_2.1.1") / file.relative_to(folder))
    return path


def test_folder_archive_pack_and_generator_hold_the_same_games(folder: Path, tmp_path: Path) -> None:
    generated = GeneratedStore("train", 20, seed=3)
    archive = ArchiveStore(zipped(folder, tmp_path / "games.zip"), "train")
    write_pack(tmp_path / "train.games", FolderStore(folder / "train"))
    stores = (FolderStore(folder / "train"), archive, PackStore(tmp_path / "train.games"))
    for store in (*stores, *(pickle.loads(pickle.dumps(one)) for one in stores)):
        assert store.task_ids == generated.task_ids
        for task_id in store.task_ids:
            assert store.problem(task_id) == generated.problem(task_id)
            assert store.task_type(task_id) == task_id.split("-")[0]


def test_every_layout_is_found(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "json_2.1.1").symlink_to(folder)
    zipped(folder, tmp_path / "games.zip")
    DATA.build(folder, tmp_path / "packs", progress=silent)
    wanted = GeneratedStore("train", 20, seed=3).task_ids
    for place in (folder, tmp_path, tmp_path / "games.zip", tmp_path / "packs", tmp_path / "packs" / "train.games"):
        assert open_store(place, "train").task_ids == wanted
        env = ALFWorldEnv(data=str(place), split="train")
        assert (env.panel.data, env.panel.name, env.panel.task_ids) == ("given", "train", wanted)
    for split in ("all", "train"):
        assert open_store(folder / "train", split).task_ids == wanted
    with pytest.raises(ConfigError, match="holds games directly: its split is 'all'"):
        open_store(folder / "train", "valid_seen")


def test_a_pack_file_has_one_split_named_after_it(folder: Path, tmp_path: Path) -> None:
    write_pack(tmp_path / "train.games", FolderStore(folder / "train"))
    data = str(tmp_path / "train.games")
    assert ALFWorldEnv(data=data).panel.name == registry.world("alfworld").default_panel(data) == "train"
    for split in ("valid_unseen", "nonsense"):
        with pytest.raises(ConfigError, match=f"train.games is of split 'train', not '{split}': leave the split out"):
            ALFWorldEnv(data=data, split=split)
    assert DATA.build(Path(data), tmp_path / "packs", progress=silent).count("20 games") == 1
    assert [path.name for path in (tmp_path / "packs").iterdir()] == ["train.games"]


def test_a_folder_of_games_is_the_one_split_of_its_own_name(folder: Path, tmp_path: Path) -> None:
    assert DATA.verify(folder / "train", progress=silent) == [
        "train: 20 games, all whole and won by their walkthroughs"
    ]
    DATA.build(folder / "train", tmp_path, progress=silent)
    assert [path.name for path in tmp_path.iterdir()] == ["train.games"]


def test_an_address_of_a_world_that_chooses_its_split_has_none_of_its_own() -> None:
    assert registry.addressed("sad_env.alfworld.env:ALFWorldEnv").default_panel("generated") == "valid_unseen"


def test_the_fetched_pack_is_the_official_data(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAD_ENV_DATA", str(tmp_path))
    with pytest.raises(DataError, match="run `sad-data fetch alfworld`"):
        ALFWorldEnv(data="official")
    pack = tmp_path / "alfworld" / DATA.packs[0].name
    pack.mkdir(parents=True)
    zipped(folder, pack / DATA.packs[0].files[0].name)
    assert ALFWorldEnv(data="official").panel.data == "official"


def test_verify_looks_at_every_game(folder: Path, tmp_path: Path) -> None:
    lines = DATA.verify(folder, progress=silent)
    assert [line.split(":")[0] for line in lines] == ["train", "valid_unseen"]
    assert "20 games" in lines[0]
    with pytest.raises(DataError, match="no games under"):
        DATA.verify(tmp_path, progress=silent)
    bad = tmp_path / "train" / "TASK" / "TRIAL"
    bad.mkdir(parents=True)
    (bad / "game.tw-pddl").write_text("{")
    with pytest.raises(DataError, match=r"^TASK/TRIAL: not JSON"):
        DATA.verify(tmp_path, progress=silent)


def test_a_damaged_pack_is_one_clear_line_wherever_it_is_hurt(folder: Path, tmp_path: Path) -> None:
    write_pack(tmp_path / "whole.games", FolderStore(folder / "train"))
    whole = (tmp_path / "whole.games").read_bytes()
    hurt = tmp_path / "hurt.games"
    spoiled = [whole[:cut] for cut in (0, 5, len(MAGIC), len(MAGIC) + 4, 200, len(whole) // 2, len(whole) - 1)]
    spoiled += [whole + b"x", MAGIC + b"\xff" * 8 + whole[:50], b"PK" + whole[2:]]
    spoiled += [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in range(0, len(whole), 397)]
    whole_games = games_in(tmp_path / "whole.games")
    refused = 0
    for content in spoiled:
        hurt.write_bytes(content)
        found = games_in(hurt)
        if isinstance(found, DataError):
            refused += 1
            assert len(str(found).splitlines()) == 1
        else:
            # Only a few bytes of xz mean nothing and can be hurt without notice.
            assert found == whole_games
    assert refused > 0.95 * len(spoiled)


def games_in(pack: Path) -> list[Problem] | DataError:
    try:
        store = PackStore(pack)
        return [store.problem(task_id) for task_id in store.task_ids]
    except DataError as error:
        return error


def test_a_damaged_archive_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    path = zipped(folder, tmp_path / "games.zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"games\.zip: not a whole zip archive"):
        ArchiveStore(path, "train")
    with pytest.raises(DataError, match=r"no games of split 'train' .*games\.zip: not a whole zip archive"):
        open_store(tmp_path, "train")
    middle = len(whole) // 3
    path.write_bytes(whole[:middle] + bytes(1000) + whole[middle + 1000 :])
    store = ArchiveStore(path, "train")
    refused = 0
    for task_id in store.task_ids:
        try:
            store.problem(task_id)
        except DataError:
            refused += 1
    assert 0 < refused < len(store.task_ids)
    with pytest.raises(DataError, match="holds no absent/TASK/TRIAL"):
        ArchiveStore(zipped(folder, path), "absent")


def test_an_inflating_member_stops_at_the_limit(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/TASK/TRIAL/game.tw-pddl", bytes(50 * 2**20))
    store = ArchiveStore(tmp_path / "bomb.zip", "train")
    with pytest.raises(DataError, match="larger than"):
        store.problem("TASK/TRIAL")


def test_a_game_that_vanishes_or_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    task = tmp_path / "train" / "TASK" / "TRIAL"
    task.mkdir(parents=True)
    (task / "game.tw-pddl").write_text("{}")
    env = ALFWorldEnv(data=str(tmp_path), split="train")
    with pytest.raises(DataError, match="TASK/TRIAL: no text under 'pddl_domain'"):
        env.reset()
    (task / "game.tw-pddl").unlink()
    with pytest.raises(DataError, match="TASK/TRIAL: cannot be read"):
        env.reset()


@pytest.mark.slow
def test_the_official_train_split_packs_small_and_opens_fast(official_games: Path, tmp_path: Path) -> None:
    source = FolderStore(official_games / "json_2.1.1" / "train")
    write_pack(tmp_path / "train.games", source)
    size = (tmp_path / "train.games").stat().st_size
    assert size < 4.5e6
    store = PackStore(tmp_path / "train.games")
    assert store.task_ids == source.task_ids
    for task_id in store.task_ids[::50]:
        assert store.problem(task_id) == source.problem(task_id)


def test_games_are_left_out_as_the_original_does(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played, unsolvable, movable, sliced, late = FolderStore(folder / "train").task_ids[:5]
    names = {
        played: played,
        unsolvable: unsolvable,
        movable: f"pick_and_place_with_movable_recep-{movable}",
        sliced: f"pick_and_place_simple-AppleSliced-{sliced}",
        late: late,
    }
    for source, name in names.items():
        game = json.loads((folder / "train" / source / "game.tw-pddl").read_text())
        game["solvable"] = source not in (unsolvable, late)
        game["walkthrough"] *= 1000 if source == late else 1
        place = tmp_path / "train" / name
        place.mkdir(parents=True)
        (place / "game.tw-pddl").write_text(json.dumps(game))
        (place / "traj_data.json").write_text(json.dumps({"task_type": name.split("-")[0]}))
    wanted = (played,)
    assert FolderStore(tmp_path / "train").task_ids == wanted
    assert ArchiveStore(zipped(tmp_path, tmp_path / "games.zip"), "train").task_ids == wanted

    original = pytest.importorskip("alfworld.agents.environment.alfred_tw_env", reason="the alfworld extra is absent")
    env = original.AlfredTWEnv.__new__(original.AlfredTWEnv)
    env.train_eval = "train"
    dataset = {"data_path": str(tmp_path / "train"), "num_train_games": 0}
    env.config = {"dataset": dataset, "env": {"task_types": [1, 2, 3, 4, 5, 6]}}
    env.collect_game_files()
    assert sorted(str(Path(file).parent.relative_to(tmp_path / "train")) for file in env.game_files) == list(wanted)
