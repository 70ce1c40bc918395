"""The toy world, which takes its process down at the first step that it is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from sad_env.toy import ToyEnv, ToyExpert


class DeadlyEnv(ToyEnv):
    max_steps = 20
    experts: ClassVar[dict[str, type[ToyExpert]]] = {"expert": ToyExpert}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        marker = Path(os.environ["DEADLY_MARKER"])
        if not marker.exists():
            marker.touch()
            os._exit(9)
        return super().step(action)
