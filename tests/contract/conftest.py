from collections.abc import Iterator

import pytest
from live_server import LiveServer


@pytest.fixture(scope="session")
def shared_server() -> Iterator[LiveServer]:
    server = LiveServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def own_server() -> Iterator[LiveServer]:
    server = LiveServer()
    server.start()
    yield server
    server.close()
