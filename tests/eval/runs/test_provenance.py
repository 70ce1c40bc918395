"""The hash that says which data a run was on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sad_eval.runs import provenance
from sad_eval.runs.provenance import data_sha256


def test_data_of_one_file_are_known_by_its_content(tmp_path: Path) -> None:
    pack = tmp_path / "games.pack"
    pack.write_bytes(b"some games")
    assert data_sha256(pack) == hashlib.sha256(b"some games").hexdigest()
    pack.write_bytes(b"more games")
    assert data_sha256(pack) == hashlib.sha256(b"more games").hexdigest()
    assert data_sha256(None) == ""


def test_a_folder_is_known_by_names_and_contents_and_a_large_one_by_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_bytes(b"1234")
    before = data_sha256(tmp_path)
    (tmp_path / "one").write_bytes(b"4321")
    assert data_sha256(tmp_path) != before
    monkeypatch.setattr(provenance, "MAX_HASHED_BYTES", 3)
    for place in (tmp_path, tmp_path / "one"):
        large = data_sha256(place)
        assert large.startswith("sizes:")
        (tmp_path / "one").write_bytes(b"5678")
        assert data_sha256(place) == large
        (tmp_path / "one").write_bytes(b"56789")
        assert data_sha256(place) != large
        (tmp_path / "one").write_bytes(b"4321")
