from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sad_env.errors import ConfigError, DataError
from sad_env.json_stream import elements, members
from sad_env.search import build, documents
from sad_env.webshop import store
from sad_env.webshop.catalogue import search
from sad_env.webshop.env import View, WebShopEnv
from sad_env.webshop.generator import write_files
from sad_env.webshop.official import load_catalogue
from sad_env.webshop.store import StoredCatalogue, build_catalogue


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("shop")
    write_files(folder / "files", 300, seed=1)
    build_catalogue(folder / "files", folder / "store")
    return folder / "files", folder / "store"


def test_a_store_is_the_catalogue_it_was_built_from(shop: tuple[Path, Path]) -> None:
    memory, disk = load_catalogue(shop[0]), StoredCatalogue(shop[1])
    assert len(memory) == len(disk) == 300
    assert [disk.at(number) for number in range(300)] == [memory.at(number) for number in range(300)]
    assert disk.human == memory.human
    assert list(disk.price_ranges()) == list(memory.price_ranges())
    assert list(disk.with_instruction()) == list(memory.with_instruction())
    assert disk.get("nothing") is None
    for query in ("red dress", "<q> dog beds", "<c> grocery", "<c> nothing", "<r>", "zzz"):
        one, other = (list(search(shop, query.split(" "), random.Random(0)) or ()) for shop in (memory, disk))
        assert one == other


def test_episodes_on_a_store_are_those_on_the_files(shop: tuple[Path, Path]) -> None:
    memory, disk = (WebShopEnv(data=str(folder), view="original") for folder in shop)
    assert memory.panel == disk.panel
    for task in memory.panel.task_ids[:5]:
        assert memory.reset(options={"task_id": task}) == disk.reset(options={"task_id": task})
        for action in memory.oracle() or []:
            assert memory.step(action) == disk.step(action)


@pytest.mark.parametrize("view", ["react", "original"])
def test_half_a_character_finds_nothing_on_a_store_as_on_the_files(shop: tuple[Path, Path], view: View) -> None:
    memory, disk = (WebShopEnv(data=str(folder), view=view) for folder in shop)
    for action in ("search[['<q>','\ud800']]", "search[<c> \udcff]", "search[\ud800]", "click[\ud800]"):
        memory.reset(seed=0)
        disk.reset(seed=0)
        assert memory.step(action) == disk.step(action)


def test_a_store_is_built_in_no_folder_of_other_things(shop: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "precious.html").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        build_catalogue(shop[0], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert (tmp_path / "index" / "precious.html").read_text() == "mine"


def test_a_store_survives_a_fork(shop: tuple[Path, Path]) -> None:
    disk = StoredCatalogue(shop[1])
    expected = disk.at(7).asin
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, disk.at(7).asin.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100).decode() == expected == disk.at(7).asin


def test_an_interrupted_build_goes_on_with_the_table_it_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "files", 60, seed=2)

    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "build_index", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build_catalogue(tmp_path / "files", tmp_path / "store")
    assert not store.is_store(tmp_path / "store")
    with pytest.raises(DataError, match="no readable WebShop store"):
        StoredCatalogue(tmp_path / "store")
    said: list[str] = []
    built = build_catalogue(tmp_path / "files", tmp_path / "store", progress=lambda what, *_: said.append(what))
    assert len(built) == 60
    assert "reading products" not in said


@pytest.mark.parametrize("moment", range(0, 40, 3))
def test_a_killed_build_goes_on(moment: int, tmp_path: Path) -> None:
    write_files(tmp_path / "files", 40, seed=2)
    child = os.fork()
    if child == 0:
        calls = iter(range(moment))

        def die(*arguments: object) -> None:
            if next(calls, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        for name in ("_insert", "_save_run", "_write_index"):
            _count(documents if name == "_insert" else build, name, die)
        for name in ("unlink", "replace", "fsync"):
            _count(os, name, die)
        build_catalogue(tmp_path / "files", tmp_path / "store", progress=die)
        os._exit(0)
    os.waitpid(child, 0)
    if (tmp_path / "store" / "products.sqlite").exists():
        (tmp_path / "store" / ".store.json.abc.part").touch()
    assert len(build_catalogue(tmp_path / "files", tmp_path / "store")) == 40
    assert not list((tmp_path / "store").rglob("*.part")) + list((tmp_path / "store").glob("*.building"))


def _count(module: object, name: str, call: Callable[[], None]) -> None:
    """Make a function of a module call `call` first."""
    original = getattr(module, name)

    def counted(*arguments: Any, **options: Any) -> Any:
        call()
        return original(*arguments, **options)

    setattr(module, name, counted)


@pytest.mark.parametrize(
    "name", ["products.sqlite", "ranges.npy", "human.json", "index/index.json", "index/weights.npy"]
)
def test_a_damaged_store_is_built_again(name: str, tmp_path: Path) -> None:
    write_files(tmp_path / "files", 40, seed=2)
    build_catalogue(tmp_path / "files", tmp_path / "store")
    path = tmp_path / "store" / name
    assert path.is_file()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    built, memory = build_catalogue(tmp_path / "files", tmp_path / "store"), load_catalogue(tmp_path / "files")
    assert [built.at(number) for number in range(40)] == [memory.at(number) for number in range(40)]
    assert path.stat().st_size == len(whole)


def test_a_store_is_bound_to_its_sources(tmp_path: Path) -> None:
    write_files(tmp_path / "files", 40, seed=2)
    build_catalogue(tmp_path / "files", tmp_path / "store")
    stamp = (tmp_path / "store" / "products.sqlite").stat().st_mtime_ns
    build_catalogue(tmp_path / "files", tmp_path / "store")
    assert (tmp_path / "store" / "products.sqlite").stat().st_mtime_ns == stamp
    write_files(tmp_path / "files", 41, seed=2)
    assert len(build_catalogue(tmp_path / "files", tmp_path / "store")) == 41


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path / "files", 40, seed=2)
    build_catalogue(tmp_path / "files", tmp_path / "store")
    about = tmp_path / "store" / "store.json"
    about.write_text(about.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(DataError, match="store format 99; this release reads 1"):
        StoredCatalogue(tmp_path / "store")


def test_streamed_json_is_the_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sad_env.json_stream._CHUNK", 7)
    array = [1, 22, {"a": [1, {"b": 'é ] } \\ "'}]}, "text", -3.5, True, None, []]
    (tmp_path / "array").write_text(json.dumps(array, indent=3), encoding="utf-8")
    assert list(elements(tmp_path / "array")) == array
    (tmp_path / "object").write_text(json.dumps({"x": array, "y": {}}), encoding="utf-8")
    assert dict(members(tmp_path / "object")) == {"x": array, "y": {}}
    for text in ("", "[1", "[1 2]", "{", '{"a" 1}', "[NaN]", "5", "[1] x", '{"a": 1,', "[" * 100_000):
        (tmp_path / "bad").write_text(text)
        with pytest.raises(DataError, match="cannot be read as JSON"):
            list(elements(tmp_path / "bad") if not text.startswith("{") else members(tmp_path / "bad"))
