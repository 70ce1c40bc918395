"""One writer at a time, and the half-written files of processes that died."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from sad_env.errors import ConfigError
from sad_env.files import atomic_text, exclusive, part_folder, sweep_parts


def part_of(folder: Path, process: int, machine: str = "") -> Path:
    """A half-written file as a process of this or another machine names it."""
    with atomic_text(folder / "results.json"):
        (part,) = folder.glob(f".*-{os.getpid()}.*.part")
    (folder / "results.json").unlink()
    name = part.name.replace(f"-{os.getpid()}.", f"-{process}.")
    if machine:
        name = name.replace(name.split(".")[-3].partition("-")[0], machine)
    made = folder / name
    made.write_text("half")
    return made


def ended_process() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_lock_sweeps_what_dead_processes_left_half_written_and_nothing_else(tmp_path: Path) -> None:
    dead, alive = part_of(tmp_path, ended_process()), part_of(tmp_path, os.getppid())
    elsewhere, unnamed = part_of(tmp_path, ended_process(), machine="0badcafe"), tmp_path / ".x.json.abc_4567.part"
    unnamed.touch()
    download, theirs = tmp_path / "x.bin.part", tmp_path / ".firefox.part"
    download.touch()
    theirs.touch()
    with exclusive(tmp_path / "lock", "it"):
        assert not dead.exists()
        assert all(path.exists() for path in (alive, elsewhere, unnamed, download, theirs))
    for path in (elsewhere, unnamed, download, theirs):
        os.utime(path, (0, 0))
    with exclusive(tmp_path / "lock", "it"):
        assert not elsewhere.exists()
        assert not unnamed.exists()
        assert alive.exists()
        assert download.exists()  # to be resumed
        assert theirs.exists()


def test_folders_of_dead_processes_are_swept_and_links_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    with part_folder(tmp_path / "entry") as scratch:
        mine = scratch.name
    assert not scratch.exists()
    dead = tmp_path / mine.replace(f"-{os.getpid()}.", f"-{ended_process()}.")
    dead.mkdir()
    (dead / "file").touch()
    link = tmp_path / dead.name.replace("entry", "other")
    link.symlink_to(kept)
    sweep_parts(tmp_path)
    assert not dead.exists()
    assert not link.is_symlink()
    assert (kept / "file").exists()


def test_a_lock_whose_folder_was_moved_away_before_it_was_taken_is_taken_in_the_new_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, moved = tmp_path / "run", tmp_path / "run.old-1"
    acquire = FileLock.acquire

    def late(self: FileLock, **options: float) -> object:
        if not moved.exists():
            folder.rename(moved)
        return acquire(self, **options)

    monkeypatch.setattr(FileLock, "acquire", late)
    with exclusive(folder / ".lock", "the run"):
        monkeypatch.undo()
        with pytest.raises(ConfigError, match="another process is at work"), exclusive(folder / ".lock", "the run"):
            pass
