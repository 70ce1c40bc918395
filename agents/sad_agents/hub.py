"""Uploads to the Hugging Face hub: students and data sets (HF_TOKEN, HF_ENDPOINT)."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Literal

from sad_env.errors import ConfigError, InfrastructureError
from sad_env.safe_text import one_line

_REPOSITORY = re.compile(r"(?!\.)[\w.-]{1,96}/(?!\.)[\w.-]{1,96}", re.ASCII)


def check_push(repository: str, *, private: bool) -> None:
    """Refuse settings of an upload that do not do.

    Raises:
        ConfigError: no name of a repository, or `--private` without one.
    """
    if repository and not _REPOSITORY.fullmatch(repository):
        raise ConfigError(f"--push-to-hub {one_line(repository, 60)!r}: give OWNER/NAME")
    if private and not repository:
        raise ConfigError("--private has no effect: it needs --push-to-hub")
    if repository:
        importlib.import_module("huggingface_hub")  # before anything is made that could not be uploaded


def push(folder: Path, repository: str, *, private: bool = False, kind: Literal["model", "dataset"] = "model") -> str:
    """Upload a folder to the hub; returns its address there.

    Args:
        folder: it holds nothing else than what is uploaded.
        repository: OWNER/NAME; made where it is missing.
        private: whether one that is made is private.
        kind: what it holds.

    Raises:
        ConfigError: the hub refuses it.
        InfrastructureError: the hub does not answer.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    hub = HfApi()
    try:
        address = hub.create_repo(repository, private=private, exist_ok=True, repo_type=kind)
        hub.upload_folder(repo_id=repository, folder_path=folder, commit_message="Export of sad-env", repo_type=kind)
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
