import os

import pytest

from services.doctor.check import Level
from services.doctor.installation import check_numba_cache, check_openmp, owner_checks
from services.doctor.probe import Answer


def test_a_stranger_that_owns_our_package_is_a_problem():
    owners = {"monitor": ["cellvigil"], "services": ["cellvigil", "services"]}

    ours, shared = owner_checks(owners, editable=False)

    assert ours.level is Level.OK
    assert shared.level is Level.PROBLEM
    assert "pip uninstall services" in shared.mend


def test_a_stranger_beside_an_editable_install_is_a_problem():
    _, shared = owner_checks({"services": ["services"]}, editable=True)

    assert shared.level is Level.PROBLEM


def test_a_folder_on_the_path_is_a_warning():
    assert [check.level for check in owner_checks({}, editable=False)] == [Level.WARNING, Level.WARNING]


def test_missing_openmp_names_the_package(monkeypatch: pytest.MonkeyPatch):
    failure = Answer(False, "OSError: libgomp.so.1: cannot open shared object file: No such file or directory")
    monkeypatch.setattr("services.doctor.installation.ask_python", lambda code, timeout_s: failure)

    assert check_openmp().mend == "apt-get install libgomp1"


def test_numba_without_a_cache_folder_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/nothing/here")
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    check = check_numba_cache()

    assert check.level is Level.PROBLEM
    assert "NUMBA_CACHE_DIR" in check.mend
