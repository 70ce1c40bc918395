"""A teacher's answers on disk: each is requested once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from sad_distill.data.batch import Batch
from sad_distill.losses.divergence import ABSENT
from sad_distill.losses.targets import SparseTarget, Target
from sad_distill.teachers.base import ScoringTeacher, concurrency_of
from sad_distill.teachers.wire import decode_response, encode_response
from sad_env.errors import ConfigError, DataError
from sad_env.files import write_bytes

TEMPLATE = "lines-1"
"""Names the rendering; part of every key."""


class CachedTeacher:
    """Keeps the answers of a teacher that answers with its likeliest tokens and the rest, one file a row.

    A file holds, for each predicted position of a row, K ids (int32), their log-probabilities and the log of the rest
    (float32): 516 bytes a token at K = 64 where a whole row of a 49,152-token vocabulary takes 196 kB. Its name is the
    sha256 of the teacher's name and setting, the template, the row's ids and the positions and token sets that were
    asked for. A file that is damaged, or holds no distribution, is asked for again.

    Args:
        teacher: asked for what is not there yet. Its answers are sparse, see `LocalTeacher(top=...)`.
        folder: made when missing.
    """

    def __init__(self, teacher: ScoringTeacher, folder: Path) -> None:
        self.teacher = teacher
        self.name = teacher.name
        self.folder = folder
        self.hits = 0
        self.misses = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def setting(self) -> str:
        """See `ScoringTeacher`."""
        return self.teacher.setting

    @property
    def concurrency(self) -> int:
        """Batches that it may be asked for at once."""
        return concurrency_of(self.teacher)

    @property
    def hit_rate(self) -> float:
        """Share of rows that were answered from disk."""
        return self.hits / max(1, self.hits + self.misses)

    def score(self, batch: Batch) -> Target:
        """See `ScoringTeacher`.

        Raises:
            ConfigError: the teacher answers with whole distributions, which are not kept.
        """
        places = [(batch.row_N == row).nonzero().flatten() for row in range(len(batch.ids_BT))]
        paths = [self._path(batch, row, index) for row, index in enumerate(places)]
        found = [_kept(path, len(index)) for path, index in zip(paths, places, strict=True)]
        missing = [row for row, one in enumerate(found) if one is None]
        self.hits += len(paths) - len(missing)
        self.misses += len(missing)
        if missing:
            for row, one in zip(missing, self._ask(batch, missing, places, paths), strict=True):
                found[row] = one
        return _merged([one for one in found if one is not None], places, batch)

    def _path(self, batch: Batch, row: int, index: Tensor) -> Path:
        length = int(batch.mask_BT[row].sum())
        asked = torch.cat([batch.from_N[index, None], batch.at_N[index, None], batch.support_NK[index]], 1).tolist()
        sets = [[i for i in one if i >= 0] for one in asked]
        key = [self.name, self.setting, TEMPLATE, batch.ids_BT[row, :length].tolist(), sets]
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.safetensors"

    def _ask(self, batch: Batch, missing: list[int], places: list[Tensor], paths: list[Path]) -> Iterator[SparseTarget]:
        target = self.teacher.score(part_of(batch, missing))
        if not isinstance(target, SparseTarget):
            raise ConfigError("a cache keeps a teacher's likeliest tokens: give --top 64")
        start = 0
        for row in missing:
            stop = start + len(places[row])
            kept = encode_response(SparseTarget(*(part[start:stop] for part in vars(target).values())))
            write_bytes(paths[row], kept)
            yield decode_response(kept, len(places[row]))
            start = stop


def _kept(path: Path, count: int) -> SparseTarget | None:
    """The answer in a file; None where there is none, or one that is damaged and has to be asked for again."""
    try:
        return decode_response(path.read_bytes(), count)
    except (FileNotFoundError, DataError):
        return None


def part_of(batch: Batch, rows: list[int]) -> Batch:
    """Some rows of a batch, padded as they were."""
    index = torch.tensor(rows, device=batch.ids_BT.device)
    places = torch.cat([(batch.row_N == row).nonzero().flatten() for row in rows])
    renumbered = torch.full((len(batch.ids_BT),), -1, device=index.device)
    renumbered[index] = torch.arange(len(rows), device=index.device)
    return replace(
        batch,
        ids_BT=batch.ids_BT[index],
        mask_BT=batch.mask_BT[index],
        row_N=renumbered[batch.row_N[places]],
        from_N=batch.from_N[places],
        at_N=batch.at_N[places],
        kind_N=batch.kind_N[places],
        span_N=batch.span_N[places],
        support_NK=batch.support_NK[places],
        position_BT=None if batch.position_BT is None else batch.position_BT[index],
        sees=None if batch.sees is None else batch.sees[index],
        rows=tuple(batch.rows[row] for row in rows) if batch.rows else (),
    )


def _merged(found: list[SparseTarget], places: list[Tensor], batch: Batch) -> SparseTarget:
    count, width = len(batch.kind_N), max(one.ids_NK.shape[1] for one in found)
    device = batch.ids_BT.device
    ids = torch.full((count, width), -1, dtype=torch.long, device=device)
    log_p = torch.full((count, width), ABSENT, device=device)
    rest = torch.zeros(count, device=device)
    for index, one in zip(places, found, strict=True):
        k = one.ids_NK.shape[1]
        ids[index, :k] = one.ids_NK.to(device)
        log_p[index, :k] = one.log_p_NK.to(device)
        rest[index] = one.log_rest_N.to(device)
    return SparseTarget(ids, log_p, rest)
