"""Compare PUPPI weights with those that a file has: CMS PFNano."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.jets.clustering import cluster
from fullchain.jets.matching import nearest, take
from fullchain.jets.mitigation import has_weights
from fullchain.ntuples.manifests import read_part
from fullchain.pileup.association import origins
from fullchain.pileup.classical_settings import AssociationSettings, ComparisonSettings
from fullchain.pileup.events import Events
from fullchain.pileup.performance import number, quantiles, replicas
from fullchain.pileup.puppi import puppi_weights
from fullchain.pileup.reading import read_chunks
from fullchain.step import Given, Input, Output

Array = NDArray[Any]

REPLICAS = 200
EVENTS_PER_CHUNK = 200
CLOSE = 0.1
"""Weights that differ by less agree."""

SCATTER_EDGES = np.linspace(0.0, 1.0, 21)
# The file's own tracks of the leading vertex, which for PFNano its weights tell: only what PUPPI
# makes of them is compared.
_STORED_TRACKS = AssociationSettings(
    loose_tracks="nearest", fitted_dz_max=0.0, protected_track_pt=0.0
)


def main(
    *,
    manifests: Annotated[list[Path], Input("part manifests of one sample with stored weights")],
    numbers: Annotated[Path, Output("agreement of the weights and of jets, JSON")],
    settings: Given,
) -> None:
    """Weigh the candidates again and compare.

    Raises
    ------
    InputError
        The files have no PUPPI weights, or not the candidates of whole events.
    """
    chosen = settings.model("pileup.comparison", ComparisonSettings)
    sample = read_part(manifests[0]).sample
    found = compare(manifests, chosen, settings.seed)
    write_text(numbers, json.dumps({"sample": sample, **found}, indent=1) + "\n")


def compare(manifests: Sequence[Path], settings: ComparisonSettings, seed: int) -> dict[str, Any]:
    """Give the agreement of our weights with the stored ones, for neutral candidates and jets."""
    left = settings.max_events
    rows: list[Array] = []
    jets: list[Array] = []
    before = 0
    for manifest in manifests:
        for chunk in read_chunks(manifest, events_per_chunk=EVENTS_PER_CHUNK, max_events=left):
            events = chunk.events
            if not has_weights(events.stored_weight, events.charge, events.from_pv):
                raise InputError(
                    f"{manifest}: its files have no PUPPI weights (branch PFCands_puppiWeight); "
                    "take the sample out of pileup.comparison.samples"
                )
            ours = recomputed(events, settings)
            neutral = events.charge == 0
            number_of_event = np.repeat(np.arange(len(events)), events.counts) + before
            rows.append(
                np.stack(
                    [
                        number_of_event[neutral],
                        events.pt[neutral],
                        events.eta[neutral],
                        ours[neutral],
                        events.stored_weight[neutral],
                    ]
                )
            )
            ratio, mass_ratio, event = jet_ratios(events, ours, settings.jet_pt_min)
            jets.append(np.stack([event + before, ratio, mass_ratio]))
            before += len(events)
            left -= len(events)
        if left <= 0:
            break
    drawn = replicas(before, REPLICAS, np.ones(before), seed, "pileup", "compare")
    event, pt, eta, ours, stored = np.concatenate(rows, axis=1)
    found: dict[str, Any] = {"events": before, "regions": {}, "pt_edges": SCATTER_EDGES.tolist()}
    for region in settings.puppi.regions:
        inside = (np.abs(eta) >= region.abs_eta_min) & (np.abs(eta) < region.abs_eta_max)
        if np.sum(inside) < 2:
            continue
        found["regions"][f"{region.abs_eta_min:g}-{region.abs_eta_max:g}"] = agreement_of_weights(
            event[inside].astype(np.int64), pt[inside], ours[inside], stored[inside], drawn
        )
    event, ratio, mass_ratio = np.concatenate(jets, axis=1)
    found["jets"] = _ratios(event.astype(np.int64), ratio, mass_ratio, drawn)
    return found


def recomputed(events: Events, settings: ComparisonSettings) -> Array:
    """Give our weights, with the file's own association of tracks."""
    origin = origins(
        events.pt, events.eta, events.charge, events.from_pv, events.dz, _STORED_TRACKS
    )
    return puppi_weights(
        events.pt, events.eta, events.phi, origin, events.event_offsets, events.vertices,
        settings.puppi,
    )  # fmt: skip


def jet_ratios(events: Events, ours: Array, pt_min: float) -> tuple[Array, Array, Array]:
    """Cluster AK8 jets with both weights: ratio of pT, ratio of mass, number of the event."""
    stored = cluster(*events.weighted(events.stored_weight), 0.8, pt_min)
    jets = cluster(*events.weighted(ours), 0.8, 0.5 * pt_min)
    reference, found = stored.kinematics, jets.kinematics
    index = nearest(
        reference.eta, reference.phi, stored.events, found.eta, found.phi, jets.event_offsets, 0.4
    )
    mass = np.where(reference.mass > 1.0, reference.mass, np.nan)
    return take(found.pt, index) / reference.pt, take(found.mass, index) / mass, stored.events


def agreement_of_weights(
    event: Array, pt: Array, ours: Array, stored: Array, drawn: Array
) -> dict[str, Any]:
    """Give correlation, part that agrees, difference in kept pT, and the scatter of the weights."""
    weights = drawn[:, event]
    total = weights.sum(axis=1)

    def mean(values: Array) -> Array:
        return np.asarray(weights @ values / total)

    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = mean(ours * stored) - mean(ours) * mean(stored)
        spread = (mean(ours**2) - mean(ours) ** 2) * (mean(stored**2) - mean(stored) ** 2)
        correlation = covariance / np.sqrt(spread)
        kept = (weights @ (ours * pt)) / (weights @ (stored * pt))
    scatter, _, _ = np.histogram2d(stored, ours, bins=(SCATTER_EDGES, SCATTER_EDGES))
    found = {
        "candidates": len(event),
        "close": number(mean((np.abs(ours - stored) < CLOSE).astype(np.float64))),
        "scatter": scatter.astype(int).tolist(),
    }
    for name, results in (("correlation", correlation), ("kept_pt_ratio", kept)):
        if np.isfinite(results[0]):
            found[name] = number(results)
    return found


def _ratios(event: Array, ratio: Array, mass_ratio: Array, drawn: Array) -> dict[str, Any]:
    found: dict[str, Any] = {"jets": int(np.sum(np.isfinite(ratio)))}
    for name, values in (("pt", ratio), ("mass", mass_ratio)):
        known = np.isfinite(values)
        if not known.any():
            continue
        low, middle, high = quantiles(values[known], drawn[:, event[known]], (0.16, 0.5, 0.84)).T
        found[name] = {
            "median": number(middle),
            "half_width": number(0.5 * (high - low)),
            "values": [round(float(value), 5) for value in values[known]],
        }
    return found
