"""Names that people read: a public class of services is called like no other there."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_no_two_public_classes_of_services_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file in sorted((ROOT / "services").rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(file.relative_to(ROOT).as_posix())

    assert len(places) > 200
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
