"""What is public says what it takes, gives and raises; no docstring of the house speaks of what is not there."""

import ast
import builtins
import functools
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

import monitor
import services
from monitor import errors
from monitor.features.featurizer import FrameFeatures
from monitor.frames.frame import Frame
from monitor.messages import FrameEstimate, FrameQuality
from monitor.pipeline import Masks
from monitor.potency.model import PotencyModel
from monitor.segmentation.segmenter import Segmentation

ROOT = Path(__file__).parents[1]
RETURNED = (Frame, FrameEstimate, FrameFeatures, FrameQuality, Masks, PotencyModel, Segmentation, services.OpenedRun)
"""Classes that the functions of the doors return, or that are part of them."""


def is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


ERRORS = {name for place in (builtins, errors) for name, value in vars(place).items() if is_error(value)}
OF_LIBRARIES = {"sqlite3.Error", "sqlite3.OperationalError"}


def functions_of_doors() -> list[typing.Any]:
    given = [getattr(package, name) for package in (monitor, services) for name in package.__all__]
    return [thing for thing in given if inspect.isfunction(thing)]


def section(docstring: str, name: str) -> list[str]:
    """Return the names that a section of a numpydoc docstring describes."""
    found = re.search(rf"^{name}\n-+\n(.*?)(?=\n\n\S|\Z)", docstring, re.DOTALL | re.MULTILINE)
    heads = [line for line in (found[1].splitlines() if found else []) if line and not line.startswith(" ")]
    return [name.strip() for head in heads for name in head.split(",")]


@functools.cache
def trees() -> dict[Path, ast.Module]:
    files = sorted(file for package in ("monitor", "services") for file in (ROOT / package).rglob("*.py"))
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}


def documented() -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """Yield place, function and docstring of every function of the house that has one."""
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", node, text


def checked(*files: Path) -> subprocess.CompletedProcess[str]:
    """Hold files to what `make lint` asks of those that it names."""
    command = [sys.executable, "-m", "pydoclint.main", "--quiet", "--config", str(ROOT / "pyproject.toml")]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=60, check=False)


def test_classes_that_the_doors_return_document_all_that_they_have(tmp_path: Path):
    files = [tmp_path / f"{cls.__name__}.py" for cls in RETURNED]
    for file, cls in zip(files, RETURNED, strict=True):
        file.write_text(inspect.getsource(cls), encoding="utf-8")

    done = checked(*files)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('def area(cells: int) -> int:\n    """Return it."""\n    return cells', "DOC103"),
        ('class Cell:\n    """A cell."""\n\n    area: int', "DOC603"),
        ('def area() -> int:\n    """Area."""\n    return 1', "DOC201"),
    ],
)
def test_what_is_not_documented_is_noticed(tmp_path: Path, code: str, told: str):
    (tmp_path / "public.py").write_text(code + "\n", encoding="utf-8")

    done = checked(tmp_path / "public.py")

    assert done.returncode == 1
    assert told in done.stdout + done.stderr


def test_list_of_these_classes_is_whole():
    known = {cls.__name__ for cls in RETURNED} | {"Any", "None", "str", "list"}
    returned = [inspect.signature(function).return_annotation for function in functions_of_doors()]

    names = {name for one in returned for name in re.findall(r"\w+", getattr(one, "__name__", str(one)))}

    assert len(returned) == 6
    assert names <= known


@pytest.mark.parametrize("function", functions_of_doors(), ids=lambda function: function.__name__)
def test_function_of_a_door_says_what_it_takes_gives_and_raises(function: typing.Any):
    text = inspect.getdoc(function) or ""

    assert section(text, "Parameters") == list(inspect.signature(function).parameters)
    assert section(text, "Returns")
    assert section(text, "Raises")


def test_method_of_a_run_says_what_it_gives():
    methods = {name: method for name, method in vars(services.OpenedRun).items() if name[0] != "_" and name != "close"}

    assert len(methods) == 11
    assert all(section(inspect.getdoc(method) or "", "Returns") for method in methods.values())


def test_no_docstring_describes_a_parameter_that_is_not_there():
    wrong = []
    for place, node, text in documented():
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
        wrong += [f"{place}: {name}" for name in section(text, "Parameters") if name not in {one.arg for one in every}]

    assert wrong == []


def test_what_a_docstring_says_is_raised_is_an_error():
    told = [(place, name) for place, _, text in documented() for name in section(text, "Raises")]
    ours = {node.name for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}

    assert len(told) > 100
    assert [f"{place}: {name}" for place, name in told if name not in ERRORS | OF_LIBRARIES | ours] == []
