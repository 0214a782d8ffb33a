"""Profiles of electromagnetic showers: G. Grindhammer and S. Peters, hep-ex/0001020.

Along its axis a shower is a gamma distribution in depth t [radiation lengths],

    f(t) = (beta t)^(alpha - 1) beta e^(-beta t) / Gamma(alpha)

with its maximum at T = (alpha - 1)/beta; ln T and ln alpha of single showers are normal and
correlated. Across the axis it is the sum of a core and a tail, r in Moliere radii,

    f(r) = p 2 r Rc^2 / (r^2 + Rc^2)^2 + (1 - p) 2 r Rt^2 / (r^2 + Rt^2)^2

whose parameters depend on tau, depth over the mean depth of the shower. Constants are those of
Geant4's gflash. Energies are in MeV, shape (n).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.media import Medium

Array = NDArray[Any]

EARLIEST, FLATTEST = 1.0, 1.1
"""Least depth of the maximum [radiation lengths] and least alpha: below, formulas have no sense."""

WIDEST = 0.5
"""Greatest standard deviation of a logarithm."""

LOWEST = 3.0
"""Least energy in critical energies."""

NARROWEST = 0.005
"""Least radius of core and tail [Moliere radii]."""


@dataclass(frozen=True)
class Longitudinal:
    """Distribution of ln T and ln alpha, each (n)."""

    log_peak: Array
    log_alpha: Array
    spread_peak: Array
    spread_alpha: Array
    correlation: Array

    def draw(self, random: np.random.Generator) -> tuple[Array, Array]:
        """Draw T and alpha of each shower."""
        first, second = random.standard_normal((2, len(self.log_peak)))
        same = np.sqrt((1.0 + self.correlation) / 2.0)
        opposite = np.sqrt((1.0 - self.correlation) / 2.0)
        peak = np.exp(self.log_peak + self.spread_peak * (same * first + opposite * second))
        alpha = np.exp(self.log_alpha + self.spread_alpha * (same * first - opposite * second))
        return np.maximum(peak, EARLIEST), np.maximum(alpha, FLATTEST)


def longitudinal(energies: Array, medium: Medium) -> Longitudinal:
    """Give the distribution of longitudinal parameters."""
    log_y = np.log(np.maximum(energies / medium.critical_energy, LOWEST))
    peak = log_y - 0.812
    alpha = 0.81 + (0.458 + 2.26 / medium.atomic_number) * log_y
    if medium.sampling is None:
        steepness_peak, steepness_alpha = -1.4 + 1.26 * log_y, -0.58 + 0.86 * log_y
        correlation = 0.705 - 0.023 * log_y
    else:
        thin, missing = 1.0 / medium.sampling.frequency, 1.0 - medium.sampling.ratio
        peak = peak - 0.55 * thin - 0.69 * missing
        alpha = alpha - 0.476 * thin
        steepness_peak, steepness_alpha = -2.5 + 1.25 * log_y, -0.82 + 0.79 * log_y
        correlation = 0.784 - 0.023 * log_y
    return Longitudinal(
        np.log(np.maximum(peak, EARLIEST)),
        np.log(np.maximum(alpha, FLATTEST)),
        1.0 / np.maximum(steepness_peak, 1.0 / WIDEST),
        1.0 / np.maximum(steepness_alpha, 1.0 / WIDEST),
        correlation,
    )


def spots(peak: Array, alpha: Array, energies: Array, medium: Medium) -> tuple[Array, Array, Array]:
    """Give number of spots, and T and alpha of their distribution in depth, each (n).

    In sampling calorimeters number and distribution are those for them (n and s in Geant4's
    GFlashSamplingShowerTuning).
    """
    z, gev = medium.atomic_number, energies / 1000.0
    if medium.sampling is None:
        number = 93.0 * np.log(z) * gev**0.876
        deeper, sharper = 0.698 + 0.00212 * z, 0.639 + 0.00334 * z
    else:
        number = 10.3 / medium.sampling.resolution * gev**0.959
        deeper, sharper = 0.813 + 0.0019 * z, 0.844 + 0.0026 * z
    return number, peak * deeper, np.maximum(alpha * sharper, FLATTEST)


def scaled_depth(depth: Array, peak: Array, alpha: Array, mean_alpha: Array) -> Array:
    """Give tau (n, slices) at depths (n, slices) [radiation lengths] from where the shower begins.

    tau = t/T (alpha - 1)/alpha a/(a - 1), with a = exp of the mean of ln alpha: the depth over the
    mean depth of the shower, times what makes the average shower have tau = 1 at its maximum.
    """
    alpha, mean_alpha = np.maximum(alpha, FLATTEST), np.maximum(mean_alpha, FLATTEST)
    scale = (alpha - 1.0) / alpha * mean_alpha / (mean_alpha - 1.0) / peak
    return depth * scale[:, None]


def radial(tau: Array, energies: Array, medium: Medium) -> tuple[Array, Array, Array]:
    """Give radii of core and tail [Moliere radii] and the part of the core, each (n, slices)."""
    z, log_e = medium.atomic_number, np.log(energies / 1000.0)[:, None]
    core = 0.0251 + 0.00319 * log_e + (0.1162 - 0.000381 * z) * tau
    late = tau - 0.645
    # 0.0421 as in most programs that use the parameterisation; Geant4 has 0.0412, which makes the
    # tail at most a few per cent narrower where there is energy.
    tail = (0.659 - 0.00309 * z) * (np.exp(-2.59 * late) + np.exp((0.3585 + 0.0421 * log_e) * late))
    x = (0.401 + 0.00187 * z - tau) / (1.313 - 0.0686 * log_e)
    part = (2.632 - 0.00094 * z) * np.exp(x - np.exp(x))
    if medium.sampling is not None:
        thin, missing = 1.0 / medium.sampling.frequency, 1.0 - medium.sampling.ratio
        early = thin * np.exp(-tau)
        core = core - 0.0203 * missing + 0.0397 * early
        tail = tail - 0.14 * missing - 0.495 * early
        part = part + missing * (0.348 - 0.642 * thin * np.exp(-((tau - 1.0) ** 2)))
    return np.maximum(core, NARROWEST), np.maximum(tail, NARROWEST), np.clip(part, 0.0, 1.0)


def contained(radii: Array, core: Array, tail: Array, part: Array) -> Array:
    """Give the part of the energy within radii [Moliere radii], (n, slices, radii)."""
    square = np.asarray(radii) ** 2
    inner = square / (square + core[..., None] ** 2)
    outer = square / (square + tail[..., None] ** 2)
    return outer + part[..., None] * (inner - outer)
