"""The installation: interpreter, who owns our packages, libraries of the system that wheels do not bring."""

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import monitor
from services.doctor.check import Check, ok, problem, warning
from services.doctor.folders import nearest_existing
from services.doctor.probe import ask_python

DISTRIBUTION = "cellvigil"
PACKAGES = ("monitor", "services")
OLDEST, FIRST_TOO_NEW = (3, 11), (3, 14)
IMPORT_TIMEOUT_S = 60.0


def check_python() -> Check:
    """Whether the interpreter is one that every dependency has wheels for."""
    what = f"{platform.python_version()} at {sys.executable}"
    if OLDEST <= sys.version_info[:2] < FIRST_TOO_NEW:
        return ok("python", what)
    return problem("python", what, "use Python 3.11, 3.12 or 3.13: make clean demo PYTHON=/path/to/python3.12")


def check_owners() -> list[Check]:
    """Whether cellvigil alone owns its two packages; others exist under these names and overwrite files unnoticed."""
    return owner_checks(importlib.metadata.packages_distributions(), editable=_is_editable())


def owner_checks(owners: Mapping[str, Sequence[str]], *, editable: bool) -> list[Check]:
    """Return one check per package from the distributions that own each; an editable install lists no files.

    >>> [check.what for check in owner_checks({"monitor": ["cellvigil"], "services": ["cellvigil"]}, editable=False)]
    ['owned by cellvigil alone', 'owned by cellvigil alone']
    """
    return [_owner_check(package, set(owners.get(package, ())), editable) for package in PACKAGES]


def _owner_check(package: str, owners: set[str], editable: bool) -> Check:
    name = f"package {package}"
    strangers = sorted(owners - {DISTRIBUTION})
    if strangers:
        others = ", ".join(strangers)
        mend = f"pip uninstall {' '.join(strangers)}, then install cellvigil again, in an environment of its own"
        return problem(name, f"also owned by {others}, which may have overwritten files of ours", mend)
    if owners:
        return ok(name, f"owned by {DISTRIBUTION} alone")
    if editable:
        return ok(name, f"owned by {DISTRIBUTION} alone (editable install)")
    return warning(name, "runs from a folder that is not installed", "run `make dev`, or pip install cellvigil")


def _is_editable() -> bool:
    try:
        record = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return False
    return bool(record and json.loads(record).get("dir_info", {}).get("editable"))


def check_openmp() -> Check:
    """Whether lightgbm finds the OpenMP runtime, which its wheel does not bring."""
    answer = ask_python("import lightgbm; print(lightgbm.__version__)", IMPORT_TIMEOUT_S)
    if answer.succeeded:
        return ok("lightgbm", answer.output)
    if "libgomp" in answer.output:
        return problem("lightgbm", "the OpenMP runtime libgomp.so.1 is missing", "apt-get install libgomp1")
    return problem("lightgbm", _last_line(answer.output), "pip install --force-reinstall lightgbm")


def check_numba_cache() -> Check:
    """Whether compiled functions can be kept; where they cannot, numba refuses to load the module at all."""
    package = Path(monitor.__file__).parent
    given = os.environ.get("NUMBA_CACHE_DIR")
    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    candidates = [Path(given)] if given else [package, home_cache]
    for folder in candidates:
        if _can_write(folder):
            return ok("numba cache", f"compiled functions are kept below {folder}")
    places = " nor ".join(str(folder) for folder in candidates)
    return problem("numba cache", f"cannot write below {places}", "set NUMBA_CACHE_DIR to a folder that can be written")


def _can_write(folder: Path) -> bool:
    return os.access(nearest_existing(folder), os.W_OK | os.X_OK)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]
