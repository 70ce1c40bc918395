"""Chat templates: glue in ids around texts, against `apply_chat_template` of the whole; messages for servers."""

from __future__ import annotations

import functools
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from sad_agents.agent import Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.chat import ChatGlue, head_turns, user_text
from sad_agents.checkpoints import save_student
from sad_agents.loading import model_agent
from sad_agents.model import Piece, Request
from sad_agents.openai_model import OpenAIModel
from sad_agents.openai_requests import messages_of
from sad_agents.prompts import Prompt, load_prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, WorldRecipe, rollout
from sad_agents.sampling.continuation import Sample
from sad_agents.sampling.local_model import LocalModel, decode, encode
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from sad_env.errors import CheckpointError, ConfigError
from sad_env.toy import toy_panel
from sad_env.transcript import FORMS, form_of

sys.path.insert(0, str(Path(__file__).parent))
from tiny import tiny_model, tiny_tokenizer

TEMPLATES = sorted(path.stem for path in (Path(__file__).parent / "chat_templates").glob("*.jinja"))
SPECIAL = [
    "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>",
    "<end_of_turn>", "<bos>",
]  # fmt: skip
WORDS = ["the lamp", "You see: ring.", "é", "\n", "\n\n", "  ", "12", "attic?", "don't", "💥"]


def gpt2_kind(*more: str) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    texts = ["Reasoning: go.\n\nAction: take lamp.\nassistant\nuser\n\nYou see: ring.\n", *more]
    core.train_from_iterator(texts * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", clean_up_tokenization_spaces=False)


@functools.cache
def with_template(template: str, kind: str = "tiny") -> PreTrainedTokenizerFast:
    tokenizer: Any = tiny_tokenizer() if kind == "tiny" else gpt2_kind(*(["\n\n"] if kind == "blank lines" else []))
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL, "bos_token": "<bos>"})
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = (Path(__file__).parent / "chat_templates" / f"{template}.jinja").read_text()
    return tokenizer


def conversation(seed: int, *, system: bool) -> tuple[str, list[str], list[str]]:
    """The system's text, observations and completions; without blanks at the ends, which some templates strip."""
    draw = random.Random(seed)

    def text(most: int) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, most))).strip() or "nothing"

    turns = draw.randrange(1, 4)
    completions = [FORMS[draw.choice(list(FORMS))].render(text(5), text(3)).text.strip() for _ in range(turns)]
    return text(8) if system else "", [text(8) for _ in range(turns + 1)], completions


def whole(tokenizer: PreTrainedTokenizerFast, system: str, seen: list[str], written: list[str]) -> str:
    """The conversation as `apply_chat_template` writes it, thoughts of earlier turns included."""
    messages = [{"role": "system", "content": system}] if system else []
    for number, observation in enumerate(seen):
        messages.append({"role": "user", "content": observation})
        if number < len(written):
            messages.append({"role": "assistant", "content": f"answer{number}answer"})
    apply: Any = tokenizer.apply_chat_template
    text = str(apply(messages, tokenize=False, add_generation_prompt=True, date_string="26 Jul 2024"))
    for number, completion in enumerate(written):
        text = text.replace(f"answer{number}answer", completion)
    return text


def borders(text: str, contents: list[str]) -> set[int]:
    found, position = set(), 0
    for content in contents:
        start = text.index(content, position)
        position = start + len(content)
        found |= {start, position}
    return found


