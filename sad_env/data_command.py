"""`sad-data`: list, fetch, verify, generate and build the worlds' data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

import tyro

from sad_env import cli, registry
from sad_env.data import DataPack, WorldData, checksum_record, data_root, existing_folder, fetch, pack_folder
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.files import safe_name, sweep_parts
from sad_env.progress import announced, shown
from sad_env.safe_text import visible


@dataclass(frozen=True)
class DataSettings:
    """Data of the worlds: official packs, generated tasks, fast on-disk forms.

    $ sad-data list                                what there is and where it lies
    $ sad-data fetch webshop                       download an official pack, checked by sha256
    $ sad-data generate alfworld --count 100 --out games
    $ sad-data build webshop --source FOLDER --out STORE
    $ sad-data verify alfworld --source games      look at every task
    $ sad-data path webshop                        print the folder of a pack
    """

    action: tyro.conf.Positional[Literal["list", "fetch", "verify", "generate", "build", "path"]] = "list"
    """What to do."""
    world: tyro.conf.Positional[str] = ""
    """The world it is about."""
    pack: str = ""
    """Official pack; the world's first one when left out."""
    source: str = ""
    """Folder to verify or to build from, or a dump's only file; the pack's folder when left out."""
    out: str = ""
    """Output folder of generated or built data."""
    count: Annotated[int, tyro.conf.arg(metavar="N")] = 100
    """How many tasks to generate; of webshop, products, each of which makes several."""
    split: str = "train"
    """Split of the world's tasks."""
    seed: int = 0
    """Seed of all draws."""
    quiet: bool = False
    """Show no progress."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `sad-data`; returns the exit code."""
    return cli.run("sad-data", lambda: _run(_read(arguments)))


_USED_BY = {
    "pack": ("fetch", "path", "verify", "build"),
    "source": ("verify", "build"),
    "out": ("generate", "build"),
    "count": ("generate",),
    "split": ("generate",),
    "seed": ("generate",),
}
"""Settings that only some actions look at."""


def _read(arguments: Sequence[str] | None) -> DataSettings:
    parsed = cli.read(DataSettings, arguments, prog="sad-data")
    action = parsed.settings.action
    parsed.refuse_ignored(
        {
            name: f"{action} does not use it: leave it out (it is for {', '.join(actions)})"
            for name, actions in _USED_BY.items()
            if action not in actions
        }
    )
    return parsed.settings


def _run(settings: DataSettings) -> int:
    if settings.action == "list":
        _list([settings.world] if settings.world else _with_data())
        return 0
    if not settings.world:
        raise ConfigError(f"sad-data {settings.action} needs a world: {', '.join(_with_data())}")
    data = _data(settings.world)
    doing = f"sad-data: {settings.action} {settings.world}"
    with announced(doing, quiet=settings.quiet), shown(quiet=settings.quiet) as progress:
        if settings.action == "path":
            print(pack_folder(settings.world, _pack(data, settings).name))
        elif settings.action == "fetch":
            pack = _pack(data, settings)
            for file in pack.files:
                path = fetch(file, pack_folder(settings.world, pack.name), progress=progress)
                seen = "ok"
                if not file.sha256:
                    seen = f"{checksum_record(path).read_text()[:12]}…, recorded when it was first seen"
                print(f"{path}  sha256 {seen}")
        elif settings.action == "generate":
            if settings.count < 1:
                raise ConfigError(f"--count is 1 or more, not {settings.count}")
            folder = Path(settings.out or data_root() / settings.world / f"generated-{safe_name(settings.split)}")
            for place in {part.parent for part in folder.rglob(".*.part")}:  # each game has a folder of its own
                sweep_parts(place)
            count, seed, split = settings.count, settings.seed, settings.split
            print(visible(data.generate(folder, count=count, seed=seed, split=split, progress=progress)))
        elif settings.action == "build":
            if not settings.out:
                raise ConfigError("sad-data build needs --out FOLDER")
            # A lock file lies beside the folder, which "." does not name.
            print(visible(data.build(_source(data, settings), Path(settings.out).resolve(), progress=progress)))
        else:
            print(visible("\n".join(data.verify(_source(data, settings), progress=progress))))
    return 0


def _with_data() -> list[str]:
    return [spec.name for spec in registry.known() if spec.data]


def _data(world: str) -> WorldData:
    spec = registry.world(world)
    if not spec.data:
        raise UnknownNameError("world with data", world, _with_data())
    return cast(WorldData, registry.load(spec.data))


def _pack(data: WorldData, settings: DataSettings) -> DataPack:
    if not data.packs:
        raise ConfigError(f"{settings.world} has no official pack; give a folder of your own with --data FOLDER")
    if not settings.pack:
        return data.packs[0]
    for pack in data.packs:
        if pack.name == settings.pack:
            return pack
    raise UnknownNameError(f"pack of {settings.world}", settings.pack, [pack.name for pack in data.packs])


def _source(data: WorldData, settings: DataSettings) -> Path:
    source = Path(settings.source or pack_folder(settings.world, _pack(data, settings).name))
    if settings.action == "build" and source.is_file():
        return source
    return existing_folder(source, f"{settings.world} data")


def _list(worlds: Sequence[str]) -> None:
    known = [(world, pack) for world in worlds for pack in _data(world).packs]
    print(f"data lies in {data_root()} (set SAD_ENV_DATA to move it); generated data needs no download")
    for world, pack in known:
        folder = pack_folder(world, pack.name)
        size = sum(file.size for file in pack.files) / 2**20
        here = "here" if folder.is_dir() else f"{size:.1f} MB to fetch" if size else "to fetch"
        print(f"{world:10} {pack.name:14} {here:18} {pack.licence:40} {pack.summary}")


if __name__ == "__main__":
    sys.exit(main())
