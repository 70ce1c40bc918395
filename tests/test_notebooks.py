"""The notebooks run from their first cell to their last, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what the kernel's own libraries warn of
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    document = nbformat.read(notebook, as_version=4)
    nbformat.validate(document)
    client = nbclient.NotebookClient(document, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    printed = [output for cell in document.cells for output in cell.get("outputs", ())]
    assert len(printed) >= 2
    said = [output.text for output in printed if output.output_type == "stream" and output.name == "stderr"]
    assert [
        text for text in said if "IProgress not found" not in text
    ] == []  # tqdm's, where ipywidgets is not installed


def test_there_are_three_notebooks_and_none_keeps_its_outputs() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["distil_and_compare", "five_minutes", "own_world_and_agent"]
    for path in NOTEBOOKS:
        assert '"outputs": []' in path.read_text(encoding="utf-8")
        assert '"output_type"' not in path.read_text(encoding="utf-8")
