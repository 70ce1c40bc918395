"""Our worlds as tasks of Inspect (`inspect_ai` 0.3): task, agent and scorer.

inspect eval sad_agents/frameworks/inspect.py -T world=webshop -T episodes=20 --model openai/gpt-4o-mini
"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task
from inspect_ai.agent import Agent, AgentState, agent, as_solver
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import store

from sad_agents.frameworks.session import ChatSession
from sad_env import listing

_VERDICT = "sad_env verdict"
_TASK = "sad_env task"


@task
def sad_env_world(
    world: str = "alfworld",
    data: str = "generated",
    split: str = "",
    episodes: int = 0,
    max_steps: int = 0,
    form: str = "lines",
    shots: int = 0,
) -> Task:
    """The tasks of a panel, the agent that plays them, and the world's verdict.

    Args:
        world: as `--env` takes it.
        data: as the world takes it.
        split: the world's own choice when empty.
        episodes: tasks of the panel, always the same; 0 takes all.
        max_steps: of an episode; 0 takes the world's own limit.
        form: of completions: lines, tags or think.
        shots: exemplars in the prompt.
    """
    panel = listing.panel(world, split, data=data, episodes=episodes)
    session = ChatSession(world, data=data, split=split)
    samples = [Sample(id=task_id, input=session.begin(task_id), metadata=_about(session)) for task_id in panel.task_ids]
    session.close()
    return Task(
        dataset=MemoryDataset(samples, name=f"{world} {panel.name}"),
        solver=[_named_task(), as_solver(world_player(world, data, split, max_steps, form, shots))],
        scorer=world_verdict(),
        metadata={"panel_sha256": panel.sha256, "data": panel.data},
    )


@solver
def _named_task() -> Solver:
    """Tells the agent, which sees the chat alone, which task a sample is."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state.store.set(_TASK, str(state.sample_id))
        return state

    return solve


@agent
def world_player(
    world: str, data: str = "generated", split: str = "", max_steps: int = 0, form: str = "lines", shots: int = 0
) -> Agent:
    """Lets the model under evaluation play one episode, a turn of the chat for every step."""

    async def play(state: AgentState) -> AgentState:
        session = ChatSession(world, data=data, split=split, max_steps=max_steps, form=form, shots=shots)
        observation = session.begin(store().get(_TASK))
        state.messages = [ChatMessageSystem(content=session.instruction), ChatMessageUser(content=observation)]
        try:
            while not session.done:
                state.output = await get_model().generate(state.messages)
                state.messages.append(state.output.message)
                state.messages.append(ChatMessageUser(content=session.answer(state.output.completion).observation))
        finally:
            # What a limit of Inspect's cuts short is scored as far as it came.
            store().set(_VERDICT, {**_numbers(session), **_about(session)})
            session.close()
        return state

    return play


@scorer(
    metrics={
        "success": [mean(), stderr()],
        "score": [mean(), stderr()],
        "progress": [mean(), stderr()],
        "steps": [mean()],
    }
)
def world_verdict() -> Scorer:
    """Success, score and progress as the world gives them, and the steps of the episode."""

    async def score(state: TaskState, target: Target) -> Score:
        verdict: dict[str, Any] = state.store.get(_VERDICT) or {}
        values = {name: verdict.get(name, 0.0) for name in ("success", "score", "progress", "steps")}
        return Score(value=values, answer=state.output.completion if state.output else "", metadata=verdict)

    return score


def _numbers(session: ChatSession) -> dict[str, float]:
    return {
        "success": float(session.success),
        "score": session.score,
        "progress": session.progress,
        "steps": float(session.steps),
    }


def _about(session: ChatSession) -> dict[str, Any]:
    return {name: session.info[name] for name in ("task_id", "task_type") if name in session.info}
