"""The command from its options to its files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cases.bench_report import report
from PIL import Image
from typer.testing import CliRunner

from monitor.errors import SettingsError
from services.bench import engines
from services.bench.roofline import Rates
from services.main import app


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["bench", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_quick_bench_of_the_reference_writes_report_and_picture(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # the rates have their own test, and take seconds
    monkeypatch.setattr(engines, "measured_rates", lambda *_, **__: Rates("cpu", "float32", 1e11, 1e10))

    words = "--quick --no-load --sizes 128 --rounds 1 --engines eager --json here.json --plot here.png"
    output = run(*words.split())

    found = json.loads(Path("here.json").read_text())
    assert [engine["engine"] for engine in found["engines"]] == ["eager"]
    assert found["engines"][0]["times"][0]["repeats"] == 1
    assert found["load"] is None
    assert found["machine"]["cores"] >= 1
    assert "engines: 128 x 128 px, batch 1" in output  # plain lines where there is no terminal
    assert "This machine keeps up with" in output
    with Image.open("here.png") as picture:
        assert len(picture.convert("L").getcolors()) > 2
    assert "1.000" in run("--compare", "here.json", "here.json")


def test_file_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path: Path):
    with pytest.raises(SettingsError, match="its folder does not exist"):
        run("--json", str(tmp_path / "nowhere" / "a.json"))


def test_comparison_and_help_need_no_torch(tmp_path: Path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(report()), encoding="utf-8")
    code = (
        "import sys\nfrom services.main import app\n"
        f"app(['bench', '--compare', {str(file)!r}, {str(file)!r}], standalone_mode=False)\n"
        "app(['bench', '--help'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "roofline_openvino" in done.stdout and "--quick" in done.stdout
