"""What kind of file system a folder lies on: network shares send no events for what other machines write."""

import os
from pathlib import Path

NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "fuse.glusterfs", "fuse.rclone", "9p", "afs", "ceph",
     "lustre", "gpfs", "beegfs", "davfs", "fuse.davfs2", "vboxsf", "virtiofs", "fuse.vmhgfs-fuse", "drvfs")
)  # fmt: skip


def filesystem_of(folder: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Return the type of the file system that holds a folder, such as `ext4`; empty when it cannot be told."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    target = str(folder.resolve())
    best, kind = "", ""
    for line in lines:
        _, place, found, *_ = [*line.split(" "), "", "", ""]
        place = place.replace("\\040", " ")
        inside = target == place or target.startswith(place.rstrip("/") + os.sep)
        if inside and len(place) >= len(best):
            best, kind = place, found
    return kind


def is_network(folder: Path) -> bool:
    """Whether a folder lies on a network or shared file system."""
    return filesystem_of(folder) in NETWORK


def sends_events(folder: Path) -> bool:
    """Whether every writer's changes are announced."""
    return not is_network(folder)
