"""Checkpoints that an enemy, or an accident, wrote are refused before anything in them runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sad_env.errors import CheckpointError

torch = pytest.importorskip("torch")
checkpoints = pytest.importorskip("sad_agents.checkpoints")

Content = dict[str, Any]


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
        return os.system, (f"touch '{self.mark}'",)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"a": 0, "b": 1, "<e>": 2}, unk_token="a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<e>")
    model = GPT2LMHeadModel(GPT2Config(vocab_size=3, n_embd=8, n_layer=1, n_head=1, n_positions=16))
    path = tmp_path_factory.mktemp("good") / "student.pt"
    checkpoints.save_student(path, model, tokenizer, {})
    return path


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        checkpoints.load_student(path)
    return str(error.value)


def _weights(change: Callable[[Content], object]) -> Callable[[Content], object]:
    return lambda content: change(content["weights"])


def _config(**fields: Any) -> Callable[[Content], object]:
    return lambda content: content.update(config=json.dumps({**json.loads(content["config"]), **fields}))


def _first(weights: Content) -> str:
    return next(iter(weights))


CONTENT: dict[str, Callable[[Content], object]] = {
    "another format": lambda content: content.update(format="sad-student-99"),
    "a part left out": lambda content: content.pop("tokenizer"),
    "a part too many": lambda content: content.update(code="import os"),
    "a record that is no text": lambda content: content.update(record={"a": 1}),
    "a record with NaN": lambda content: content.update(record='{"a": NaN}'),
    "a record with a key twice": lambda content: content.update(record='{"a": 1, "a": 2}'),
    "a configuration of brackets": lambda content: content.update(config="[" * 100_000),
    "a configuration with code": _config(model_type="evil", auto_map={"AutoConfig": "evil.Config"}),
    "a kind with escape codes": _config(model_type="\x1b[2Jgpt2"),
    "a million layers": _config(n_layer=10**6),
    "a width nobody has": _config(n_embd=10**9),
    "a tokenizer that is none": lambda content: content.update(tokenizer="{}"),
    "a tokenizer of brackets": lambda content: content.update(tokenizer="[" * 100_000),
    "weights with NaN": _weights(lambda weights: weights[_first(weights)].fill_(float("nan"))),
    "weights with infinity": _weights(lambda weights: weights[_first(weights)].fill_(float("inf"))),
    "a tensor of a terabyte": _weights(lambda weights: weights.update({_first(weights): torch.ones(1).expand(10**12)})),
    "a tensor of another shape": _weights(lambda weights: weights.update({_first(weights): torch.zeros(2, 2)})),
    "a tensor of whole numbers": _weights(lambda weights: weights.update({_first(weights): torch.zeros(3, 8).long()})),
    "a sparse tensor": _weights(lambda weights: weights.update({_first(weights): torch.zeros(3, 8).to_sparse()})),
    "a tensor too many": _weights(lambda weights: weights.update({"\x1b[2Jevil": torch.zeros(1)})),
    "a tensor left out": _weights(lambda weights: weights.pop(_first(weights))),
    "no weights": lambda content: content.update(weights={}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENT)
def test_hostile_content_is_refused_in_one_line(
    name: str, good: Path, tmp_path: Path, one_clear_line: Callable[[str], None]
) -> None:
    content = torch.load(good, weights_only=True)
    CONTENT[name](content)
    torch.save(content, tmp_path / "student.pt")
    one_clear_line(refused(tmp_path / "student.pt"))


def test_the_unspoilt_file_is_taken(good: Path) -> None:
    assert checkpoints.load_student(good).record == {}


@pytest.mark.parametrize("form", ["bare pickle", "pickle in torch's archive", "pickle beside the weights"])
def test_code_in_a_checkpoint_never_runs(
    form: str, good: Path, tmp_path: Path, one_clear_line: Callable[[str], None]
) -> None:
    mark, path = tmp_path / "ran", tmp_path / "student.pt"
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(Payload(mark)))
    elif form == "pickle in torch's archive":
        torch.save(Payload(mark), path)
    else:
        torch.save({**torch.load(good, weights_only=True), "record": Payload(mark)}, path)
    one_clear_line(refused(path))
    assert not mark.exists()


def _zipped(compression: int, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("student/data.pkl", content)
        archive.writestr("student/data/0", b"\0" * (64 << 20) if compression else b"")
    return out.getvalue()


FILES: dict[str, Callable[[bytes], bytes]] = {
    "an empty file": lambda good: b"",
    "a pointer of Git LFS": lambda good: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "text": lambda good: b"import os\n",
    "half a file": lambda good: good[: len(good) // 2],
    "a changed byte in the directory": lambda good: good[:-30] + bytes([good[-30] ^ 255]) + good[-29:],
    "a page of HTML": lambda good: b"<!DOCTYPE html><html>404</html>",
    "a compressed bomb": lambda good: _zipped(zipfile.ZIP_DEFLATED, b"\x80\x02}."),
    "an archive of something else": lambda good: _zipped(zipfile.ZIP_STORED, b"\x80\x02]."),
    "zeros": lambda good: b"\0" * 4096,
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_in_one_line(
    name: str, good: Path, tmp_path: Path, one_clear_line: Callable[[str], None]
) -> None:
    (tmp_path / "student.pt").write_bytes(FILES[name](good.read_bytes()))
    one_clear_line(refused(tmp_path / "student.pt"))


def test_a_name_with_escape_codes_is_shown_harmlessly(tmp_path: Path, one_clear_line: Callable[[str], None]) -> None:
    path = tmp_path / "\x1b[2J\u202e.pt"
    path.write_bytes(b"")
    one_clear_line(refused(path))
