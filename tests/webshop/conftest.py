"""The official shop of a thousand products, opened once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sad_env.webshop.session import Shop
from sad_env.webshop.shops import open_shop

External = Callable[[str], Path]


@pytest.fixture(scope="session")
def official_folder(external_path: External) -> Path:
    return external_path("data/webshop/items_shuffle_1000.json").parent


@pytest.fixture(scope="session")
def official(official_folder: Path) -> Shop:
    return open_shop(str(official_folder))[1]


@pytest.fixture(scope="session")
def generated() -> Shop:
    return open_shop("generated")[1]
