"""Python code by the name of a module, or by the path of a file that is in no package."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType


def named_module(name: str) -> ModuleType:
    """The module of this name, which may lie in the folder of the caller: an installed command's path lacks it.

    That folder comes last, so that no file in it takes the place of a package.

    Raises:
        ImportError: there is none, or whatever its code raises.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        top, here = name.partition(".")[0], os.getcwd()
        if error.name != top or here in sys.path or not (Path(f"{top}.py").is_file() or Path(top).is_dir()):
            raise
    sys.path.append(here)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def load_source(source: str) -> ModuleType:
    """The module of this name; or, where it ends with ".py", the file's content as a module, run once a process.

    Raises:
        ImportError: there is none, or whatever its code raises.
    """
    if not source.endswith(".py"):
        return named_module(source)
    path = Path(source).resolve()
    # A name of its own: the file may be called as an installed module is.
    name = f"_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {str(path)!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
