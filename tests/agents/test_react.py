from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from sad_agents.agent import EpisodeStart, Sampling
from sad_agents.model import Completion, Request, ScriptedModel, cut
from sad_agents.prompts import Prompt, load_prompt
from sad_agents.react import ReActAgent, label
from sad_agents.windowing import Windowing

from sad_env import registry
from sad_env.records import check_tiling
from sad_env.transcript import is_complete, segment

START = EpisodeStart("toy", "test-0000", "You see a door.", {})


def played(model: ScriptedModel, turns: int = 1, **options: object) -> list[Request]:
    """Requests that the model got."""
    seen: list[Request] = []
    script = model.script

    def watch(request: Request) -> str:
        seen.append(request)
        return script(request) if callable(script) else script[0]

    model.script = watch
    agent = ReActAgent(model, Prompt("Do it.", ("Action: look",)), **options)  # type: ignore[arg-type]
    agent.begin(1, START)
    for turn in range(turns):
        (decision,) = agent.act([1])
        agent.observe(1, decision, f"Nothing {turn}.", {})
    agent.end(1)
    return seen


def test_the_context_is_prompt_observation_completions_and_observations() -> None:
    seen = played(ScriptedModel(["Reasoning: hm\nAction: look"]), 2, shots=1)
    assert seen[0].text == "Do it.\n\nAction: look\n\nObservation: You see a door.\n"
    assert seen[1].text == seen[0].text + "Reasoning: hm\nAction: look\nObservation: Nothing 0.\n"


@settings(max_examples=60)
@given(st.text())
def test_whatever_a_model_writes_is_a_decision(text: str) -> None:
    agent = ReActAgent(ScriptedModel([text]), Prompt("Do it."))
    agent.begin(1, START)
    (decision,) = agent.act([1])
    assert bool(decision.action) != bool(decision.complaint)
    assert decision.completion.endswith("\n")
    check_tiling(decision.completion, decision.spans)


@settings(max_examples=60)
@given(st.text(alphabet="Action: \nReasoning:x", max_size=60))
def test_cut_ends_with_the_first_action_line(text: str) -> None:
    kept = cut(text)
    assert kept.endswith("\n")
    assert (text + "\n").startswith(kept) or kept == text
    shorter = [kept[:end] for end in range(len(kept)) if kept[:end].endswith("\n")]
    assert not any(is_complete(part) for part in shorter)


def test_tokens_belong_to_the_span_of_their_last_character() -> None:
    spans = segment("Reasoning: a\nAction: b\n")
    ends = [9, 11, 12, 13, 15, 20, 22, 23, 0]
    assert label(ends, spans) == "RRRRAAAAN"


class Ballot(ScriptedModel):
    """Gives a list of completions, one a request."""

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        assert not callable(self.script)
        return [Completion(text, generated=2) for text in self.script]


def test_the_action_of_most_wins_and_those_without_do_not_count() -> None:
    script = ["nothing\n", "Action: a\n", "Action: b\n", "Reasoning: yes\nAction: b\n", "nothing\n"]
    agent = ReActAgent(Ballot(script), Prompt("p"), sampling=Sampling(temperature=1.0), votes=5)
    agent.begin(1, START)
    (decision,) = agent.act([1])
    assert (decision.action, decision.completion, decision.generated_tokens) == ("b", "Action: b\n", 10)


def test_an_action_is_spelt_as_its_world_wants_it() -> None:
    agent = ReActAgent(ScriptedModel(["Action: Answer[yes]"]), Prompt("p"), canonical=lambda text: text.lower())
    agent.begin(1, START)
    (decision,) = agent.act([1])
    assert decision.action == "answer[yes]"
    assert decision.completion == "Action: Answer[yes]\n"


def test_every_world_has_a_prompt_whose_exemplars_hold_actions() -> None:
    for spec in registry.known():
        prompt = load_prompt(spec.name)
        assert prompt.instruction.strip()
        assert "Action:" in prompt.text(len(prompt.exemplars))
    hashes = {load_prompt(spec.name).sha256 for spec in registry.known()}
    assert len(hashes) == len(registry.known())


def test_window_keeps_what_fits_and_drops_several_steps_at_once() -> None:
    windowing = Windowing(budget=100, room=20, keep=0.75)
    assert windowing.first_step(20, [10, 10, 10], 0) == 0
    assert windowing.first_step(20, [20, 20, 20, 20], 0) == 3
    assert windowing.first_step(20, [500], 0) == 0
    assert windowing.cut(range(30), range(100, 200)) == [*range(30), *range(150, 200)]
    assert windowing.cut(range(80), [7]) == [*range(30, 80), 7]
