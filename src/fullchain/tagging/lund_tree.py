"""The full Lund plane of jets: their Cambridge/Aachen declustering trees as padded arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled
from fullchain.errors import InputError
from fullchain.jets.arrays import momenta, offsets_of
from fullchain.jets.declustering import recombine, separation_squared

Array = NDArray[Any]

NAMES = ("lnz", "lndelta", "psi", "lnm", "lnkt")
"""Coordinates of a node, in the order of the arrays."""

PARENT, HARDER, SOFTER = 0, 1, 2
"""Places in `LundTrees.neighbours`."""

_SMALLEST_MASS = 1e-3
"""Below this [GeV] the mass of a collinear pair is the rounding of its energies."""
_SMALLEST = 1e-6
"""Least distance, momentum fraction and kt [GeV] under a logarithm: below, directions are equal."""


@dataclass(frozen=True)
class LundTrees:
    """Trees of some jets; a node is a declustering, that is, a pseudojet and its two branches.

    Nodes come in the order in which the jet falls apart, so that the first is the whole jet and
    each comes after the one that it descends from; padding follows.

    Parameters
    ----------
    features
        (jets, nodes, 5) float32: ln z, ln Delta, psi [rad], ln m/GeV, ln kt/GeV.
    neighbours
        (jets, nodes, 3) int64: the nodes that this one comes from, and those that its harder and
        softer branch fall apart in; its own number where there is none.
    mask
        (jets, nodes) false for padding, whose features are zero.
    """

    features: Array
    neighbours: Array
    mask: Array


def lund_trees(
    constituents: Array,
    nodes: int | None = None,
    *,
    named: Callable[[int], str] = "jet {}".format,
) -> LundTrees:
    r"""Recluster jets by angle (E-scheme) and list all their declusterings.

    The coordinates are those of Dreyer and Qu, arXiv:2012.08526: with a the harder and b the softer
    branch, \Delta their distance in rapidity and azimuth, z = pT_b / (pT_a + pT_b),
    kt = pT_b \Delta, m the mass of both, and psi the angle of b about a. The latter covers the full
    circle here, psi = 0 for a softer branch at larger azimuth and pi/2 at larger rapidity; a plain
    arc tangent of the ratio would fold opposite directions together.

    Parameters
    ----------
    constituents
        (jets, particles, 4) pT [GeV], eta, phi, mass [GeV]; particles of pT zero are padding,
        wherever they stand.
    nodes
        Room for nodes; a jet with more keeps those at the largest angles. By default one less than
        the particles, which is enough for all; at least 1.
    named
        Says which jet the one at a place is, for messages.

    Raises
    ------
    InputError
        A constituent is not finite or has a negative pT or mass (names the jet), or the shape is
        wrong.
    """
    constituents = np.asarray(constituents)
    if constituents.ndim != 3 or constituents.shape[2] != 4:
        raise InputError(
            f"constituents have shape {constituents.shape}; (jets, particles, 4) is needed"
        )
    n_jets, n_particles, _ = constituents.shape
    room = max(1, n_particles - 1) if nodes is None else nodes
    if room < 1:
        raise InputError(f"room for {room} nodes of a Lund tree; at least 1 is needed")
    _check(constituents, named)
    filled = constituents[..., 0] > 0
    momentum = momenta(*constituents[filled].T)
    features = np.zeros((n_jets, room, len(NAMES)), np.float32)
    neighbours = np.tile(np.arange(room)[:, None], (n_jets, 1, 3))
    mask = np.zeros((n_jets, room), np.bool_)
    _fill(momentum, offsets_of(filled.sum(axis=1)), features, neighbours, mask)
    return LundTrees(features, neighbours, mask)


def _check(constituents: Array, named: Callable[[int], str]) -> None:
    wrong = ~np.isfinite(constituents) | (constituents < np.array([0.0, -np.inf, -np.inf, 0.0]))
    if wrong.any():
        jet, particle, component = np.argwhere(wrong)[0]
        name = ("pt", "eta", "phi", "mass")[component]
        value = constituents[jet, particle, component]
        raise InputError(
            f"{named(int(jet))}: {name} of constituent {particle} is {value}; make the jets again"
        )


@compiled
def _fill(momentum: Array, offsets: Array, features: Array, neighbours: Array, mask: Array) -> None:
    """Fill the arrays of `LundTrees`; `momentum` (n, 4) is px, py, pz, E [GeV]."""
    room = features.shape[1]
    for jet in range(len(offsets) - 1):
        n = offsets[jet + 1] - offsets[jet]
        if n < 2:
            continue
        pseudojets = np.empty((2 * n - 1, 4))
        pseudojets[:n] = momentum[offsets[jet] : offsets[jet + 1]]
        directions = np.empty((2 * n - 1, 3))
        branches, _, _ = recombine(pseudojets, directions, n, False, 1)
        last = 2 * n - 2
        # what was merged last falls apart first: pseudojet `last - node` is node `node`
        for node in range(min(n - 1, room)):
            harder, softer = branches[last - node]
            if directions[harder, 2] < directions[softer, 2]:
                harder, softer = softer, harder
            mask[jet, node] = True
            _coordinates(
                pseudojets[last - node], directions[harder], directions[softer], features[jet, node]
            )
            for place, branch in ((1, harder), (2, softer)):
                below = last - branch
                if branch >= n and below < room:
                    neighbours[jet, node, place] = below
                    neighbours[jet, below, 0] = node


@compiled
def _coordinates(momentum: Array, harder: Array, softer: Array, result: Array) -> None:
    """Fill the coordinates of a declustering; branches are (rapidity, phi, pt squared)."""
    delta = np.sqrt(separation_squared(harder[0], harder[1], softer[0], softer[1]))
    pt_harder, pt_softer = np.sqrt(harder[2]), np.sqrt(softer[2])
    phi = softer[1] - harder[1]
    if phi > np.pi:
        phi -= 2.0 * np.pi
    elif phi < -np.pi:
        phi += 2.0 * np.pi
    px, py, pz, energy = momentum
    mass = np.sqrt(max((energy + pz) * (energy - pz) - px * px - py * py, 0.0))
    result[0] = np.log(max(pt_softer / max(pt_softer + pt_harder, _SMALLEST), _SMALLEST))
    result[1] = np.log(max(delta, _SMALLEST))
    result[2] = np.arctan2(softer[0] - harder[0], phi)
    result[3] = np.log(max(mass, _SMALLEST_MASS))
    result[4] = np.log(max(pt_softer * delta, _SMALLEST))
