"""What others wrote lies here as they published it, with its licence, and only what is written down."""

import hashlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "services" / "dashboard" / "static"
FOLDERS = [STATIC / "vendor" / "uplot", ROOT / "tests" / "browser" / "vendor" / "axe"]
LICENCES = {"MIT": "The MIT License", "MPL-2.0": "Mozilla Public License, version 2.0"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_vendored_files_are_as_published(folder: Path) -> None:
    known = json.loads((folder / "VENDORED.json").read_text(encoding="utf-8"))
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    del found["VENDORED.json"]
    assert found == known["sha256"]
    assert LICENCES[known["licence"]] in (folder / "LICENSE").read_text(encoding="utf-8")


def test_nothing_else_is_vendored_and_no_address_of_somebody_else_is_asked() -> None:
    assert [folder.name for folder in (STATIC / "vendor").iterdir()] == ["uplot"]
    own = [file for file in STATIC.iterdir() if file.suffix in (".js", ".css", ".svg")]
    assert len(own) > 10
    for file in own:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, file.name


def test_no_script_writes_markup() -> None:
    """Data goes in as text: a name that looks like markup stays a name."""
    ways = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc")
    for file in STATIC.glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert [way for way in ways if way in text] == [], file.name


PAGES = [file for file in sorted((STATIC.parent / "templates").glob("*.html")) if file.name != "report.html"]
"""A report is kept and sent on as one file: it holds its style itself, and the server says its digest."""


def test_pages_hold_no_inline_script_or_style() -> None:
    assert len(PAGES) > 8
    for file in PAGES:
        text = file.read_text(encoding="utf-8")
        assert "style=" not in text and "<style" not in text, file.name
        assert text.count("<script") == text.count("<script src=") + text.count('<script type="module" src='), file.name
        assert "|safe" not in text and "| safe" not in text, file.name


def test_a_report_holds_its_one_style_sheet_and_no_script() -> None:
    text = (STATIC.parent / "templates" / "report.html").read_text(encoding="utf-8")
    assert text.count("<style") == text.count("<style>{{ style }}</style>") == 1
    assert not any(way in text for way in ("style=", "<script", "|safe", "| safe", "src="))
