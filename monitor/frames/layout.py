"""How files are named on disk: a path says which flask, position, channel and time a frame belongs to.

Presets are regular expressions with named groups over the path relative to the watched folder, written with forward
slashes. A pattern of one's own uses the groups `flask`, `position`, and optionally `channel`, `time` (ISO 8601 basic,
UTC, ending in Z) or `index` (a running number; the time then comes from the file).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from monitor.errors import LayoutMismatch, SettingsError
from monitor.frames.identity import FrameKey

IMAGE = r"\.(?i:tiff?|png)"
PATTERN_MOST = 500
PATH_MOST = 1000


@dataclass(frozen=True, slots=True)
class ParsedPath:
    """What a path says; `acquired_at` is None where the name holds no time."""

    key: FrameKey
    acquired_at: datetime | None


PRESETS: dict[str, str] = {
    "flask-position-time": rf"(?P<flask>[^/]+)/(?P<position>[^/]+)/(?P<time>\d{{8}}T\d{{6}}Z){IMAGE}",
    "incucyte-export": (
        r"(?:.*/)?(?P<flask>[^/]*?_[A-P]\d{1,2})_(?P<position>\d{1,2})"
        rf"_(?P<incucyte>\d{{4}}y\d{{2}}m\d{{2}}d_\d{{2}}h\d{{2}}m){IMAGE}"
    ),
    "incucyte-archive": (
        r"(?:.*/)?ScanData/(?P<yymm>\d{4})/(?P<dd>\d{2})/(?P<hhmm>\d{4})/(?P<plate>[^/]+)"
        rf"/(?P<well>[A-P]\d{{1,2}})-(?P<position>\d{{1,2}})-(?P<channel>[^/]+?){IMAGE}"
    ),
    "micro-manager": (
        r"(?:(?P<flask>[^/]+)/)?(?:[^/]+/)*"
        rf"img_channel(?P<channel>\d+)_position(?P<position>\d+)_time(?P<index>\d+)_z\d+{IMAGE}"
    ),
    "pymmcore-plus": (
        rf"(?:(?P<flask>[^/]+)/)?(?:[^/]+/)*[^/]*?_t(?P<index>\d+)(?:_p(?P<position>\d+))?(?:_c(?P<channel>\d+))?"
        rf"(?:_z\d+)?{IMAGE}"
    ),
}


class Layout:
    """A naming scheme: a preset by name, or a pattern of one's own.

    >>> layout = Layout("flask-position-time")
    >>> parsed = layout.parse("A1/p2/20260310T120000Z.tif")
    >>> str(parsed.key), parsed.acquired_at.isoformat()
    ('A1/p2/phase/20260310T120000Z', '2026-03-10T12:00:00+00:00')
    """

    def __init__(self, name_or_pattern: str) -> None:
        pattern = PRESETS.get(name_or_pattern, name_or_pattern)
        self.name = name_or_pattern
        if name_or_pattern not in PRESETS:
            _check_pattern(pattern)
        self._pattern = re.compile(pattern)

    def parse(self, path: str) -> ParsedPath:
        """Return what a relative path says.

        Raises
        ------
        LayoutMismatch
            `layout` when the path does not fit, `bad_name` when a name holds control characters or is too long.
        """
        if len(path) > PATH_MOST or not path.isprintable():
            message = f"{path[:200]!r} holds control characters or is over {PATH_MOST} characters long; rename it"
            raise LayoutMismatch(message, reason="bad_name")
        found = self._pattern.fullmatch(path)
        if found is None:
            message = (
                f"{path!r} does not fit the layout {self.name!r}, for example A1/p1/20260310T120000Z.tif; "
                "see `cellvigil layout check FOLDER` and the setting `watch.layout`"
            )
            raise LayoutMismatch(message, reason="layout")
        groups = {name: value for name, value in found.groupdict().items() if value is not None}
        try:
            return _parsed(groups)
        except (ValueError, ValidationError) as error:
            raise LayoutMismatch(f"{path!r}: {error}", reason="layout") from error


def _parsed(groups: Mapping[str, str]) -> ParsedPath:
    acquired_at = next((read(groups) for name, read in _TIMES.items() if name in groups), None)
    label = acquired_at.strftime("%Y%m%dT%H%M%SZ") if acquired_at else f"t{int(groups['index']):06d}"
    flask = groups.get("flask") or "-".join(groups[name] for name in ("plate", "well") if name in groups) or "flask"
    key = FrameKey(
        flask=flask,
        position=groups.get("position", "1"),
        channel=groups.get("channel", "phase"),
        time_point=label,
    )
    return ParsedPath(key, acquired_at)


def _iso_basic(groups: Mapping[str, str]) -> datetime:
    return datetime.strptime(groups["time"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _incucyte(groups: Mapping[str, str]) -> datetime:
    return datetime.strptime(groups["incucyte"], "%Yy%mm%dd_%Hh%Mm").replace(tzinfo=UTC)


def _archive(groups: Mapping[str, str]) -> datetime:
    moment = datetime.strptime(groups["yymm"] + groups["dd"], "%y%m%d").replace(tzinfo=UTC)
    return moment + timedelta(hours=int(groups["hhmm"][:2]), minutes=int(groups["hhmm"][2:]))


_TIMES: dict[str, Callable[[Mapping[str, str]], datetime]] = {
    "time": _iso_basic,
    "incucyte": _incucyte,
    "hhmm": _archive,
}


def _check_pattern(pattern: str) -> None:
    names = "`, `".join(PRESETS)
    if len(pattern) > PATTERN_MOST:
        raise SettingsError(f"watch.layout: a pattern may have {PATTERN_MOST} characters at most", reason="layout")
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        message = f"watch.layout: {pattern!r} is neither a preset (`{names}`) nor a regular expression: {error}"
        raise SettingsError(message, reason="layout") from error
    if "flask" not in groups or not {"time", "index"} & set(groups):
        message = f"watch.layout: {pattern!r} is no preset (`{names}`) and lacks a group `flask`, or `time` or `index`"
        raise SettingsError(message, reason="layout")
