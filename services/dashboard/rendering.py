"""Templates and static files: all that the page looks like lies in this package, nothing comes from elsewhere."""

import hashlib
import mimetypes
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from monitor import __version__
from services.dashboard.content import ASK_AGAIN, FOREVER, Content, etag_of
from services.dashboard.errors import NotFound
from services.dashboard.pdf import offered

HERE = Path(__file__).parent
TEMPLATES, STATIC = HERE / "templates", HERE / "static"
MEDIA = {".js": "text/javascript", ".svg": "image/svg+xml", ".css": "text/css", ".json": "application/json"}


class Rendering:
    """Renders templates, every value escaped, and gives out static files.

    The address of a static file holds a digest over all of them: a browser may keep it for ever, also what one script
    imports of another, and a new version has new addresses.
    """

    def __init__(self) -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.globals.update(static_url=self.static_url, version=__version__, pdf_offered=offered())

    @cached_property
    def digest(self) -> str:
        """Short digest over all static files."""
        whole = hashlib.sha256()
        for file in sorted(STATIC.rglob("*")):
            if file.is_file():
                whole.update(f"{file.relative_to(STATIC).as_posix()}\n".encode())
                whole.update(file.read_bytes())
        return whole.hexdigest()[:16]

    @property
    def version(self) -> str:
        """Version of cellvigil."""
        return __version__

    def static_url(self, name: str) -> str:
        """Return the address of a static file."""
        return f"/static/{self.digest}/{name}"

    def page(self, name: str, context: Mapping[str, Any]) -> bytes:
        """Render a template."""
        return self._jinja.get_template(name).render(context).encode("utf-8", "replace")

    def static(self, digest: str, name: str) -> Content:
        """Return a static file.

        Raises
        ------
        NotFound
            There is no such file.
        """
        file = (STATIC / name).resolve()
        if not file.is_relative_to(STATIC) or not file.is_file():
            raise NotFound(f"there is no file {name[:200]!r}", reason="no_file")
        body = file.read_bytes()
        media = MEDIA.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        media += "; charset=utf-8" if media.startswith("text/") else ""
        return Content(body, media, cache=FOREVER if digest == self.digest else ASK_AGAIN, etag=etag_of(body))
