"""What the file names of a folder say, before any run."""

import csv
import json
import sys
from pathlib import Path

from monitor.errors import LayoutMismatch, SettingsError
from monitor.frames.layout import Layout
from services.ingest.candidates import source_of
from services.ingest.scanner import scan


def show_layout(folder: Path, name: str, *, as_json: bool) -> int:
    """Print what a folder's file names say; exit code 1 when one of them says nothing."""
    if not folder.is_dir():
        raise SettingsError(f"{folder} is not a folder", reason="no_folder")
    layout = Layout(name)
    root = folder.resolve()
    rows: list[dict[str, str]] = []
    for entry in scan(root, root, root / ".none"):
        source = source_of(Path(entry.path), root)
        try:
            parsed = layout.parse(source)
        except LayoutMismatch as error:
            rows.append({"source": source, "problem": error.reason})
        else:
            time_text = parsed.acquired_at.isoformat() if parsed.acquired_at else "from the file"
            rows.append({"source": source, **parsed.key.model_dump(), "acquired_at": time_text})
    unmatched = [row for row in rows if "problem" in row]
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
        writer.writerow(["flask", "position", "channel", "time_point", "acquired_at", "source"])
        for row in rows:
            if "problem" not in row:
                columns = ("flask", "position", "channel", "time_point", "acquired_at", "source")
                writer.writerow([row[column] for column in columns])
        for row in unmatched:
            writer.writerow([f"# {row['problem']}", "", "", "", "", ascii(row["source"])])
        print(f"# {len(rows) - len(unmatched)} files fit {name!r}, {len(unmatched)} do not")
    return 1 if unmatched or not rows else 0
