"""Which store holds the games that a path names."""

from __future__ import annotations

from pathlib import Path

from sad_env.alfworld.pack import PACK_SUFFIX, PackStore
from sad_env.alfworld.problem import GAME_FILE
from sad_env.alfworld.store import ArchiveStore, FolderStore, GameStore
from sad_env.errors import ConfigError, DataError
from sad_env.safe_text import one_line

OFFICIAL_FOLDER = "json_2.1.1"
"""The folder of the official releases; its name has stayed through all versions of the games."""


def default_split(data: str) -> str:
    """The split that is played where none is named: of a pack file its only one, which is its name."""
    return Path(data).stem if Path(data).suffix == PACK_SUFFIX and Path(data).is_file() else "valid_unseen"


def open_store(path: Path, split: str) -> GameStore:
    """The games of a split in a folder or archive.

    Looked for, in this order: a pack `SPLIT.games`, the sub-folders `SPLIT` and `json_2.1.1/SPLIT`, an archive that
    holds the split. A folder that itself holds TASK/TRIAL folders has its own name and "all" as splits; a pack file
    that is given itself has its own name.

    Raises:
        DataError: nothing of this kind is there.
        ConfigError: the folder holds games directly, or the file is a pack, and another split was asked for.
    """
    if path.is_file() and path.suffix != PACK_SUFFIX:
        return ArchiveStore(path, split)
    if path.is_file():
        if split != path.stem:
            raise ConfigError(f"{one_line(str(path))} is of split {path.stem!r}, not {split!r}: leave the split out")
        return PackStore(path)
    if (path / f"{split}{PACK_SUFFIX}").is_file():
        return PackStore(path / f"{split}{PACK_SUFFIX}")
    for folder in (path / split, path / OFFICIAL_FOLDER / split):
        if folder.is_dir():
            return FolderStore(folder)
    complaint = f"neither {split}/ nor {split}{PACK_SUFFIX} is there"
    for archive in sorted(path.glob("*.zip")):
        try:
            return ArchiveStore(archive, split)
        except DataError as error:
            complaint = str(error)
    if next(path.glob(f"*/*/{GAME_FILE}"), None) is None:
        raise DataError(f"no games of split {split!r} under {one_line(str(path))}: {complaint}")
    if split not in ("all", path.resolve().name):
        raise ConfigError(f"{one_line(str(path))} holds games directly: its split is 'all', not {split!r}")
    return FolderStore(path)
