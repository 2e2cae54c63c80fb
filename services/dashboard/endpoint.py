"""What a path of the page is: who may ask, what with, what is answered. The table of them is all that there is."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from services.dashboard.roles import Role, Visitor
from services.dashboard.shapes import Shape

if TYPE_CHECKING:
    from services.dashboard.installation import Installation

FOREVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
NEVER = "no-store"


class Given(BaseModel):
    """Base of what a request carries, in its query or its body; what is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Given):
    """Of a request that carries nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: of whom, where, with what; `given` is of the endpoint's own kind, `etag` what the browser has."""

    page: "Installation"
    visitor: Visitor
    path: Mapping[str, str]
    given: Any
    address: str
    cookies: Mapping[str, str]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """An answer that is no JSON; `etag` without quotation marks; `template` names what is rendered with `context`."""

    body: bytes = b""
    media: str = "text/html; charset=utf-8"
    status: int = 200
    cache: str = NEVER
    etag: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    cookie: str | None = None


Answer = Shape | Content


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path.

    role: the least that may ask, None for everybody; call: makes the answer, in a thread; given: what the request
    carries, in the query of a GET and in the body of a POST; answer: what comes back; media: of an answer that is no
    JSON; kind: page for people, api for programs.
    """

    method: Literal["GET", "POST"]
    path: str
    role: Role | None
    call: Callable[[Asked], Answer]
    summary: str
    answer: type[Shape] | None = None
    given: type[Given] = Nothing
    media: str = "application/json"
    kind: Literal["page", "api"] = "api"
    errors: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """A name that no other endpoint has."""
        return f"{self.method.lower()}_{self.call.__name__.rstrip('_')}"


def encoded(shape: BaseModel) -> tuple[bytes, str]:
    """Return an answer as JSON and its ETag, without quotation marks; what is not a number becomes null."""
    body = shape.model_dump_json().encode("utf-8", "replace")
    return body, etag_of(body)


def etag_of(*parts: bytes | str) -> str:
    """Return a short digest of what an answer is made of."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part)
        digest.update(b"\x1f")
    return digest.hexdigest()[:32]


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
