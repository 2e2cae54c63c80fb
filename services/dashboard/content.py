"""What is answered that is no JSON, and the digests by which a browser knows what it has already."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

FOREVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
NEVER = "no-store"


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
