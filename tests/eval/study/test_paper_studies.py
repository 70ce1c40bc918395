"""Studies by the paper's table numbers: rows, layout, what they would take, and that they run to their end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sad_distill.commands.main import train_config
from sad_distill.models.tokenizer import train_tokenizer
from sad_eval.study.config import PAPER_TABLES, StudyConfig
from sad_eval.study.estimates import BANDWIDTH, BATCH, FLOPS, OVERHEAD, estimates, flags_of, parameters_of
from sad_eval.study.methods import METHODS, PAPER_METHODS
from sad_eval.study.paper_tables import ABLATIONS, MAIN, methods_of
from sad_eval.study.plan import run_name, stages
from sad_eval.study.results import read_study
from sad_eval.study.runner import run_study
from transformers import AutoConfig, AutoModelForCausalLM

from sad_env import cli, config_files
from sad_env.errors import ConfigError
from sad_env.settings import flat

CONFIGS = [name for name in config_files.shipped_configs("sad_eval.study") if name.startswith("paper/")]

TINY = [
    *("--worlds", "toy", "--seeds", "1", "--no-prompted", "--failures", "--expert-episodes", "40", "--steps", "2"),
    *("--teacher-steps", "3", "--teacher-episodes", "8", "--start-steps", "3", "--batch", "4", "--rollouts", "4"),
    *("--minillm-rollouts", "4", "--adapters", "4", "--episodes", "4", "--max-steps", "3", "--context", "256"),
    *("--jobs", "1", "--micro-batch", "4", "--learning-rate", "1e-3"),
]


def parsed(name: str, *flags: str) -> StudyConfig:
    return cli.parse(StudyConfig, ["--config", name, *flags], prog="sad-study", configs="sad_eval.study")


@pytest.mark.parametrize("name", sorted(PAPER_METHODS))
def test_a_row_says_of_its_configuration_what_the_plan_needs(name: str) -> None:
    flags = METHODS[name].flags
    found = flat(train_config(["--config", flags["config"], "--out", "x"]))
    assert (found["method"], found["mode"]) == (flags["method"], flags["mode"])
    assert METHODS[name].reads_episodes == (METHODS[name].recorded or found["curriculum"] != "none")
    assert found["passes"] == int(flags.get("passes", 1))
    parts = [part for key, value in flags.items() for part in (f"--{key}", value)]
    assert flat(train_config([*parts, "--out", "x"])) == found


@pytest.mark.parametrize("name", CONFIGS)
def test_a_study_of_a_table_trains_its_rows_with_the_papers_numbers(name: str) -> None:
    config = parsed(name)
    if config.table:
        assert list(config.arms) == methods_of(config.table)
        if config.table in MAIN:
            assert set(config.labels) == set(config.students)
    assert {one for one in PAPER_TABLES if one not in MAIN} == set(ABLATIONS)
    assert (config.batch, config.rollouts, config.distill_rate, config.context) == (64, 64, 2e-5, 512)
    assert [config.in_world(world).steps for world in ("alfworld", "webshop")] == [20_000, 10_000]
    whole, token = (flat(train_config(["--config", f"paper{row}", "--out", "x"])) for row in ("", "/table3/token"))
    for stage in stages(config):
        if "paper/table3/ours" in stage.command:
            flags = flags_of(stage.command)
            # The study's flags repeat the configuration's values, where they are no others.
            assert [int(flags[f"--{one}"]) for one in ("rollouts", "updates", "adapters", "context")] == [
                whole[one] for one in ("rollouts", "updates", "adapters", "context")
            ]
            assert float(flags["--learning-rate"]) == whole["learning_rate"]
        if "paper/table3/token" in stage.command:
            flags = flags_of(stage.command)
            assert [int(flags["--rollouts"]), int(flags["--updates"])] == [token["rollouts"], token["updates"]]
            assert float(flags["--learning-rate"]) == token["learning_rate"]


def test_table_3_is_printed_without_running_anything(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_study(parsed("paper/table3", "--dry-run", "--out", str(tmp_path / "study"))) == 0
    told = capsys.readouterr().out
    table = told.partition("### Table 3 of the paper\n\n")[2].splitlines()
    titles = [line.split("|")[1].strip() for line in table if line.startswith("|")][2:]
    rows = [f"{kind}-{size}" for size in ("120M", "340M", "760M") for kind in ("KD", "SeqKD", "Token", "Ours")]
    expected = ["Teacher, prompted", "Teacher", *(f"Ours ({row[5:]})" if row[:4] == "Ours" else row for row in rows)]
    assert titles == expected
    header = [cell.strip() for cell in table[0].strip("|").split("|")]
    assert header[1:4] == [f"Task success: {world}" for world in ("alfworld", "webshop", "hotpotqa")]
    assert len(header) == 13
    assert "python -m sad_distill" in told
    assert not (tmp_path / "study").exists()


def test_the_estimate_is_its_formula(capsys: pytest.CaptureFixture[str]) -> None:
    config = parsed("paper/table3", "--worlds", "alfworld")
    found = {one.kind: one for one in estimates(config, stages(config))}
    kd = found["alfworld: train hf:openai-community/gpt2 paper-kd"]
    operations = 20_000 * 64 * 512 * (6 * 0.124e9 + 2 * 1.56e9)
    assert kd.stages == 3
    assert kd.hours == pytest.approx(3 * operations / FLOPS / 3600)
    ours = found["alfworld: train hf:openai-community/gpt2 paper-ours"]
    sampling = 20_000 * 30 * 45 * (OVERHEAD + max(2 * 0.124e9 / BANDWIDTH, 2 * 0.124e9 * BATCH / FLOPS))
    assert ours.hours == pytest.approx(3 * (operations / FLOPS + sampling) / 3600)
    assert kd.memory == pytest.approx(4 * 0.124 + 12 * 0.00124 + 4 * 1.56)
    assert run_study(parsed("paper/llama", "--plan", "--out", "x")) == 0
    told = capsys.readouterr().out
    assert "| all |" in told
    assert "1 GPU | 8 GPUs" in told
    with pytest.raises(ConfigError, match="does not say how large it is"):
        parameters_of("hf:someone/model")
    # A preset says its own steps; probes of faithfulness are no stage of a GPU's.
    words = ["nano", "--worlds", "toy", "--ablations", "--out", "x", "--arms"]
    config = parsed(*words, "field/opd", "field/sad-then-reward", "--faithfulness", "10")
    kinds = [one.kind for one in estimates(config, stages(config))]
    assert "toy: train nano-0.7m field/opd" in kinds
    assert "toy: train nano-0.7m field/sad-then-reward" in kinds
    assert not any("faithful" in kind for kind in kinds)


def test_scores_are_recorded_where_a_method_learns_from_them() -> None:
    words = ["nano", "--worlds", "toy", "--ablations", "--precision", "fp32", "--out", "x", "--arms", "sad-offline"]
    commands = {one.name: " ".join(one.command) for one in stages(parsed(*words, "field/sad-recorded"))}
    assert "--record-top-logprobs 16" in commands["toy: collect teacher"]
    ours = commands["toy: train nano-0.7m-field-sad-recorded-0"]
    assert "--config field/sad-recorded" in ours
    assert "--precision bf16" in ours
    assert "--teacher " not in ours
    assert "--trajectories x/toy/teacher.jsonl" in ours
    assert "--precision fp32" in commands["toy: train nano-0.7m-sad-offline-0"]
    assert not any("--record-top" in " ".join(one.command) for one in stages(parsed(*words)))


def test_several_gpus_share_a_stage_of_training() -> None:
    stage = next(one for one in stages(parsed("paper/table5", "--devices", "8")) if "paper-ours" in one.name)
    assert stage.command[:6] == ("torch.distributed.run", "--standalone", "--nproc-per-node", "8", "-m", "sad_distill")
    assert {"--recompute", "--adapters"} <= set(stage.command)
    assert run_name("hf:openai-community/gpt2", "paper-0.5-1", 2) == "gpt2-paper-0.5-1-2"


@pytest.mark.slow
def test_table_5_runs_to_its_end_with_every_row(tmp_path: Path) -> None:
    out = tmp_path / "study"
    models = ["--teacher", "nano-0.7m", "--students", "nano-0.7m"]
    assert run_study(parsed("paper/table5", *TINY, *models, "--out", str(out))) == 0
    check_all_rows(out, "5", "nano-0.7m")


def check_all_rows(out: Path, table: str, size: str) -> None:
    """Every row of the table is there, with a figure."""
    (world,) = read_study(out)
    assert world.done == world.planned
    for method in methods_of(table):
        assert set(world.runs(size, method)) == {0}
    printed = (out / "README.md").read_text().partition(f"### Table {table} of the paper")[2].partition("\n## ")[0]
    rows = [line for line in printed.splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(ABLATIONS[table][1])
    assert all("[" in row for row in rows)


_GROUPED = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
SIZES: dict[str, dict[str, int]] = {
    "gpt2": {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 512},
    "opt": {
        "hidden_size": 32,
        "ffn_dim": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "word_embed_proj_dim": 32,
        "max_position_embeddings": 512,
    },
    "llama": _GROUPED,
    "qwen2": _GROUPED,
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("gpt2", "gpt2"), ("opt", "opt"), ("llama", "llama"), ("qwen", "qwen2")])
def test_the_study_of_a_family_runs_to_its_end_on_tiny_random_models(tmp_path: Path, name: str, kind: str) -> None:
    tokenizer = train_tokenizer(["Reasoning: go to the hall\nAction: take ring\nObservation: You see: lamp.\n"], 400)
    for folder, seed in (("large", 0), ("small", 1)):
        torch.manual_seed(seed)
        config = AutoConfig.for_model(kind, vocab_size=448, eos_token_id=0, **SIZES[kind])
        model = AutoModelForCausalLM.from_config(config)
        model.save_pretrained(tmp_path / folder)
        tokenizer.save_pretrained(tmp_path / folder)
    out = tmp_path / "study"
    models = ["--teacher", str(tmp_path / "large"), "--students", str(tmp_path / "small"), "--prompted"]
    assert run_study(parsed(f"paper/{name}", *TINY, *models, "--out", str(out))) == 0
    (world,) = read_study(out)
    assert world.done == world.planned
    assert {"teacher", "teacher-prompted", "expert", "random"} <= world.evaluations.keys()
    for method in ("paper-kd", "paper-seqkd", "paper-token", "paper-ours"):
        assert set(world.runs(str(tmp_path / "small"), method)) == {0}
