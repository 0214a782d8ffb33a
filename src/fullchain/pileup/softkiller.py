"""SoftKiller (Cacciari, Salam, Soyez, arXiv:1407.0408).

The plane of pseudorapidity and azimuth is cut into patches. The pT cut is the median over the
patches of the largest pT in each, so that half of the patches end up empty. Tracks of pile-up are
dropped before, those of the leading vertex are kept (charged-hadron subtraction with protected
tracks, section 5 of the paper); the cut then acts on neutral candidates.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled
from fullchain.pileup.association import LEADING, UNKNOWN
from fullchain.pileup.classical_settings import SoftKillerSettings

Array = NDArray[Any]


def softkiller_weights(
    pt: Array,
    eta: Array,
    phi: Array,
    origin: Array,
    event_offsets: Array,
    settings: SoftKillerSettings,
) -> tuple[Array, Array]:
    """Give the weight of each candidate, 0 or 1, and the cuts.

    Each band of |eta| has its own patches and its own cut; candidates beyond the last band are cut
    as those in it. What is no finite number has weight 0.

    Parameters
    ----------
    pt, eta, phi
        (candidates) [GeV]; of all events, one after the other; phi within [-pi, pi].
    origin
        (candidates) see `fullchain.pileup.association.origins`.
    event_offsets
        (events + 1) where the candidates of each event begin.

    Returns
    -------
    weights
        (candidates) float64.
    cuts
        (events, bands) [GeV].
    """
    weights, cuts = _weights(
        np.ascontiguousarray(pt, np.float64),
        np.ascontiguousarray(eta, np.float64),
        np.ascontiguousarray(phi, np.float64),
        np.ascontiguousarray(origin, np.int8),
        np.ascontiguousarray(event_offsets, np.int64),
        np.array(settings.abs_eta_edges, np.float64),
        settings.patch_size,
    )
    return weights, cuts


@compiled
def _weights(
    pt: Array,
    eta: Array,
    phi: Array,
    origin: Array,
    event_offsets: Array,
    edges: Array,
    size: float,
) -> tuple[Array, Array]:
    events, bands = len(event_offsets) - 1, len(edges) - 1
    weights, cuts = np.zeros(len(pt)), np.zeros((events, bands))
    columns = max(int(2.0 * math.pi / size + 0.5), 1)
    for event in range(events):
        begin, end = event_offsets[event], event_offsets[event + 1]
        for band in range(bands):
            low, width = edges[band], edges[band + 1] - edges[band]
            rows = max(int(width / size + 0.5), 1)
            highest = np.zeros(2 * rows * columns)
            for i in range(begin, end):
                height = abs(eta[i]) - low
                if origin[i] != UNKNOWN or not 0 <= height < width or not math.isfinite(pt[i]):
                    continue
                row = min(int(height / width * rows), rows - 1) + (rows if eta[i] < 0 else 0)
                column = int((phi[i] + math.pi) / (2.0 * math.pi) * columns)
                k = row * columns + min(max(column, 0), columns - 1)
                highest[k] = max(highest[k], pt[i])
            cuts[event, band] = np.sort(highest)[len(highest) // 2]
        for i in range(begin, end):
            if not (math.isfinite(pt[i]) and math.isfinite(eta[i])):
                continue
            band = 0
            while band < bands - 1 and abs(eta[i]) >= edges[band + 1]:
                band += 1
            if origin[i] == LEADING or (origin[i] == UNKNOWN and pt[i] > cuts[event, band]):
                weights[i] = 1.0
    return weights, cuts
