"""Which file system a path lies on, and whether it lives on another machine."""

from dataclasses import dataclass
from pathlib import Path

import psutil

NETWORK_TYPES = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "davfs", "drvfs", "glusterfs", "gpfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "orangefs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs"),
        *("fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)
"""File systems whose files other machines write; the kernel sends no events for those writes."""


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a file system is mounted, and its type as the kernel names it."""

    point: Path
    kind: str

    @property
    def is_network(self) -> bool:
        """Whether other machines may write here unseen."""
        return self.kind.lower() in NETWORK_TYPES


def mount_of(path: Path) -> Mount:
    """Return the file system of a path, or of its nearest parent that exists."""
    place = nearest_existing(path).resolve()
    mounts = [Mount(Path(part.mountpoint), part.fstype) for part in psutil.disk_partitions(all=True)]
    holding = [mount for mount in mounts if place.is_relative_to(mount.point)]
    return max(holding, key=lambda mount: len(mount.point.parts), default=Mount(Path("/"), "unknown"))


def nearest_existing(path: Path) -> Path:
    """Return the path, or the nearest of its parents that exists.

    >>> nearest_existing(Path("/no-such-folder/at/all")).as_posix()
    '/'
    """
    absolute = path.absolute()
    return next(candidate for candidate in (absolute, *absolute.parents) if candidate.exists())
