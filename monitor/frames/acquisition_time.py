"""When a frame was taken, as files say it."""

from datetime import UTC, datetime


def time_of_tag(text: str) -> datetime | None:
    """Read the time of a TIFF's date tag: the standard's own form, or ISO 8601 with a zone."""
    try:
        return datetime.strptime(text.strip(), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def in_utc(moment: datetime | None) -> datetime | None:
    """Return a time in UTC, None for one at the ends of the calendar that has none there."""
    try:
        return moment.astimezone(UTC) if moment else None
    except OverflowError:
        return None
