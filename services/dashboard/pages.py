"""The pages for people: shells that the scripts fill; and what every page needs."""

from pydantic import ConfigDict

from services.dashboard.content import ASK_AGAIN, Content
from services.dashboard.endpoint import Asked, Given
from services.dashboard.errors import NotFound
from services.dashboard.openapi import document, reference
from services.dashboard.shapes import Fleet, Live, Me
from services.dashboard.tiles import fleet_of


class Where(Given):
    """State of a page that its scripts keep in the address; the server has no use for it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    next: str = "/"


def fleet_page(asked: Asked) -> Content:
    """Show every flask at a glance."""
    return Content(template="fleet.html")


def flask_page(asked: Asked) -> Content:
    """Show one flask: its course, and why it is so."""
    return Content(template="flask.html", context={"flask": known_flask(asked)})


def frames_page(asked: Asked) -> Content:
    """Show the frames of a flask."""
    return Content(template="frames.html", context={"flask": known_flask(asked)})


def alarms_page(asked: Asked) -> Content:
    """Show the alarms that stand, and what was."""
    return Content(template="alarms.html")


def health_page(asked: Asked) -> Content:
    """Show how the installation is."""
    return Content(template="health.html")


def users_page(asked: Asked) -> Content:
    """Show who may sign in."""
    return Content(template="users.html")


def api_page(asked: Asked) -> Content:
    """Show the reference of the interface, made from its description."""
    return Content(template="api.html", context={"reference": reference(asked.routes)})


def openapi_document(asked: Asked) -> Content:
    """Return the description of the interface after OpenAPI 3.1."""
    body, etag = document(asked.routes)
    return Content(body, "application/json", cache=ASK_AGAIN, etag=etag)


def static_file(asked: Asked) -> Content:
    """Return a script, a style sheet or an icon."""
    return asked.page.rendering.static(asked.path["digest"], asked.path["name"])


def favicon(asked: Asked) -> Content:
    """Return the icon, where a browser looks for it by itself."""
    return asked.page.rendering.static("", "favicon.svg")


def fleet(asked: Asked) -> Fleet:
    """Return every flask at a glance, the urgent ones first."""
    page = asked.page
    return fleet_of(page.hub.readings, page.settings, page.clock)


def me(asked: Asked) -> Me:
    """Return who asks, and the secret that a change must carry."""
    visitor, rendering = asked.visitor, asked.page.rendering
    return Me(
        name=visitor.name,
        role=None if visitor.role is None else visitor.role.value,
        how=visitor.how,
        csrf=visitor.csrf,
        version=rendering.version,
        live_clients=asked.page.hub.clients,
    )


def healthz(asked: Asked) -> Live:
    """Say that the process answers."""
    return Live(status="ok")


def known_flask(asked: Asked) -> str:
    """Return the flask that a path names.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    flask = asked.path["flask"]
    flasks = asked.page.hub.readings.flasks()
    if flask not in flasks:
        known = ", ".join(flasks[:20]) or "none"
        raise NotFound(f"there is no flask {flask[:200]!r} here; there are: {known}", reason="no_flask")
    return flask
