"""Folders that other nodes do not see."""

from pathlib import Path

import pytest

from fullchain.dag.shared_folders import SHARED, file_system, refuse_unshared
from fullchain.errors import InputError

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
server:/home /home nfs4 rw 0 0
AFS /afs afs rw 0 0
server:/a\\040b /home/with\\040blank lustre rw 0 0
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    table = tmp_path / "mounts"
    table.write_text(MOUNTS)
    return table


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/x", "ext4"),
        ("/tmp/x/y", "tmpfs"),
        ("/tmpx", "ext4"),
        ("/home/me", "nfs4"),
        ("/home/with blank/me", "lustre"),
        ("/afs/cern.ch/work", "afs"),
    ],
)
def test_the_nearest_mount_counts(mounts: Path, folder: str, kind: str) -> None:
    assert file_system(Path(folder), mounts) == kind


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "none") == ""


def refusal(monkeypatch: pytest.MonkeyPatch, kind: str, shared: bool = True) -> str:
    monkeypatch.delenv(SHARED, raising=False)
    monkeypatch.setattr("fullchain.dag.shared_folders.file_system", lambda folder: kind)
    with pytest.raises(InputError) as problem:
        refuse_unshared(Path("/scratch/me"), "slurm", shared)
    return str(problem.value)


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "overlay"])
def test_a_folder_of_one_machine_is_refused(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    message = refusal(monkeypatch, kind)
    assert "executor slurm" in message and "/scratch/me is on a file system of this mach" in message
    assert f"({kind})" in message and f"{SHARED}=1" in message


def test_afs_needs_a_word_about_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refusal(monkeypatch, "afs")
    assert "ticket" in message and f"{SHARED}=1" in message


def test_files_that_jobs_would_copy_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not on a shared file system" in refusal(monkeypatch, "nfs4", shared=False)


def test_shared_folders_and_the_word_of_the_user_are_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(SHARED, raising=False)
    for kind in ("nfs4", "lustre", "gpfs", "beegfs", "ceph", ""):
        monkeypatch.setattr("fullchain.dag.shared_folders.file_system", lambda folder, k=kind: k)
        refuse_unshared(Path("/home/me"), "slurm", True)
    monkeypatch.setenv(SHARED, "1")
    monkeypatch.setattr("fullchain.dag.shared_folders.file_system", lambda folder: "ext4")
    refuse_unshared(Path("/home/me"), "slurm", True)
