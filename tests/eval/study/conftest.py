"""The golden study, unpacked."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

WRITTEN = ("README.md", "results.csv", "tests.csv")
"""What a report consists of, besides its pictures."""


@pytest.fixture(scope="session")
def _unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(Path(__file__).with_name("golden-study.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "golden-study"


@pytest.fixture(scope="session")
def published(_unpacked: Path) -> dict[str, str]:
    """The report's texts as commit 7e3ffd8 wrote them."""
    return {name: (_unpacked / name).read_text(encoding="utf-8") for name in WRITTEN}


@pytest.fixture
def golden_study(_unpacked: Path, tmp_path: Path) -> Path:
    """A copy of the study without its report."""
    folder = tmp_path / "golden-study"
    shutil.copytree(_unpacked, folder, ignore=shutil.ignore_patterns(*WRITTEN, "*.svg"))
    return folder
