"""`sad-eval doctor NAME` says what a model is, and at once what cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sad_agents.checkpoints import save_student
from sad_agents.model_words import shipped_student
from sad_eval.__main__ import main

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))
from tiny import tiny_model, tiny_tokenizer


def test_a_students_file_and_a_model_folder_are_described(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", str(shipped_student("webshop"))]) == 0
    out = capsys.readouterr().out
    for line in (
        "architecture: LlamaForCausalLM, 4 layers of width 192",
        "size: 1,969,856 parameters in bfloat16",
        "context: 1,024 positions",
        "tokenizer: BPE of 2,048 tokens; a text begins with nothing and ends with <|end|>",
        "chat template: none",
        "window: 512 tokens, 96 of them for a completion",
        "its training record:",
    ):
        assert f"{line}\n" in out
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ messages[0].content }}"
    model = tiny_model("gpt2", len(tokenizer))
    folder = save_student(tmp_path / "model", model, tokenizer, {})
    (folder / "sad_record.json").unlink()
    (folder / "chat_template.jinja").write_text(tokenizer.chat_template)
    assert main(["doctor", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "architecture: GPT2LMHeadModel" in out
    assert "chat template: there is one\n" in out
    assert "no training record: it is no student of this project\n" in out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hf:nobody/no-such-model", "could not be loaded from the hub or its cache"),
        ("no-such/student.pt", "no such file or folder"),
        ("nothing", "no such file or folder; a model of the hub is hf:OWNER/NAME"),
        ("openai:http://me:secret@host/v1#m", "try it with sad-eval --agent openai:http://host/v1#m --env toy"),
    ],
)
def test_what_cannot_be_had_is_one_line_before_torch_is_loaded(name: str, says: str, tmp_path: Path) -> None:
    code = (
        "import sys; from sad_eval.__main__ import main; code = main(['doctor', sys.argv[1]]);"
        " assert 'torch' not in sys.modules; sys.exit(code)"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code, name], env=environment, capture_output=True, text=True)
    assert done.returncode not in (0, 1), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
