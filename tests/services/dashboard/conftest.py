"""A page served by a process of its own over a recorded state folder, with users of every role and their tokens."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
from browser_site import Site, end, serve
from cases.page_state import make_page_state

from services.dashboard.roles import Role
from services.dashboard.users import Users
from services.state_folder import StateFolder

PASSWORD = "a long enough sentence"
WALL_FRAMES = 50


@dataclass(frozen=True)
class Guarded:
    """A page with users."""

    site: Site
    tokens: dict[Role, str]

    def client(self, role: Role | None = None) -> httpx.Client:
        headers = {} if role is None else {"Authorization": f"Bearer {self.tokens[role]}"}
        return httpx.Client(base_url=self.site.url, headers=headers, timeout=30.0)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> StateFolder:
    now = datetime.now(UTC).replace(microsecond=0)
    return make_page_state(tmp_path_factory.mktemp("page"), now, WALL_FRAMES)


@pytest.fixture(scope="session")
def site(recorded: StateFolder) -> Iterator[Site]:
    served = serve(recorded)
    yield served
    end(served)


@pytest.fixture(scope="session")
def client(site: Site) -> Iterator[httpx.Client]:
    """Whoever sits at this machine, with the secret that a change must carry."""
    with httpx.Client(base_url=site.url, timeout=30.0) as opened:
        opened.headers["X-CSRF-Token"] = opened.get("/api/v1/me").json()["csrf"]
        yield opened


@pytest.fixture(scope="session")
def guarded(recorded: StateFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    copy = tmp_path_factory.mktemp("guarded") / "state"
    shutil.copytree(recorded.root, copy)
    state = StateFolder(copy)
    users = Users(state.users)
    tokens = {}
    for role in Role:
        users.add(role.value, role, PASSWORD)
        tokens[role] = users.make_token(role.value, "test")
    served = serve(state)
    yield Guarded(served, tokens)
    end(served)


def secret_of(client: httpx.Client) -> str:
    return client.get("/api/v1/me").json()["csrf"]
