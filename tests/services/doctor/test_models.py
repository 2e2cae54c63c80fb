from pathlib import Path

from services.doctor import Level
from services.doctor.models import check_models
from services.settings import Settings


def test_missing_weights_are_a_problem_with_their_path(settings: Settings, tmp_path: Path):
    path = tmp_path / "gone.json"
    chosen = settings.model_copy(
        update={"segmenter": settings.segmenter.model_copy(update={"weights": path})},
    )

    check = next(check for check in check_models(chosen) if check.name == "segmenter weights")

    assert check.level is Level.PROBLEM
    assert str(path) in check.what
    assert "segmenter.weights" in check.mend
