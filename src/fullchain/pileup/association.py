"""Which candidates are known to come from the leading vertex or from pile-up: by their tracks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.pileup.association_settings import AssociationSettings

Array = NDArray[Any]

UNKNOWN, LEADING, PILEUP = 0, 1, 2
"""Neutral, or a track that is left to the algorithm; track of the leading vertex; of another."""

USED_IN_FIT, NEAREST, OTHER_VERTEX = 3, 2, 0
"""Codes of `from_pv`, see `fullchain.ntuples.layouts.base`."""


def origins(
    pt: Array,
    eta: Array,
    charge: Array,
    from_pv: Array,
    dz: Array,
    settings: AssociationSettings,
) -> Array:
    """Tell the origin of each candidate: `UNKNOWN`, `LEADING` or `PILEUP`.

    Tracks used in the fit of a vertex belong to it, but for those near the leading vertex
    (`fitted_dz_max`). What happens to tracks that no fit used is a setting:

    ``nearest``
        they belong to the vertex that is nearest along the beam;
    ``dz``
        they are of the leading vertex if |dz| to it is below `dz_max`, else of pile-up; a track
        without a measured dz counts by its nearest vertex. Below |eta| of `dz_eta_min` they are
        left to the algorithm, as in CMS since tune v14;
    ``free``
        the algorithm weighs them as it weighs neutral ones.

    Tracks above `protected_track_pt` belong to the leading vertex: pile-up hardly has such tracks.
    Neutral candidates are `UNKNOWN`, whatever their `from_pv`.

    Parameters
    ----------
    pt, eta, charge, from_pv, dz
        (candidates) pT [GeV]; dz [cm] to the leading vertex, NaN where it was not measured.

    Returns
    -------
    (candidates) int8.
    """
    charged = charge != 0
    near = np.abs(np.where(np.isfinite(dz), dz, np.inf))
    fitted = from_pv == USED_IN_FIT
    fitted |= (from_pv == OTHER_VERTEX) & (near < settings.fitted_dz_max)
    if settings.protected_track_pt > 0:
        fitted |= pt >= settings.protected_track_pt
    found = np.full(len(charge), UNKNOWN, np.int8)
    found[charged & fitted] = LEADING
    found[charged & ~fitted & (from_pv == OTHER_VERTEX)] = PILEUP
    if settings.loose_tracks == "free":
        return found
    loose = charged & ~fitted & (from_pv != OTHER_VERTEX)
    leading = from_pv == NEAREST
    if settings.loose_tracks == "dz":
        leading = np.where(np.isfinite(dz), near < settings.dz_max, leading)
        loose &= np.abs(eta) >= settings.dz_eta_min
    found[loose & leading] = LEADING
    found[loose & ~leading] = PILEUP
    return found
