"""Our worlds as a taskset, an environment and an in-process harness of verifiers (0.4, `verifiers.v1`).

verifiers finds plug-ins by the name of a module at the top level, so that `vf-eval` and prime-rl need a file of their
own, e.g. sad_worlds.py in the folder that they are run in:

    from sad_agents.frameworks.verifiers import *
    from sad_agents.frameworks.verifiers import __all__
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import verifiers.v1 as vf
from verifiers.v1.dialects.chat import message_to_wire

from sad_agents.frameworks.session import ChatSession
from sad_env import listing

__all__ = ["WorldEnv", "WorldEnvConfig", "WorldHarness", "WorldTaskset", "WorldTasksetConfig", "plug_in"]

_PLUGIN = "sad_worlds"
_SECONDS = 600.0
_TRIES = 6
"""Of one request, over about 15 seconds."""
_PASSING = (408, 429)
"""Statuses below 500 that another try may not meet."""
_CERTIFICATES = ssl.create_default_context()
"""Made once: a client makes one for itself, too, and takes longer for that than a world for an episode."""


class WorldTasksetConfig(vf.TasksetConfig):
    """What is played, as `ChatSession` takes it; `episodes` tasks of the panel, always the same, and 0 takes all."""

    world: str = "alfworld"
    data: str = "generated"
    split: str = ""
    episodes: int = 0
    max_steps: int = 0
    form: str = "lines"
    shots: int = 0


class WorldTaskData(vf.TaskData):
    """A task by its id; its prompt is the first observation."""

    task_id: str


class WorldTask(vf.Task[WorldTaskData, vf.State, vf.TaskConfig]):
    """One task of a world."""


class WorldTaskset(vf.Taskset[WorldTask, WorldTasksetConfig]):
    """The tasks of a panel."""

    def load(self) -> Iterator[WorldTask]:
        """Each task with the world's first words on it."""
        session, config = _session(self.config), self.config
        panel = listing.panel(config.world, config.split, data=config.data, episodes=config.episodes)
        for task_id in panel.task_ids:
            data = WorldTaskData(
                name=task_id, task_id=task_id, prompt=session.begin(task_id), system_prompt=session.instruction
            )
            yield WorldTask(data, config.task)
        session.close()


class WorldHarness(vf.Harness[vf.HarnessConfig]):
    """One answer of the model for each turn, asked for in this process: no program is started and no sandbox needed."""

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: Any,
        trace: Any,
        runtime: Any,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: Any,
        tool_interception_url: str | None = None,
    ) -> vf.ProgramResult:
        """Send the conversation so far to the model; what it answers is recorded on the way."""
        system, prompt = self.resolve_prompt(data)
        messages = [{"role": "system", "content": system}] if system else []
        if isinstance(prompt, str):
            messages.append({"role": "user", "content": prompt})
        else:
            messages += [message_to_wire(message) for message in prompt or []]
        fault = await _asked(endpoint, secret, {"model": ctx.model, "messages": messages})
        return vf.ProgramResult(exit_code=int(bool(fault)), stdout="", stderr=fault)


async def _asked(endpoint: str, secret: str, body: dict[str, Any]) -> str:
    """Ask the model, again while its server is busy or out of reach; what was wrong in the end, "" for nothing.

    verifiers never asks a server twice by itself: it hands the status on, and counts on a harness to try again.
    """
    call, fault = uuid.uuid4().hex, ""
    async with httpx.AsyncClient(timeout=_SECONDS, verify=_CERTIFICATES, trust_env=False) as client:
        for tried in range(_TRIES):
            if tried:
                await asyncio.sleep(min(0.5 * 2 ** (tried - 1), 8.0))
            # These two make all tries one turn of the trace.
            headers = {
                "Authorization": f"Bearer {secret}",
                "Idempotency-Key": call,
                "x-stainless-retry-count": str(tried),
            }
            try:
                answer = await client.post(f"{endpoint.rstrip('/')}/chat/completions", json=body, headers=headers)
            except httpx.TransportError as error:
                fault = f"{type(error).__name__}: {error}"
            else:
                fault = answer.text if answer.is_error else ""
                if not fault or (answer.status_code not in _PASSING and answer.status_code < 500):
                    return fault
    return fault


class WorldEnvConfig(vf.EnvConfig):
    """The one seat, which the model under training or evaluation takes."""

    player: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class WorldEnv(vf.Env[WorldEnvConfig]):
    """One episode of a task: the world speaks as the user, its score is the reward."""

    async def run(self, task: Any, agents: Any) -> None:
        """Play until the world or the step limit ends the episode."""
        session = _session(self.taskset.config)
        try:
            session.begin(task.data.task_id)
            async with agents.player.interaction(task) as interaction:
                segment = await interaction.turn()
                while not segment.terminated:
                    reply = session.answer(segment.last_reply)
                    if reply.done:
                        break
                    segment = await interaction.turn(reply.observation)
        finally:
            session.close()
        interaction.trace.record_reward("score", session.score)
        interaction.trace.record_metrics(
            {"success": float(session.success), "progress": session.progress, "steps": float(session.steps)}
        )


def _session(config: WorldTasksetConfig) -> ChatSession:
    return ChatSession(
        config.world,
        data=config.data,
        split=config.split,
        max_steps=config.max_steps,
        form=config.form,
        shots=config.shots,
    )


def plug_in(name: str = _PLUGIN) -> str:
    """Make the classes of this module known to verifiers in this process; returns the id that its settings take."""
    sys.modules[name] = sys.modules[__name__]
    return name
