"""Where a run comes from: versions, commit, and the hash of the data, for the manifest."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

import sad_env
from sad_env.files import sha256_folder

_PACKAGES = ("numpy", "gymnasium", "torch", "transformers", "tokenizers", "alfworld", "textworld", "ray")

MAX_HASHED_BYTES = 512 * 2**20
"""A larger data folder is named by the names and sizes of its files; reading gigabytes would delay every start."""


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


def data_sha256(folder: Path | None) -> str:
    """Hex sha256 of a data folder: names and contents, or names and sizes above `MAX_HASHED_BYTES`.

    Returns:
        The hash, with "sizes:" before it where contents were not read; "" without a folder (generated data are
        named by the version of sad-env).
    """
    if folder is None:
        return ""
    whole = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= MAX_HASHED_BYTES
    return sha256_folder(folder) if whole else f"sizes:{sha256_folder(folder, contents=False)}"
