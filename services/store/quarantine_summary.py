"""What lies in quarantine, in a line: a run that puts every file aside must not look like one that waits for files."""

from services.store.ledger import Ledger
from services.telemetry import printable


def quarantine_summary(ledger: Ledger) -> str:
    """Return how many files were put aside and for what, and what is wrong with the newest; empty without any."""
    reasons, newest = ledger.quarantine_summary()
    if newest is None:
        return ""
    count = sum(reasons.values())
    listed = ", ".join(f"{many} {reason}" for reason, many in reasons.items())
    source, detail = newest
    name = source.rpartition("/")[2]  # which details name, and which many folders may hold
    what = detail if source in detail else detail.replace(name, source, 1) if name in detail else f"{source}: {detail}"
    files = "file was" if count == 1 else "files were"
    return f"{count} {files} put aside ({listed}; all: `cellvigil results --csv -`); the newest: {printable(what)}"
