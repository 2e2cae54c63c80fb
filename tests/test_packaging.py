"""The wheel holds our two packages whole and nothing else, and the set-up says what it needs."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import monitor
from services.doctor.check import Level
from services.doctor.installation import check_owners

ROOT = Path(__file__).parents[1]
MOST_BYTES = 40_000_000
PACKAGES = ("monitor", "services")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: pip install 'cellvigil[test]'")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([*command, str(wheel)], check=True, timeout=120)
    return folder


def test_wheel_holds_every_file_of_both_packages_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if not name.startswith("cellvigil-")}
    present = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert packed == present


def test_wheel_is_small_enough_to_send_around(wheel: Path):
    assert wheel.stat().st_size < MOST_BYTES


def test_wheel_is_named_after_the_code_version(wheel: Path):
    assert wheel.name == f"cellvigil-{monitor.__version__}-py3-none-any.whl"


def test_command_and_owner_of_an_installed_wheel(installed: Path):
    (ours,) = importlib.metadata.distributions(path=[str(installed)])
    commands = {entry.name: entry.value for entry in ours.entry_points if entry.group == "console_scripts"}
    files = ours.files or []

    assert ours.name == "cellvigil"
    assert commands == {"cellvigil": "services.main:main"}
    assert {file.parts[0] for file in files if not file.parts[0].endswith(("..", ".dist-info"))} == set(PACKAGES)


def test_installed_wheel_runs_from_an_empty_folder(installed: Path, tmp_path: Path):
    command = [sys.executable, "-m", "services.main", "--help"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout


def test_the_base_brings_openvino_where_it_is_the_fastest_engine():
    needed = importlib.metadata.requires("cellvigil") or []

    assert [line for line in needed if line.startswith("openvino") and "extra" not in line] == [
        "openvino>=2026.2; platform_machine == 'x86_64'"
    ]
    assert all("extra ==" in line for line in needed if line.startswith("nncf"))
    assert "cellvigil[openvino]" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_nobody_else_owns_our_packages_here():
    assert [check for check in check_owners() if check.level is Level.PROBLEM] == []


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def test_make_without_a_python_says_what_to_install(tmp_path: Path):
    done = make("demo", "PYTHON=", f"VENV={tmp_path / 'venv'}")

    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("case $2 in *version_info*) exit 1;; esac; echo Python 3.9.2", "is Python 3.9.2; name another"),
        ("case $2 in *ensurepip*) exit 1;; esac; exit 0", "apt-get install python3-venv"),
    ],
    ids=["too old", "no venv"],
)
def test_make_with_an_unfit_python_names_the_mend(answers: str, words: str, tmp_path: Path):
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\n{answers}\n")
    python.chmod(0o755)

    done = make("demo", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")

    assert done.returncode != 0
    assert words in done.stderr
    assert not (tmp_path / "venv").exists()
