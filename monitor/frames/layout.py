"""How files are named on disk: a path says which flask, position, channel and time a frame belongs to.

Presets are regular expressions with named groups over the path relative to the watched folder, written with forward
slashes. A pattern of one's own uses the groups `flask`, `position` and `channel`, and `time` (UTC, such as
20260310T120000Z) or `index` (a running number; the time then comes from the file).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from monitor.errors import LayoutMismatch, SettingsError
from monitor.frames.identity import FrameKey

IMAGE = r"\.(?i:tiff?|png)"
PATTERN_MOST = 500
PATH_MOST = 1000
DEFAULT = "flask-position-time"
GROUPS = frozenset(("flask", "position", "channel", "time", "index"))


@dataclass(frozen=True, slots=True)
class ParsedPath:
    """What a path says; `acquired_at` is None where the name holds no time."""

    key: FrameKey
    acquired_at: datetime | None


@dataclass(frozen=True, slots=True)
class LayoutReport:
    """What a layout makes of a list of files: `rows` that fit, and `unmatched` ones with the error that says why."""

    rows: tuple[tuple[str, ParsedPath], ...]
    unmatched: tuple[tuple[str, LayoutMismatch], ...]


PRESETS: dict[str, str] = {
    DEFAULT: rf"(?P<flask>[^/]+)/(?P<position>[^/]+)/(?P<time>\d{{8}}T\d{{6}}Z){IMAGE}",
    "incucyte-export": (
        r"(?:.*/)?(?P<flask>(?:[^/]*_)?[A-P]\d{1,2})_(?P<position>\d{1,2})"
        rf"_(?P<incucyte>\d{{4}}y\d{{2}}m\d{{2}}d_\d{{2}}h\d{{2}}m){IMAGE}"
    ),
    "incucyte-archive": (
        r"(?:.*/)?ScanData/(?P<yymm>\d{4})/(?P<dd>\d{2})/(?P<hhmm>\d{4})/(?P<plate>[^/]+)"
        rf"/(?P<well>[A-P]\d{{1,2}})-(?P<position>\d{{1,2}})-(?P<channel>[^/]+?){IMAGE}"
    ),
    "micro-manager": (
        r"(?:(?P<flask>[^/]+)/)?(?:[^/]+/)*"
        rf"img_channel(?P<channel>\d+)_position(?P<position>\d+)_time(?P<index>\d+)_z0+{IMAGE}"
    ),
    "pymmcore-plus": (
        r"(?:(?P<flask>[^/]+)/)?(?:[^/]+/)*(?=[^/]*_t\d)(?:[^/]*?[^/_])??"
        rf"(?:_t(?P<index>\d+)|_p(?P<position>\d+)|_c(?P<channel>\d+)|_[zg]0+)+{IMAGE}"
    ),
}
"""Name to pattern.

