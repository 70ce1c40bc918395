from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sad_env import registry


@pytest.fixture
def failing_world(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a world that fails, importable here and in workers."""
    monkeypatch.setattr(registry, "_worlds", dict(registry._worlds))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import worlds_that_fail

    worlds_that_fail.register()
    yield "failing"
    sys.modules.pop("worlds_that_fail", None)
