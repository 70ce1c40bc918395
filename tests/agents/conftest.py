from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sad_env import registry

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped ALFWorld student as a folder."""
    from sad_agents.checkpoints import load_student, save_student
    from sad_agents.model_words import shipped_student

    student = load_student(shipped_student("alfworld"))
    return save_student(tmp_path_factory.mktemp("served") / "alfworld", *student)


@pytest.fixture(scope="module")
def stub(folder: Path) -> Iterator[Any]:
    """A stub of vLLM that serves it; each file its own, since it keeps what it was asked."""
    from vllm_stub import serving

    with serving(folder) as one:
        yield one


@pytest.fixture
def failing_world(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a world that fails, importable here and in workers."""
    monkeypatch.setattr(registry, "_worlds", dict(registry._worlds))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import worlds_that_fail

    worlds_that_fail.register()
    yield "failing"
    sys.modules.pop("worlds_that_fail", None)
