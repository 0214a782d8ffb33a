"""Files of weights of generated showers: one row for each shower, in the order of the sample."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import atomic
from fullchain.calorimetry.shower_file import ENERGIES

Array = NDArray[Any]

RAW, CLIPPED = "weights", "weights_clipped"


def write(path: Path, energies: Array, raw: Array, clipped: Array, maximum: float) -> None:
    """Write a file, whole or not at all; it keeps no time.

    Parameters
    ----------
    energies
        Of the incident particles [MeV], (n).
    raw, clipped
        Weights w = D/(1 - D), of mean one at each energy, (n) each: as the discriminator gives
        them, and limited to `maximum` and scaled again.
    """
    import h5py

    columns = {ENERGIES: energies.reshape(-1, 1), RAW: raw, CLIPPED: clipped}
    with atomic(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        for name, values in columns.items():
            file.create_dataset(
                name,
                data=np.asarray(values, dtype=np.float64),
                compression="gzip",
                compression_opts=1,
                track_times=False,
            )
        file[ENERGIES].attrs["unit"] = "MeV"
        file[CLIPPED].attrs["maximum"] = maximum