A well of an Incucyte is a flask, named with its plate or export, since wells of two plates may lie in one folder; its
local time is taken as UTC. Stacks along z are not frames: the plane z0 is read, the others fit nothing.
"""

EXAMPLES: dict[str, str] = {
    DEFAULT: "A1/p1/20260310T120000Z.tif",
    "incucyte-export": "PLATE_A1_1_2021y08m06d_11h39m.tif",
    "incucyte-archive": "EssenFiles/ScanData/2108/06/1139/412/A1-1-Ph.tif",
    "micro-manager": "A1/img_channel000_position000_time000000000_z000.tif",
    "pymmcore-plus": "A1/run_t0000_p0000_c00_z000.tif",
}
"""A path that fits each preset."""


class Layout:
    """A naming scheme: a preset by name, or a pattern of one's own.

    Raises
    ------
    SettingsError
        `layout` when it is neither, with what a pattern lacks.

    Examples
    --------
    >>> layout = Layout("flask-position-time")
    >>> parsed = layout.parse("A1/p2/20260310T120000Z.tif")
    >>> str(parsed.key), parsed.acquired_at.isoformat()
    ('A1/p2/phase/20260310T120000Z', '2026-03-10T12:00:00+00:00')
    """

    def __init__(self, name_or_pattern: str) -> None:
        self.name = name_or_pattern
        if name_or_pattern not in PRESETS:
            _check_pattern(name_or_pattern)
        # digits are ASCII digits: the times of presets are parsed from them
        self._pattern = re.compile(PRESETS.get(name_or_pattern, name_or_pattern), re.ASCII)

    def parse(self, path: str) -> ParsedPath:
        """Return what a path, relative to the watched folder, says.

        Raises
        ------
        LayoutMismatch
            `layout` when the path does not fit; `bad_name` when it holds control or direction characters, is no valid
            text, or is over `PATH_MOST` characters long.
        """
        if len(path) > PATH_MOST or not path.isprintable():
            shown = ascii(path[:200])
            message = f"{shown} holds characters that cannot be shown, or over {PATH_MOST} of them; rename it"
            raise LayoutMismatch(message, reason="bad_name")
        found = self._pattern.fullmatch(path)
        if found is None:
            raise LayoutMismatch(self._misfit(path), reason="layout")
        groups = {name: value for name, value in found.groupdict().items() if value is not None}
        try:
            return _parsed(groups)
        except (ValueError, KeyError, ValidationError) as error:
            why = "it names no time" if isinstance(error, KeyError) else _first_line(error)
            message = f"{path!r} fits the layout {self.name!r} and cannot be used: {why}; rename it"
            raise LayoutMismatch(message, reason="layout") from error

    def check(self, paths: Iterable[str]) -> LayoutReport:
        """Return what the layout makes of relative paths; for a look before the first run."""
        rows: list[tuple[str, ParsedPath]] = []
        unmatched: list[tuple[str, LayoutMismatch]] = []
        for path in paths:
            try:
                rows.append((path, self.parse(path)))
            except LayoutMismatch as error:
                unmatched.append((path, error))
        return LayoutReport(tuple(rows), tuple(unmatched))

    def _misfit(self, path: str) -> str:
        if re.search(r"\d{8}T\d{6}(?!Z)", path):
            return f"{path!r} does not fit the layout {self.name!r}: a time has to be UTC and end in Z; rename it"
        example = f", for example {EXAMPLES[self.name]}" if self.name in EXAMPLES else ""
        return (
            f"{path!r} does not fit the layout {self.name!r}{example}; "
            "see `cellvigil layout check FOLDER` and the setting `watch.layout`"
        )


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


def _moment(text: str, form: str) -> datetime:
    return datetime.strptime(text, form).replace(tzinfo=UTC)


_TIMES: dict[str, Callable[[Mapping[str, str]], datetime]] = {
    "time": lambda groups: _moment(groups["time"], "%Y%m%dT%H%M%SZ"),
    "incucyte": lambda groups: _moment(groups["incucyte"], "%Yy%mm%dd_%Hh%Mm"),
    "hhmm": lambda groups: _moment(groups["yymm"] + groups["dd"] + groups["hhmm"], "%y%m%d%H%M"),
}


def _first_line(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{first['loc'][0] if first['loc'] else 'name'}: {first['msg']}"
    return str(error)


def _check_pattern(pattern: str) -> None:
    names = "`, `".join(PRESETS)
    if len(pattern) > PATTERN_MOST:
        raise SettingsError(f"watch.layout: a pattern may have {PATTERN_MOST} characters at most", reason="layout")
    try:
        groups = set(re.compile(pattern, re.ASCII).groupindex)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"watch.layout: {pattern!r} is neither a preset (`{names}`) nor a regular expression: {error}"
        raise SettingsError(message, reason="layout") from error
    if "flask" not in groups or not {"time", "index"} & groups:
        message = f"watch.layout: {pattern!r} is no preset (`{names}`) and lacks a group `flask`, or `time` or `index`"
        raise SettingsError(message, reason="layout")
    if groups - GROUPS:
        message = f"watch.layout: the groups {sorted(groups - GROUPS)} mean nothing; use {sorted(GROUPS)}"
        raise SettingsError(message, reason="layout")
