"""Every path of the page: one table, which the application, its description and the tests walk."""

from collections.abc import Callable

from services.dashboard import frames, pages, pictures, series, signing_in, why
from services.dashboard.endpoint import Asked, Content, Endpoint, Given, Nothing
from services.dashboard.roles import Role
from services.dashboard.shapes import (
    CellPage,
    Fleet,
    FrameDetail,
    FramePage,
    Live,
    Me,
    SeriesAnswer,
    Shape,
    Why,
)

HTML, JPEG, PNG = "text/html; charset=utf-8", "image/jpeg", "image/png"
API = "/api/v1"
FRAME = f"{API}/frames/{{frame_id}}"


def _page(path: str, call: Callable[[Asked], Content], role: Role | None = Role.VIEWER) -> Endpoint:
    return Endpoint("GET", path, role, call, _summary(call), None, pages.Where, HTML, "page")


def _get(
    path: str,
    call: Callable[[Asked], Shape],
    answer: type[Shape],
    given: type[Given] = Nothing,
    role: Role | None = Role.VIEWER,
) -> Endpoint:
    return Endpoint("GET", f"{API}/{path}", role, call, _summary(call), answer, given)


def _picture(path: str, call: Callable[[Asked], Content], media: str, given: type[Given] = Nothing) -> Endpoint:
    return Endpoint("GET", f"{API}/{path}", Role.VIEWER, call, _summary(call), None, given, media)


def _summary(call: Callable[..., object]) -> str:
    return (call.__doc__ or "").strip().splitlines()[0]


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
    _get("me", pages.me, Me),
    _get("fleet", pages.fleet, Fleet),
    _get("flasks/{flask:path}/series", series.series, SeriesAnswer, series.SeriesWanted),
    _get("flasks/{flask:path}/why", why.why, Why, why.WhyWanted),
    _get("flasks/{flask:path}/frames", frames.frame_list, FramePage, frames.FramesWanted),
    _get("frames/{frame_id}", frames.frame_detail, FrameDetail),
    _get("frames/{frame_id}/cells", why.cell_list, CellPage),
    _picture("frames/{frame_id}/image.jpg", pictures.frame_image, JPEG, pictures.PictureWanted),
    _picture("frames/{frame_id}/cells.png", pictures.cells_image, PNG, pictures.CellsWanted),
    _picture("frames/{frame_id}/nuclei.png", pictures.nuclei_image, PNG, pictures.PictureWanted),
    _picture("frames/{frame_id}/cells/{cell:int}.jpg", pictures.cell_image, JPEG),
)
"""Of paths that begin alike, the longer ones come first."""
