"""Adds to the metadata of sad-env: that it needs sad-env-core of the same version, and a README with absolute links."""

import os
import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELEASE = "SAD_ENV_RELEASE"
"""Set by `make wheels`: both halves are published, and the other one is known by its version alone."""
REPOSITORY = "SAD_ENV_REPOSITORY"
"""Where the sources are published, e.g. https://github.com/OWNER/NAME; `make wheels` takes it from git's remote."""

LINK = re.compile(
    r"(?P<picture>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*)\]\((?P<to>(?!https?:|#|mailto:)[^)\s]+)\)"
)
"""A link of a page to a file of this repository; its text may hold a picture."""


class CoreDependency(MetadataHookInterface):
    """Where a checkout is installed, its own other half is: `pip install PATH` needs no index that has it."""

    def update(self, metadata: dict) -> None:
        """Write the dependencies, the other half first, and the README as it can be read elsewhere."""
        core = Path(self.root) / "packaging" / "core"
        address = "" if os.environ.get(RELEASE) else f" @ {core.as_uri()}"
        metadata["dependencies"] = [
            f"sad-env-core{address or '==' + metadata['version']}",
            *self.config["dependencies"],
        ]
        text, repository = (
            Path(self.root, "README.md").read_text(encoding="utf-8"),
            web_address(os.environ.get(REPOSITORY, "")),
        )
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, repository) if repository else text,
        }
        metadata["urls"] = {**self.config["urls"], **({"Source": repository} if repository else {})}


def web_address(remote: str) -> str:
    """The page of a repository, by its address for git; "" for one that has none.

    >>> web_address("git@github.com:someone/sad-env.git"), web_address("/srv/sad-env")
    ('https://github.com/someone/sad-env', '')
    """
    address = re.sub(r"^(?:ssh://)?git@([^:/]+)[:/]", r"https://\1/", remote.strip())
    return address.rstrip("/").removesuffix(".git") if address.startswith("https://") else ""


def absolute(text: str, repository: str) -> str:
    """A page with links to the files of the published repository: PyPI has none beside the text.

    >>> absolute("[![a](docs/a.png)](docs/a.md#x) [b](https://b.org)", "https://h/o/n")
    '[![a](https://h/o/n/raw/HEAD/docs/a.png)](https://h/o/n/blob/HEAD/docs/a.md#x) [b](https://b.org)'
    """

    def written(link: re.Match) -> str:
        kind = "raw" if link["picture"] else "blob"
        return f"{link['picture']}[{absolute(link['text'], repository)}]({repository}/{kind}/HEAD/{link['to']})"

    return LINK.sub(written, text)
