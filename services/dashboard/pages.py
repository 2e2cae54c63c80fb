"""The pages for people: shells that the scripts fill; and what every page needs."""

from pydantic import ConfigDict

from services.dashboard.content import ASK_AGAIN, Content
from services.dashboard.endpoint import PageRequest, RequestParams
from services.dashboard.errors import NotFound
from services.dashboard.openapi import document, reference
from services.dashboard.schemas import FleetResponse, Live, Me
from services.dashboard.tiles import fleet_of


class Where(RequestParams):
    """State of a page that its scripts keep in the address; the server has no use for it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    next: str = "/"


def fleet_page(request: PageRequest) -> Content:
    """Show every flask at a glance."""
    return Content(template="fleet.html")


def flask_page(request: PageRequest) -> Content:
    """Show one flask: its course, and why it is so."""
    return Content(template="flask.html", context={"flask": known_flask(request)})


def frames_page(request: PageRequest) -> Content:
    """Show the frames of a flask."""
    return Content(template="frames.html", context={"flask": known_flask(request)})


def alarms_page(request: PageRequest) -> Content:
    """Show the alarms that stand, and what was."""
    return Content(template="alarms.html")


def health_page(request: PageRequest) -> Content:
    """Show how the installation is."""
    return Content(template="health.html")


def users_page(request: PageRequest) -> Content:
    """Show who may sign in."""
    return Content(template="users.html")


def api_page(request: PageRequest) -> Content:
    """Show the reference of the interface, made from its description."""
    return Content(template="api.html", context={"reference": reference(request.routes)})


def openapi_document(request: PageRequest) -> Content:
    """Return the description of the interface after OpenAPI 3.1."""
    body, etag = document(request.routes)
    return Content(body, "application/json", cache=ASK_AGAIN, etag=etag)


def static_file(request: PageRequest) -> Content:
    """Return a script, a style sheet or an icon."""
    return request.page.rendering.static(request.path["digest"], request.path["name"])


def favicon(request: PageRequest) -> Content:
    """Return the icon, where a browser looks for it by itself."""
    return request.page.rendering.static("", "favicon.svg")


def fleet(request: PageRequest) -> FleetResponse:
    """Return every flask at a glance, the urgent ones first."""
    page = request.page
    return fleet_of(page.hub.readings, page.settings, page.clock)


def me(request: PageRequest) -> Me:
    """Return who asks, and the secret that a change must carry."""
    visitor, rendering = request.visitor, request.page.rendering
    return Me(
        name=visitor.name,
        role=None if visitor.role is None else visitor.role.value,
        how=visitor.how,
        csrf=visitor.csrf,
        version=rendering.version,
        live_clients=request.page.hub.clients,
    )


def healthz(request: PageRequest) -> Live:
    """Say that the process answers."""
    return Live(status="ok")


def known_flask(request: PageRequest) -> str:
    """Return the flask that a path names.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    flask = request.path["flask"]
    flasks = request.page.hub.readings.flasks()
    if flask not in flasks:
        known = ", ".join(flasks[:20]) or "none"
        raise NotFound(f"there is no flask {flask[:200]!r} here; there are: {known}", reason="no_flask")
    return flask
