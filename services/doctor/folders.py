"""Folders and clock: can the state be kept, will new frames be noticed, do the times make sense."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from services.doctor.check import Check, ok, problem, warning
from services.ingest.filesystem import filesystem_of, is_network
from services.settings import NotifierSettings, WatchSettings

DISK_PROBLEM_BYTES = 1 << 30
DISK_WARNING_BYTES = 10 << 30
"""About 40,000 frames of 2048 x 2048 pixels leave 10 GiB of label images."""

LOOKED_AT = 20_000
"""Folder entries that are looked at before a check is content with a sample."""

CLOCK_SLACK_S = 60.0
INOTIFY = Path("/proc/sys/fs/inotify")


def check_state_folder(state: Path) -> Check:
    """Whether the state folder can be written, and by nobody else."""
    name = "state folder"
    if state.exists() and not state.is_dir():
        return problem(name, f"{state} is a file", "give another folder: --state FOLDER")
    place = nearest_existing(state)
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        user = os.environ.get("USER") or f"user {os.getuid()}"
        mend = f"sudo chown {user} {place}, or --state FOLDER"
        return problem(name, f"cannot write in {place}: {error.strerror}", mend)
    if not state.exists():
        return ok(name, f"{state} does not exist yet and can be made")
    if state.stat().st_mode & stat.S_IWOTH:
        return warning(name, f"{state} can be written by every user of this machine", f"chmod o-w {state}")
    return ok(name, f"{state} can be written")


def check_state_file_system(state: Path) -> Check:
    """Whether the databases lie on a disk of this machine."""
    name, kind = "state file system", filesystem_of(state) or "unknown"
    if is_network(state):
        mend = "put the state on a disk of this machine: --state FOLDER (frames may stay on the share)"
        return warning(name, f"{kind} is a network share, where SQLite's locks do not hold", mend)
    return ok(name, kind)


def check_disk(state: Path) -> Check:
    """Whether there is room for label images and databases."""
    place = nearest_existing(state)
    free = shutil.disk_usage(place).free
    what = f"{free / (1 << 30):.1f} GiB free for {state}"
    mend = "free some space, or put the state on a larger disk: --state FOLDER"
    if free < DISK_PROBLEM_BYTES:
        return problem("disk", what, mend)
    return warning("disk", what, mend) if free < DISK_WARNING_BYTES else ok("disk", what)


def check_secrets(notifier: NotifierSettings) -> Iterator[Check]:
    """Yield, per receiver of alarms, whether its key is there and nobody else can read it."""
    secrets = [
        (f"webhook {n} key", webhook.secret_file, "HMAC key") for n, webhook in enumerate(notifier.webhooks, start=1)
    ]
    logins = [("mail", one.password_file) for one in notifier.mail] + [
        ("mqtt", one.password_file) for one in notifier.mqtt
    ]
    secrets += [(f"{kind} password", file, "password") for kind, file in logins if file is not None]
    secrets += [("apprise file", notifier.apprise_file, "addresses")] if notifier.apprise_file is not None else []
    for name, secret, holds in secrets:
        if not secret.is_file():
            yield problem(name, f"{secret} is not there", f"write the receiver's {holds} into it, then chmod 600")
        elif secret.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            yield warning(name, f"{secret} can be read by others", f"chmod 600 {secret}")
        else:
            yield ok(name, f"{secret} can be read by its owner alone")


def check_watch_folder(watch: WatchSettings) -> Check:
    """Whether the watched folder is there and can be read."""
    name, folder = "watch folder", watch.folder
    if not folder.is_dir():
        mend = "give the folder that the microscope writes to: --watch FOLDER"
        return warning(name, f"{folder} is not there", mend)
    try:
        entries = sum(1 for _ in islice(folder.iterdir(), LOOKED_AT))
    except PermissionError:
        return problem(name, f"{folder} cannot be read", f"sudo chmod o+rx {folder}, or add this user to its group")
    return ok(name, f"{folder} can be read, {entries}{' or more' if entries == LOOKED_AT else ''} entries")


def check_events(watch: WatchSettings) -> Check:
    """Whether the kernel will tell about new files, or the folder has to be polled."""
    name, kind = "watch events", filesystem_of(watch.folder) or "unknown file system"
    silent = is_network(watch.folder)
    if silent and watch.observer == "events":
        mend = "set watch.observer to auto or polling"
        return problem(name, f"{kind} sends no events for frames that another machine writes", mend)
    if silent or watch.observer == "polling":
        return ok(name, f"{kind}: looked through every {watch.poll_s:g} s instead of events")
    return ok(name, f"{kind} sends events")


def check_inotify(watch: WatchSettings, limits: Path = INOTIFY) -> Check:
    """Whether the kernel may watch as many folders as there are."""
    name = "inotify limits"
    try:
        watches = int((limits / "max_user_watches").read_text())
        queued = int((limits / "max_queued_events").read_text())
    except OSError:
        return ok(name, "this kernel has none")
    folders = 1 + sum(1 for _, is_folder in islice(_entries(watch.folder), LOOKED_AT) if is_folder)
    what = f"{folders} folders seen, {watches} may be watched, {queued} events may wait"
    if folders > 0.5 * watches:
        return warning(name, what, f"sudo sysctl fs.inotify.max_user_watches={max(524_288, 4 * watches)}")
    return ok(name, what)


def check_clock(watch: WatchSettings, now: datetime | None = None) -> Check:
    """Whether the clock can be right: the newest file must not come from the future."""
    name = "clock"
    now = now or datetime.now(UTC)
    zone = now.astimezone()
    what = f"{now:%Y-%m-%d %H:%M:%S} UTC, time zone of this machine {zone:%Z} (UTC{zone:%z})"
    mend = "set both machines' clocks by NTP: sudo timedatectl set-ntp true"
    if now.year < 2025:
        return problem(name, what, mend)
    newest = max((modified for modified, _ in islice(_entries(watch.folder), LOOKED_AT)), default=0.0)
    ahead_s = newest - now.timestamp()
    if ahead_s > CLOCK_SLACK_S:
        return warning(name, f"{what}; the newest entry of {watch.folder} is {ahead_s:.0f} s ahead of it", mend)
    return ok(name, what)


def _entries(folder: Path, deadline_s: float = 2.0) -> Iterator[tuple[float, bool]]:
    """Yield (modification time, is a folder) of everything below a folder, for at most two seconds."""
    stop = time.monotonic() + deadline_s
    waiting = [folder]
    while waiting and time.monotonic() < stop:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_folder:
                        waiting.append(Path(entry.path))
                    yield entry.stat(follow_symlinks=False).st_mtime, is_folder
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue


def nearest_existing(path: Path) -> Path:
    """Return the path, or the nearest of its parents that exists.

    >>> nearest_existing(Path("/no-such-folder/at/all")).as_posix()
    '/'
    """
    absolute = path.absolute()
    return next(candidate for candidate in (absolute, *absolute.parents) if candidate.exists())
