"""`cellvigil run`: what stops it before anything is started."""

import shutil
from pathlib import Path

from cases.command_line import command_line

from monitor.potency.model import DEMO


def test_a_potency_model_with_a_changed_byte_refuses_to_start(tmp_path: Path) -> None:
    model, watch = tmp_path / "model", tmp_path / "watch"
    shutil.copytree(DEMO, model)
    watch.mkdir()
    trees = bytearray((model / "potency.middle.txt").read_bytes())
    trees[len(trees) // 2] ^= 1
    (model / "potency.middle.txt").write_bytes(trees)
    (tmp_path / "with.yaml").write_text(f"predictor: {{model: {model}}}\n", encoding="utf-8")
    words = ("--watch", watch, "--state", tmp_path / "state", "--config", tmp_path / "with.yaml", "--until-idle", 1)
    code, said = command_line("run", *words)
    assert code == 2
    assert "potency.middle.txt is not the file that the model was released with" in said
    assert not (tmp_path / "state" / "ledger.sqlite3").exists()
