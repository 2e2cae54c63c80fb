"""Every path of the page: one table, which the application, its description and the tests walk."""

from collections.abc import Callable

from monitor.messages import OperatorAction
from services.dashboard import (
    accounts,
    alarms,
    frames,
    health,
    lists,
    metrics,
    pages,
    pdf,
    pictures,
    queue,
    report,
    series,
    signing_in,
    why,
)
from services.dashboard.content import Content
from services.dashboard.cursors import Paged
from services.dashboard.endpoint import Endpoint, NoParams, PageRequest, RequestParams
from services.dashboard.roles import Role
from services.dashboard.schemas import (
    Acted,
    AlarmPage,
    AlarmWords,
    AuditPage,
    BadActors,
    CellPage,
    DeadLetters,
    DoneResponse,
    FleetResponse,
    FrameDetail,
    FramePage,
    Health,
    HistoryPage,
    Live,
    Me,
    NewToken,
    QuarantinePage,
    Requeued,
    ResponseModel,
    SeriesResponse,
    UserPage,
    Why,
)

HTML, JPEG, PNG = "text/html; charset=utf-8", "image/jpeg", "image/png"
API = "/api/v1"
ALARM = "alarms/{flask:path}/{channel}"


def _page(path: str, call: Callable[[PageRequest], Content], role: Role | None = Role.VIEWER) -> Endpoint:
    return Endpoint("GET", path, role, call, _summary(call), None, pages.Where, HTML, "page")


def _get(
    path: str,
    call: Callable[[PageRequest], ResponseModel],
    answer: type[ResponseModel],
    params: type[RequestParams] = NoParams,
    role: Role | None = Role.VIEWER,
) -> Endpoint:
    return Endpoint("GET", f"{API}/{path}", role, call, _summary(call), answer, params)


def _picture(
    path: str, call: Callable[[PageRequest], Content], media: str, params: type[RequestParams] = NoParams
) -> Endpoint:
    return Endpoint("GET", f"{API}/{path}", Role.VIEWER, call, _summary(call), None, params, media)


def _post(
    path: str,
    call: Callable[[PageRequest], ResponseModel],
    answer: type[ResponseModel],
    params: type[RequestParams] = NoParams,
    role: Role = Role.OPERATOR,
) -> Endpoint:
    return Endpoint("POST", f"{API}/{path}", role, call, _summary(call), answer, params)


def _acting(action: OperatorAction, params: type[RequestParams] = alarms.Comment) -> Endpoint:
    path = f"{ALARM}/{action.value.replace('_', '-')}"
    return _post(path, alarms.acting(action), Acted, params)


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
    Endpoint("GET", "/healthz", None, pages.healthz, _summary(pages.healthz), Live),
    Endpoint("GET", "/readyz", None, health.readyz, _summary(health.readyz), Live),
    Endpoint("GET", "/metrics", Role.VIEWER, metrics.metrics, _summary(metrics.metrics), media=metrics.MEDIA),
    Endpoint("GET", "/openapi.json", Role.VIEWER, pages.openapi_document, _summary(pages.openapi_document)),
    _page("/api", pages.api_page),
    _get("me", pages.me, Me),
    _get("fleet", pages.fleet, FleetResponse),
    _get("flasks/{flask:path}/series", series.series, SeriesResponse, series.SeriesWanted),
    Endpoint(
        "GET",
        f"{API}/flasks/{{flask:path}}/report.html",
        Role.VIEWER,
        report.flask_report,
        _summary(report.flask_report),
        params=series.SeriesWanted,
        media=HTML,
    ),
    Endpoint(
        "GET",
        f"{API}/flasks/{{flask:path}}/report.pdf",
        Role.VIEWER,
        report.flask_pdf,
        _summary(report.flask_pdf),
        params=series.SeriesWanted,
        media=pdf.MEDIA,
    ),
    _get("flasks/{flask:path}/why", why.why, Why, why.WhyWanted),
    _get("flasks/{flask:path}/frames", frames.frame_list, FramePage, frames.FramesWanted),
    _get("frames/{frame_id}", frames.frame_detail, FrameDetail),
    _get("frames/{frame_id}/cells", why.cell_list, CellPage),
    _picture("frames/{frame_id}/image.jpg", pictures.frame_image, JPEG, pictures.PictureWanted),
    _picture("frames/{frame_id}/cells.png", pictures.cells_image, PNG, pictures.CellsWanted),
    _picture("frames/{frame_id}/nuclei.png", pictures.nuclei_image, PNG, pictures.PictureWanted),
    _picture("frames/{frame_id}/cells/{cell:int}.jpg", pictures.cell_image, JPEG),
    _get("alarms", alarms.alarm_list, AlarmPage, alarms.AlarmsWanted),
    _get("alarms/history", alarms.alarm_history, HistoryPage, alarms.HistoryWanted),
    _get("alarms/bad-actors", alarms.bad_actors, BadActors, alarms.DaysWanted),
    _get(f"{ALARM}/words", alarms.alarm_words, AlarmWords),
    _acting(OperatorAction.ACKNOWLEDGE),
    _acting(OperatorAction.SHELVE, alarms.Shelving),
    _acting(OperatorAction.UNSHELVE),
    _acting(OperatorAction.OUT_OF_SERVICE),
    _acting(OperatorAction.IN_SERVICE),
    _get("health", health.health, Health),
    _get("dead-letters", queue.dead_letter_list, DeadLetters, Paged),
    _post("dead-letters/{letter}/requeue", queue.requeue_letter, Requeued, alarms.Comment),
    _get("quarantine", lists.quarantine_list, QuarantinePage, Paged),
    _picture("quarantine/{file:int}/preview.jpg", lists.quarantine_preview, JPEG),
    _get("audit", lists.audit_list, AuditPage, lists.AuditWanted),
    _get("users", accounts.user_list, UserPage, role=Role.ADMIN),
    _post("users", accounts.add_user, DoneResponse, accounts.NewUser, Role.ADMIN),
    _post("users/{name}/change", accounts.change_user, DoneResponse, accounts.Changed, Role.ADMIN),
    _post("users/{name}/remove", accounts.remove_user, DoneResponse, role=Role.ADMIN),
    _post("tokens", accounts.make_token, NewToken, accounts.TokenNamed, Role.ADMIN),
    _post("tokens/remove", accounts.remove_token, DoneResponse, accounts.TokenNamed, Role.ADMIN),
)
"""Of paths that begin alike, the longer ones come first."""
