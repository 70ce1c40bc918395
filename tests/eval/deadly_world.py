"""The toy world, which takes its process down at the first episode that it is to begin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from sad_env.toy import ToyEnv, ToyExpert


class DeadlyEnv(ToyEnv):
    max_steps = 20
    experts: ClassVar[dict[str, type[ToyExpert]]] = {"expert": ToyExpert}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        marker = Path(os.environ["DEADLY_MARKER"])
        if not marker.exists():
            marker.touch()
            os._exit(9)
        return super().reset(seed=seed, options=options)
