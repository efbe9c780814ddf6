"""A lake of real prices to read from."""

from __future__ import annotations

from pathlib import Path

import pytest
from market_snapshot import publish_bars, stock_bars

from tickhouse.settings import Settings
from tickhouse.storage import open_storage


@pytest.fixture(scope="session")
def market_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a lake with one snapshot: daily bars of five stocks over 13 years. Nobody publishes to it."""
    folder: Path = tmp_path_factory.mktemp("market")
    settings = Settings(data_dir=folder / "data", _env_file=None)
    publish_bars(open_storage(settings), stock_bars())
    return settings
