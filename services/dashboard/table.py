"""Every path of the page: one table, which the application, its description and the tests walk."""

from services.dashboard import pages, signing_in
from services.dashboard.endpoint import Endpoint
from services.dashboard.roles import Role
from services.dashboard.shapes import Fleet, Live, Me
from services.dashboard.endpoint import Asked
from services.dashboard.tiles import fleet_of

HTML = "text/html; charset=utf-8"


def fleet(asked: Asked) -> Fleet:
    """Every flask, the urgent ones first."""
    page = asked.page
    return fleet_of(page.hub.readings, page.settings, page.clock)


def _page(path, call, role=Role.VIEWER, given=pages.Where):
    return Endpoint("GET", path, role, call, (call.__doc__ or "").splitlines()[0], None, given, HTML, "page")


ENDPOINTS = (
    _page("/", pages.fleet_page),
    _page("/flasks/{flask:path}/frames", pages.frames_page),
    _page("/flasks/{flask:path}", pages.flask_page),
    _page("/alarms", pages.alarms_page),
    _page("/health", pages.health_page),
    _page("/users", pages.users_page, Role.ADMIN),
    _page("/login", signing_in.login_page, None),
    Endpoint("POST", "/login", None, signing_in.login, "Sign in.", None, signing_in.Credentials, HTML, "page"),
    Endpoint("POST", "/logout", Role.VIEWER, signing_in.logout, "Sign out.", None, pages.Where, HTML, "page"),
    _page("/favicon.ico", pages.favicon, None),
    _page("/static/{digest}/{name:path}", pages.static_file, None),
    Endpoint("GET", "/healthz", None, pages.healthz, "Whether it answers.", Live),
    Endpoint("GET", "/api/v1/me", Role.VIEWER, pages.me, "Who asks.", Me),
    Endpoint("GET", "/api/v1/fleet", Role.VIEWER, fleet, "Every flask.", Fleet),
)
