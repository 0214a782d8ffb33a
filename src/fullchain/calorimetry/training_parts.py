"""Which showers train a model and which choose its best epoch."""

import sys

import numpy as np
import torch

from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.model_base_settings import ModelBaseSettings
from fullchain.calorimetry.parts import Parts, divide
from fullchain.calorimetry.shower_file import Showers
from fullchain.errors import InputError
from fullchain.seeds import stream

SAME = 1e-6
"""Relative distance of energies that are the same."""


def training_and_validation(
    showers: Showers, geometry: Geometry, settings: ModelBaseSettings, seed: int
) -> tuple[Parts, Parts]:
    """Leave out energies, divide at random, and give the parts that train and that validate.

    Raises
    ------
    InputError
        An energy to leave out is not among the showers, or too few showers are left.
    """
    # Nothing is learned of how often a shower leaves no energy at all.
    kept = np.asarray(showers.voxels.any(axis=1), dtype=bool)
    if not kept.all():
        print(
            f"{int((~kept).sum())} of {len(showers)} showers of {settings.showers!r} have no "
            "energy in any voxel and are left out of training: the model gives energy to each",
            file=sys.stderr,
        )
    for energy in settings.leave_out:
        same = np.abs(showers.energies / energy - 1.0) < SAME
        if not same.any():
            values = np.unique(showers.energies)
            known = ", ".join(f"{value:g}" for value in values[:20])
            more = " ..." if len(values) > 20 else ""
            raise InputError(
                f"leave_out: no shower of {settings.showers!r} has {energy:g} MeV; there are "
                f"{known}{more}"
            )
        kept &= ~same
    parts = divide(showers.select(kept), geometry)
    number = len(parts.incident)
    validation = round(settings.validation * number)
    if validation < 1 or number - validation < 2:
        raise InputError(
            f"{number} showers of {settings.showers!r} are too few to train on and to validate "
            "with; make more, or leave out less"
        )
    order = torch.from_numpy(stream(seed, "validation").permutation(number))
    return parts.select(order[validation:]), parts.select(order[:validation])


def below_threshold(showers: Showers, threshold: float, name: str) -> dict[str, float]:
    """Say what a model counts as empty although the showers have energy there.

    Parameters
    ----------
    threshold
        Energy below which a voxel is empty for the model [MeV].
    name
        Of the set of showers, for the message.

    Returns
    -------
    `threshold_mev`; of the voxels with energy and of the energy of all showers, the parts in voxels
    below it, `voxels` and `energy`. These are counted: they have no statistical error.
    """
    lit = int(np.count_nonzero(showers.voxels))
    faint = showers.voxels[(showers.voxels > 0) & (showers.voxels < threshold)]
    total = float(showers.voxels.sum(dtype=float))
    found = {
        "threshold_mev": threshold,
        "voxels": len(faint) / lit if lit else 0.0,
        "energy": float(faint.sum(dtype=float)) / total if total else 0.0,
    }
    if len(faint):
        print(
            f"{found['voxels']:.2%} of the voxels with energy of {name!r}, with "
            f"{found['energy']:.2%} of the energy, are below the threshold of the model, "
            f"{threshold:g} MeV, and count as empty",
            file=sys.stderr,
        )
    return found
