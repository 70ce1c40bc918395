"""Worlds in TRL's GRPOTrainer, whose generation writes what the expert would."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sad_env.transcript import compose, parse

pytest.importorskip("trl", reason="needs trl: make test-adapters")

TASKS, GENERATIONS = 50, 2
CHATML = """{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
CALL = re.compile(r"<tool_call>\n(.*)\n</tool_call>")
TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>", re.DOTALL)


def tiny(texts: list[str]) -> tuple[Any, Any]:
    """A model of a few thousand weights and a tokenizer that has the words of `texts`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=2000, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Qwen2Config(vocab_size=len(tokenizer), num_key_value_heads=1, max_position_embeddings=2**15, **sizes)
    return AutoModelForCausalLM.from_config(config), tokenizer


def settings(folder: Path) -> Any:
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=str(folder), per_device_train_batch_size=4, num_generations=GENERATIONS, max_steps=TASKS // 2,
        max_completion_length=2**14, report_to=[], save_strategy="no", disable_tqdm=True, use_cpu=True, beta=0.0,
        logging_strategy="no", shuffle_dataset=False, max_tool_calling_iterations=60,
    )  # fmt: skip


@pytest.mark.parametrize("world", ["alfworld"])
def test_whole_rollouts_of_an_expert_are_those_of_our_harness(
    world: str, harness: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sad_agents.frameworks import trl as ours
    from trl import GRPOTrainer

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    rows, write = ours.chat_rows(world, episodes=TASKS), harness.writer(world)
    model, tokenizer = tiny([str(row) for row in rows["prompt"]])
    tokenizer.chat_template = CHATML
    due, outcomes = harness.play(world), {}
    rollout = ours.rollout_function(world)

    def watched(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        found = rollout(prompts, trainer)
        for place, prompt in enumerate(prompts):
            outcomes.setdefault(prompt[0]["task_id"], []).append((found["success"][place], found["steps"][place]))
            ids, mask = found["completion_ids"][place], found["env_mask"][place]
            whole = tokenizer.decode(found["prompt_ids"][place] + ids)
            # The tokens are those of one conversation, and the model's are its answers.
            turns = [match.groups() for match in TURN.finditer(whole)]
            own = tokenizer.decode([one for one, kind in zip(ids, mask, strict=True) if kind])
            assert own == "".join(f"{text}<|im_end|>" for role, text in turns if role == "assistant")
        return found

    trainer = GRPOTrainer(
        model=model,
        reward_funcs=ours.score_reward,
        args=settings(tmp_path),
        train_dataset=rows,
        processing_class=tokenizer,
        rollout_func=watched,
    )

    def generate(prompt_ids: list[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        turns = [[text for _, text in TURN.findall(tokenizer.decode(ids))][1:] for ids in prompt_ids]
        return [tokenizer.encode(write(one).strip() + "<|im_end|>") for one in turns], None

    trainer._generate_single_turn = generate
    with harness.timed(f"trl rollout_func {world}, training included", TASKS * GENERATIONS):
        trainer.train()
    tasks = [row[0]["task_id"] for row in rows["prompt"]]
    assert outcomes == {task: [due[task]] * GENERATIONS for task in tasks}


@pytest.mark.parametrize("world", ["alfworld"])
def test_an_expert_that_calls_the_tool_plays_as_in_our_harness(
    world: str, harness: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trl
    from sad_agents.frameworks import trl as ours

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    rows, due = ours.tool_rows(world, episodes=TASKS), harness.play(world)
    model, tokenizer = tiny([str(row) for row in rows["prompt"]])
    tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text()
    outcomes: dict[str, list[Any]] = {}

    def noted(environments: list[Any], task_id: list[str], **_: Any) -> list[float]:
        for one, task in zip(environments, task_id, strict=True):
            outcomes.setdefault(task, []).append((one._session.success, one._session.steps))
        return [0.0] * len(environments)

    trainer = trl.GRPOTrainer(
        model=model,
        reward_funcs=noted,
        args=settings(tmp_path),
        train_dataset=rows,
        processing_class=tokenizer,
        environment_factory=ours.environment_factory(world),
    )
    assert trainer.reward_func_names == ["noted", "WorldEnvironment"]
    write, instruction = harness.writer(world), rows["prompt"][0][0]["content"]

    def answer(text: str) -> str:
        turns = []
        for role, said in TURN.findall(text):
            if role == "assistant":
                turns.append(compose("", json.loads(CALL.findall(said)[0])["arguments"]["action"]).text)
            elif role == "user":
                turns.append(said.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>"))
        if turns[-1].endswith("The episode is over."):
            return "Well played."
        turns[0] = turns[0].removeprefix(instruction)
        call = json.dumps({"name": "act", "arguments": {"action": parse(write(turns)).action}})
        return f"<tool_call>\n{call}\n</tool_call>"

    def generate(prompt_ids: list[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        return [tokenizer.encode(f"{answer(tokenizer.decode(ids))}<|im_end|>") for ids in prompt_ids], None

    trainer._generate_single_turn = generate
    with harness.timed(f"trl environment_factory {world}, training included", TASKS * GENERATIONS):
        trainer.train()
    assert outcomes == {task: [due[task]] * GENERATIONS for task in rows["task_id"]}


def test_the_page_runs_as_printed(page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a model of a few thousand weights, whose episodes are cut short, and one update."""
    import trl
    from sad_agents.frameworks import trl as ours

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    model, tokenizer = tiny([str(row) for row in ours.tool_rows("alfworld", episodes=4)["prompt"]])
    tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text()
    model.save_pretrained("tiny")
    tokenizer.save_pretrained("tiny")
    program = "".join(page.blocks("TRL"))
    short = "max_steps=1, max_completion_length=64, report_to=[], use_cpu=True"
    changes = {'"Qwen/Qwen3-0.6B"': '"tiny"', "max_steps=100, max_completion_length=4096": short}
    for printed, small in changes.items():
        assert printed in program
        program = program.replace(printed, small)
    found: dict[str, Any] = {}
    exec(program, found)
    assert found["trainer"].state.global_step == 1
