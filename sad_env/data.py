"""Data packs: what each world can be played on, where its files are kept, and how they are fetched."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sad_env.addresses import public_address
from sad_env.errors import ConfigError, DataError, InfrastructureError
from sad_env.files import exclusive, naming, sha256_file, sync_folder, write_text
from sad_env.http import PATIENCE, Client, Patience, RequestError, status_error, wait_asked_for
from sad_env.safe_text import one_line
from sad_env.tables import read_table

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


def read_packs(package: str) -> tuple[DataPack, ...]:
    """The official packs of a world, from packs.toml in its package; the first is the default."""
    return tuple(
        DataPack(**{**pack, "files": tuple(RemoteFile(**file) for file in pack["files"])})
        for pack in read_table(package, "packs.toml")["packs"]
    )


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
    """Where data lies: $SAD_ENV_DATA, or sad-env in the user's cache folder.

    Raises:
        ConfigError: the user has no home folder.
    """
    if chosen := os.environ.get("SAD_ENV_DATA"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sad-env"
    except RuntimeError:
        raise ConfigError("no home folder is known: set HOME, or SAD_ENV_DATA to a folder for data") from None


def pack_folder(world: str, pack: str) -> Path:
    """The folder of an official pack, whether or not it is there yet."""
    return data_root() / world / pack


def existing_folder(given: str | os.PathLike[str], what: str) -> Path:
    """`given` as a path, when it is a folder.

    Raises:
        DataError: it is not.
    """
    path = Path(given)
    try:
        there = path.is_dir()
    except (OSError, ValueError):  # too long for a path, or no path at all
        there = False
    if not there:
        raise DataError(f"{what}: no folder {one_line(str(path), 120)!r}; give an existing one, or see `sad-data list`")
    return path


def fetch(
    file: RemoteFile, folder: Path, *, progress: Progress = silent, attempts: int = 4, pause: float = 1.0
) -> Path:
    """Download a file into `folder`, resuming what an interrupted download left, and check it.

    Args:
        file: what to fetch.
        folder: where to; made when missing.
        progress: called after every block.
        attempts: tries per address on network faults and on answers 408, 429 and 5xx.
        pause: seconds before the second try, doubled for each further one.

    Returns:
        The path of the whole, checked file. A file that is there already and whole is not fetched again.

    Raises:
        DataError: the content has another checksum than it should.
        InfrastructureError: no address answered with such a file.
        ConfigError: another process is fetching it.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    record = checksum_record(target)
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / f".{file.name}.lock", str(target)):
        expected = file.sha256 or (record.read_text().strip() if record.exists() else "")
        if target.exists() and expected and sha256_file(target) == expected:
            return target
        patience = replace(PATIENCE, attempts=attempts, pause=pause, answer=60.0)
        fault = "no address is known"
        for url in file.urls:
            try:
                _download(url, part, file, patience, progress)
            except RequestError as error:
                fault = f"{public_address(url)}: {error}"
                continue
            digest = sha256_file(part)
            if expected and digest != expected:
                part.unlink()
                raise DataError(f"{url}: sha256 {digest[:12]}… where {expected[:12]}… is expected; nothing was kept")
            os.replace(part, target)
            write_text(record, f"{digest}\n")
            sync_folder(folder)
            return target
    raise InfrastructureError(f"could not fetch {file.name}: {fault}")


def checksum_record(target: Path) -> Path:
    """The file that holds the sha256 of a fetched one."""
    return target.with_name(f"{target.name}.sha256")


_BEGINNINGS = {".json": (b"[", b"{"), ".zip": (b"PK",)}
"""What a file of these kinds begins with, blanks apart: all that is known of one without a published checksum."""


def _download(url: str, part: Path, file: RemoteFile, patience: Patience, progress: Progress) -> None:
    """Fetch a file into `part`, going on where an earlier try was cut.

    Raises:
        RequestError: the address does not answer with such a file.
    """
    client = Client(patience, headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
    with contextlib.closing(client):
        patience.retry(lambda: _try_download(client, url, part, file, progress))


def _try_download(client: Client, url: str, part: Path, file: RemoteFile, progress: Progress) -> None:
    # What is there may be of another version of the file. A checksum tells in the end; without one, the server does.
    stamp = part.with_name(f"{part.name}.etag")
    etag = stamp.read_text() if stamp.exists() else ""
    have = part.stat().st_size if part.exists() and (file.sha256 or etag) else 0
    headers = {"Range": f"bytes={have}-"} | ({"If-Range": etag} if etag else {}) if have else {}
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 416 and file.sha256:  # the part is already whole, or another file: the checksum tells
            return
        if answer.status_code == 416:
            part.unlink()
            raise RequestError("what was there is no part of the file; it is fetched again")
        if answer.status_code not in (200, 206):
            raise status_error(answer.status_code, answer.reason or "", wait_asked_for(answer))
        if have and answer.status_code != 206:
            have = 0
        if not have:
            stamp.unlink(missing_ok=True)
            # A weak one does not say that two answers are the same to the byte.
            if (etag := answer.headers.get("ETag", "")) and not etag.startswith("W/"):
                stamp.write_text(etag)
        total = have + int(answer.headers.get("Content-Length") or 0)
        beginning = _BEGINNINGS.get(Path(file.name).suffix)
        with naming(part), open(part, "ab" if have else "wb") as out:
            for block in answer.iter_content(1 << 18):
                if not have and beginning and not block.lstrip().startswith(beginning):
                    kind = one_line(answer.headers.get("Content-Type") or "something else", 60)
                    raise RequestError(f"the answer is no {file.name} but {kind}; try again later", passing=False)
                out.write(block)
                have += len(block)
                progress(file.name, have, total)
            out.flush()
            os.fsync(out.fileno())
    if total and have < total:
        raise RequestError(f"the answer ended after {have:,} of {total:,} bytes")
    stamp.unlink(missing_ok=True)


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


def located(world: str, data: str, packs: Sequence[DataPack]) -> tuple[str, Path]:
    """Where data that is not generated lies, for worlds that also take a single file.

    Args:
        world: the world's name.
        data: "official", "official:PACK", a folder in the official schema, or a file.
        packs: the world's packs; the first is the default.

    Returns:
        The kind ("official" or "given") and the folder or file.

    Raises:
        DataError: the folder or pack is not there.
        ConfigError: no such pack, or data that is generated.
    """
    if Path(data).is_file():
        return "given", Path(data)
    kind, folder = resolve(world, data, packs)
    if folder is None:
        raise ConfigError(f"{world} generates {data!r}: it lies in no folder")
    return kind, folder
