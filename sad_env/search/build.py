"""Builds a ranked index on disk from a stream of documents of any length, with bounded memory."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sad_env.data import Progress, silent
from sad_env.errors import ConfigError, DataError
from sad_env.files import exclusive, refuse_foreign, sync_folder, write_text
from sad_env.json_lines import read_json
from sad_env.search.analyzer import analyze
from sad_env.search.index import FORMAT, RankedIndex
from sad_env.search.runs import Array, IndexRun, RunBuilder, Strings, merge

RUN_TOKENS = 1 << 23
"""Tokens that are held in memory before they are written out as a run; about 300 MB with all that belongs to them."""


def build_index(
    folder: Path,
    documents: Iterable[tuple[str, str]],
    *,
    fingerprint: str,
    total: int = 0,
    progress: Progress = silent,
    run_tokens: int = RUN_TOKENS,
) -> RankedIndex:
    """Index (key, text) pairs into `folder`, or open it when it is there already.

    The folder appears in one rename when everything is written. Interrupted at any moment, the same call goes on from
    the last whole run: `documents` is then read from its beginning, but documents that were indexed are only skipped.

    Args:
        folder: where the index is to lie.
        documents: pairs of a unique key and its text; the same ones in the same order at every call.
        fingerprint: names the source of the documents, e.g. a hash; an index of another fingerprint is built again.
        total: how many documents there will be, for `progress`; 0 when unknown.
        progress: called after every few thousand documents, and of the merge.
        run_tokens: tokens to hold in memory at a time.

    Raises:
        DataError: two documents have one key.
        ConfigError: another process is building the same folder, or it holds something else.
    """
    folder = Path(folder)
    work, lock = (folder.with_name(f"{folder.name}.{end}") for end in ("building", "lock"))
    if _fingerprint(folder / "index.json") == fingerprint:
        with contextlib.suppress(DataError):  # a damaged index is built again
            index = RankedIndex.open(folder)
            if work.exists():  # left by a process that was killed after its last rename
                with contextlib.suppress(ConfigError), exclusive(lock, str(folder)):
                    shutil.rmtree(work, ignore_errors=True)
            return index
    refuse_foreign(folder, "index.json")
    with exclusive(lock, str(folder)):
        if _fingerprint(work / "source.json") != fingerprint:
            shutil.rmtree(work, ignore_errors=True)
            write_text(work / "source.json", json.dumps({"fingerprint": fingerprint}, indent=1))
        _write_runs(work, documents, total, progress, run_tokens)
        _write_index(work, folder, fingerprint, progress)
    return RankedIndex.open(folder)


def _fingerprint(path: Path) -> str | None:
    try:
        fingerprint: str | None = read_json(path).get("fingerprint")
        return fingerprint
    except (OSError, ValueError, AttributeError):
        return None


def _runs(work: Path) -> list[Path]:
    return sorted(work.glob("run-[0-9]*[0-9]"))


def _write_runs(
    work: Path, documents: Iterable[tuple[str, str]], total: int, progress: Progress, run_tokens: int
) -> None:
    finished = len(_runs(work))
    done = sum(len(np.load(path / "key_starts.npy", mmap_mode="r")) - 1 for path in _runs(work))
    builder = RunBuilder(done)
    for key, text in itertools.islice(documents, done, None):
        builder.add(key, analyze(text))
        done += 1
        if len(builder) >= run_tokens:
            _save_run(work / f"run-{finished:05d}", builder.finish())
            finished, builder = finished + 1, RunBuilder(done)
        if done % 5_000 == 0:
            progress("indexing", done, total)
    if len(builder) or not finished:
        _save_run(work / f"run-{finished:05d}", builder.finish())
    progress("indexing", done, done)


def _save_run(path: Path, run: IndexRun) -> None:
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for field in dataclasses.fields(run):
        value = getattr(run, field.name)
        if isinstance(value, Strings):
            np.save(part / f"{field.name[:-1]}_blob.npy", value.blob)
            np.save(part / f"{field.name[:-1]}_starts.npy", value.starts)
        else:
            np.save(part / f"{field.name}.npy", value)
    sync_folder(part)
    os.replace(part, path)
    sync_folder(path.parent)


def _load_run(path: Path) -> IndexRun:
    def array(name: str) -> Array:
        return np.asarray(np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False))

    def strings(name: str) -> Strings:
        return Strings(array(f"{name}_blob"), array(f"{name}_starts"))

    return IndexRun(strings("key"), strings("term"), array("starts"), array("docs"), array("weights"), array("tokens"))


def _write_index(work: Path, folder: Path, fingerprint: str, progress: Progress) -> None:
    final = work / "index"
    shutil.rmtree(final, ignore_errors=True)
    final.mkdir()
    written: dict[str, np.memmap[Any, Any]] = {}

    def allocate(name: str, length: int, dtype: Any) -> Array:
        if length == 0:  # an empty file cannot be mapped for writing
            np.save(final / f"{name}.npy", np.zeros(0, dtype=dtype))
            return np.zeros(0, dtype=dtype)
        written[name] = np.lib.format.open_memmap(final / f"{name}.npy", mode="w+", dtype=dtype, shape=(length,))
        return written[name]

    progress("merging", 0, 1)
    arrays = merge([_load_run(path) for path in _runs(work)], allocate)
    for mapped in written.values():
        mapped.flush()
    about = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "arrays": {name: len(value) for name, value in arrays.items()},
    }
    write_text(final / "index.json", json.dumps(about, indent=1))
    # Killed at any moment, the folder is whole, or is not there and is put there by the next call.
    old = work / "old"
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(final, folder)
    sync_folder(folder.parent)
    shutil.rmtree(work)
    progress("merging", 1, 1)
