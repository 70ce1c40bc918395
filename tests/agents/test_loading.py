"""One loader: a model gives the same answer as a file, as a folder and as an id of the hub."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents import catalogue
from sad_agents.agent import GREEDY, EpisodeStart, Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.checkpoints import save_student
from sad_agents.loading import LoadedModel, load_language_model, model_agent
from sad_agents.model import Piece, Request
from sad_agents.model_folder import RECORD_FILE
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from safetensors.torch import load_file, save_file
from transformers import MistralConfig, MistralForCausalLM, PreTrainedModel

from sad_env.errors import CheckpointError, ConfigError, InfrastructureError, UnknownNameError

sys.path.insert(0, str(Path(__file__).parent))
from tiny import tiny_model, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def foreign(folder: Path, model: PreTrainedModel | None = None) -> Path:
    """A folder as transformers saves it, without a record of ours."""
    path = save_student(folder, model or tiny_model("llama", len(TOKENIZER)), TOKENIZER, {})
    (path / RECORD_FILE).unlink()
    return path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model in a cache of the hub, which cannot be reached."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "cache" / "models--somebody--tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    return foreign(model / "snapshots" / COMMIT)


def written(agent: ReActAgent) -> str:
    request = Request("k", [Piece("Observation: You see: ring.\n")], [], "0")
    return agent.model.complete([request], Sampling(max_tokens=8))[0].text


def test_folder_and_hub_id_play_alike(hub: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(hub, tmp_path / "tiny")
    specs = (str(folder), f"hf:{folder}", "hf:somebody/tiny", "somebody/tiny")
    agents = [model_agent(spec, "toy", AgentOptions(device="cpu")) for spec in specs]
    assert all(isinstance(agent, ReActAgent) for agent in agents)
    assert len({written(agent) for agent in agents if isinstance(agent, ReActAgent)}) == 1
    assert [agent.name for agent in agents] == ["tiny", "tiny", "somebody/tiny", "somebody/tiny"]


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 1), (3, 2)])
def test_models_that_were_not_trained_on_a_task_see_two_exemplars_or_what_there_is(
    count: int, shown: int, tmp_path: Path
) -> None:
    path, prompt = foreign(tmp_path / "model"), tmp_path / "prompt.toml"
    exemplars = [f"Observation: {number}\nReasoning: x\nAction: look\n" for number in range(count)]
    prompt.write_text(f"instruction = 'Play.'\nexemplars = {json.dumps(exemplars)}\n")
    agent = model_agent(str(path), "toy", AgentOptions(device="cpu", prompt=prompt))
    assert agent.begin(0, EpisodeStart("toy", "t", "x", {})).count("Action: look") == shown
    (path / RECORD_FILE).write_text('{"method": "sft"}')
    agent = model_agent(str(path), "toy", AgentOptions(device="cpu", prompt=prompt))
    assert "Action" not in agent.begin(0, EpisodeStart("toy", "t", "x", {}))


def test_a_hub_model_is_named_with_its_commit(hub: Path) -> None:
    assert load_language_model("somebody/tiny").identity == f"somebody/tiny@{COMMIT[:12]}"


@pytest.mark.parametrize("name", ["student.pt", "student"])
def test_precision_is_float32_on_a_processor_unless_named(name: str, tmp_path: Path) -> None:
    path = save_student(tmp_path / name, tiny_model("llama", len(TOKENIZER)).to(torch.bfloat16), TOKENIZER, {})  # type: ignore[arg-type]
    assert load_language_model(str(path)).model.dtype == torch.float32
    assert load_language_model(str(path), dtype="bfloat16").model.dtype == torch.bfloat16
    with pytest.raises(UnknownNameError, match="float16"):
        load_language_model(str(path), dtype="float17")


def test_only_models_of_others_begin_with_their_begin_token(tmp_path: Path) -> None:
    path = foreign(tmp_path / "model")
    content = json.loads((path / "tokenizer.json").read_text())
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<end>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<end>": {"id": "<end>", "ids": [0], "tokens": ["<end>"]}},
    }
    (path / "tokenizer.json").write_text(json.dumps(content))
    settings = json.loads((path / "tokenizer_config.json").read_text())
    (path / "tokenizer_config.json").write_text(json.dumps({**settings, "bos_token": "<end>"}))
    assert load_language_model(str(path)).start_ids == (0,)
    options = AgentOptions(device="cpu", sampling=Sampling(max_tokens=8))
    assert catalogue.provenance(model_agent(str(path), "toy", options))["begin_ids"] == "0"
    (path / RECORD_FILE).write_text("{}")
    assert load_language_model(str(path)).start_ids == ()
    assert "begin_ids" not in catalogue.provenance(model_agent(str(path), "toy", options))


def test_masks_and_tables_of_earlier_releases_are_passed_over(tmp_path: Path) -> None:
    path = foreign(tmp_path / "old", tiny_model("gpt2", len(TOKENIZER)))
    weights = load_file(path / "model.safetensors")
    weights["transformer.h.0.attn.bias"] = torch.ones(1, 1, 256, 256)
    weights["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    weights["transformer.h.0.attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    assert load_language_model(str(path)).model.config.model_type == "gpt2"
    weights["transformer.h.0.attn.gate"] = torch.ones(4)
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"not those of its model \(1 unexpected\)"):
        load_language_model(str(path))


@pytest.mark.parametrize("name", ["student.pt", "student"])
def test_code_that_a_native_model_names_is_not_needed(name: str, tmp_path: Path) -> None:
    model = tiny_model("llama", len(TOKENIZER))
    model.config.auto_map = {"AutoModelForCausalLM": "modeling_evil.Model"}
    path = save_student(tmp_path / name, model, TOKENIZER, {})
    if path.is_dir():
        (path / "modeling_evil.py").write_text("raise SystemExit('ran')")
    loaded = load_language_model(str(path))
    assert type(loaded.model).__module__.startswith("transformers.models.llama")


def test_sliding_attention_plays_within_its_window_and_beyond(tmp_path: Path) -> None:
    def generated(ids: torch.Tensor) -> list[int]:
        kept: Any = loaded.model
        kept.generation_config.eos_token_id = None  # `sampled` ends by length alone
        return kept.generate(ids, max_new_tokens=16, do_sample=False)[0, ids.shape[1] :].tolist()

    config = MistralConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        vocab_size=len(TOKENIZER),
        sliding_window=64,
        bos_token_id=None,
        eos_token_id=None,
    )
    path = str(foreign(tmp_path / "mistral", MistralForCausalLM(config)))
    options = AgentOptions(sampling=Sampling(max_tokens=16), context=64)
    model = model_agent(path, "toy", options)
    assert isinstance(model, ReActAgent)
    ids = torch.arange(40)[None]
    loaded = load_language_model(path)
    (sample,) = sampled(loaded, ids[0].tolist())
    assert sample == generated(ids)
    beyond = torch.arange(80)[None]
    (sample,) = sampled(loaded, beyond[0].tolist(), columns=96)
    assert sample == generated(beyond)
    longer = model_agent(path, "toy", AgentOptions(sampling=Sampling(max_tokens=16), context=96))
    (one,) = rollout(longer, [Job("test-0000")], WorldRecipe("toy"), limits=Limits(max_steps=2))
    assert len(one.trajectory.steps) == 2


def sampled(loaded: LoadedModel, ids: list[int], columns: int = 64) -> list[list[int]]:
    from sad_agents.sampling.cached_sampler import CachedSampler
    from sad_agents.sampling.continuation import SampleRequest

    sampler = CachedSampler(
        loaded.model, stop=lambda _: False, stop_ids=frozenset(), end_ids=frozenset(), columns=columns
    )
    return [one.ids for one in sampler.sample([SampleRequest("a", ids)], Sampling(GREEDY.temperature, max_tokens=16))]


def test_an_index_names_the_files_of_a_model_in_parts(tmp_path: Path) -> None:
    path = foreign(tmp_path / "parts")
    weights = list(load_file(path / "model.safetensors").items())
    (path / "model.safetensors").unlink()
    parts = {"a.safetensors": dict(weights[:3]), "b.safetensors": dict(weights[3:])}
    for name, part in parts.items():
        save_file(part, path / name, metadata={"format": "pt"})
    places = {key: name for name, part in parts.items() for key in part}
    index = path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    load_language_model(str(path))
    for bad in ("../a.safetensors", "/etc/passwd", "c.safetensors", 3, None):
        index.write_text(json.dumps({"weight_map": {**places, weights[0][0]: bad}}))
        with pytest.raises(CheckpointError, match="names no files, or files that are not in the folder"):
            load_language_model(str(path))


def test_what_is_not_there_is_refused_by_its_kind(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file or folder"):
        load_language_model(str(tmp_path / "nothing"))
    with pytest.raises(InfrastructureError, match="could not be loaded from the hub"):
        load_language_model("somebody/else")
    with pytest.raises(ConfigError, match="no such GPU here"):
        load_language_model("somebody/tiny", device="cuda:99")


# --- adapters --------------------------------------------------------------------------------------------------


def adapter(path: Path, base: str) -> tuple[Path, torch.Tensor]:
    """A LoRA adapter that changes its base, and what base and adapter together answer to ids 0 to 9."""
    import peft

    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses deprecated names, and looks for a base model's vocabulary
        model: Any = peft.get_peft_model(tiny_model("llama", len(TOKENIZER)), config)
        model.peft_config["default"].base_model_name_or_path = base
        model.save_pretrained(path, save_embedding_layers=False)
    return path, answers(model)


def answers(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model.eval()(input_ids=torch.arange(10)[None]).logits


def reconfigured(path: Path, **settings: object) -> None:
    file = path / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


@pytest.mark.parametrize("base", ["folder", "somebody/tiny"])
def test_an_adapter_plays_folded_into_its_base(base: str, hub: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    path, wanted = adapter(tmp_path / "adapter", str(hub) if base == "folder" else base)
    loaded = load_language_model(str(path))
    assert type(loaded.model).__name__ == "LlamaForCausalLM"
    torch.testing.assert_close(answers(loaded.model), wanted, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(answers(load_language_model(str(hub)).model), wanted, atol=1e-2)


ADAPTERS: dict[str, tuple[dict[str, object], str]] = {
    "another kind": ({"peft_type": "PROMPT_TUNING"}, "only LORA is read"),
    "a kind with escape codes": ({"peft_type": "\x1b[2J"}, "only LORA is read"),
    "no base": ({"base_model_name_or_path": None}, "names no base model"),
    "its own base": ({"base_model_name_or_path": "."}, "an adapter again"),
    "a rank beyond its tensors": ({"r": 10**9}, "does not fit its base"),
    "another rank": ({"r": 3}, "its tensors are not those"),
    "a rank for a module": ({"rank_pattern": {"q_proj": 10**9}}, "does not fit its base"),
    "a pattern that runs for ever": ({"target_modules": "(a+)+$"}, "a list of names"),
    "a pattern as a name": ({"rank_pattern": {"(a+)+$": 2}}, "a list of names"),
    "other modules": ({"target_modules": ["k_proj"]}, "its tensors are not those"),
    "no such module": ({"target_modules": ["nothing"]}, "does not fit its base"),
    "layers again": ({"layer_replication": [[0, 10**9]]}, "'layer_replication', which is not served"),
    "code of its own": ({"megatron_config": {"a": 1}}, "'megatron_config', which is not served"),
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_another_adapter_is_refused(name: str, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft")
    path, _ = adapter(tmp_path / "adapter", str(hub))
    settings, reason = ADAPTERS[name]
    reconfigured(path, **settings)
    monkeypatch.chdir(path)
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_language_model(str(path))
    assert str(caught.value).isprintable()


def test_an_adapter_in_another_format_is_refused(hub: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    path, _ = adapter(tmp_path / "adapter", str(hub))
    (path / "adapter_model.safetensors").rename(path / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="can run code"):
        load_language_model(str(path))
