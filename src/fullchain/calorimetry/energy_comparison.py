"""Generated against full simulation at each energy: trained, left out, and beyond the trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry import comparison, shower_shapes
from fullchain.calorimetry.comparison import Pair
from fullchain.calorimetry.energy_groups import TRAINED, EnergyGroups
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_sums import VoxelSums

Array = NDArray[Any]
Content = dict[str, Any]

MAIN = ("E_tot", "E_layer", "EC_r", "width_r", "sparsity")
"""Means of separations that are compared with those of trained energies."""


def at_energies(
    both: Pair,
    voxels: tuple[VoxelSums, VoxelSums],
    groups: EnergyGroups,
    kinds: Sequence[str],
    geometry: Geometry,
    threshold: float,
    least: int,
    depths: Array | None = None,
) -> list[Content]:
    """Compare the showers of each group of energies that has enough of them.

    Parameters
    ----------
    both, voxels
        Features, and sums over voxels, of generated and test.
    kinds
        As `EnergyGroups.kinds` gives them.
    least
        Showers that a group must have on each side.
    depths
        Where layers begin and end [radiation lengths], (layers, 2), where that is known.
    """
    rows = [groups.assign(one.energies) for one in (both.generated, both.test)]
    found = []
    for number, kind in enumerate(kinds):
        chosen = [np.flatnonzero(one == number) for one in rows]
        if min(map(len, chosen)) < least:
            continue
        part = both.select(*chosen)
        compared = comparison.compare(part, geometry, threshold, at_energy=groups.discrete)
        found.append(
            {
                "energy": float(groups.centre[number]),
                "range": [float(groups.low[number]), float(groups.high[number])],
                "kind": kind,
                "showers": [len(chosen[0]), len(chosen[1])],
                "separations": compared.means,
                "response": comparison.response(part),
                "shapes": {
                    name: shower_shapes.shapes(
                        sums.shapes[number], sums.showers[number], geometry, depths
                    )
                    for name, sums in zip(("generated", "test"), voxels, strict=True)
                },
            }
        )
    return found


def against_neighbours(found: Sequence[Content]) -> list[Content]:
    """Compare separations at energies that were not trained with those at the nearest trained.

    Parameters
    ----------
    found
        As `at_energies` gives it, in order of energy.

    Returns
    -------
    For each such energy its separations and the mean of those of its neighbours, the nearest
    trained energy on each side; beyond the trained range the nearest one alone.
    """
    rows = []
    for place, one in enumerate(found):
        if one["kind"] == TRAINED:
            continue
        below = [other for other in found[:place] if other["kind"] == TRAINED][-1:]
        above = [other for other in found[place + 1 :] if other["kind"] == TRAINED][:1]
        near = below + above
        if not near:
            continue
        rows.append(
            {
                "energy": one["energy"],
                "kind": one["kind"],
                "neighbours": [other["energy"] for other in near],
                "separations": {
                    name: {
                        "own": _number(one, name),
                        "neighbours": [
                            float(np.mean([_number(other, name)[0] for other in near])),
                            float(
                                np.sqrt(sum(_number(other, name)[1] ** 2 for other in near))
                                / len(near)
                            ),
                        ],
                    }
                    for name in MAIN
                },
            }
        )
    return rows


def _number(one: Content, name: str) -> list[float]:
    entry = one["separations"][name]
    return [entry["value"], entry["error"]]
