"""What the wheel of sad-env-core holds: packages that lie elsewhere in the checkout."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("sad_env", "agents/sad_agents", "eval/sad_eval", "leaderboard/sad_leaderboard")


class PackagesOfTheCheckout(BuildHookInterface):
    """Adds them to a wheel; an editable installation finds them where they lie, and must not get copies."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the build; its version is "standard" or "editable"."""
        if version != "editable":
            for folder in PACKAGES:
                build_data["force_include"][f"../../{folder}"] = folder.rpartition("/")[2]
