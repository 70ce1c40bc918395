"""Files that are never half-written, paths that stay under their root, and one writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sad_env.errors import ConfigError, DataError
from sad_env.safe_text import one_line

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[str] | IO[bytes]]:
    """Open a temporary file beside `path`; on success sync it and rename it over `path`, otherwise remove it.

    Args:
        path: what the file is to be called in the end.
        mode: "w" (UTF-8 text) or "wb".
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:32]}.", suffix=".part", dir=target.parent)
    encoding = None if "b" in mode else "utf-8"
    errors = None if "b" in mode else "backslashreplace"
    try:
        with os.fdopen(descriptor, mode, encoding=encoding, errors=errors) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; results are as readable as the process's umask lets any new file be.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex sha256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def safe_name(name: str, what: str = "name") -> str:
    """`name` itself when it may name a file: letters, digits, dot, underscore, dash; at most 64; no leading dot.

    Raises:
        ConfigError: anything else.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{what} {one_line(name, 60)!r}: use letters, digits, '.', '_', '-', at most 64 characters")
    return name


def below(root: str | os.PathLike[str], relative: str) -> Path:
    """The path `relative` under `root`, links resolved.

    Raises:
        DataError: it would lie outside `root`.
    """
    base = Path(root).resolve()
    try:
        path = (base / relative).resolve()
    except (ValueError, OSError):
        raise DataError(f"{one_line(relative, 80)!r} is no path") from None
    if base != path and base not in path.parents:
        raise DataError(f"{one_line(relative, 80)!r} leads outside {base}")
    return path


@contextlib.contextmanager
def exclusive(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Hold the lock file `path`; the system frees it when the process dies, however it dies.

    Raises:
        ConfigError: another process holds it; `what` names the thing in the message.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"another process is at work on {what}: wait for it or stop it") from None
        yield


def refuse_foreign(folder: Path, *ours: str) -> None:
    """Make sure that a folder which a build would replace is empty or was built by us.

    Args:
        folder: it may be missing.
        ours: names of files of which a folder of ours holds one at least.

    Raises:
        ConfigError: it holds other things.
    """
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in ours):
        raise ConfigError(f"{folder} holds other files, which a build would replace: name an empty or a new folder")
