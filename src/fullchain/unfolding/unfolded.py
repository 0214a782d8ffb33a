"""Results of unfolding: weighted particle-level events, and spectra with covariance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

NOMINAL = "nominal"
ENSEMBLE = "ensemble"
DATA = "data"
SIMULATION = "simulation"
SHIFT = "shift"
MODEL = "model"
OF_OBSERVABLE = "@"

# Weights are named `nominal`; `ensemble_<k>`, single trainings whose mean is the nominal one;
# `data_<k>` and `simulation_<k>`, Poisson bootstrap replicas of data and of simulation; and
# `shift_<name>`, the result under a shift of the detector or a variation of the theory. Where each
# observable is unfolded by itself (UniFold), all names end in `@<observable>`.


@dataclass(frozen=True)
class Unfolded:
    """Events at particle level with one weight for each result.

    Parameters
    ----------
    names
        Of the observables.
    values
        (n, observables) of the events, finite.
    ids
        (n, 3) run, luminosity block and event number of the simulated event; for a generative
        method those of the data event, whose samples share them.
    prior
        (n) weight before unfolding.
    weights
        (n) of each result by its name, see above; `nominal` is always there, or with UniFold
        `nominal@<observable>` of each observable. They sum to the number
        of events in the fiducial volume of the particle level.
    about
        Plain values: method, measurement, sizes, diagnostics. Kept in the file.
    alternatives
        The same unfolding with other simulations, by their names, each with the same observables
        and the weight `nominal`. They are files of their own.
    """

    names: tuple[str, ...]
    values: Array
    ids: npt.NDArray[np.int64]
    prior: Array
    weights: Mapping[str, Array]
    about: Mapping[str, Any] = field(default_factory=dict)
    alternatives: Mapping[str, "Unfolded"] = field(default_factory=dict)


@dataclass(frozen=True)
class Spectrum:
    """Unfolded number of events in bins of one observable.

    Parameters
    ----------
    observable
        Its name.
    edges
        (bins + 1) of the bins.
    counts
        (bins) unfolded number of events.
    outside
        Number of events below and above all bins, which are in no bin.
    covariances
        (bins, bins) for each source: `data` and `simulation` (bootstrap), `network` (spread of the
        ensemble over its size), and what else a method knows.
    shifts
        (bins) change of the counts under each shift, by its name; `model_<name>` with another
        simulation.
    """

    observable: str
    edges: Array
    counts: Array
    outside: tuple[float, float]
    covariances: Mapping[str, Array]
    shifts: Mapping[str, Array] = field(default_factory=dict)
