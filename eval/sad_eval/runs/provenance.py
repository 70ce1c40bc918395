"""Where a run comes from: versions, commit, and the hash of the data, for the manifest."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import sad_env
from sad_env import registry
from sad_env.data import DataPack, WorldData, located
from sad_env.files import sha256_file, sha256_folder

_PACKAGES = ("numpy", "gymnasium", "torch", "transformers", "tokenizers", "alfworld", "textworld", "ray")

MAX_HASHED_BYTES = 512 * 2**20
"""Larger data are named by the names and sizes of their files; reading gigabytes would delay every start."""


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that may decide a result; none is imported for it."""
    found = {"python": platform.python_version(), "sad-env": sad_env.__version__}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Operating system and processor architecture."""
    return f"{sys.platform} {platform.release()} {platform.machine()}"


def checkout() -> tuple[str, bool | None]:
    """Commit of the checkout that the code runs from, and whether files in it differ from that commit.

    Returns:
        ("", None) for an installed package.
    """
    root = Path(sad_env.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return "", None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return (commit or "").strip(), None if changes is None else bool(changes.strip())


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def data_path(world: str, data: str) -> Path | None:
    """The files that a world's `data` argument names, None for generated data and for worlds without data of their own.

    Args:
        world: the world's name.
        data: "generated", "official", "official:PACK", a folder or a file.

    Raises:
        DataError: the folder or pack is not there.
        ConfigError: no such pack.
    """
    if data == "generated" or not registry.world(world).data:
        return None
    return located(world, data, packs_of(world))[1]


def packs_of(world: str) -> Sequence[DataPack]:
    """The official packs of a world."""
    entry = registry.world(world).data
    return cast("WorldData", registry.load(entry)).packs if entry else ()


def data_sha256(source: Path | None) -> str:
    """Hex sha256 of given or fetched data: a file's content, or the names and contents of a folder's files.

    Returns:
        The hash, with "sizes:" before it where contents were not read, since there are more than `MAX_HASHED_BYTES`;
        "" without data of its own (generated data are named by the version of sad-env).
    """
    if source is None:
        return ""
    if source.is_file():
        size = source.stat().st_size
        whole = size <= MAX_HASHED_BYTES
        return sha256_file(source) if whole else f"sizes:{hashlib.sha256(str(size).encode()).hexdigest()}"
    whole = sum(path.stat().st_size for path in source.rglob("*") if path.is_file()) <= MAX_HASHED_BYTES
    return sha256_folder(source) if whole else f"sizes:{sha256_folder(source, contents=False)}"
