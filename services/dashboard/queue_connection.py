"""The page's connection to the queue: looked for at every question, and never started from here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.settings import ServerSettings
from services.state_folder import StateFolder
from services.transport.redis_streams import RedisBus
from services.transport.server import server_status

ANSWER_S = 3.0


@contextmanager
def queue_of(state: StateFolder, settings: ServerSettings) -> Iterator[RedisBus | None]:
    """Connect to the queue while the context lasts; None where none runs. None is ever started from here."""
    url = settings.url
    own = server_status(state.root)
    if own is not None:
        url = own.url
    elif url is None or not _is_there(url):
        yield None
        return
    bus = RedisBus(url, settings.prefix, timeout_s=ANSWER_S)
    try:
        yield bus
    finally:
        bus.close()


def _is_there(url: str) -> bool:
    """Whether an address can be tried: a socket that is gone is of a server that was stopped."""
    parts = urlsplit(url)
    return parts.scheme != "unix" or Path(unquote(parts.path)).exists()
