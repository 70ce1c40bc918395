"""Data packs: what each world can be played on, where it lies, and how it gets there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import requests

from sad_env.errors import ConfigError, DataError, InfrastructureError
from sad_env.files import sha256_file, sync_folder

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and of how much (0 when unknown)."""

USER_AGENT = "sad-env/0.1 (research software; https://pypi.org/project/sad-env/)"


def silent(what: str, done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        name: file name in the pack's folder.
        urls: where it can be had, tried in order.
        sha256: of its content, hex; empty where the publisher's file has not been seen by us (then it is recorded
            at the first download and checked ever after).
        size: bytes, 0 when unknown.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True)
class DataPack:
    """Official files of one world, under one name."""

    name: str
    summary: str
    licence: str
    files: tuple[RemoteFile, ...]


class WorldData(Protocol):
    """What a world can do with data; one object a world, named by `WorldSpec.data`."""

    packs: Sequence[DataPack]

    def generate(self, folder: Path, *, count: int, seed: int, split: str, progress: Progress) -> str:
        """Write `count` generated tasks under `folder`, in the world's own format; returns one line for the user."""
        ...

    def build(self, source: Path, target: Path, *, progress: Progress) -> str:
        """Turn files in the official layout into the fast on-disk form; returns one line for the user."""
        ...

    def verify(self, folder: Path, *, progress: Progress) -> list[str]:
        """Look at every task in `folder`; returns what was found, line by line.

        Raises:
            DataError: something is missing or corrupt.
        """
        ...


def data_root() -> Path:
    """Where data lies: $SAD_ENV_DATA, or sad-env in the user's cache folder."""
    if chosen := os.environ.get("SAD_ENV_DATA"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sad-env"


def pack_folder(world: str, pack: str) -> Path:
    """The folder of an official pack, whether or not it is there yet."""
    return data_root() / world / pack


def existing_folder(given: str | os.PathLike[str], what: str) -> Path:
    """`given` as a path, when it is a folder.

    Raises:
        DataError: it is not.
    """
    path = Path(given)
    if not path.is_dir():
        raise DataError(f"{what}: no folder {str(path)!r}; give an existing one, or see `sad-data list`")
    return path


def fetch(
    file: RemoteFile, folder: Path, *, progress: Progress = silent, attempts: int = 4, pause: float = 1.0
) -> Path:
    """Download a file into `folder`, resuming what an interrupted download left, and check it.

    Args:
        file: what to fetch.
        folder: where to; made when missing.
        progress: told of every block.
        attempts: tries per address on network faults and 429/5xx answers.
        pause: seconds before the second try, doubled for each further one.

    Returns:
        The path of the whole, checked file. A file that is there already and whole is not fetched again.

    Raises:
        DataError: the content has another checksum than it should.
        InfrastructureError: no address answered.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    record = folder / f"{file.name}.sha256"
    expected = file.sha256 or (record.read_text().strip() if record.exists() else "")
    if target.exists() and expected and sha256_file(target) == expected:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    for url in file.urls:
        for attempt in range(attempts):
            try:
                _download(url, part, file, progress)
            except (requests.RequestException, OSError) as error:
                faults.append(f"{url}: {error}")
                if attempt + 1 < attempts:
                    time.sleep(pause * 2**attempt)
                continue
            found = sha256_file(part)
            if expected and found != expected:
                part.unlink()
                raise DataError(f"{url}: sha256 {found[:12]}… where {expected[:12]}… is due; nothing was kept")
            os.replace(part, target)
            record.write_text(found + "\n")
            sync_folder(folder)
            return target
    raise InfrastructureError(f"could not fetch {file.name}: {faults[-1] if faults else 'no address is known'}")


def _download(url: str, part: Path, file: RemoteFile, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": USER_AGENT} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as answer:
        if answer.status_code == 416:  # the part is already whole, or the file has changed: the checksum tells
            return
        answer.raise_for_status()
        if have and answer.status_code != 206:
            have = 0
        total = have + int(answer.headers.get("Content-Length") or 0)
        with open(part, "ab" if have else "wb") as out:
            for block in answer.iter_content(1 << 18):
                out.write(block)
                have += len(block)
                progress(file.name, have, total)
            out.flush()
            os.fsync(out.fileno())
    if total and have < total:
        raise requests.ConnectionError(f"the answer ended after {have:,} of {total:,} bytes")


def resolve(world: str, data: str, packs: Sequence[DataPack]) -> tuple[str, Path | None]:
    """What a world's `data` argument means.

    Args:
        world: the world's name.
        data: "generated", "official", "official:PACK", or a folder in the official schema.
        packs: the world's packs; the first is the default.

    Returns:
        The kind ("generated", "official" or "given") and the folder, None for generated data.

    Raises:
        DataError: the folder or pack is not there.
        ConfigError: no such pack.
    """
    if data == "generated":
        return "generated", None
    if data == "official" or data.startswith("official:"):
        wanted = data.partition(":")[2] or (packs[0].name if packs else "")
        if wanted not in [pack.name for pack in packs]:
            raise ConfigError(f"{world} has no pack {wanted!r}; known: {', '.join(pack.name for pack in packs)}")
        folder = pack_folder(world, wanted)
        if not folder.is_dir():
            raise DataError(f"the {world} pack {wanted!r} is not in {folder.parent}: run `sad-data fetch {world}`")
        return "official", folder
    return "given", existing_folder(data, f"{world} data")
