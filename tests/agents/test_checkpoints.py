from __future__ import annotations

import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.checkpoints import load_student, save_student, unique_weights
from tokenizers import Tokenizer

from sad_env.errors import CheckpointError, ConfigError

sys.path.insert(0, str(Path(__file__).parent))
from tiny import KINDS, tiny_model, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
RECORD = {"acting": {"prompt": "", "window": {"budget": 256, "room": 64, "keep": 0.75}}, "steps": 3}
IDS = torch.tensor([[5, 17, 200, 3]])


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("name", ["student.pt", "student"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded(kind: str, name: str, tmp_path: Path) -> None:
    model = tiny_model(kind, len(TOKENIZER))
    path = save_student(tmp_path / name, model, TOKENIZER, RECORD)
    loaded, tokenizer, record = load_student(path)
    assert torch.equal(logits(loaded), logits(model))
    assert record == RECORD
    text = "Reasoning: ünï 12\n"
    assert tokenizer(text)["input_ids"] == TOKENIZER(text)["input_ids"]
    assert tokenizer.eos_token == TOKENIZER.eos_token
    assert not loaded.training


def test_saving_over_a_checkpoint_replaces_it_and_leaves_nothing_else(tmp_path: Path) -> None:
    for name in ("student.pt", "student"):
        for seed in (1, 2):
            save_student(tmp_path / name, tiny_model("llama", len(TOKENIZER), seed=seed), TOKENIZER, {"seed": seed})
        assert load_student(tmp_path / name).record == {"seed": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["student", "student.pt"]


def test_half_precision_is_kept_or_converted(tmp_path: Path) -> None:
    path = save_student(tmp_path / "s.pt", tiny_model("llama", len(TOKENIZER)).to(torch.bfloat16), TOKENIZER, {})
    assert load_student(path).model.dtype == torch.bfloat16
    assert load_student(path, dtype=torch.float32).model.dtype == torch.float32


def test_tied_weights_are_stored_once_and_tied_again(tmp_path: Path) -> None:
    model = tiny_model("gpt2", len(TOKENIZER))
    assert len(unique_weights(model)) < len(model.state_dict())
    loaded = load_student(save_student(tmp_path / "s.pt", model, TOKENIZER, {})).model
    assert loaded.get_input_embeddings().weight is loaded.get_output_embeddings().weight


def test_diverged_weights_are_not_saved(tmp_path: Path) -> None:
    model = tiny_model("gpt2", len(TOKENIZER))
    with torch.no_grad():
        next(iter(model.parameters()))[0] = torch.inf
    with pytest.raises(ConfigError, match="NaN or infinity"):
        save_student(tmp_path / "s.pt", model, TOKENIZER, {})
    assert list(tmp_path.iterdir()) == []


# --- hostile files ---------------------------------------------------------------------------------------------

ESCAPE = "\x1b]0;owned\x07\u202e"


class Bomb:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {os.environ['BOMB']}",)


def content(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def change(key: str, value: Any) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        torch.save({**content(path), key: value}, path)

    return apply


def change_config(**values: Any) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        config = {**json.loads(content(path)["config"]), **values}
        torch.save({**content(path), "config": json.dumps(config)}, path)

    return apply


def change_weight(make: Callable[[torch.Tensor], Any], name: str = "model.norm.weight") -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        weights = dict(content(path)["weights"])
        weights[name] = make(weights[name])
        torch.save({**content(path), "weights": weights}, path)

    return apply


def rename_weight(new: str | None) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        weights = dict(content(path)["weights"])
        tensor = weights.pop("model.norm.weight")
        if new is not None:
            weights[new] = tensor
        torch.save({**content(path), "weights": weights}, path)

    return apply


def write(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None  # type: ignore[func-returns-value]


def truncate(share: float) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)]) and None  # type: ignore[func-returns-value]


def repack(*, compress: bool = False, extra: str = "") -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
            for entry in old.infolist():
                method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
                new.writestr(entry.filename, old.read(entry), compress_type=method)
            if extra:
                new.writestr(extra, b"x")
        path.write_bytes(out.getvalue())

    return apply


def torchscript(path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), path)


def other_tokenizer(path: Path) -> None:
    core = Tokenizer.from_str(content(path)["tokenizer"])
    core.add_tokens([f"word{number}" for number in range(60)])
    torch.save({**content(path), "tokenizer": core.to_str()}, path)


ATTACKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "pickle with code": (lambda path: path.write_bytes(pickle.dumps(Bomb())) and None, "bare pickle"),
    "zip with code": (lambda path: torch.save({"weights": Bomb()}, path), "more than tensors"),
    "code beside weights": (change("record", Bomb()), "more than tensors"),
    "whole module": (lambda path: torch.save(torch.nn.Linear(2, 2), path), "more than tensors"),
    "truncated": (truncate(0.5), "truncated or damaged"),
    "nearly whole": (truncate(0.999), "truncated or damaged"),
    "empty": (write(b""), "the file is empty"),
    "lfs pointer": (write(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"),
    "text": (write(b"hello"), "not a checkpoint"),
    "zip of nothing": (write(b"PK\x03\x04" + b"\0" * 90), "truncated or damaged"),
    "torchscript": (torchscript, "TorchScript"),
    "deflated": (repack(compress=True), "compressed inside"),
    "with code folder": (repack(extra="student/code/x.py"), "TorchScript"),
    "state dict alone": (lambda path: torch.save(dict(content(path)["weights"]), path), "not a student"),
    "list": (lambda path: torch.save([1], path), "not a student"),
    "another format": (change("format", "sad-student-9"), "not a student"),
    "another key": (change(ESCAPE, "x"), "not a student"),
    "number for text": (change("record", 7), "JSON text"),
    "broken json": (change("config", "{"), "config is not JSON"),
    "json with nan": (change("record", '{"a": NaN}'), "record is not JSON"),
    "json that is no object": (change("record", "[]"), "no JSON object"),
    "deep json": (change("record", "[" * 100_000), "record is"),
    "no weights": (change("weights", {}), "no dict of tensors"),
    "weights by number": (change("weights", {1: torch.zeros(1)}), "no dict of tensors"),
    "text as tensor": (change_weight(lambda tensor: "x"), "no plain tensor"),
    "nan": (change_weight(lambda tensor: tensor * torch.nan), "NaN or infinity"),
    "infinity": (change_weight(lambda tensor: tensor + torch.inf), "NaN or infinity"),
    "integers": (change_weight(lambda tensor: tensor.long()), "another type"),
    "expanded": (change_weight(lambda tensor: torch.zeros(1).expand(10**12)), "another size than is stored"),
    "strided": (change_weight(lambda tensor: torch.zeros(64)[::2]), "another size than is stored"),
    "sparse": (change_weight(lambda tensor: tensor.to_sparse()), "no plain tensor|more than tensors"),
    "wrong shape": (change_weight(lambda tensor: torch.zeros(33)), r"is \[33\], its model wants \[32\]"),
    "missing tensor": (rename_weight(None), "lacks 1 of its model's tensors, e.g. 'model.norm.weight'"),
    "unexpected tensor": (rename_weight("model.extra"), "which its model does not have"),
    "hostile name": (rename_weight(ESCAPE), "which its model does not have"),
    "unknown model": (change_config(model_type=ESCAPE), "not known to the installed transformers"),
    "remote code": (change_config(model_type="evil", auto_map={"AutoModel": "evil.Model"}), "asks for code"),
    "quantisation": (change_config(quantization_config={"quant_method": "bitsandbytes"}), "asks for code"),
    "a billion layers": (change_config(num_hidden_layers=10**9), "more layers than"),
    "layers as text": (change_config(num_hidden_layers="2"), "more layers than"),
    "huge vocabulary": (change_config(vocab_size=10**9), "its model wants"),
    "width of none": (change_config(hidden_size=None), "describes no model|not known|its model wants"),
    "foreign tokenizer": (other_tokenizer, "do not belong together"),
    "broken tokenizer": (change("tokenizer", "{}"), "tokenizer cannot be read"),
    "special tokens of other kinds": (change("tokenizer_config", '{"auto_map": "x"}'), "other entries than"),
}


@pytest.mark.filterwarnings("ignore")  # torch warns of what it traces and of the tensors we ruin
@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_files_are_refused_in_our_own_words(
    attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "marker"
    monkeypatch.setenv("BOMB", str(marker))
    path = save_student(tmp_path / "student.pt", tiny_model("llama", len(TOKENIZER)), TOKENIZER, RECORD)
    apply, reason = ATTACKS[attack]
    apply(path)
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_student(path)
    message = str(caught.value)
    assert message.startswith(str(path)[:100])
    assert "\n" not in message
    assert message.isprintable()
    assert "weights_only" not in message
    assert not marker.exists()
    assert "\x1b" not in capfd.readouterr().err


def test_missing_file_and_nameless_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "no.pt", tmp_path):
        with pytest.raises(CheckpointError, match=r"no such file|config\.json"):
            load_student(path)


FOLDER_ATTACKS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickle instead": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "can run code",
    ),
    "truncated": (lambda folder: truncate(0.5)(folder / "model.safetensors"), "truncated or damaged"),
    "empty": (lambda folder: (folder / "model.safetensors").write_bytes(b""), "file is empty"),
    "huge header": (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 64), "truncated or damaged"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "cannot be read as text"),
    "remote code": (
        lambda folder: (folder / "config.json").write_text('{"model_type": "evil", "auto_map": {"a": "b"}}'),
        "asks for code",
    ),
    "config is a list": (lambda folder: (folder / "config.json").write_text("[]"), "no JSON object"),
    "another config": (
        lambda folder: (folder / "config.json").write_text(
            json.dumps({**json.loads((folder / "config.json").read_text()), "num_hidden_layers": 1})
        ),
        "not those of its model",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attack", FOLDER_ATTACKS)
def test_hostile_folders_are_refused(attack: str, tmp_path: Path) -> None:
    folder = save_student(tmp_path / "student", tiny_model("llama", len(TOKENIZER)), TOKENIZER, RECORD)
    apply, reason = FOLDER_ATTACKS[attack]
    apply(folder)
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_student(folder)
    assert str(caught.value).isprintable()
