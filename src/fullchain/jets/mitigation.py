"""Pile-up mitigation of candidates: what the file knows, or weights of the stage `pileup`."""

import numpy as np

from fullchain.errors import InputError
from fullchain.jets.arrays import Array
from fullchain.pileup.weight_file import checked

FROM_OTHER_VERTEX = 0


def has_weights(puppi_weight: Array, charge: Array, from_pv: Array) -> bool | None:
    """Tell whether PUPPI weights were computed for these candidates.

    A layout without weights gives 1 for all. PUPPI gives 0 to charged candidates of other vertices,
    so a weight other than 1 proves that it ran, and such a candidate with weight 1 that it did not.
    Without either the answer is None, and does not matter: every method then keeps all candidates.
    """
    if np.any(puppi_weight != 1):
        return True
    if np.any((charge != 0) & (from_pv == FROM_OTHER_VERTEX)):
        return False
    return None


def weights(method: str, puppi_weight: Array, charge: Array, from_pv: Array) -> Array:
    """Give the factor on each candidate's four-momentum; 0 drops it.

    Parameters
    ----------
    method
        ``none``: 1 for all. ``chs``: charged-hadron subtraction, 0 for charged candidates that are
        associated with another vertex. ``stored``: the PUPPI weights of the file (Bertolini,
        Harris, Low, Tran, arXiv:1407.6013). ``auto``: stored where the file has weights, else chs.
        ``unchecked``: the weights of the file, also if all are 1.
    puppi_weight, charge, from_pv
        Of the candidates, as in `fullchain.ntuples.layouts.base`.

    Raises
    ------
    InputError
        Stored weights were asked for and the input has none, or they are outside [0, 1].
    """
    if method == "none":
        return np.ones(len(charge))
    if method == "unchecked":
        return checked(puppi_weight, "PFCands_puppiWeight")
    known = has_weights(puppi_weight, charge, from_pv)
    if method == "stored" and known is False:
        raise InputError(
            "jets.clustering.mitigation is stored, but the file has no PUPPI weights: all are 1, "
            "also those of charged candidates from other vertices (branch PFCands_puppiWeight); "
            "take puppi, which computes them, or chs or auto"
        )
    if method == "stored" or (method == "auto" and known):
        return checked(puppi_weight, "PFCands_puppiWeight")
    if method not in ("chs", "auto"):
        raise ValueError(f"{method} is not made of what the file has")
    return np.where((charge != 0) & (from_pv == FROM_OTHER_VERTEX), 0.0, 1.0)
