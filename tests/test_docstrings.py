"""Docstrings keep up with the code that they stand in."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMES = re.compile(r"(?:^|; )((?:[a-z][a-z_0-9]*, )*[a-z][a-z_0-9]*): ", re.MULTILINE)
"""Where a docstring explains fields: `name, other: what they are; third: ...`, at the beginning of a line."""


def explained(docstring: str) -> set[str]:
    paragraphs = [part for part in docstring.split("\n\n")[1:] if NAMES.match(part)]
    return {name for part in paragraphs for found in NAMES.findall(part) for name in found.split(", ")}


def names_of(node: ast.ClassDef) -> set[str]:
    fields = {item.target.id for item in node.body if isinstance(item, ast.AnnAssign) and hasattr(item.target, "id")}
    return fields | {item.name for item in node.body if isinstance(item, ast.FunctionDef)}


def test_every_field_that_a_docstring_explains_is_there() -> None:
    seen, wrong = 0, []
    for path in sorted([*ROOT.glob("monitor/**/*.py"), *ROOT.glob("services/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.bases and node.decorator_list:
                told = explained(ast.get_docstring(node) or "")
                seen += len(told)
                wrong += [f"{path.relative_to(ROOT)}: {node.name}: {name}" for name in sorted(told - names_of(node))]

    assert not wrong
    assert seen > 100
