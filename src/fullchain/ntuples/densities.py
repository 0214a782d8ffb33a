"""Density and pT spectrum of candidates away from jets, per interaction.

A CMS file of ten events (`cms_reference.json`) and our events with pile-up go through the same
function: candidates near the two leading AK8 jets are left out, and their number is divided by the
area that is left and by the number of interactions (pile-up and the hard one).
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples.pairing import distance, pairs

__data__ = ("cms_reference.json",)

Array = NDArray[Any]

SPECIES = {
    "charged": (211, 11, 13),
    "photon": (22,),
    "neutral": (130,),
    "forward_hadron": (1,),
    "forward_photon": (2,),
}
REGIONS = {
    "barrel": (0.0, 1.5),
    "endcap": (1.5, 2.5),
    "edge": (2.5, 3.0),
    "forward": (3.0, 4.0),
    "far_forward": (4.0, 5.2),
}
MEASURED = (
    ("charged", "barrel"),
    ("charged", "endcap"),
    ("charged", "edge"),
    ("photon", "barrel"),
    ("photon", "endcap"),
    ("photon", "edge"),
    ("neutral", "barrel"),
    ("neutral", "endcap"),
    ("neutral", "edge"),
    ("forward_hadron", "forward"),
    ("forward_hadron", "far_forward"),
    ("forward_photon", "forward"),
    ("forward_photon", "far_forward"),
)
PT_EDGES = (0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.5, 6.0, 12.0)
LEADING_JETS = 2
ENOUGH_COUNTS = 30  # candidates in a bin that is compared
AREA_CELLS = (104, 64)  # grid in eta and phi on which the area is counted
ETA_END = 5.2


@dataclass(frozen=True)
class Sky:
    """Candidates and jets of some events: flat arrays with counts per event.

    Jets are ordered by falling pT; `interactions` counts pile-up and the hard collision.
    """

    counts: Array
    pt: Array
    eta: Array
    phi: Array
    pdg_id: Array
    jet_counts: Array
    jet_eta: Array
    jet_phi: Array
    interactions: Array


def densities(sky: Sky, radius: float) -> dict[str, Any]:
    """Measure the density of each species in each region, and its pT spectrum.

    Returns
    -------
    For each ``species.region`` the density per interaction and unit of area, its standard error
    from the spread over events, and the densities and errors in bins of `PT_EDGES`; the mean
    number of interactions and of candidates.
    """
    events = len(sky.counts)
    keep = _leading(sky.jet_counts)
    jet_counts = np.minimum(sky.jet_counts, LEADING_JETS)
    jet_eta, jet_phi = sky.jet_eta[keep], sky.jet_phi[keep]
    event = np.repeat(np.arange(events), sky.counts)
    away = _away(sky, jet_counts, jet_eta, jet_phi, radius)
    area = _areas(jet_counts, jet_eta, jet_phi, radius)
    reach, code = np.abs(sky.eta), np.abs(sky.pdg_id)
    found: dict[str, Any] = {}
    for species, region in MEASURED:
        low, high = REGIONS[region]
        chosen = away & (reach >= low) & (reach < high) & np.isin(code, SPECIES[species])
        exposure = sky.interactions * area[region]
        number = np.bincount(event[chosen], minlength=events)
        value, error = _rate(number, exposure)
        spectrum = [
            _rate(np.bincount(event[chosen & inside], minlength=events), exposure)
            for inside in ((sky.pt >= a) & (sky.pt < b) for a, b in pairwise(PT_EDGES))
        ]
        found[f"{species}.{region}"] = {
            "density": value,
            "error": error,
            "spectrum": [one for one, _ in spectrum],
            "spectrum_error": [one for _, one in spectrum],
        }
    mean = sky.counts / sky.interactions
    return {
        "events": events,
        "interactions": float(np.mean(sky.interactions)),
        "candidates": float(np.mean(sky.counts)),
        "candidates_per_interaction": float(np.mean(mean)),
        "candidates_per_interaction_error": float(np.std(mean, ddof=1) / np.sqrt(events)),
        "pt_edges": list(PT_EDGES),
        "jet_radius": radius,
        "densities": found,
    }


def worst_bin(ours: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any] | None:
    """Find the bin of all pT spectra where ours differs most from the reference.

    A bin counts where the reference has `ENOUGH_COUNTS` candidates or more, or would have them if
    it were like ours: a surplus counts as a deficit does. Of their number only the density is
    known, so it is estimated from the density and the area without that of jets. A bin without
    candidates is taken for one with a single one. The distance is the logarithm of the ratio.

    Returns
    -------
    Species and region (`place`), edges of the bin [GeV], the ratio and its standard error, which
    contains those of both densities (the spread over events, not less than the counting error of
    the reference); the number of `bins` that count and of those `beyond` 30 %. None where no bin
    counts.
    """
    found: list[dict[str, Any]] = []
    for place, cms in reference["densities"].items():
        low, high = REGIONS[place.partition(".")[2]]
        area = (high - low) * 4.0 * np.pi
        exposure = reference["events"] * reference["interactions"] * area
        mine = ours["densities"][place]
        rows = zip(
            pairwise(reference["pt_edges"]),
            mine["spectrum"],
            mine["spectrum_error"],
            cms["spectrum"],
            cms["spectrum_error"],
            strict=True,
        )
        for edges, value, error, expected, spread in rows:
            if max(expected, value) * exposure < ENOUGH_COUNTS:
                continue
            expected = max(expected, 1.0 / exposure)
            relative = max(spread / expected, (expected * exposure) ** -0.5)
            ratio = value / expected
            found.append(
                {
                    "place": place,
                    "edges": list(edges),
                    "ratio": ratio,
                    "error": float(np.hypot(error / expected, ratio * relative)),
                }
            )
    if not found:
        return None
    # An empty bin is the worst there can be.
    worst = max(found, key=lambda one: abs(np.log(max(one["ratio"], 1e-9))))
    beyond = sum(not 1.0 / 1.3 < one["ratio"] < 1.3 for one in found)
    return {**worst, "bins": len(found), "beyond": beyond}


def _rate(number: Array, exposure: Array) -> tuple[float, float]:
    """Ratio of sums, and its standard error from the spread of the events around it."""
    value = number.sum() / exposure.sum()
    residual = number - value * exposure
    events = len(number)
    variance = np.sum(residual**2) * events / max(events - 1, 1)
    return float(value), float(np.sqrt(variance) / exposure.sum())


def _leading(counts: Array) -> Array:
    """Mask of the first `LEADING_JETS` entries of each event."""
    begin = np.cumsum(counts) - counts
    return np.asarray(np.arange(int(counts.sum())) - np.repeat(begin, counts) < LEADING_JETS)


def _away(sky: Sky, jet_counts: Array, jet_eta: Array, jet_phi: Array, radius: float) -> Array:
    """Mask of candidates farther than `radius` from these jets of their event."""
    i, j = pairs(sky.counts, jet_counts)
    near = distance(sky.eta[i], sky.phi[i], jet_eta[j], jet_phi[j]) < radius
    away = np.ones(len(sky.eta), dtype=bool)
    away[i[near]] = False
    return away


def _areas(jet_counts: Array, jet_eta: Array, jet_phi: Array, radius: float) -> dict[str, Array]:
    """Area away from jets in each region, per event."""
    rows, columns = AREA_CELLS
    eta = (np.arange(rows) + 0.5) / rows * 2.0 * ETA_END - ETA_END
    phi = (np.arange(columns) + 0.5) / columns * 2.0 * np.pi - np.pi
    cell_eta, cell_phi = (grid.ravel() for grid in np.meshgrid(eta, phi, indexing="ij"))
    cell_area = (2.0 * ETA_END / rows) * (2.0 * np.pi / columns)
    members = {
        region: (np.abs(cell_eta) >= low) & (np.abs(cell_eta) < high)
        for region, (low, high) in REGIONS.items()
    }
    event = np.repeat(np.arange(len(jet_counts)), jet_counts)
    areas = {region: np.zeros(len(jet_counts)) for region in REGIONS}
    for one in range(len(jet_counts)):
        free = np.ones(len(cell_eta), dtype=bool)
        for jet in np.flatnonzero(event == one):
            free &= distance(cell_eta, cell_phi, jet_eta[jet], jet_phi[jet]) >= radius
        for region, member in members.items():
            areas[region][one] = cell_area * np.count_nonzero(free & member)
    return areas


def cms_reference() -> dict[str, Any]:
    """What `densities` gives for ten simulated CMS events; with its source."""
    text = (Path(__file__).parent / __data__[0]).read_text(encoding="utf-8")
    return dict(json.loads(text))
