"""Before every request: which name it was sent to, who sends it, and what every answer says to the browser.

A browser that was led here by another site's page is the danger: that page's name may have been made to point to this
machine (the name is checked), and it may send what it cannot read (a change needs a secret that only our own pages
know, and comes from our own origin).
"""

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable, Mapping
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from services.dashboard.errors import BadRequest, NotAllowed, NotSignedIn
from services.dashboard.roles import NOBODY, Role, Visitor
from services.dashboard.users import Users
from services.settings import DashboardSettings

COOKIE = "cellvigil_session"
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"
CONTENT_SECURITY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
SAFE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Guard:
    """Says who asks and refuses what must not be request.

    Parameters
    ----------
    users
        Who may sign in.
    settings
        Names, local access and how long a sign-in lasts.
    local_name
        Whom a visitor at this machine acts as while there are no users.
    """

    def __init__(self, users: Users, settings: DashboardSettings, local_name: str) -> None:
        self._users = users
        self._settings = settings
        self._local_name = local_name
        self._key = secrets.token_bytes(32)
        self._names = {"localhost", socket.gethostname().lower(), *(name.lower() for name in settings.hosts)}
        if not is_address(settings.host):
            self._names.add(settings.host.lower())

    @property
    def lasts(self) -> tuple[timedelta, timedelta]:
        """How long a sign-in lasts without use, and at most."""
        return timedelta(hours=self._settings.session_idle_h), timedelta(hours=self._settings.session_most_h)

    def check_host(self, headers: Headers) -> None:
        """Refuse a request that was sent to a name that is none of ours.

        Raises
        ------
        BadRequest
            With the setting that adds a name.
        """
        names = headers.getlist("host")
        name = host_of(names[0]) if len(names) == 1 else None
        if name is None or not (is_address(name) or name in self._names):
            shown = (names or [""])[0][:200]
            raise BadRequest(f"this page is not called {shown!r}; add the name to dashboard.hosts", reason="bad_host")

    def visitor(self, headers: Headers, cookies: Mapping[str, str], address: str) -> Visitor:
        """Return who asks; `NOBODY` where that is not known.

        Raises
        ------
        NotSignedIn
            A token that is none.
        """
        given = headers.get("authorization")
        if given is not None:
            kind, _, token = given.partition(" ")
            found = self._users.by_token(token.strip()) if kind.lower() == "bearer" else None
            if found is None:
                raise NotSignedIn("this token is not known, or no longer; make a new one", reason="bad_token")
            return found
        secret = cookies.get(COOKIE)
        if secret:
            found = self._users.by_session(secret, *self.lasts)
            if found is not None:
                return found
        return self._local(headers, address)

    def _local(self, headers: Headers, address: str) -> Visitor:
        # a page that others can reach, or that a proxy stands before, never takes anybody to be at this machine
        alone = is_loopback(self._settings.host) and not self._settings.secure
        if not (self._settings.local_access and alone and is_loopback(address)) or self._users.any():
            return NOBODY
        # what a proxy hands on comes from elsewhere, whatever address it has by then
        if any(name in headers for name in PROXIED):
            return NOBODY
        csrf = hmac.new(self._key, b"local", hashlib.sha256).hexdigest()
        return Visitor(self._local_name, Role.ADMIN, "local", csrf)

    def check_origin(self, headers: Headers, *, required: bool) -> None:
        """Refuse what another site's page sends.

        Raises
        ------
        NotAllowed
            It says that it comes from elsewhere, or does not say where from although it must.
        """
        origin, host = headers.get("origin"), headers.get("host", "")
        if origin is None:
            if required or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                raise NotAllowed("this was sent by another site's page", reason="bad_origin")
        elif origin == "null" or urlsplit(origin).netloc.lower() != host.lower():
            raise NotAllowed("this was sent by another site's page", reason="bad_origin")

    def check_csrf(self, visitor: Visitor, given: str | None) -> None:
        """Refuse a change that does not carry the secret of our own pages; a token needs none.

        Raises
        ------
        NotAllowed
            With where the secret is to be found.
        """
        if visitor.how in (None, "token"):
            return
        if not given or not hmac.compare_digest(visitor.csrf.encode(), given.encode("utf-8", "replace")):
            message = f"send the secret of GET /api/v1/me as header {CSRF_HEADER}, or use a token; or reload the page"
            raise NotAllowed(message, reason="bad_csrf")

    def cookie(self, secret: str) -> str:
        """Return the header that leaves a sign-in with the browser, or with an empty secret takes it away."""
        lasts = int(self.lasts[1].total_seconds()) if secret else 0
        secure = "; Secure" if self._settings.secure else ""
        return f"{COOKIE}={secret}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}"


def cookies_of(headers: Headers) -> dict[str, str]:
    """Return the cookies of a request; none where they cannot be read."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def host_of(header: str) -> str | None:
    """Return the name of a Host header, in lower case and without its port; None where there is none.

    >>> host_of("Lab-PC:8765"), host_of("[::1]:8765"), host_of("")
    ('lab-pc', '::1', None)
    """
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def is_address(name: str) -> bool:
    """Whether a host is an IP address: nobody can make that point elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether an address, or the name localhost, is of this machine alone."""
    if address == "localhost":
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return found.is_loopback or (mapped is not None and mapped.is_loopback)


def with_safe_headers(headers: Iterable[tuple[bytes, bytes]], *, secure: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with those that every answer has; one that has its own keeps it."""
    kept = list(headers)
    there = {name.lower() for name, _ in kept}
    safe: dict[str, Any] = dict(SAFE_HEADERS)
    if secure:
        safe["Strict-Transport-Security"] = "max-age=31536000"
    more = [(name.lower().encode(), value.encode()) for name, value in safe.items()]
    return kept + [(name, value) for name, value in more if name not in there]
