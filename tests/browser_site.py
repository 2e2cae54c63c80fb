"""The operator's page as a process of its own, and a list of what a browser complained of while it looked."""

import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from services.state_folder import StateFolder

if TYPE_CHECKING:
    from playwright.sync_api import Page

WALL, PHONE = (1920, 1080), (390, 844)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
STARTED_S = 40.0
ADDRESS = re.compile(r"https?://[^/\s]+")


@dataclass
class Site:
    """A page that is served: where, and over which folder."""

    url: str
    state: StateFolder
    process: subprocess.Popen[bytes]


@dataclass
class Watched:
    """Everything that a browser complained about or asked of somebody else."""

    origin: str
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def follow(self, page: "Page") -> None:
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("response", lambda a: self.complaints.append(f"{a.status} {a.url}") if a.status >= 400 else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda socket: self._asked(socket.url.replace("ws:", "http:", 1)))

    def _asked(self, url: str) -> None:
        if not url.startswith((self.origin, "data:", "blob:")):
            self.strangers.append(url)


def serve(state: StateFolder, *options: str) -> Site:
    """Start `cellvigil dashboard` on a port that is free and wait until it can show what the state folder holds."""
    command = [sys.executable, "-m", "services.main", "dashboard", "--state", str(state.root), "--port", "0", *options]
    command += ["--config", str(state.root / "settings.json")]
    said = state.root.parent / "page.out"
    with said.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + STARTED_S
    while (address := _ready(said)) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise AssertionError(f"the page does not start: {said.read_text()!r}")
        time.sleep(0.05)
    return Site(address, state, process)


def _ready(said: Path) -> str | None:
    found = ADDRESS.search(said.read_text())
    if found is None:
        return None
    try:
        with urllib.request.urlopen(f"{found[0]}/readyz", timeout=5):
            return found[0]
    except OSError:  # not yet listening, or still reading
        return None


def end(site: Site) -> None:
    site.process.terminate()
    assert site.process.wait(10) == 0
