"""How the installation is, and whether the page can show it."""

from services.dashboard.endpoint import PageRequest
from services.dashboard.errors import NotNow
from services.dashboard.schemas import Health, Live


def health(request: PageRequest) -> Health:
    """Return how the installation is: workers, queues, lag, engine, quarantine, versions and digests."""
    return request.page.overview.health()


def readyz(request: PageRequest) -> Live:
    """Say that the page can show what the state folder holds."""
    page = request.page
    if not page.hub.readings.loaded:
        raise NotNow("the record is still being read", reason="not_ready")
    if not page.state.root.is_dir():
        raise NotNow(f"there is no state folder {page.state.root}", reason="not_ready")
    return Live(status="ok")
