"""What ALFWorld can be played on: the official release, packs made of it, generated games."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sad_env.alfworld.engine import initial_state, is_won
from sad_env.alfworld.generator import SPLITS, blueprints, generate
from sad_env.alfworld.pack import PACK_SUFFIX, write_pack
from sad_env.alfworld.problem import GAME_FILE, write_game
from sad_env.alfworld.session import ALFWorldSession
from sad_env.alfworld.sources import OFFICIAL_FOLDER, open_store
from sad_env.alfworld.store import GameStore
from sad_env.data import DataPack, Progress, read_packs
from sad_env.errors import DataError
from sad_env.files import atomic_bytes

_OFFICIAL_SPLITS = ("train", "valid_seen", "valid_unseen", "valid_train")


class ALFWorldData:
    """Fetching, generating, packing and checking of games; see `sad_env.data.WorldData`."""

    packs: Sequence[DataPack] = read_packs("sad_env.alfworld")

    def generate(self, folder: Path, *, count: int, seed: int, split: str, progress: Progress) -> str:
        """Write generated games in the official layout: FOLDER/SPLIT/TASK/TRIAL/game.tw-pddl."""
        for number, blueprint in enumerate(blueprints(split, count, seed), 1):
            text = write_game(generate(blueprint), blueprint.trial)
            with atomic_bytes(folder / split / blueprint.task_id / GAME_FILE) as file:
                file.write(text.encode())
            progress(split, number, count)
        return f"{count} games of split {split} in {folder / split}"

    def build(self, source: Path, target: Path, *, progress: Progress) -> str:
        """Pack each split in `source` (folder or archive) into TARGET/SPLIT.games."""
        built = []
        for split, store in _splits(source):
            path = target / f"{split}{PACK_SUFFIX}"
            write_pack(path, store, progress=progress)
            built.append(f"{path} ({len(store.task_ids)} games, {path.stat().st_size / 1e6:.1f} MB)")
        return "packed " + ", ".join(built)

    def verify(self, folder: Path, *, progress: Progress) -> list[str]:
        """Compile every game and play its walkthrough.

        Raises:
            DataError: a game is damaged, is won at the start, or its walkthrough does not win.
        """
        lines = []
        for split, store in _splits(folder):
            for number, task_id in enumerate(store.task_ids, 1):
                _check_game(store, task_id)
                progress(split, number, len(store.task_ids))
            lines.append(f"{split}: {len(store.task_ids)} games, all whole and won by their walkthroughs")
        return lines


DATA = ALFWorldData()


def _splits(source: Path) -> list[tuple[str, GameStore]]:
    if source.is_file() and source.suffix == PACK_SUFFIX:
        return [(source.stem, open_store(source, source.stem))]
    if next(source.glob(f"*/*/{GAME_FILE}"), None) is not None:
        own = source.resolve().name
        return [(own, open_store(source, own))]
    stores = []
    names = {path.name for path in source.glob("*") if path.is_dir()} if source.is_dir() else set()
    for split in sorted({*_OFFICIAL_SPLITS, *SPLITS, *names} - {OFFICIAL_FOLDER}):
        try:
            stores.append((split, open_store(source, split)))
        except DataError:
            continue
    if not stores:
        raise DataError(f"no games under {source}: expected SPLIT/TASK/TRIAL/{GAME_FILE}, an archive, or packs")
    return stores


def _check_game(store: GameStore, task_id: str) -> None:
    game = store.game(task_id)
    session = ALFWorldSession(game)
    if is_won(game, initial_state(game)):
        raise DataError(f"{task_id}: won before the first command")
    for command in game.walkthrough:
        session.step(command)
    if game.walkthrough and not session.won:
        raise DataError(f"{task_id}: its walkthrough does not win")
