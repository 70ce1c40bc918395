"""What WebShop can be played on: the publisher's files, stores built of them, generated shops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sad_env.data import DataPack, Progress
from sad_env.errors import DataError
from sad_env.webshop.generator import write_files
from sad_env.webshop.goals import make_goals
from sad_env.webshop.official import load_catalogue
from sad_env.webshop.session import Shop
from sad_env.webshop.shops import PACKS, own_reward, splits_of
from sad_env.webshop.store import StoredCatalogue, build_catalogue, is_store


class WebShopData:
    """Fetching, generating, building and checking of catalogues; see `sad_env.data.WorldData`."""

    packs: Sequence[DataPack] = PACKS

    def generate(self, folder: Path, *, count: int, seed: int, split: str, progress: Progress) -> str:
        """Write a shop of `count` products in the original's files.

        The splits of a shop are of its products, so one folder holds them all; `split` makes no difference.
        """
        instructed = write_files(folder, count, seed, progress)
        return f"{count} products in {folder}; splits that have goals: {', '.join(splits_of(instructed)) or 'none'}"

    def build(self, source: Path, target: Path, *, progress: Progress) -> str:
        """Turn the original's files in `source` into a store in `target`."""
        catalogue = build_catalogue(source, target, progress=progress)
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        return f"{len(catalogue)} products in {target} ({size / 1e6:.1f} MB)"

    def verify(self, folder: Path, *, progress: Progress) -> list[str]:
        """Read every product, make the goals, and buy each goal's own product.

        Raises:
            DataError: something is missing or cannot be read, or there is no goal at all.
        """
        catalogue = StoredCatalogue(folder) if is_store(folder) else load_catalogue(folder)
        for number in range(len(catalogue)):
            catalogue.at(number)
            if number % 1_000 == 0:
                progress("reading products", number, len(catalogue))
        lines = [f"{len(catalogue)} products, all readable"]
        for kind in ("synthetic", "human"):
            goals = make_goals(catalogue, kind)
            if goals.goals:
                rewards = [own_reward(Shop(catalogue, goals), goal) for goal in goals.goals]
                reached = sum(reward == 1.0 for reward in rewards) / len(rewards)
                lines.append(f"{len(rewards)} {kind} goals; their own products reach reward 1.0 in {reached:.1%}")
        if len(lines) == 1:
            raise DataError(f"{folder}: no product has an instruction, so there is nothing to play")
        return lines


DATA = WebShopData()
