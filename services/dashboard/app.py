"""The page as an ASGI application: the table of endpoints behind the guard, and `/live`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.errors import CellvigilError
from services.dashboard.content import ASK_AGAIN, Content, encoded
from services.dashboard.endpoint import Endpoint, PageRequest, ResponseBody, parsed_body
from services.dashboard.errors import BadRequest, NotAllowed, NotSignedIn, TooLarge, TooMany, Unprocessable, status_of
from services.dashboard.guard import CSRF_FIELD, CSRF_HEADER, cookies_of, with_safe_headers
from services.dashboard.installation import Installation
from services.dashboard.live import live
from services.dashboard.roles import NOBODY, Visitor, may
from services.dashboard.routes import ENDPOINTS
from services.dashboard.schemas import ErrorAnswer, ErrorWords
from services.telemetry import get_log

BODY_MOST = 64 * 1024
WORDS = {401: "sign in first", 403: "your role may not do this", 404: "there is nothing here", 405: "not in this way"}


def make_app(installation: Installation) -> Starlette:
    """Return the application; it follows the state folder for as long as it runs."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        installation.measurer.warm_up()
        try:
            async with installation.hub.following():
                yield
        finally:
            installation.measurer.close()

    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, []).append(endpoint)
    routes: list[Route | WebSocketRoute] = [
        Route(path, endpoint=Door(installation, endpoints)) for path, endpoints in by_path.items()
    ]
    routes.append(WebSocketRoute("/live", live))
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _not_here, 500: _broken})
    app.state.installation = installation
    app.add_middleware(Threshold, installation=installation)
    return app


class Threshold:
    """Puts the headers of every answer, and turns away what was sent to another name."""

    def __init__(self, app: ASGIApp, installation: Installation) -> None:
        self._app = app
        self._installation = installation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ResponseBody a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure = self._installation.own.secure
                message = {**message, "headers": with_safe_headers(message["headers"], secure=secure)}
            await send(message)

        try:
            self._installation.guard.check_host(Headers(scope=scope))
        except BadRequest as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": error.reason})
            else:
                await _error(400, error.reason, str(error))(scope, receive, send_safely)
            return
        await self._app(scope, receive, send_safely)


