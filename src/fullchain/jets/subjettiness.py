"""N-subjettiness of the constituents of many jets.

Thaler, Van Tilburg, arXiv:1011.2268 and 1108.2701:
tau_N = sum_i pt_i min_k dR(i, axis k) / sum_i pt_i R0, with the angular exponent beta = 1. The axes
start from the N exclusive kT subjets and are moved once into the nearest minimum of tau_N by the
generalised k-means iteration of arXiv:1108.2701 ("one-pass kT axes", what CMS uses), or are those
of the kT clustering without minimisation.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled
from fullchain.jets.declustering import fill_direction, recombine, separation_squared

Array = NDArray[Any]

# The values of the N-subjettiness package of fastjet contrib, so that both find the same minimum.
ACCURACY = 1e-4
MAX_ITERATIONS = 1000


@compiled
def _assign(particles: Array, axes: Array, nearest: Array, distance: Array) -> None:
    """Find for each particle the nearest axis and the distance to it."""
    for i in range(len(particles)):
        best = np.inf
        for k in range(len(axes)):
            squared = separation_squared(particles[i, 0], particles[i, 1], axes[k, 0], axes[k, 1])
            if squared < best:
                best = squared
                nearest[i] = k
        distance[i] = math.sqrt(best)


@compiled
def _minimise(particles: Array, axes: Array, nearest: Array, distance: Array) -> None:
    """Move `axes` into the nearest minimum of tau with beta = 1.

    Setting the gradient of sum pt dR to zero puts an axis at the mean of its particles with weights
    pt / dR; that mean is taken again until the axes stay where they are. `ACCURACY` is also added
    to dR in quadrature, because a particle on the axis would get an infinite weight.
    """
    n_axes = len(axes)
    total = np.empty(n_axes)
    moved = np.empty((n_axes, 2))
    for _ in range(MAX_ITERATIONS):
        _assign(particles, axes, nearest, distance)
        total[:] = 0.0
        moved[:] = 0.0
        for i in range(len(particles)):
            k = nearest[i]
            weight = particles[i, 2] / math.sqrt(distance[i] ** 2 + ACCURACY**2)
            phi = particles[i, 1] - axes[k, 1]
            if phi > math.pi:
                phi -= 2.0 * math.pi
            elif phi < -math.pi:
                phi += 2.0 * math.pi
            total[k] += weight
            moved[k, 0] += weight * particles[i, 0]
            moved[k, 1] += weight * phi
        step = 0.0
        for k in range(n_axes):
            if total[k] == 0.0:
                continue
            rapidity = moved[k, 0] / total[k]
            phi = axes[k, 1] + moved[k, 1] / total[k]
            step += math.sqrt(separation_squared(axes[k, 0], axes[k, 1], rapidity, phi))
            axes[k, 0] = rapidity
            axes[k, 1] = math.atan2(math.sin(phi), math.cos(phi))
        if step / n_axes <= ACCURACY:
            break


@compiled
def subjettiness(
    momenta: Array, offsets: Array, n_max: int, radius: float, one_pass: bool
) -> Array:
    """Give tau_1 ... tau_{n_max} of all jets.

    Parameters
    ----------
    momenta
        (n, 4) px, py, pz, E [GeV] of the constituents of all jets.
    offsets
        (jets + 1) where the constituents of each jet begin.
    n_max
        Largest number of axes.
    radius
        R0 of the normalisation.
    one_pass
        Whether to minimise over the axes.

    Returns
    -------
    tau
        (jets, n_max); 0 where a jet has no more constituents than axes, NaN where it has none.
    """
    n_jets = len(offsets) - 1
    tau = np.full((n_jets, n_max), np.nan)
    for jet in range(n_jets):
        start, stop = offsets[jet], offsets[jet + 1]
        n = stop - start
        if n == 0:
            continue
        nodes = np.empty((2 * n - 1, 4))
        nodes[:n] = momenta[start:stop]
        directions = np.empty((2 * n - 1, 3))
        _, active, n_active = recombine(nodes, directions, n, True, min(n_max, n))
        particles = np.empty((n, 3))
        total = 0.0
        for i in range(n):
            particles[i, 0] = directions[i, 0]
            particles[i, 1] = directions[i, 1]
            particles[i, 2] = math.sqrt(directions[i, 2])
            total += particles[i, 2]
        nearest = np.empty(n, np.int64)
        distance = np.empty(n)
        for count in range(min(n_max, n), 0, -1):
            # fewer axes follow from the same clustering, one merge more at a time
            if n_active > count:
                _merge_closest(nodes, directions, active, n_active, 2 * n - 1 - count)
                n_active -= 1
            if n <= count:
                continue
            axes = np.empty((count, 2))
            for k in range(count):
                axes[k, 0] = directions[active[k], 0]
                axes[k, 1] = directions[active[k], 1]
            if one_pass:
                _minimise(particles, axes, nearest, distance)
            _assign(particles, axes, nearest, distance)
            sum_distance = 0.0
            for i in range(n):
                sum_distance += particles[i, 2] * distance[i]
            tau[jet, count - 1] = sum_distance / (total * radius)
        for count in range(n, n_max + 1):
            tau[jet, count - 1] = 0.0
    return tau


@compiled
def _merge_closest(nodes: Array, directions: Array, active: Array, n_active: int, new: int) -> None:
    """Merge the two pseudojets nearest in kT among the few left into row `new`."""
    best = np.inf
    first, second = 0, 1
    for a in range(n_active):
        for b in range(a + 1, n_active):
            distance = separation_squared(
                directions[active[a], 0],
                directions[active[a], 1],
                directions[active[b], 0],
                directions[active[b], 1],
            ) * min(directions[active[a], 2], directions[active[b], 2])
            if distance < best:
                best = distance
                first, second = a, b
    for k in range(4):
        nodes[new, k] = nodes[active[first], k] + nodes[active[second], k]
    fill_direction(new, nodes, directions)
    active[first] = new
    active[second] = active[n_active - 1]
