"""Adds to the metadata of sad-env that it needs sad-env-core of the same version."""

import os
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELEASE = "SAD_ENV_RELEASE"
"""Set by `make wheels`: both halves are published, and the other one is known by its version alone."""


class CoreDependency(MetadataHookInterface):
    """Where a checkout is installed, its own other half is: `pip install PATH` needs no index that has it."""

    def update(self, metadata: dict) -> None:
        """Write the dependencies: the other half first."""
        core = Path(self.root) / "packaging" / "core"
        address = "" if os.environ.get(RELEASE) else f" @ {core.as_uri()}"
        metadata["dependencies"] = [
            f"sad-env-core{address or '==' + metadata['version']}",
            *self.config["dependencies"],
        ]