@pytest.mark.parametrize("kind", ["tiny", "gpt2"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_glue_and_texts_are_the_template_of_the_whole(template: str, kind: str) -> None:
    tokenizer = with_template(template, kind)
    glue = ChatGlue.of(tokenizer)
    stable = 0
    for seed in range(100):
        system, seen, written = conversation(seed, system=seed % 4 > 0)
        folded = template == "gemma2" and system
        ids = list(glue.system(encode(tokenizer, system) if system else ()))
        contents = [system] if system else []
        for number, observation in enumerate(seen):
            ids += glue.user(encode(tokenizer, observation))
            contents.append(observation)
            if number < len(written):
                ids += glue.assistant((*glue.begun_ids, *encode(tokenizer, written[number])))
                contents.append(glue.begun + written[number])
        reference = [f"{system}\n\n{seen[0]}", *seen[1:]] if folded else seen
        completions = [glue.begun + one for one in written]
        text = whole(tokenizer, "" if folded else system, reference, completions)
        text = text.removesuffix(glue.begun) if glue.begun else text
        assert decode(tokenizer, ids) == text
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ends = {0, *(end for _, end in encoded["offset_mapping"])}
        if borders(text, contents) <= ends:
            stable += 1
            assert ids == encoded["input_ids"]
    assert stable >= 50


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_exemplars_are_turns_of_the_template(template: str, form: str) -> None:
    """Before, between and in the episode it is the template of the whole conversation; the instruction begins each."""
    tokenizer = with_template(template, "gpt2")
    glue = ChatGlue.of(tokenizer)
    shown = form_of(form)
    episodes = [
        [shown.observation("Room."), shown.render("hm", "look").text, shown.observation("A lamp.")],
        [shown.observation("Hall."), shown.render("", "go").text, shown.observation("You won.")],
    ]
    for count in (1, 2):
        prompt = "\n".join(["Play.\n", *("".join(one) for one in episodes[:count]), ""])
        turns, begun = head_turns(prompt, shown)
        assert [turn.role for turn in turns] == ["user", "assistant"] * count
        assert turns[0].text == f"Play.\n\n{user_text(episodes[0][0])}"
        last = user_text(episodes[count - 1][2])
        assert begun == f"{last}\n\nPlay.\n\n"
        if count == 2:
            assert turns[2].text == f"{user_text(episodes[0][2])}\n\nPlay.\n\n{user_text(episodes[1][0])}"
        ids = [
            *glue.head(functools.partial(encode, tokenizer), prompt, shown),
            *glue.user(encode(tokenizer, "Observation: x")),
        ]
        seen = [*(turn.text for turn in turns[::2]), f"{begun}Observation: x"]
        text = whole(tokenizer, "", seen, [turn.text for turn in turns[1::2]])
        assert decode(tokenizer, ids) == text.removesuffix(glue.begun)
        request = Request("k", [Piece(prompt, role="system"), Piece("Observation: x\n", role="user")], [], "0")
        assert [one["content"] for one in messages_of(request, shown)] == [
            *(turn.text for turn in turns),
            f"{begun}Observation: x",
        ]


@pytest.mark.parametrize("template", ["smollm2", "gemma2"])
def test_a_blank_line_before_the_first_observation_is_spelled_as_a_server_spells_it(template: str) -> None:
    """GPT-2 and SmolLM2 have a token for two newlines, which they use at the end of a text and not before a word."""
    tokenizer = with_template(template, "blank lines")
    spell = functools.partial(encode, tokenizer)
    assert len(spell("\n\n")) == 1
    glue, shown = ChatGlue.of(tokenizer), form_of("lines")
    exemplar = shown.observation("Room.") + shown.render("hm", "look").text + shown.observation("You won.")
    for prompt in ("Play.\n\n", f"Play.\n\n{exemplar}\n"):
        ids = [*glue.head(spell, prompt, shown), *glue.user(spell("Observation: x"))]
        request = Request("k", [Piece(prompt, role="system"), Piece("Observation: x\n", role="user")], [], "0")
        messages = messages_of(request, shown)
        if template == "gemma2" and messages[0]["role"] == "system":
            messages = [{"role": "user", "content": "\n\n".join(one["content"] for one in messages)}]
        apply: Any = tokenizer.apply_chat_template
        text = apply(messages, tokenize=False, add_generation_prompt=True)
        assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_prompt_without_exemplars_is_the_systems() -> None:
    for prompt in ("", "Play.\n\n", 'Write "Observation:" and so on.\n', "Play.\nAction: look\n"):
        assert head_turns(prompt, form_of("lines")) == ([], "")


def test_control_tokens_in_foreign_text_stay_text() -> None:
    tokenizer = with_template("qwen2_5")
    glue = ChatGlue.of(tokenizer)
    control = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert control in glue.between
    assert control not in encode(tokenizer, "You see: <|im_end|>")


def test_a_begin_token_is_the_templates_or_the_tokenizers_and_never_both() -> None:
    tokenizer = with_template("llama3")
    model = tiny_model("llama", len(tokenizer), positions=512)
    bos = tokenizer.bos_token_id
    chatting = LocalModel(model, tokenizer, start_ids=(bos,), chat=True)
    plain = LocalModel(model, tokenizer, start_ids=(bos,))
    request = Request("k", [Piece("Play.\n\n", role="system"), Piece("Observation: x\n", role="user")], [], "0")
    assert chatting.ids_with(request, "")[0].count(bos) == 1
    assert plain.ids_with(request, "")[0].count(bos) == 1
    # A template that writes none gets none.
    qwen = with_template("qwen2_5")
    local = LocalModel(tiny_model("llama", len(qwen), positions=512), qwen, start_ids=(qwen.bos_token_id,), chat=True)
    assert qwen.bos_token_id not in local.ids_with(request, "")[0]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, "has no chat template"),
        ("{{ raise_exception('not today') }}", "fails: not today"),
        ("{% for m in messages %}{{ m.content + m.content }}{% endfor %}", "not once"),
        ("{{ messages[-1].content }}", "not once or not in order"),
        ("{% for m in messages %}{{ m.content }}{{ loop.index }}|{% endfor %}", "several kinds"),
        ("{% for m in messages %}{{ 1 / 0 }}{% endfor %}", "fails: "),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_in_one_line(template: str | None, reason: str) -> None:
    tokenizer: Any = tiny_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(ConfigError, match=reason) as caught:
        ChatGlue.of(tokenizer)
    assert "--chat off" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- playing ----------------------------------------------------------------------------------------------------


def speaking(local: LocalModel, texts: list[str]) -> list[list[int]]:
    """Let the model's sampler say these texts in turn, as far as it would have gone on; returns what it was shown."""
    seen: list[list[int]] = []

    def sample(requests: Any, sampling: Sampling) -> list[Sample]:
        samples = []
        for request in requests:
            ids = list(encode(local.tokenizer, texts[len(seen) % len(texts)]))
            begun = list(request.ids[len(request.ids) - request.begun :])
            stops = (
                count
                for count in range(1, len(ids) + 1)
                if ids[count - 1] in local.sampler._stop_ids and local.sampler._stop(begun + ids[:count])
            )
            ids = ids[: next(stops, len(ids))]
            seen.append(list(request.ids))
            samples.append(Sample(ids, len(ids)))
        return samples

    local.sampler.sample = sample  # type: ignore[method-assign]
    local.flow = lambda sampling: None  # type: ignore[method-assign]
    return seen


SAID = {
    "lines": ["Reasoning: hm\nAction: look\n", "Action: look"],
    "tags": ["[REASON] hm [ACT] look [OBS] made up", "[ACT] look\n"],
    "think": ["<think>hm</think><action>look</action> made up", "<action> look </action>"],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("template", ["", *TEMPLATES])
def test_what_a_model_is_shown_is_what_it_was_shown_and_wrote(template: str, form: str) -> None:
    tokenizer = with_template(template or "qwen2_5")
    model = tiny_model("llama", len(tokenizer), positions=2048)
    local = LocalModel(model, tokenizer, form=form_of(form), chat=bool(template))
    thinks = template == "qwen3_thinking"
    texts = [f"Action: [ACT] <action>no</action>\n\n</think>\n{text}" if thinks else text for text in SAID[form]]
    seen = speaking(local, texts)
    agent = ReActAgent(local, load_prompt("toy"), shots=1, sampling=Sampling(max_tokens=64))
    (one,) = rollout(agent, [Job(toy_panel("test").task_ids[0])], WorldRecipe("toy"), limits=Limits(max_steps=4))
    episode = one.trajectory
    assert (episode.form, episode.chat) == (form, bool(template))
    assert [step.action for step in episode.steps] == ["look"] * 4
    for before, after, step in zip(seen, seen[1:], episode.steps, strict=False):
        begun = list(local.glue.begun_ids) if local.glue else []
        context = before[: len(before) - len(begun)]
        # Nothing that was shown changes, and the ids that were sampled follow as they were sampled.
        assert after[: len(context) + len(step.token_ids)] == [*context, *step.token_ids]
        assert step.token_labels[: len(begun)] == "N" * len(begun)
        assert set(step.token_labels[len(begun) :].rstrip("N")) <= {"R", "A"}
        assert "made up" not in step.completion
        shown = decode(tokenizer, after[len(context) + len(step.token_ids) :])
        assert form_of(form).observation(step.observation).removesuffix("\n") in shown
        assert "Action: [ACT]" in step.reasoning if thinks else step.reasoning in ("hm", "")


def test_a_forced_thought_goes_into_thoughts_that_the_template_opens() -> None:
    tokenizer = with_template("qwen3_thinking")
    local = LocalModel(tiny_model("llama", len(tokenizer), positions=2048), tokenizer, form=form_of("think"), chat=True)
    speaking(local, ["</think> <action> look </action>"])
    agent = ReActAgent(local, Prompt(""), sampling=Sampling(max_tokens=64), first_thought=lambda start: "Look first.")
    (one,) = rollout(agent, [Job(toy_panel("test").task_ids[0])], WorldRecipe("toy"), limits=Limits(max_steps=1))
    (step,) = one.trajectory.steps
    assert step.completion == "<think>\nLook first.\n</think> <action> look </action>\n"
    assert (step.reasoning, step.action) == ("Look first.", "look")


def test_the_end_of_a_turn_ends_a_completion() -> None:
    tokenizer = with_template("gemma3")
    local = LocalModel(tiny_model("llama", len(tokenizer), positions=512), tokenizer, chat=True)
    assert tokenizer.convert_tokens_to_ids("<end_of_turn>") in local.sampler._end_ids


@pytest.mark.parametrize(
    ("template", "options", "chat", "form"),
    [
        ("qwen2_5", {}, True, "lines"),
        ("qwen2_5", {"chat": "off"}, False, "lines"),
        ("qwen2_5", {"form": "tags"}, True, "tags"),
        ("", {}, False, "lines"),
        ("", {"form": "think"}, False, "think"),
    ],
)
def test_a_local_model_with_a_template_chats(
    template: str, options: dict[str, Any], chat: bool, form: str, tmp_path: Path
) -> None:
    tokenizer: Any = with_template(template or "qwen2_5")
    model = tiny_model("llama", len(tokenizer), positions=512)
    model.save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    if not template:
        (tmp_path / "m" / "chat_template.jinja").unlink()
    agent = model_agent(
        str(tmp_path / "m"), "toy", AgentOptions(device="cpu", sampling=Sampling(max_tokens=32), **options)
    )
    assert isinstance(agent, ReActAgent)
    assert (agent.chat, agent.form) == (chat, form)
    assert (agent.provenance.get("chat"), agent.provenance.get("form")) == (
        "on" if chat else None,
        form if form != "lines" else None,
    )
    assert ("chat_sha256" in agent.provenance) == chat


@pytest.mark.parametrize("name", ["student.pt", "student"])
def test_a_student_keeps_its_template_and_its_form(name: str, tmp_path: Path) -> None:
    tokenizer = with_template("qwen2_5")
    model = tiny_model("llama", len(tokenizer), positions=512)
    window = {"budget": 256, "room": 64, "keep": 0.75}
    acting = {"acting": {"prompt": "Play.", "window": window, "form": "tags", "chat": True}}
    path = save_student(tmp_path / name, model, tokenizer, acting)
    agent = model_agent(str(path), "toy", AgentOptions(device="cpu"))
    assert isinstance(agent, ReActAgent)
    assert (agent.form, agent.chat) == ("tags", True)
    assert isinstance(agent.model, LocalModel)
    assert agent.model.glue == ChatGlue.of(tokenizer)
    # A choice that is made holds.
    plain = model_agent(str(path), "toy", AgentOptions(device="cpu", form="lines", chat="off"))
    assert isinstance(plain, ReActAgent)
    assert (plain.form, plain.chat, plain.provenance.get("begin_ids")) == ("lines", False, None)


@pytest.mark.parametrize("acting", [{"form": "verse"}, {"chat": "yes"}])
def test_a_student_with_another_form_is_refused(acting: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = with_template("qwen2_5")
    path = save_student(tmp_path / "s.pt", tiny_model("llama", len(tokenizer)), tokenizer, {"acting": acting})
    with pytest.raises(CheckpointError, match="'acting' holds a form"):
        model_agent(str(path), "toy", AgentOptions(device="cpu"))


# --- servers ----------------------------------------------------------------------------------------------------


def test_a_request_is_a_conversation() -> None:
    head = (Piece("Play.\n\n", role="system"), Piece("Observation: a\n", role="user"))
    tail = (Piece("Action: b\n", role="assistant"), Piece("Observation: c\n", role="user"))
    assert messages_of(Request("k", head, tail, "0", forced="Reasoning: d\n")) == [
        {"role": "system", "content": "Play."},
        {"role": "user", "content": "Observation: a"},
        {"role": "assistant", "content": "Action: b"},
        {"role": "user", "content": "Observation: c"},
        {"role": "assistant", "content": "Reasoning: d"},
    ]
    assert messages_of(Request("k", (Piece("", role="system"), head[1]), (), "0")) == [
        {"role": "user", "content": "Observation: a"}
    ]


@pytest.mark.parametrize(
    ("name", "chat"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", True), ("gemma-3-4b-it", True), ("gpt-4o", True), ("zephyr-chat", True),
        ("Qwen3-4B-Thinking-2507", True), ("o3-mini", True), ("gpt2", False), ("SmolLM2-135M", False), ("m", False),
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", True), ("nano-student", False),
    ],
)  # fmt: skip
def test_names_of_instruct_models_chat(name: str, chat: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIModel, "_find", lambda self, model: (model, {}))
    assert OpenAIModel("http://localhost:9", name).chat is chat
    assert OpenAIModel("http://localhost:9", name, chat="off").chat is False
    assert OpenAIModel("http://localhost:9", name, chat="on").chat is True
