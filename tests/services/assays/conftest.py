"""Models and state folders that are made once; tests work on copies."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cases.recorded_flasks import make_model, record_flasks
from cases.simulated_flasks import Flasks, simulated_flasks

from services.state_folder import StateFolder

LATER = simulated_flasks(donors=6, flasks=5, frames=4, seed=9)
OUT_OF_FOCUS = "D0-F0"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of IDO alone."""
    return make_model(tmp_path_factory.mktemp("ido") / "model")


@pytest.fixture(scope="session")
def index_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of IDO, PGE2 and their index, which is what the monitor shows."""
    return make_model(tmp_path_factory.mktemp("index") / "model", index=True)


@pytest.fixture(scope="session")
def later() -> Flasks:
    """Flasks of other donors, watched after the training."""
    return LATER


@pytest.fixture(scope="session")
def _recorded(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    return record_flasks(tmp_path_factory.mktemp("recorded") / "state", model, LATER, bad=(OUT_OF_FOCUS,)).root


@pytest.fixture
def state(tmp_path: Path, _recorded: Path, model: Path) -> StateFolder:
    """A state folder in which these flasks were judged by the model of IDO; the first one was out of focus."""
    folder = Path(shutil.copytree(_recorded, tmp_path / "state"))
    (folder / "settings.json").write_text(f'{{"predictor": {{"model": "{model}"}}}}', encoding="utf-8")
    return StateFolder(folder)


@pytest.fixture
def assay(state: StateFolder) -> Callable[..., tuple[int, str]]:
    """Run `cellvigil assay` on the state folder; return its exit code and what it said."""
    from cases.command_line import command_line

    def run(word: str, *words: object) -> tuple[int, str]:
        return command_line("assay", word, *words, "--state", state.root)

    return run
