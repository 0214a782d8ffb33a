"""Saved numbers of points, by model and point."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fullchain.errors import InputError
from fullchain.firmware import fixed_network
from fullchain.firmware.network_census import census
from fullchain.saved_numbers import read_numbers

STAGE = "firmware"
CENSUS = "census"
NETWORK = "network"
KINDS = (
    NETWORK,
    "quantisation",
    "hls4ml",
    "rtl",
    "verilator",
    "synthesis",
    "netlist",
    "placement",
    "conifer",
)
"""Names of files of points, without `.json`."""

Content = dict[str, Any]


def network_census(path: Path) -> Content:
    """Give the census of a fixed-point network in a file."""
    return census(fixed_network.read(path)[0])


def by_point(files: Sequence[Path]) -> list[Content]:
    """Give all that is known of each point, in the order in which points are first named.

    Each entry has `model`, `point` and, under their kinds, what the files of that point hold. Files
    are MODEL/POINT/KIND.json with a kind of `KINDS`; of networks the census is given, as `census`.

    Raises
    ------
    InputError
        A file is of no such kind or no JSON of this stage, or there are two of a kind for one
        point.
    """
    found: dict[tuple[str, str], Content] = {}
    for path in files:
        if path.stem not in KINDS:
            raise InputError(
                f"{path}: files of points are MODEL/POINT/KIND.json, and there is no kind "
                f"{path.stem}, only {', '.join(KINDS)}"
            )
        kind = CENSUS if path.stem == NETWORK else path.stem
        model, point = path.absolute().parts[-3:-1]
        entry = found.setdefault((model, point), {"model": model, "point": point})
        if kind in entry:
            raise InputError(f"{path}: a second {path.stem} of {model}, {point}")
        entry[kind] = network_census(path) if kind == CENSUS else read_numbers(path, STAGE)
    return list(found.values())


def having(points: Sequence[Content], *kinds: str) -> list[Content]:
    """Take the points that have all of some kinds of numbers."""
    return [one for one in points if all(kind in one for kind in kinds)]


def named(points: Sequence[Content], kind: str) -> dict[str, Any]:
    """Give numbers of a kind by MODEL_POINT, which the settings make sure is of one point."""
    return {f"{one['model']}_{one['point']}": one[kind] for one in having(points, kind)}


def in_one(points: Sequence[Content], kind: str) -> list[Content]:
    """Give numbers of a kind with `model` and `point` among them."""
    return [
        {**one[kind], "model": one["model"], "point": one["point"]} for one in having(points, kind)
    ]
