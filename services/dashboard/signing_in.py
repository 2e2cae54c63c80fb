"""Signing in and out."""

from urllib.parse import urlsplit

from monitor.errors import BackPressure
from services.dashboard.content import Content
from services.dashboard.endpoint import PageRequest, RequestParams
from services.dashboard.errors import NotSignedIn, Refused, TooMany
from services.dashboard.guard import COOKIE
from services.dashboard.installation import Installation
from services.dashboard.user_actions import note_user_action
from services.telemetry import get_log


class Credentials(RequestParams):
    """Name and password, from the form."""

    name: str
    password: str
    next: str = "/"


def login_page(request: PageRequest) -> Content:
    """Show the form to sign in with."""
    return _form(request, own_path(request.params.next), None, 200)


def login(request: PageRequest) -> Content:
    """Sign in: a cookie is left, and the browser goes where it wanted."""
    params: Credentials = request.params
    target, page = own_path(params.next), request.page
    try:
        page.sign_in_rate.check(params.name, request.address)
        secret = page.users.sign_in(params.name, params.password)
        if secret is None:
            page.sign_in_rate.failed(params.name, request.address)
            _note(page, "nobody", "failed to sign in as", params.name, f"from {request.address}")
            raise NotSignedIn("name and password do not fit", reason="sign_in_failed")
    except (NotSignedIn, TooMany) as error:
        return _form(request, target, error, error.status)
    page.users.end_sessions(*page.guard.lasts)  # those whose browser never came back
    page.sign_in_rate.fitted(params.name, request.address)
    _note(page, params.name, "signed in", f"from {request.address}")
    return Content(status=303, headers={"Location": target}, cookie=page.guard.cookie(secret))


def logout(request: PageRequest) -> Content:
    """Sign out: the sign-in ends here too, not in the browser alone."""
    secret = request.cookies.get(COOKIE)
    if secret:
        request.page.users.sign_out(secret)
        _note(request.page, request.visitor.name, "signed out", "")
    return Content(status=303, headers={"Location": "/login"}, cookie=request.page.guard.cookie(""))


def own_path(target: str) -> str:
    """Return a path of this page, whatever was asked for: nobody is led elsewhere after signing in.

    >>> own_path("/flasks/A1?at=3"), own_path("//elsewhere.example/"), own_path("https://elsewhere.example")
    ('/flasks/A1?at=3', '/', '/')
    """
    parts = urlsplit(target)
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if plain and not parts.scheme and not parts.netloc and target.isascii() else "/"


def _note(page: Installation, by: str | None, what: str, subject: str, why: str = "") -> None:
    """Write it into the audit log; where that cannot be written now, whoever has to look must get in all the same."""
    try:
        note_user_action(page.state, by, what, subject, why)
    except BackPressure as error:
        get_log("dashboard").warning("not_in_audit_log", what=what, by=by, subject=subject, error=str(error))


def _form(request: PageRequest, target: str, error: Refused | None, status: int) -> Content:
    headers = {"Retry-After": str(error.wait_s)} if isinstance(error, TooMany) else {}
    failed = None if error is None else str(error)
    context = {"next": target, "failed": failed, "code": None if error is None else error.reason}
    return Content(status=status, template="login.html", context=context, headers=headers)
