"""What travels between `sad-distill serve` and its clients: tensors as safetensors, everything else as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from sad_distill.data.batch import Batch
from sad_distill.losses.targets import SparseTarget
from sad_distill.models.token_ids import TokenIds
from sad_env.errors import DataError

_REQUEST = frozenset({"ids", "mask", "row", "source", "at", "support"})
_OUTCOMES = "outcomes"
"""May stand in a request, too: the ids that distributions are over, as the `end` and the `without` of `TokenIds`."""
_RESPONSE = frozenset({"ids", "log_p", "log_rest"})
MAX_TOKENS = 2**22
"""A request with more tokens than this is refused before it reaches a model."""


def fingerprint(vocabulary: Mapping[str, int]) -> str:
    """sha256 of a tokenizer's tokens and their ids: ids mean the same to two models only where it is the same."""
    return hashlib.sha256(json.dumps(sorted(vocabulary.items())).encode()).hexdigest()


def pack(tensors: dict[str, Tensor]) -> bytes:
    """Tensors as bytes."""
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def unpack(data: bytes, names: frozenset[str], optional: str = "") -> dict[str, Tensor]:
    """The inverse of `pack`.

    Raises:
        DataError: not safetensors, or other tensors than these and the optional one.
    """
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except Exception as error:
        raise DataError(f"not safetensors: {str(error)[:120]}") from None
    if set(tensors) - {optional} != names:
        raise DataError(f"tensors {', '.join(sorted(names))} are due, not {', '.join(sorted(tensors))[:120]}")
    return tensors


def encode_request(batch: Batch, ids: TokenIds | None = None) -> bytes:
    """A batch as a request to a teacher, with its token sets, and the outcomes where they are not the teacher's own."""
    outcomes = {} if ids is None else {_OUTCOMES: torch.tensor(ids.numbers(), dtype=torch.int32)}
    return pack(
        {
            **outcomes,
            "ids": batch.ids_BT.to(torch.int32),
            "mask": batch.mask_BT.to(torch.int8),
            "row": batch.row_N.to(torch.int32),
            "source": batch.from_N.to(torch.int32),
            "at": batch.at_N.to(torch.int32),
            "support": batch.support_NK.to(torch.int32),
        }
    )


def decode_request(data: bytes, known: TokenIds) -> tuple[Batch, TokenIds]:
    """The batch of a request, and what distributions are to be over.

    Args:
        data: from the wire: untrusted.
        known: ids that the model knows, which are the outcomes where a request names none.

    Raises:
        DataError: shapes or numbers that do not fit.
    """
    tensors = {name: tensor.long() for name, tensor in unpack(data, _REQUEST, _OUTCOMES).items()}
    outcomes = known if _OUTCOMES not in tensors else TokenIds.from_numbers(tensors[_OUTCOMES].flatten().tolist())
    vocabulary = known.end
    ids, row, source, at = (tensors[name] for name in ("ids", "row", "source", "at"))
    count = len(row)
    shapes = (
        ids.dim() == 2
        and 0 < ids.numel() <= MAX_TOKENS
        and tensors["mask"].shape == ids.shape
        and row.shape == source.shape == at.shape == (count,)
        and tensors["support"].dim() == 2
        and len(tensors["support"]) == count
        and count <= ids.numel()
    )
    if not shapes:
        raise DataError("the shapes of a request do not fit together")
    numbers = (
        _within(ids, 0, vocabulary)
        and _within(tensors["mask"], 0, 2)
        and _within(row, 0, ids.shape[0])
        and _within(source, 0, ids.shape[1])
        and _within(at, 0, ids.shape[1])
        and _within(tensors["support"], -1, vocabulary)
    )
    if not numbers:
        raise DataError(f"a request holds indices out of range (vocabulary {vocabulary:,})")
    if not 0 < outcomes.end <= vocabulary:
        raise DataError(f"a request asks for outcomes up to {outcomes.end:,} (vocabulary {vocabulary:,})")
    zeros = torch.zeros_like(row)
    return Batch(ids, tensors["mask"], row, source, at, zeros, zeros, tensors["support"]), outcomes


def _within(tensor: Tensor, low: int, high: int) -> bool:
    return tensor.numel() == 0 or (int(tensor.min()) >= low and int(tensor.max()) < high)


def encode_response(target: SparseTarget) -> bytes:
    """A teacher's answer."""
    return pack(
        {"ids": target.ids_NK.to(torch.int32), "log_p": target.log_p_NK.float(), "log_rest": target.log_rest_N.float()}
    )


def decode_response(data: bytes, count: int, vocabulary: int = 0) -> SparseTarget:
    """The inverse of `encode_response`.

    Args:
        data: from the wire or a file: untrusted.
        count: positions that were asked for.
        vocabulary: see `SparseTarget.checked`.

    Raises:
        DataError: it does not fit the request, or holds what is no distribution.
    """
    tensors = unpack(data, _RESPONSE)
    return SparseTarget(tensors["ids"], tensors["log_p"], tensors["log_rest"]).checked(count, vocabulary)
