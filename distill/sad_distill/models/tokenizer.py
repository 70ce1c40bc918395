"""The small tokenizer of models that start from scratch: byte-level, lossless, digits in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from sad_env.errors import ConfigError
from sad_env.records import Trajectory
from sad_env.transcript import form_of

END = "<|end|>"
"""The one special token; no text of a world encodes to it."""

# A newline is a piece of its own, since it ends spans; so is a number, so that "cabinet 12" is never one opaque word;
# it is cut into pairs of digits, since what a small model gets wrong in copying a number is the order of its pieces;
# a blank belongs to what follows, so that " " + action + "\n" encodes alike in isolation and after "Action:".
_PIECES = Regex(r"\n| ?\p{L}+| ?\p{N}{1,2}| ?[^\s\p{L}\p{N}]+|[^\S\n]+")


def texts_of(trajectories: Iterable[Trajectory]) -> Iterator[str]:
    """What an agent reads and writes in these episodes, piece by piece as it is encoded."""
    for trajectory in trajectories:
        yield trajectory.prompt
        form = form_of(trajectory.form)
        yield form.observation(trajectory.observation)
        for step in trajectory.steps:
            yield step.completion
            yield form.observation(step.observation)
            # Actions that were only offered must be spellable in few tokens, too.
            yield from (f" {action}\n" for action in step.admissible or ())


def train_tokenizer(texts: Iterable[str], vocab_size: int = 2048) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on `texts`.

    Args:
        texts: e.g. `texts_of(expert trajectories)`.
        vocab_size: tokens at most; 256 bytes and the special token are always there.

    Returns:
        A tokenizer of transformers; `save_pretrained` writes it as one JSON file. Decoding inverts encoding for every
        string without lone surrogates.

    Raises:
        ConfigError: fewer tokens asked than the bytes take.
    """
    if vocab_size < 257:
        raise ConfigError(f"a byte-level vocabulary has at least 257 tokens, not {vocab_size}")
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(_PIECES, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator((text for text in texts if text), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, eos_token=END, pad_token=END, bos_token=END, clean_up_tokenization_spaces=False
    )
