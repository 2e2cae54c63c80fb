from pathlib import Path

import pytest

from services.settings import Settings, WatchSettings


@pytest.fixture(autouse=True)
def _no_server_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "frames"
    folder.mkdir()
    return Settings(state=tmp_path / "state", watch=WatchSettings(folder=folder))
