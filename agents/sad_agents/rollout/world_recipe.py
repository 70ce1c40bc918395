"""How to make a world, in this process or in another one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sad_env import registry
from sad_env.errors import ConfigError
from sad_env.panels import Panel
from sad_env.safe_text import one_line


@dataclass(frozen=True)
class WorldRecipe:
    """A world's name and the arguments that it is made with.

    Attributes:
        name: the registered world.
        options: keyword arguments of the world; plain JSON values.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, data: str, split: str, options: Sequence[str] = ()) -> WorldRecipe:
        """A recipe from the arguments of a command.

        Args:
            name: the registered world.
            data: generated, official, or a folder.
            split: of its tasks.
            options: further keyword arguments as NAME=VALUE; a value that is no JSON is text.

        Raises:
            ConfigError: an option that is not NAME=VALUE, or that names data or split.
        """
        arguments: dict[str, Any] = {"data": data, "split": split}
        for option in options:
            key, equals, value = option.partition("=")
            if not equals or not key.isidentifier() or key in arguments:
                raise ConfigError(f"--options takes NAME=VALUE of the world, not {one_line(option, 60)!r}")
            try:
                arguments[key] = json.loads(value)
            except ValueError:
                arguments[key] = value
        return cls(name, arguments)

    def panel(self, episodes: int = 0) -> Panel:
        """The tasks of the world, or the first `episodes` of them.

        Raises:
            ConfigError: the world does not take these options, or has fewer tasks.
            DataError: its data are missing or damaged.
        """
        try:
            world = registry.make(self.name, **self.options)
        except TypeError as error:
            raise ConfigError(f"{self.name} cannot be made with these --options: {one_line(str(error), 160)}") from None
        panel = world.panel
        world.close()
        return panel.head(episodes) if episodes else panel
