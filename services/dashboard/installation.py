"""What the page is about and works with: one state folder, its settings, its users, and what was read of it."""

import getpass
from dataclasses import dataclass

from monitor.errors import SettingsError
from services.clock import Clock
from services.dashboard.effective_settings import EffectiveSettings
from services.dashboard.guard import Guard, is_loopback
from services.dashboard.hub import Hub
from services.dashboard.measuring import Measurer
from services.dashboard.overview import Overview
from services.dashboard.picture_cache import PictureCache
from services.dashboard.rate_limit import SignInRateLimit
from services.dashboard.rendering import Rendering
from services.dashboard.users import Users
from services.demo_model import OF_DEMO, is_of_demo
from services.settings import DashboardSettings, Settings
from services.state_folder import StateFolder


@dataclass(frozen=True, slots=True)
class Installation:
    """A state folder as the page sees it; own: the page's own settings, as it was started."""

    state: StateFolder
    own: DashboardSettings
    effective: EffectiveSettings
    users: Users
    guard: Guard
    sign_in_rate: SignInRateLimit
    rendering: Rendering
    hub: Hub
    measurer: Measurer
    pictures: PictureCache
    overview: Overview

    @property
    def settings(self) -> Settings:
        """The settings in force in the state folder."""
        return self.effective.settings

    @property
    def note(self) -> str | None:
        """What stands over every page: that estimates are the demonstration model's; None where none are."""
        return OF_DEMO.capitalize() if is_of_demo(self.hub.readings.models()) else None

    @property
    def clock(self) -> Clock:
        """The culture's clock."""
        return self.effective.clock


def open_installation(settings: Settings) -> Installation:
    """Open a state folder for the page; it may be empty yet.

    Raises
    ------
    SettingsError
        The settings that a run left in it cannot be used.
    """
    state = StateFolder(settings.state.resolve())
    users, effective = Users(state.users), EffectiveSettings(state, settings)
    hub = Hub(state, effective, settings.dashboard.live_most)
    return Installation(
        state=state,
        own=settings.dashboard,
        effective=effective,
        users=users,
        guard=Guard(users, settings.dashboard, whoever()),
        sign_in_rate=SignInRateLimit(),
        rendering=Rendering(),
        hub=hub,
        measurer=Measurer(),
        pictures=PictureCache(),
        overview=Overview(state, effective, hub.readings),
    )


def whoever() -> str:
    """Return the name of this process's user; a container's may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "local"


def check_reach(users: Users, own: DashboardSettings) -> None:
    """Refuse to listen where strangers could reach a page that asks nobody who he is.

    Raises
    ------
    SettingsError
        `open_bind`, with what to do first.
    """
    if is_loopback(own.host):
        return
    if not users.any():
        message = (
            f"{own.host} can be reached by others and there are no users; make one first: "
            "`cellvigil dashboard user add NAME --role admin`, or listen on 127.0.0.1"
        )
        raise SettingsError(message, reason="open_bind")
    if not own.secure:
        message = (
            f"passwords would go to {own.host} in the clear; set dashboard.tls_certificate and dashboard.tls_key, "
            "or dashboard.behind_tls where a proxy speaks https, or listen on 127.0.0.1"
        )
        raise SettingsError(message, reason="open_bind")
