"""Reconstructed vertices and the association of tracks to them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples.detector_settings import VertexSettings
from fullchain.ntuples.tracker import Tracks

Array = NDArray[Any]

# Events are laid out side by side along z at this distance [cm], so that one search serves all.
EVENT_PITCH = 1.0e4

# fromPV and pvAssocQuality of CMS candidates (pat::PackedCandidate).
NO_PV, PV_LOOSE, PV_TIGHT, PV_USED_IN_FIT = 0, 1, 2, 3
NOT_RECONSTRUCTED, OTHER_DELTA_Z, COMPATIBLE_DZ, USED_IN_FIT_LOOSE, USED_IN_FIT = 0, 1, 5, 6, 7


@dataclass(frozen=True)
class Vertices:
    """Reconstructed vertices, ordered by event and, within it, by falling sum of track pT squared.

    `rank` is 0 for the leading vertex of an event. An event without vertex has one at the origin
    with no tracks.
    """

    event: Array
    rank: Array
    z: Array
    tracks: Array
    sum_pt2: Array


@dataclass(frozen=True)
class Association:
    """Per track: vertex index in its event, dz to the leading vertex [cm], and CMS's two codes."""

    vertex: Array
    dz: Array
    from_pv: Array
    quality: Array


def reconstruct(tracks: Tracks, events: int, settings: VertexSettings) -> Vertices:
    """Make vertices from the tracks of each collision, and merge close ones.

    A collision is seen if it has `min_tracks` tracks above `track_pt_min` near the beam line; its
    place is their mean, weighted with the resolution. Of vertices that follow each other closer
    than `merging_distance` along z only the sum is seen (0.3 mm, a choice of ours). With 25
    interactions this leaves about as many vertices as the CMS file of `cms_reference.json` shows.
    """
    good = (tracks.pt > settings.track_pt_min) & (np.abs(tracks.d0) < 0.2)
    most = int(tracks.interaction.max()) + 1 if len(tracks.interaction) else 1
    key = tracks.event[good].astype(np.int64) * most + tracks.interaction[good]
    collisions, which = np.unique(key, return_inverse=True)
    weight = 1.0 / tracks.z_error[good] ** 2
    number = np.bincount(which, minlength=len(collisions))
    norm = np.bincount(which, weight, minlength=len(collisions))
    z = np.bincount(which, weight * tracks.z[good], minlength=len(collisions)) / norm
    pt2 = np.bincount(which, tracks.pt[good] ** 2, minlength=len(collisions))
    event = collisions // most

    seen = number >= settings.min_tracks
    event, z, number, pt2 = event[seen], z[seen], number[seen], pt2[seen]
    order = np.lexsort((z, event))
    event, z, number, pt2 = event[order], z[order], number[order], pt2[order]
    if len(event):
        new = np.r_[True, (np.diff(z) > settings.merging_distance) | (np.diff(event) != 0)]
        begin = np.flatnonzero(new)
        total = np.add.reduceat(pt2, begin)
        z = np.add.reduceat(z * pt2, begin) / total
        event, number, pt2 = event[begin], np.add.reduceat(number, begin), total
    blind = np.setdiff1d(np.arange(events), event)
    event = np.concatenate([event, blind])
    z = np.concatenate([z, np.zeros(len(blind))])
    number = np.concatenate([number, np.zeros(len(blind), dtype=number.dtype)])
    pt2 = np.concatenate([pt2, np.zeros(len(blind))])
    order = np.lexsort((-pt2, event))
    event, z, number, pt2 = event[order], z[order], number[order], pt2[order]
    begin = np.searchsorted(event, np.arange(events))
    return Vertices(event, np.arange(len(event)) - begin[event], z, number, pt2)


def leading_z(vertices: Vertices) -> Array:
    """Place of the leading vertex of each event [cm]."""
    return vertices.z[vertices.rank == 0]


def associate(tracks: Tracks, vertices: Vertices, settings: VertexSettings) -> Association:
    """Give each track to the vertex that is nearest along z.

    A track is used in the fit of that vertex if it passes it within `fit_significance`
    standard deviations in z and in the transverse plane. The codes follow CMS: fromPV is 3 if
    used in the fit of the leading vertex, 2 if merely nearest to it, 1 if nearest to another one,
    0 if used in the fit of another one. pvAssocQuality is 7 (used in a fit), 5 (nearest in z, to
    the leading vertex) or 1 (nearest in z, to another one).
    """
    order = np.lexsort((vertices.z, vertices.event))
    line = vertices.event[order] * EVENT_PITCH + vertices.z[order]
    here = tracks.event * EVENT_PITCH + tracks.z
    right = np.clip(np.searchsorted(line, here), 1, max(len(line) - 1, 1))
    right = np.minimum(right, len(line) - 1)
    left = np.maximum(right - 1, 0)
    nearest = order[np.where(np.abs(line[left] - here) <= np.abs(line[right] - here), left, right)]
    distance = tracks.z - vertices.z[nearest]
    sigma = np.hypot(tracks.z_error, settings.fit_floor)
    sigma_d0 = np.hypot(tracks.d0_error, settings.fit_floor)
    used = np.maximum(np.abs(distance) / sigma, np.abs(tracks.d0) / sigma_d0) < (
        settings.fit_significance
    )
    rank = vertices.rank[nearest]
    leading = rank == 0
    from_pv = np.where(
        leading,
        np.where(used, PV_USED_IN_FIT, PV_TIGHT),
        np.where(used, NO_PV, PV_LOOSE),
    )
    quality = np.where(used, USED_IN_FIT, np.where(leading, COMPATIBLE_DZ, OTHER_DELTA_Z))
    return Association(
        vertex=rank.astype(np.int32),
        dz=tracks.z - leading_z(vertices)[tracks.event],
        from_pv=from_pv.astype(np.int32),
        quality=quality.astype(np.int32),
    )
