"""The house rules on imports, and that breaking each of them is noticed."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(limit_to_contracts=sys.argv[1:]))"
CONTRACTS = [c["id"] for c in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]]

BREACHES = [
    ("house", "monitor/errors.py", "import services.clock"),
    ("floors", "monitor/frames/frame.py", "import monitor.messages"),
    ("floors", "monitor/drift/__init__.py", "import monitor.potency"),
    ("floors", "monitor/segmentation/__init__.py", "def late():\n    import monitor.features"),
    ("floors", "monitor/pipeline.py", "def late():\n    import monitor.api"),
    ("floors", "monitor/helpers.py", ""),
    ("rooms", "services/clock.py", "import services.transport.bus"),
    ("rooms", "services/store/ledger.py", "import services.ingest.finder"),
    ("rooms", "services/tables/__init__.py", "def late():\n    import services.potency.options"),
    ("rooms", "services/dashboard/__init__.py", "import services.chain.run"),
    ("rooms", "services/helpers.py", ""),
    ("library", "monitor/errors.py", "import redis"),
    ("library", "monitor/features/__init__.py", "import structlog.stdlib"),
    ("redis", "services/clock.py", "import redis.asyncio"),
    ("redis", "services/transport/bus.py", "import redis"),
    ("watchdog", "services/clock.py", "from watchdog.observers import Observer"),
    ("sqlite", "services/dashboard/lists.py", "import sqlite3"),
    ("sqlite", "services/delivery/postman.py", "def late():\n    import sqlite3"),
    ("workers", "services/workers/segmenter.py", "import services.workers.predictor"),
    ("engines", "monitor/engine/__init__.py", "import torch_tensorrt"),
    ("engines", "services/doctor/engines.py", "import openvino"),
]


def lint(tree: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, *contracts], cwd=tree, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    for source in [*ROOT.glob("monitor/**/*.py"), *ROOT.glob("services/**/*.py"), ROOT / "pyproject.toml"]:
        target = tmp_path / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return tmp_path


@pytest.mark.parametrize("contract", CONTRACTS)
def test_contract_is_kept(contract: str):
    done = lint(ROOT, contract)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("contract", "file", "line"), BREACHES)
def test_breach_is_noticed(contract: str, file: str, line: str, copied_tree: Path):
    with (copied_tree / file).open("a") as module:
        module.write(f"\n{line}\n")

    done = lint(copied_tree, contract)

    assert done.returncode == 1
    assert "0 kept, 1 broken" in done.stdout, done.stdout


def test_every_contract_has_a_breach_that_is_noticed():
    assert {contract for contract, _, _ in BREACHES} == set(CONTRACTS)


@pytest.mark.parametrize("module", ["monitor", "services", "monitor.messages", "services.settings", "services.main"])
def test_light_modules_import_nothing_heavy(module: str):
    heavy = ["torch", "lightgbm", "numba", "skimage", "scipy", "redis"]
    question = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"
