"""Episodes over a Ray cluster: each task of the cluster plays a few jobs, and this process writes the episodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from sad_agents.rollout.rollout import Finished, Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.records import Status, Trajectory
from sad_env.safe_text import one_line
from sad_eval.runs.harness import Play
from sad_eval.runs.plan import EvaluationPlan, make_agent
from sad_eval.runs.settings import EvalSettings

_QUEUED = 2
"""Tasks submitted for every core, so that no worker of the cluster waits for the next one."""


def ray_player(plan: EvaluationPlan) -> Play:
    """Plays jobs over a Ray cluster: the cluster that is joined already, the one at ``ray:ADDRESS``, or a new one.

    Every worker makes its own agent from the settings, so checkpoints and data have to lie at the same path on all
    machines. Worlds run inside the workers; a worker that dies takes its jobs with it, which are then owed.

    Raises:
        ConfigError: the extra is not installed.
        InfrastructureError: the cluster does not answer.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("--backend ray needs Ray: pip install 'sad-env-core[ray]'") from None
    if not ray.is_initialized():
        address = plan.settings.backend.partition(":")[2] or None
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False, include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InfrastructureError(
                f"no Ray cluster at {address or 'this machine'}: {one_line(str(error), 160)}"
            ) from None
    return lambda jobs: _play(ray, plan, jobs)


def _play(ray: Any, plan: EvaluationPlan, jobs: Sequence[Job]) -> Iterator[Finished]:
    settings, recipe, limits = plan.settings, plan.recipe, plan.limits
    remote = ray.remote(num_cpus=1, max_retries=0)(play_jobs)
    size = max(1, min(settings.concurrency, len(jobs) // (2 * int(ray.cluster_resources().get("CPU", 1))) or 1))
    waiting = [list(jobs[start : start + size]) for start in range(0, len(jobs), size)]
    running: dict[Any, list[Job]] = {}
    try:
        while waiting or running:
            slots = _QUEUED * max(1, int(ray.cluster_resources().get("CPU", 1)))
            while waiting and len(running) < slots:
                part = waiting.pop(0)
                running[remote.remote(settings, recipe, limits, part)] = part
            done, _ = ray.wait(list(running), num_returns=1)
            part = running.pop(done[0])
            yield from _collected(ray, plan, done[0], part)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _collected(ray: Any, plan: EvaluationPlan, reference: Any, part: Sequence[Job]) -> Iterator[Finished]:
    try:
        lines: list[tuple[Job, list[str]]] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.as_instanceof_cause()
        raise InfrastructureError(
            f"a worker of the cluster failed: {one_line(str(cause).splitlines()[-1], 200)}"
        ) from None
    except ray.exceptions.RayError as error:
        reason = f"a worker of the cluster was lost ({type(error).__name__})"
        yield from (Finished(job, _lost(plan, job, reason), ()) for job in part)
        return
    for job, texts in lines:
        *attempts, last = (Trajectory.from_json(text) for text in texts)
        yield Finished(job, last, tuple(attempts))


def _lost(plan: EvaluationPlan, job: Job, reason: str) -> Trajectory:
    return Trajectory(
        world=plan.recipe.name,
        data=plan.panel.data,
        split=str(plan.recipe.options["split"]),
        task_id=job.task_id,
        seed=job.seed,
        repeat=job.repeat,
        agent=plan.agent.name,
        observation="",
        steps=(),
        status=Status.INFRA_ERROR,
        success=False,
        error=reason,
    )


def play_jobs(
    settings: EvalSettings, recipe: WorldRecipe, limits: Limits, jobs: Sequence[Job]
) -> list[tuple[Job, list[str]]]:
    """What a worker of the cluster does: play jobs, and send every attempt back as a line of JSON."""
    settings = dataclasses.replace(settings, backend="local")
    agent = make_agent(settings, recipe)
    return [
        (one.job, [trajectory.to_json() for trajectory in (*one.attempts, one.trajectory)])
        for one in rollout(agent, jobs, recipe, live=settings.concurrency, workers=settings.workers, limits=limits)
    ]
