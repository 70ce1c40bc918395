"""`sad-distill serve`: a teacher behind HTTP."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

from sad_env.errors import ConfigError
from sad_env.safe_text import one_line


@dataclass(frozen=True)
class ServeConfig:
    """Serve a teacher over HTTP: sad-distill --teacher http://HOST:PORT queries it live.

    $ sad-distill serve --model runs/teacher/student.pt --port 8700
    """

    model: str
    """Model that is served: student.pt, folder, nano:WORLD, smollm2 or hf:ID."""
    host: str = "127.0.0.1"
    """Address to listen on; anybody who can reach it can use the model."""
    port: int = 8700
    """Port; 0 takes a free one."""
    device: str = "auto"
    """auto, cpu or cuda."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the model's numbers; auto: fp32 on a processor, bf16 elsewhere."""
    temperature: float = 0.2
    """Sampling temperature; 0 is greedy."""


def serve(config: ServeConfig) -> int:
    """Run the command until it is interrupted."""
    from sad_agents.agent import Sampling
    from sad_agents.model_settings import DTYPES

    from sad_distill.models.language import load_language
    from sad_distill.teachers.registry import teacher_precision
    from sad_distill.teachers.server import TeacherServer

    precision = teacher_precision(config.precision, config.device)
    language = load_language(config.model, config.device, DTYPES[precision], teaches=True)
    # Clients know a teacher, and keep its answers, by its name.
    name = language.identity + ("" if precision == "fp32" else f"-{precision}")
    sampling = Sampling(temperature=config.temperature)
    try:
        server = TeacherServer(language, name, (config.host, config.port), sampling)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot listen on {one_line(config.host)}:{config.port}: {one_line(str(error))}") from None
    with server:
        print(f"teacher {server.teacher_name} at {server.url}", file=sys.stderr, flush=True)
        server.serve_forever()
    return 0
