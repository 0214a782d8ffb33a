"""PUPPI: pile-up per particle identification (Bertolini, Harris, Low, Tran, arXiv:1407.6013).

For each candidate i, alpha_i = ln of the sum of pT_j / dR_ij (or of its square, as CMS and Delphes
have it) over its neighbours j: the tracks of the leading vertex where there is a tracker, all
candidates elsewhere. The tracks of pile-up tell how alpha is distributed for pile-up: its median,
and its spread below the median. With

    chi2_i = (alpha_i - median) |alpha_i - median| / spread^2

the weight is the cumulative chi-squared distribution of one degree of freedom at chi2_i. Tracks
have weight 1 or 0 by their vertex. The cuts come in the order of CMSSW
(CommonTools/PileupAlgos/src/PuppiContainer.cc): weighted pT of neutral candidates, floor at large
pT, least weight.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled
from fullchain.pileup.association import LEADING, PILEUP, UNKNOWN
from fullchain.pileup.classical_settings import PuppiSettings
from fullchain.pileup.neighbours import neighbour_sums

Array = NDArray[Any]

NO_NEIGHBOUR = -np.inf
"""alpha of a candidate without neighbours."""

_SMALLEST_SPREAD = 1.0e-5  # of alpha, as in CMSSW
# columns of the table of regions
_LOW, _HIGH, _ALL, _CUT, _SLOPE, _MEDIAN, _SPREAD, _TRACK_PT = range(8)


def puppi_weights(
    pt: Array,
    eta: Array,
    phi: Array,
    origin: Array,
    event_offsets: Array,
    vertices: Array,
    settings: PuppiSettings,
) -> Array:
    """Give the weight of each candidate, in [0, 1] and never NaN.

    An event without tracks of pile-up has weight 1 for all before the cuts. An event without tracks
    of the leading vertex takes alpha from all candidates everywhere. A candidate without
    neighbours has weight 0, as do those outside of all regions and those whose pT or direction is
    no finite number.

    Parameters
    ----------
    pt, eta, phi
        (candidates) [GeV]; of all events, one after the other.
    origin
        (candidates) see `fullchain.pileup.association.origins`.
    event_offsets
        (events + 1) where the candidates of each event begin.
    vertices
        (events) number of reconstructed vertices.

    Returns
    -------
    (candidates) float64.
    """
    regions = np.array(
        [
            (
                region.abs_eta_min,
                region.abs_eta_max,
                region.neighbours == "all",
                region.neutral_pt,
                region.neutral_pt_slope,
                region.median_factor,
                region.rms_factor,
                region.rms_pt_min,
            )
            for region in settings.regions
        ],
        np.float64,
    )
    weights: Array = _weights(
        np.ascontiguousarray(pt, np.float64),
        np.ascontiguousarray(eta, np.float64),
        np.ascontiguousarray(phi, np.float64),
        np.ascontiguousarray(origin, np.int8),
        np.ascontiguousarray(event_offsets, np.int64),
        np.ascontiguousarray(vertices, np.float64),
        regions,
        settings.cone,
        settings.inner_cone,
        settings.metric == "pt_over_dr_squared",
        settings.median_abs_eta_max,
        settings.low_pileup_correction,
        settings.weight_cut,
        settings.protected_pt_start,
        settings.protected_pt,
    )
    return weights


@compiled
def _weights(
    pt: Array,
    eta: Array,
    phi: Array,
    origin: Array,
    event_offsets: Array,
    vertices: Array,
    regions: Array,
    cone: float,
    inner_cone: float,
    squared: bool,
    median_abs_eta_max: float,
    correct: bool,
    weight_cut: float,
    protected_start: float,
    protected: float,
) -> Array:
    weights = np.zeros(len(pt))
    for event in range(len(event_offsets) - 1):
        begin, end = event_offsets[event], event_offsets[event + 1]
        region = _regions_of(pt[begin:end], eta[begin:end], phi[begin:end], regions)
        known = np.flatnonzero(region >= 0) + begin
        leading = known[origin[known] == LEADING]
        shape = np.zeros((len(regions), 2))
        cuts = regions[:, _CUT] + regions[:, _SLOPE] * vertices[event]
        alpha = np.full(end - begin, NO_NEIGHBOUR)
        for sums_all in (False, True):
            # without a leading vertex, the neighbours of every region are all candidates
            takes_all = sums_all or len(leading) == 0
            wanted = False
            for r in range(len(regions)):
                wanted |= (regions[r, _ALL] > 0) == sums_all
            if not wanted:
                continue
            track_pt = np.inf
            for r in range(len(regions)):
                if (regions[r, _ALL] > 0) == sums_all:
                    track_pt = min(track_pt, regions[r, _TRACK_PT])
            used = np.zeros(end - begin, np.bool_)
            for i in known:
                own = region[i - begin]
                if origin[i] == UNKNOWN:
                    # what the cut will drop with any weight needs no alpha
                    used[i - begin] = (regions[own, _ALL] > 0) == sums_all and pt[i] >= cuts[own]
                else:
                    used[i - begin] = pt[i] >= track_pt and abs(eta[i]) < median_abs_eta_max
                    used[i - begin] &= origin[i] == PILEUP or correct
            targets = np.flatnonzero(used) + begin
            sources = known if takes_all else leading
            sums = neighbour_sums(
                eta[targets], phi[targets], eta[sources], phi[sources], pt[sources],
                cone, inner_cone, squared,
            )  # fmt: skip
            value = np.full(end - begin, NO_NEIGHBOUR)
            for k in range(len(targets)):
                if sums[k] > 0:
                    value[targets[k] - begin] = math.log(sums[k])
            for r in range(len(regions)):
                if (regions[r, _ALL] > 0) != sums_all:
                    continue
                chosen = targets[pt[targets] >= regions[r, _TRACK_PT]]
                of_pileup = chosen[origin[chosen] == PILEUP]
                of_leading = chosen[origin[chosen] == LEADING]
                median, spread = _shape(
                    value[of_pileup - begin], value[of_leading - begin], correct
                )
                shape[r, 0] = median * regions[r, _MEDIAN]
                shape[r, 1] = spread * regions[r, _SPREAD]
            for i in targets:
                if origin[i] == UNKNOWN:
                    alpha[i - begin] = value[i - begin]
        for i in known:
            own = region[i - begin]
            if origin[i] != UNKNOWN:
                weights[i] = 1.0 if origin[i] == LEADING else 0.0
                continue
            weight = 1.0
            if shape[own, 1] > 0:
                weight = _probability(alpha[i - begin], shape[own, 0], shape[own, 1])
            if weight * pt[i] < cuts[own]:
                weight = 0.0
            if protected > 0:
                floor = (pt[i] - protected_start) / (protected - protected_start)
                weight = min(max(weight, floor), 1.0)
            weights[i] = weight if weight >= weight_cut else 0.0
    return weights


@compiled
def _regions_of(pt: Array, eta: Array, phi: Array, regions: Array) -> Array:
    """Give the region of each candidate; -1 outside of all and where a number is not finite."""
    found = np.full(len(eta), -1)
    for i in range(len(eta)):
        if not (math.isfinite(pt[i]) and math.isfinite(phi[i]) and pt[i] > 0):
            continue
        for r in range(len(regions)):
            if regions[r, _LOW] <= abs(eta[i]) < regions[r, _HIGH]:
                found[i] = r
    return found


@compiled
def _shape(pileup: Array, leading: Array, correct: bool) -> tuple[float, float]:
    """Give median and spread of alpha for pile-up; spread 0: nothing is known.

    Tracks without neighbours do not count. If none has any, the median is minus infinity: whoever
    has neighbours is above it.
    """
    if len(pileup) == 0:
        return 0.0, 0.0
    ordered = np.sort(pileup[pileup > NO_NEIGHBOUR])
    if len(ordered) == 0:
        return NO_NEIGHBOUR, 1.0
    median = ordered[len(ordered) // 2]
    below = ordered[ordered <= median]
    spread = max(math.sqrt(np.mean((below - median) ** 2)), _SMALLEST_SPREAD)
    if correct:
        lower = np.sum((leading > NO_NEIGHBOUR) & (leading <= median))
        quantile = _chi_squared_quantile(lower / (lower + 0.5 * len(pileup)))
        median -= math.sqrt(quantile * spread)
        spread = max(abs(spread - math.sqrt(quantile * spread)), _SMALLEST_SPREAD)
    return median, spread


@compiled
def _probability(alpha: float, median: float, spread: float) -> float:
    """Give the cumulative chi-squared distribution, one degree of freedom, of a signed chi2."""
    if alpha <= median:
        return 0.0
    return math.erf((alpha - median) / (spread * math.sqrt(2.0)))


@compiled
def _chi_squared_quantile(probability: float) -> float:
    """Invert that distribution: chi2 with erf(sqrt(chi2 / 2)) = probability < 1.

    erf is concave: Newton's steps from 0 approach the solution from below.
    """
    root = 0.0
    for _ in range(100):
        step = (probability - math.erf(root)) * 0.5 * math.sqrt(math.pi) * math.exp(root * root)
        root += step
        if abs(step) < 1e-12:
            break
    return 2.0 * root * root
