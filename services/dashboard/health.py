"""How the installation is, and whether the page can show it."""

from services.dashboard.endpoint import Asked
from services.dashboard.errors import NotNow
from services.dashboard.shapes import Health, Live


def health(asked: Asked) -> Health:
    """Return how the installation is: workers, queues, lag, engine, quarantine, versions and digests."""
    return asked.page.overview.health()


def readyz(asked: Asked) -> Live:
    """Say that the page can show what the state folder holds."""
    page = asked.page
    if not page.hub.readings.loaded:
        raise NotNow("the record is still being read", reason="not_ready")
    if not page.state.root.is_dir():
        raise NotNow(f"there is no state folder {page.state.root}", reason="not_ready")
    return Live(status="ok")
