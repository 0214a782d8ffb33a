"""Templates, modifiers and workspaces of HistFactory in pyhf's JSON form.

K. Cranmer et al., CERN-OPEN-2012-016. The bin errors are those of R. Barlow and C. Beeston, Comput.
Phys. Commun. 77 (1993) 219, in the form of one parameter per bin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError

Array = NDArray[np.float64]
Modifier = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """Contents of the bins of a histogram and their variances (sums of squared weights)."""

    values: Array
    variances: Array

    def scaled(self, factor: float) -> "Template":
        """The template times `factor`."""
        return Template(self.values * factor, self.variances * factor**2)

    def plus(self, other: "Template") -> "Template":
        """The sum with an independent template of the same bins."""
        return Template(self.values + other.values, self.variances + other.variances)


def normfactor(name: str) -> Modifier:
    """A free factor on the yield."""
    return {"name": name, "type": "normfactor", "data": None}


def shapefactor(name: str) -> Modifier:
    """A free factor on each bin, common to all regions that carry it."""
    return {"name": name, "type": "shapefactor", "data": None}


def lumi() -> Modifier:
    """The luminosity, common to all samples that carry it."""
    return {"name": "lumi", "type": "lumi", "data": None}


def normsys(name: str, up: float, down: float) -> Modifier:
    """A constrained change of the yield: factors at plus and minus one standard deviation."""
    return {"name": name, "type": "normsys", "data": {"hi": up, "lo": down}}


def histosys(name: str, up: Array, down: Array) -> Modifier:
    """A constrained change of the bins: yields at plus and minus one standard deviation."""
    data = {"hi_data": up.tolist(), "lo_data": down.tolist()}
    return {"name": name, "type": "histosys", "data": data}


def staterror(name: str, template: Template) -> Modifier:
    """Limited simulation: absolute standard deviations of the bins.

    Each sample carries its own; pyhf adds them in quadrature over the samples of the region when
    it makes the model.
    """
    return {"name": name, "type": "staterror", "data": np.sqrt(template.variances).tolist()}


def log_normal(name: str, relative: float) -> Modifier:
    """A change of the yield by 1 + `relative`, downwards by the inverse."""
    return normsys(name, 1.0 + relative, 1.0 / (1.0 + relative))


def workspace(
    channels: Sequence[Mapping[str, Any]],
    observations: Mapping[str, Array],
    *,
    poi: str,
    poi_range: tuple[float, float],
    luminosity_uncertainty: float,
) -> dict[str, Any]:
    """Put channels, data and the measurement together as a pyhf workspace.

    Parameters
    ----------
    channels
        As `channel` gives them.
    observations
        Events per bin by region.
    poi
        Name of the signal strength.
    poi_range
        Its limits in the fit.
    luminosity_uncertainty
        Relative standard deviation of the luminosity.

    Raises
    ------
    InputError
        The data of a region have another number of bins than its samples.
    """
    parameters: list[dict[str, Any]] = [{"name": poi, "inits": [1.0], "bounds": [list(poi_range)]}]
    types = {
        modifier["type"]
        for one in channels
        for sample in one["samples"]
        for modifier in sample["modifiers"]
    }
    if "lumi" in types:
        parameters.append(
            {
                "name": "lumi",
                "auxdata": [1.0],
                "sigmas": [luminosity_uncertainty],
                "inits": [1.0],
                "bounds": [
                    [max(1e-3, 1 - 5 * luminosity_uncertainty), 1 + 5 * luminosity_uncertainty]
                ],
            }
        )
    data = []
    for one in channels:
        observed = observations[one["name"]]
        bins = len(one["samples"][0]["data"])
        if len(observed) != bins:
            raise InputError(
                f"region {one['name']}, data: {len(observed)} bins, but the samples have {bins}"
            )
        data.append({"name": one["name"], "data": np.asarray(observed, dtype=float).tolist()})
    return {
        "channels": [dict(one) for one in channels],
        "observations": data,
        "measurements": [{"name": "fit", "config": {"poi": poi, "parameters": parameters}}],
        "version": "1.0.0",
    }
