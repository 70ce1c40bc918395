"""Files that are never half-written, paths that stay under their root, and one writer at a time."""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from sad_env.errors import ConfigError, DataError
from sad_env.safe_text import one_line

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PART = re.compile(r"\..*\.([0-9a-f]{8})-([0-9]{1,10})\.[^.]*\.part", re.DOTALL)
_FORMER_PART = re.compile(r"(\..*)?\.[a-z0-9_]{8}\.part", re.DOTALL)
_DAY = 86400.0
_LOCK_ATTEMPTS = 100


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Give an OSError of the block the file's name, which a full disk, noticed by a write, leaves out."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def atomic_text(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """Open a temporary UTF-8 file; on success sync it and rename it to `path`, otherwise remove it.

    A link stays one: the file that it names is replaced. A pipe or a device is written to as it is. Lone surrogates are
    written as backslash escapes.
    """
    with _replaced(path) as descriptor, os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        yield file
        file.flush()
        _sync(descriptor)


@contextlib.contextmanager
def atomic_bytes(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """`atomic_text`, for bytes."""
    with _replaced(path) as descriptor, os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        _sync(descriptor)


@contextlib.contextmanager
def _replaced(path: str | os.PathLike[str]) -> Iterator[int]:
    """A descriptor of a temporary file that takes the place of `path` when the block ends without an exception."""
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        with naming(path):
            yield os.open(path, os.O_WRONLY)
        return
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=_part_prefix(target), suffix=".part", dir=target.parent)
    try:
        with naming(target):
            yield descriptor
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


def _sync(descriptor: int) -> None:
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fsync(descriptor)


@contextlib.contextmanager
def part_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, removed when the context ends; what is whole is renamed out of it before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_part_prefix(target), suffix=".part", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_parts(folder: Path) -> None:
    """Remove the temporary files and folders that dead processes left in a folder.

    Those of processes that live stay. Of processes on other machines, which may share the folder, and of releases
    that did not write the process into the name nothing is known: theirs go when they are a day old.
    """
    for path in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if not _is_abandoned(path):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _part_prefix(target: Path) -> str:
    """How the names of temporary files begin: the file that is written, this machine and this process."""
    return f".{target.name[:32]}.{_this_machine()}-{os.getpid()}."


@functools.cache
def _this_machine() -> str:
    """Hash of what gives process ids their meaning: the machine and, on Linux, the namespace of the container."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {namespace}".encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _is_abandoned(part: Path) -> bool:
    match = _PART.fullmatch(part.name)
    if match is None and not _FORMER_PART.fullmatch(part.name):
        return False  # not ours
    # Windows ends a process that is sent the signal 0.
    if match is None or match[1] != _this_machine() or os.name == "nt":
        return time.time() - part.lstat().st_mtime > _DAY
    try:
        os.kill(int(match[2]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replace a file by this text, or leave it as it was."""
    with atomic_text(path) as file:
        file.write(text)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace a file by these bytes, or leave it as it was."""
    with atomic_bytes(path) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut; Windows opens no folders, and does not need to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def when_written(*paths: Path) -> str:
    """When the last of these files was written: UTC, ISO 8601."""
    newest = max(path.stat().st_mtime for path in paths)
    return datetime.datetime.fromtimestamp(newest, datetime.timezone.utc).isoformat(timespec="seconds")


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex sha256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_folder(folder: Path, *, contents: bool = True) -> str:
    """Hex sha256 of the paths of all files below a folder and of their contents, or only of their sizes."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = sha256_file(path) if contents else str(path.stat().st_size)
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode("utf-8", "surrogatepass"))
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
    """Hold the lock file `path`; the system frees it when the process ends, even by kill -9.

    What dead processes left half-written beside the lock file is removed (`sweep_parts`).

    Raises:
        ConfigError: another process holds it; `what` names the thing in the message.
    """
    path = Path(path)
    lock = FileLock(path)
    if not _acquired(lock, path):
        raise ConfigError(f"another process is at work on {what}: wait for it or stop it")
    try:
        sweep_parts(path.parent)
        yield
    finally:
        lock.release()


def _acquired(lock: FileLock, path: Path) -> bool:
    """Take a lock unless another process holds it.

    The process that held it may have moved or removed its folder between the opening of the file and the locking:
    what is locked then is no longer the file of that name, and the attempt is repeated.
    """
    for _ in range(_LOCK_ATTEMPTS):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            open(path, "ab").close()
            before = path.stat()
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(before, path.stat()):
                    return True
            lock.release()
    return False


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
