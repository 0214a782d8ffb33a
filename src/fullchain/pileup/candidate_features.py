"""What the networks are told of each candidate and of its event."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.pileup.association import LEADING, OTHER_VERTEX, PILEUP, USED_IN_FIT
from fullchain.pileup.candidate_events import CandidateEvents
from fullchain.pileup.surroundings import local_sums

Array = NDArray[Any]

RINGS = (0.1, 0.2, 0.4)
"""Outer distances of the rings in which pT is summed."""

_KINDS = ("leading", "pileup", "other")
GLOBALS = ("log_vertices", "log_rho")
OWN = (
    "log_pt",
    "abs_eta",
    "charged",
    "photon",
    "neutral_hadron",
    "lepton",
    "forward",
    "leading",
    "pileup",
    "in_fit",
    "in_other_fit",
    "in_tracker",
    "dz",
)
SURROUNDINGS = (
    *(f"{kind}_{outer:g}" for kind in _KINDS for outer in RINGS),
    "alpha_leading",
    "alpha_all",
)
_GRID, _GRID_END = 0.55, 5.0
_DZ_SCALE = 0.1  # [cm], about the resolution of soft tracks


@dataclass(frozen=True)
class Features:
    """Features of candidates (n, features) and of their events (events, 2), float32."""

    candidates: Array
    events: Array


def names(with_sums: bool) -> tuple[str, ...]:
    """Name the features of a candidate, in order."""
    return (*OWN, *SURROUNDINGS) if with_sums else OWN


def features(events: CandidateEvents, tracker_eta: float, with_sums: bool) -> Features:
    """Describe valid candidates by numbers that are always finite.

    A candidate has no vertex information if it is neutral, beyond the tracker, or a track whose
    vertex is not known: then neither `leading` nor `pileup` is 1; without a track, dz is 0.
    `in_fit` and `in_other_fit` tell of tracks whether the fit of the leading vertex, or of another
    one, used them. `in_tracker` tells the neutral ones that tracks could be near from those where
    none can be. An event without a leading vertex, or without pile-up, has sums of zero for its
    tracks.

    Parameters
    ----------
    tracker_eta
        |eta| beyond which no tracks are expected.
    with_sums
        Also give sums of pT around each candidate (`RINGS`) for tracks of the leading vertex, those
        of pile-up and the rest, and the logarithm of the sums of (pT / dR)^2 over tracks of the
        leading vertex and over all: the two alphas of PUPPI, 1407.6013.
    """
    pdg = np.abs(events.pdg_id)
    charged = events.charge != 0
    own = [
        np.log(events.pt),
        np.abs(events.eta),
        charged,
        pdg == 22,
        pdg == 130,
        (pdg == 11) | (pdg == 13),
        (pdg == 1) | (pdg == 2),
        events.origin == LEADING,
        events.origin == PILEUP,
        charged & (events.from_pv == USED_IN_FIT),
        charged & (events.from_pv == OTHER_VERTEX),
        np.abs(events.eta) < tracker_eta,
        np.tanh(np.nan_to_num(events.dz, nan=0.0, posinf=0.0, neginf=0.0) / _DZ_SCALE),
    ]
    columns = np.stack([np.asarray(column, np.float32) for column in own], axis=1)
    if with_sums:
        columns = np.concatenate([columns, _surroundings(events)], axis=1)
    vertices = np.nan_to_num(events.vertices, nan=0.0, posinf=0.0, neginf=0.0)
    of_events = np.stack([np.log1p(np.maximum(vertices, 0.0)), np.log1p(density(events))], axis=1)
    return Features(columns, of_events.astype(np.float32))


def density(events: CandidateEvents) -> Array:
    """Give the median pT density of each event, (events) [GeV per unit area].

    Over cells of about 0.55 x 0.55 within |eta| < 5, from the candidates themselves: the branch
    that CMS has for it (fixedGridRhoFastjetAll) is not in every layout.
    """
    rows, columns = round(2.0 * _GRID_END / _GRID), round(2.0 * np.pi / _GRID)
    inside = np.abs(events.eta) < _GRID_END
    number = np.repeat(np.arange(len(events)), np.diff(events.offsets))[inside]
    row = np.floor((events.eta[inside] + _GRID_END) / (2.0 * _GRID_END) * rows).astype(np.int64)
    turn = (events.phi[inside] / (2.0 * np.pi)) % 1.0
    column = np.minimum((turn * columns).astype(np.int64), columns - 1)
    cell = (number * rows + row) * columns + column
    sums = np.bincount(cell, events.pt[inside], minlength=len(events) * rows * columns)
    area = (2.0 * _GRID_END / rows) * (2.0 * np.pi / columns)
    found: Array = np.median(sums.reshape(len(events), rows * columns), axis=1) / area
    return found


def _surroundings(events: CandidateEvents) -> Array:
    kind = np.where(events.origin == LEADING, 0, np.where(events.origin == PILEUP, 1, 2))
    sums, squares = local_sums(
        events.pt, events.eta, events.phi, kind, events.offsets, np.array(RINGS), len(_KINDS)
    )
    alphas = np.stack([squares[:, 0], squares.sum(axis=1)], axis=1)
    rings = np.log1p(sums.reshape(len(sums), len(_KINDS) * len(RINGS)))
    found: Array = np.concatenate([rings, np.log1p(alphas)], axis=1).astype(np.float32)
    return found
