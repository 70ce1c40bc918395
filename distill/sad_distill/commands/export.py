"""`sad-distill export`: a student as a folder for transformers and vLLM, with a card, also onto the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from sad_agents.hub import check_push, push

from sad_env.errors import ConfigError
from sad_env.files import refuse_foreign
from sad_env.safe_text import console, one_line, safe_text

if TYPE_CHECKING:
    from sad_distill.models.model_card import Evaluated


@dataclass(frozen=True)
class ExportConfig:
    """Write a student as a folder that transformers and vLLM load, with a model card; --push-to-hub uploads it.

    $ sad-distill export runs/sad/student.pt --out my-student --results runs/evaluation
    $ vllm serve my-student
    """

    student: Annotated[str, tyro.conf.Positional]
    """student.pt, the folder of a training run, a model or an adapter, or nano:WORLD, which ships."""
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
    check_push(config.push_to_hub, private=config.private)
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
    from sad_agents.loading import load_language_model

    from sad_distill.models.exported import export_adapter, export_folder

    name = config.push_to_hub or folder.resolve().name
    if config.as_adapter:
        source = Path(config.student)
        if not (source / CONFIG_FILE).is_file():
            raise ConfigError(f"--as-adapter: {one_line(config.student, 80)!r} is no folder with an {CONFIG_FILE}")
        export_adapter(source, folder, name=name, results=results)
        return
    loaded = load_language_model(config.student, dtype="checkpoint")
    export_folder(folder, loaded.model, loaded.tokenizer, loaded.record, name=name, results=results, head=loaded.head)
