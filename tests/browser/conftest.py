"""A real server process over a recorded state folder, and a real Chromium that looks at it."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_site import PROGRAMS, WALL, Site, Watched, end, serve
from cases.page_state import make_page_state

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    now = datetime.now(UTC).replace(microsecond=0)
    served = serve(make_page_state(tmp_path_factory.mktemp("page"), now))
    yield served
    end(served)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on PATH: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def watched(site: Site) -> Watched:
    return Watched(site.url)


@pytest.fixture
def window(browser: "Browser", site: Site, watched: Watched) -> Iterator["BrowserContext"]:
    """A window as large as a wall screen; whatever it complains of fails the test that opened it."""
    width, height = WALL
    context = browser.new_context(
        base_url=site.url, viewport={"width": width, "height": height}, timezone_id="Europe/Berlin"
    )
    context.set_default_timeout(10_000)
    context.on("page", watched.follow)
    yield context
    context.close()
    assert watched.complaints == []
    assert watched.strangers == []


@pytest.fixture
def page(window: "BrowserContext") -> "Page":
    return window.new_page()


@pytest.fixture(scope="session")
def axe() -> str:
    return (Path(__file__).parent / "vendor" / "axe" / "axe.min.js").read_text(encoding="utf-8")
