"""Is the working folder one that the nodes of a cluster see too?

An executor of a batch system starts jobs in the folder of the driver. Where each node has a folder
of that name for itself, jobs find no inputs there, or old ones, and what they write is lost.
"""

import os
from pathlib import Path

from fullchain.errors import InputError

# The user's word that a folder is shared, against what its kind says.
SHARED = "FULLCHAIN_SHARED"

# File systems in the memory, a container or on a disk of one machine; others are taken for
# shared ones.
IN_MEMORY = frozenset(["tmpfs", "ramfs", "overlay", "aufs", "squashfs", "9p", "virtiofs"])
ON_DISK = frozenset(["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs"])
# Jobs reach these only with a token or a ticket of their user, which not every batch system gives.
WITH_TICKET = frozenset(["afs", "openafs", "fuse.eosxd", "fuse.eos"])


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Give the kind of the file system that a folder lies on.

    Parameters
    ----------
    folder
        Any folder that exists.
    mounts
        Table of what is mounted, in the form of fstab(5).

    Returns
    -------
    str
        For instance ``nfs4``, ``lustre``, ``ext4``; nothing where there is no such table.
    """
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    path = folder.resolve()
    kind, longest = "", -1
    for line in lines:
        fields = line.split()
        # Blanks in names are written as octal numbers.
        point = Path(fields[1].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and len(point.parts) >= longest:
            kind, longest = fields[2], len(point.parts)
    return kind


def refuse_unshared(folder: Path, executor: str, shared: bool) -> None:
    """Refuse a folder that other nodes do not see.

    Parameters
    ----------
    folder
        Where the driver runs, with ``results/``.
    executor
        Name of the executor, for the message.
    shared
        Whether inputs and outputs are taken to be on a shared file system
        (``--shared-fs-usage``).

    Raises
    ------
    InputError
        The folder is on one machine only and nobody said otherwise, or jobs are to copy their
        files, which this workflow cannot do.
    """
    if os.environ.get(SHARED) == "1":
        return
    if not shared:
        raise InputError(
            f"executor {executor}: inputs and outputs are not on a shared file system "
            "(--shared-fs-usage, or an executor that knows none), and manifests name files that a "
            "job without the working folder does not find. Run where all nodes mount that folder; "
            f"with {SHARED}=1 it is tried all the same, which nobody has done"
        )
    kind = file_system(folder)
    if kind in IN_MEMORY | ON_DISK:
        raise InputError(
            f"executor {executor}: the working folder {folder} is on a file system of this machine "
            f"alone ({kind}), and jobs run on other machines. Run in a folder that all nodes mount "
            f"(NFS, Lustre, GPFS, CephFS, ...), or set {SHARED}=1 if this one is shared after all"
        )
    if kind in WITH_TICKET:
        raise InputError(
            f"executor {executor}: the working folder {folder} is on {kind}, which jobs see only "
            "with a ticket of yours. Where your batch system passes it on to jobs "
            f"(docs/batch), set {SHARED}=1; else run in a folder that needs none"
        )
