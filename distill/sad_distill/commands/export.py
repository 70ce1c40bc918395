"""`sad-distill export`: a student as a folder for transformers and vLLM, with a card, also onto the hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.files import refuse_foreign
from sad_env.safe_text import console, one_line, safe_text

if TYPE_CHECKING:
    from sad_distill.models.model_card import Evaluated

_REPOSITORY = re.compile(r"(?!\.)[\w.-]{1,96}/(?!\.)[\w.-]{1,96}", re.ASCII)


@dataclass(frozen=True)
class ExportConfig:
    """Write a student as a folder that transformers and vLLM load, with a model card; --push-to-hub uploads it.

    $ sad-distill export runs/sad/student.pt --out my-student --results runs/evaluation
    $ vllm serve my-student
    """

    student: Annotated[str, tyro.conf.Positional]
    """student.pt, a model folder, an adapter's folder, or nano:WORLD, which ships."""
    out: str
    """Output folder."""
    results: tuple[str, ...] = ()
    """Folders of sad-eval runs whose results, with their intervals, go onto the card."""
    as_adapter: bool = False
    """Keep an adapter's folder an adapter, which its base model is needed for; otherwise it is merged."""
    push_to_hub: Annotated[str, tyro.conf.arg(metavar="OWNER/NAME")] = ""
    """Also upload the folder to this repository of the Hugging Face hub (HF_TOKEN, HF_ENDPOINT)."""
    private: bool = False
    """A repository that --push-to-hub makes is private."""


def export(config: ExportConfig) -> int:
    """Run the command."""
    if config.push_to_hub and not _REPOSITORY.fullmatch(config.push_to_hub):
        raise ConfigError(f"--push-to-hub {one_line(config.push_to_hub, 60)!r}: give OWNER/NAME")
    if config.private and not config.push_to_hub:
        raise ConfigError("--private has no effect: it needs --push-to-hub")
    from sad_distill.models.exported import OURS
    from sad_distill.models.model_card import read_results

    folder = Path(config.out)
    results = [read_results(Path(one)) for one in config.results]
    if folder.suffix == ".pt" or folder.is_file():
        raise ConfigError(f"--out {one_line(config.out, 80)}: an export is a folder")
    refuse_foreign(folder, *OURS)
    if folder.resolve() == Path(config.student).resolve():
        raise ConfigError("--out is the folder that is exported: name another one")
    _write(config, folder, results)
    screen = console()
    screen.print(safe_text(f"folder: {folder}\nserve it: vllm serve {folder}"))
    if config.push_to_hub:
        screen.print(safe_text(f"on the hub: {push(folder, config.push_to_hub, private=config.private)}"))
    return 0


def _write(config: ExportConfig, folder: Path, results: list[Evaluated]) -> None:
    from sad_agents.adapters import CONFIG_FILE
    from sad_agents.loading import load_language_model, shipped_student

    from sad_distill.models.exported import export_adapter, export_folder

    name = config.push_to_hub or folder.resolve().name
    if config.as_adapter:
        source = Path(config.student)
        if not (source / CONFIG_FILE).is_file():
            raise ConfigError(f"--as-adapter: {one_line(config.student, 80)!r} is no folder with an {CONFIG_FILE}")
        export_adapter(source, folder, name=name, results=results)
        return
    world = config.student.removeprefix("nano:")
    spec = config.student if world == config.student else str(shipped_student(world))
    loaded = load_language_model(spec, dtype="checkpoint")
    export_folder(folder, loaded.model, loaded.tokenizer, loaded.record, name=name, results=results)


def push(folder: Path, repository: str, *, private: bool = False) -> str:
    """Upload a folder to the hub; returns its address there.

    Args:
        folder: it holds nothing else than the model.
        repository: OWNER/NAME; made where it is missing.
        private: whether one that is made is private.

    Raises:
        ConfigError: the hub refuses it.
        InfrastructureError: the hub does not answer.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    hub = HfApi()
    try:
        address = hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=folder, commit_message="Export of sad-distill")
    except HfHubHTTPError as error:
        status = error.response.status_code
        said = f"the hub answered HTTP {status}: {one_line(str(error.server_message or error), 160)}"
        if status >= 500:
            raise InfrastructureError(said) from None
        advice = "; log in with `hf auth login` or set HF_TOKEN" if status in (401, 403) else ""
        raise ConfigError(said + advice) from None
    except (httpx.HTTPError, OSError) as error:
        raise InfrastructureError(f"the hub does not answer: {one_line(str(error), 160)}") from None
    return str(address)
