"""A folder of its own in which the project's workflow runs."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LINKED = ("Snakefile", "rules", "config", "workflow", "profiles")


def link(folder: Path) -> None:
    """Link what the workflow needs into a folder that has nothing of it."""
    for name in LINKED:
        (folder / name).symlink_to(PROJECT / name)