class Door:
    """One path: who is it, may he, what does he want; then the endpoint's answer, or an error that says why not."""

    def __init__(self, installation: Installation, endpoints: Sequence[Endpoint]) -> None:
        self._installation = installation
        self._by_method = {endpoint.method: endpoint for endpoint in endpoints}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ResponseBody a request."""
        request = Request(scope, receive)
        visitor, endpoint = NOBODY, next(iter(self._by_method.values()))
        try:
            visitor = await run_in_threadpool(self._visitor, request)
            method = "GET" if request.method == "HEAD" else request.method
            found = self._by_method.get(method)  # type: ignore[call-overload]  # any text may come as a method
            if found is None:
                raise HTTPException(405, headers={"Allow": ", ".join(self._by_method)})
            endpoint = found
            response = await self._answer(request, endpoint, visitor)
        except CellvigilError as error:
            response = self._refusal(request, endpoint, visitor, error)
        except ClientDisconnect:
            return
        if request.method == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    def _visitor(self, request: Request) -> Visitor:
        return self._installation.guard.visitor(request.headers, cookies_of(request.headers), address_of(request))

    async def _answer(self, request: Request, endpoint: Endpoint, visitor: Visitor) -> Response:
        if not may(visitor.role, endpoint.role):
            if visitor.role is None:
                raise NotSignedIn("sign in, or send a token: Authorization: Bearer TOKEN", reason="sign_in")
            message = f"this needs the role {endpoint.role}; {visitor.name} is {visitor.role}"
            raise NotAllowed(message, reason="role")
        params = await self._params(request, endpoint, visitor)
        call = PageRequest(
            page=self._installation,
            visitor=visitor,
            path={name: str(value) for name, value in request.path_params.items()},
            params=params,
            address=address_of(request),
            cookies=cookies_of(request.headers),
            routes=ENDPOINTS,
            etag=request.headers.get("if-none-match", "").strip().removeprefix("W/").strip('"') or None,
        )
        answer = await run_in_threadpool(endpoint.call, call)
        return await run_in_threadpool(_response, self._installation, answer, visitor, call)

    async def _params(self, request: Request, endpoint: Endpoint, visitor: Visitor) -> Any:  # noqa: ANN401 (of the endpoint's own kind)
        if endpoint.method == "GET":
            values: Any = dict(request.query_params)
        else:
            guard = self._installation.guard
            guard.check_origin(request.headers, required=False)
            try:
                values = parsed_body(await _body(request), request.headers.get("content-type", ""))
            except (ValueError, RecursionError) as error:
                message = f"the body is neither JSON nor a form: {error}"
                raise BadRequest(message[:300], reason="bad_body") from error
            if not isinstance(values, dict):
                raise BadRequest("the body must be a JSON object", reason="bad_body")
            secret = values.pop(CSRF_FIELD, None)
            guard.check_csrf(visitor, request.headers.get(CSRF_HEADER) or (secret if isinstance(secret, str) else None))
        try:
            return endpoint.params.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])[:100]
            raise Unprocessable(f"{where}: {first['msg']}", reason="bad_value") from error

    def _refusal(self, request: Request, endpoint: Endpoint, visitor: Visitor, error: Exception) -> Response:
        status, code = status_of(error)
        message = str(error) if isinstance(error, CellvigilError) else "the state folder is busy; try again in a moment"
        if status >= 500:
            get_log("dashboard").warning("refused", path=request.url.path, reason=code, error=str(error))
        headers = {"Retry-After": str(error.wait_s)} if isinstance(error, TooMany) else {}
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="cellvigil"'
        if endpoint.kind == "api" or request.method not in ("GET", "HEAD", "POST"):
            return _error(status, code, message, headers)
        name = "login.html" if status == 401 else "error.html"
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        context = {"status": status, "code": code, "message": message, "next": target, "failed": None}
        answer = Content(status=status, template=name, context=context, headers=headers)
        return _response(self._installation, answer, visitor, None)


def address_of(request: Request) -> str:
    """Return the address that a request comes from, empty where it has none."""
    return request.client.host if request.client else ""


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_MOST:
            raise TooLarge(f"nothing that is asked for is longer than {BODY_MOST} bytes", reason="too_large")
    return body


def _response(installation: Installation, answer: ResponseBody, visitor: Visitor, call: PageRequest | None) -> Response:
    if not isinstance(answer, Content):
        body, etag = encoded(answer)
        answer = Content(body, "application/json", cache=ASK_AGAIN, etag=etag)
    headers = {"Cache-Control": answer.cache, **answer.headers}
    if answer.etag is not None:
        headers["ETag"] = f'"{answer.etag}"'
        if call is not None and call.etag == answer.etag:
            return Response(status_code=304, headers=headers)
    if answer.cookie is not None:
        headers["Set-Cookie"] = answer.cookie
    body = answer.body
    if answer.template is not None:
        known = {"name": visitor.name, "role": visitor.role.value} if visitor.role is not None else None
        body = installation.rendering.page(
            answer.template,
            {
                "user": known,
                "csrf": visitor.csrf,
                "how": visitor.how,
                "note": installation.note if known else None,
                **answer.context,
            },
        )
    return Response(body, answer.status, headers, answer.media)


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body, _ = encoded(ErrorAnswer(error=ErrorWords(code=code, message=message)))
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


async def _not_here(request: Request, error: Exception) -> Response:
    """ResponseBody where there is no such path, or not in this way."""
    assert isinstance(error, HTTPException)
    code, words, headers = f"http_{error.status_code}", WORDS.get(error.status_code, error.detail), error.headers or {}
    if "text/html" not in request.headers.get("accept", "") or request.url.path.startswith("/api/"):
        return _error(error.status_code, code, words, dict(headers))
    context = {"status": error.status_code, "code": code, "message": words, "next": "/", "failed": None}
    answer = Content(status=error.status_code, template="error.html", context=context, headers=dict(headers))
    return _response(request.app.state.installation, answer, NOBODY, None)


async def _broken(request: Request, error: Exception) -> Response:
    """ResponseBody after a mistake of ours; what it was stands in the log alone."""
    get_log("dashboard").error("request_failed", path=request.url.path, error=repr(error), exc_info=error)
    return _error(500, "broken", "this is a mistake of cellvigil; its log says more")
