"""Models of the Hugging Face hub, by their ids; without torch, so that an id that cannot be had is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sad_agents.reachable import reachable
from sad_env.addresses import public_address
from sad_env.errors import InfrastructureError
from sad_env.safe_text import one_line

_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "chat_template.jinja", "action_head.st")
"""What is fetched from the hub: nothing that can run code; chat templates are rendered in a sandbox."""
_ELSEWHERE = ("*/*", "consolidated*")
"""What is not: other formats of the same weights."""


def hub_folder(name: str) -> Path:
    """The folder of the hub's cache that holds a model, fetched where need be; its name is the model's commit.

    Raises:
        InfrastructureError: no such model, or no network and nothing in the cache.
    """
    return folder_offline(name) or _folder(name, offline=False)


def folder_offline(name: str) -> Path | None:
    """The same where the hub does not answer; None where it does. It takes three seconds at most.

    Raises:
        InfrastructureError: nothing in the cache.
    """
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE or not reachable(constants.ENDPOINT)
    return _folder(name, offline=True) if offline else None


def _folder(name: str, *, offline: bool) -> Path:
    from huggingface_hub import constants, snapshot_download

    wanted: dict[str, Any] = {"allow_patterns": list(_FILES), "ignore_patterns": list(_ELSEWHERE)}
    try:
        return Path(snapshot_download(name, local_files_only=offline, **wanted))
    except Exception as error:
        if offline:
            hub = public_address(constants.ENDPOINT)
            raise InfrastructureError(
                f"{one_line(name, 80)!r} could not be loaded from the hub or its cache: {hub} does not answer:"
                " connect to the network, or give a folder"
            ) from None
        raise InfrastructureError(
            f"{one_line(name, 80)!r} could not be loaded from the hub or its cache: {one_line(str(error), 160)}"
        ) from None
