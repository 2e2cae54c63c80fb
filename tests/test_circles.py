"""Nothing in the house imports in a circle: not for types alone, not late inside a function, not between scripts."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "services" / "dashboard" / "static"
IMPORT_OF_SCRIPT = re.compile(r"""^\s*(?:import|export)\b[^;]*?from\s+["']\./([\w.-]+)["']""", re.MULTILINE)


def imports_of(root: Path, packages: tuple[str, ...] = ("monitor", "services")) -> dict[str, set[str]]:
    """Return what each module imports of the others, wherever it stands in the file."""
    files = {name_of(file, root): file for package in packages for file in (root / package).rglob("*.py")}
    return {name: {found for found in _named(file) if found in files} - {name} for name, file in files.items()}


def name_of(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _named(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def circle_in(imports: Mapping[str, set[str]]) -> list[str]:
    """Return one circle of imports, empty where there is none."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(imports.get(name, ())):
            circle = walk(other, [*path, name])
            if circle:
                return circle
        done.add(name)
        return []

    for name in sorted(imports):
        circle = walk(name, [])
        if circle:
            return circle
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    imports = imports_of(ROOT)

    assert len(imports) > 300
    assert circle_in(imports) == []


def test_no_script_of_the_page_does() -> None:
    imports = {
        file.name: set(IMPORT_OF_SCRIPT.findall(file.read_text(encoding="utf-8"))) for file in SCRIPTS.glob("*.js")
    }

    assert "ink.js" in imports["chart.js"]
    assert circle_in(imports) == []


@pytest.mark.parametrize(
    "line",
    [
        "from monitor.b import two",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import monitor.b",
        "def late():\n    from monitor import b",
    ],
)
def test_a_circle_is_noticed(tmp_path: Path, line: str) -> None:
    (tmp_path / "monitor").mkdir()
    (tmp_path / "monitor" / "__init__.py").touch()
    (tmp_path / "monitor" / "a.py").write_text(line)
    (tmp_path / "monitor" / "b.py").write_text("import monitor.c")
    (tmp_path / "monitor" / "c.py").write_text("import monitor.a")

    circle = circle_in(imports_of(tmp_path, ("monitor",)))

    assert circle[0] == circle[-1] and set(circle) == {"monitor.a", "monitor.b", "monitor.c"}
