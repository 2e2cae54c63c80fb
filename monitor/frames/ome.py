"""What OME-XML says of a frame. The text is walked, no tree is built, and nothing in it is followed or expanded."""

import posixpath
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.parsers import expat

from monitor.errors import FrameRejected

FILES_MOST = 10_000
_UM = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "pm": 1e-6, "Å": 1e-4}
_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "min": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(slots=True)
class OmeFacts:
    """What was found; None and empty where the text does not say.

    `size_um`: (x, y) of a pixel in micrometres; `acquired_at`: only where the text describes one plane, or the plane
    says how long after the start it was taken; `files`: names of other files that the text mentions.
    """

    size_um: tuple[float, float] | None = None
    acquired_at: datetime | None = None
    files: list[str] = field(default_factory=list)


class _Walk:
    def __init__(self) -> None:
        self.facts = OmeFacts()
        self._text: list[str] = []
        self._in_date = False
        self._started: datetime | None = None
        self._time_points = 1
        self._deltas: list[float] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element = name.rsplit(" ", 1)[-1]
        if element == "Pixels" and self.facts.size_um is None:
            self.facts.size_um = _size(attributes)
            self._time_points = int(attributes.get("SizeT", "1"))
        elif element == "AcquisitionDate" and self._started is None:
            self._in_date, self._text = True, []
        elif element == "UUID" and "FileName" in attributes and len(self.facts.files) < FILES_MOST:
            self.facts.files.append(attributes["FileName"])
        elif element == "BinaryOnly" and "MetadataFile" in attributes:
            self.facts.files.append(attributes["MetadataFile"])
        elif element == "Plane" and "DeltaT" in attributes and len(self._deltas) < 2:
            self._deltas.append(float(attributes["DeltaT"]) * _SECONDS[attributes.get("DeltaTUnit", "s")])

    def characters(self, text: str) -> None:
        if self._in_date and len(self._text) < 8:
            self._text.append(text)

    def end(self, name: str) -> None:
        if self._in_date and name.rsplit(" ", 1)[-1] == "AcquisitionDate":
            self._in_date = False
            self._started = _moment("".join(self._text))

    def finish(self) -> OmeFacts:
        one_plane = len(self._deltas) == 1
        if self._started is not None and (one_plane or self._time_points == 1):
            self.facts.acquired_at = self._started + timedelta(seconds=self._deltas[0] if one_plane else 0.0)
        return self.facts


def looks_like_xml(text: str) -> bool:
    """Whether an image description is XML."""
    return text[:200].lstrip("\ufeff \t\r\n").startswith("<")


def read_ome(text: str, name: str) -> OmeFacts:
    """Return what OME-XML says; nothing for text that is not well-formed.

    Raises
    ------
    FrameRejected
        `unsafe_metadata` when the text declares a document type, by which entities and other files come in.
    """

    def refuse(*_: object) -> None:
        message = f"{name} declares a document type in its OME-XML, which no microscope writes; export it again"
        raise FrameRejected(message, reason="unsafe_metadata")

    walk = _Walk()
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = walk.start
    parser.EndElementHandler = walk.end
    parser.CharacterDataHandler = walk.characters
    try:
        parser.Parse(text.strip("\ufeff \t\r\n").encode("utf-8", "replace"), True)
        return walk.finish()
    except (expat.ExpatError, ValueError, KeyError, OverflowError):
        return OmeFacts(files=walk.facts.files)


def leaves_root(mentioned: str, source: str) -> bool:
    """Whether a file name in a frame's metadata leads out of the watched folder; it is judged as text, never opened.

    >>> leaves_root("b.ome.tif", "A1/p1/a.ome.tif"), leaves_root("../../../b.ome.tif", "A1/p1/a.ome.tif")
    (False, True)
    """
    name = mentioned.replace("\\", "/")
    if name.startswith("/") or name[1:2] == ":" or "\0" in name:
        return True
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), name)).split("/", 1)[0] == ".."


def _size(attributes: dict[str, str]) -> tuple[float, float] | None:
    if "PhysicalSizeX" not in attributes:
        return None
    sides = []
    for axis in "XY":
        text = attributes.get(f"PhysicalSize{axis}", attributes["PhysicalSizeX"])
        factor = _UM.get(attributes.get(f"PhysicalSize{axis}Unit", "µm"))
        if factor is None:
            return None
        sides.append(float(text) * factor)
    return sides[0], sides[1]


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
