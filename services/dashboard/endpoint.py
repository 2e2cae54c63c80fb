"""What a path of the page is: who may ask, what with, what is answered. The table of them is all that there is."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.dashboard.content import Content
from services.dashboard.installation import Installation
from services.dashboard.roles import Role, Visitor
from services.dashboard.schemas import ResponseModel


class RequestParams(BaseModel):
    """Base of what a request carries, in its query or its body; what is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoParams(RequestParams):
    """Of a request that carries nothing."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request: of whom, where, with what; `params` is of the endpoint's own kind, `etag` what the browser has.

    routes: every endpoint of the application, for those that describe them.
    """

    page: Installation
    visitor: Visitor
    path: Mapping[str, str]
    params: Any
    address: str
    cookies: Mapping[str, str]
    routes: "tuple[Endpoint, ...]"
    etag: str | None = None


ResponseBody = ResponseModel | Content


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path.

    role: the least that may ask, None for everybody; call: makes the answer, in a thread; params: what the request
    carries, in the query of a GET and in the body of a POST; answer: what comes back; media: of an answer that is no
    JSON; kind: page for people, api for programs.
    """

    method: Literal["GET", "POST"]
    path: str
    role: Role | None
    call: Callable[[PageRequest], ResponseBody]
    summary: str
    answer: type[ResponseModel] | None = None
    params: type[RequestParams] = NoParams
    media: str = "application/json"
    kind: Literal["page", "api"] = "api"
    errors: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """A name that no other endpoint has."""
        return f"{self.method.lower()}_{self.call.__name__.rstrip('_')}"


def parsed_body(body: bytes, media: str) -> Any:  # noqa: ANN401 (whatever JSON holds; the endpoint's model judges it)
    """Return what a body says: of a form as texts, of JSON as it is; an empty one is an empty object.

    Raises
    ------
    ValueError
        It is neither.
    """
    from urllib.parse import parse_qsl

    if not body.strip():
        return {}
    if media.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50))
    return json.loads(body)
