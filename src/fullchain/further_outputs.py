"""Files that a step writes beside its declared outputs, such as the figures beside their index.

A rule declares them, but the command line of the step names only the index, because their names
follow from the numbers or the settings. Whoever writes such a file tells so here, and the
provenance record of the step (`fullchain.provenance`) covers it::

    with atomic(folder / "mass.pdf") as temporary:
        fig.savefig(temporary)
    further_outputs.tell(folder / "mass.pdf")

What is told belongs to the process. Only the standard library is imported here, because all steps
that draw import it.
"""

from pathlib import Path

_TOLD: dict[Path, None] = {}


def tell(path: Path) -> None:
    """Say that this process wrote `path` as a result, and no command line names it."""
    _TOLD[Path(path)] = None


def told() -> list[Path]:
    """Give what was told of and is still there, in the order of telling."""
    return [path for path in _TOLD if path.is_file()]


def forget() -> None:
    """Begin anew: what was told of so far belongs to another step."""
    _TOLD.clear()
