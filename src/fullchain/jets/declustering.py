"""Compiled clustering of the constituents of single jets: the history, groomed mass, Lund plane.

The constituents of all jets lie in flat arrays, jet `j` at ``offsets[j]:offsets[j + 1]``. One call
treats all jets; the results agree with fastjet (see tests/jets/test_substructure.py) and take about
a tenth of its time, because jets have tens of constituents and no object is made per jet.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled

Array = NDArray[Any]


@compiled
def rapidity_of(pz: float, energy: float, pt_squared: float) -> float:
    """Give the rapidity from the transverse mass, stable for light particles at any angle."""
    mass_squared = max((energy + pz) * (energy - pz) - pt_squared, 0.0)
    if pt_squared == 0.0 and mass_squared == 0.0:
        return 1e5 if pz >= 0.0 else -1e5
    forward = energy + abs(pz)
    rapidity = 0.5 * math.log((pt_squared + mass_squared) / (forward * forward))
    return -rapidity if pz > 0.0 else rapidity


@compiled
def separation_squared(rapidity_1: float, phi_1: float, rapidity_2: float, phi_2: float) -> float:
    """Give the squared distance in rapidity and azimuth."""
    phi = abs(phi_1 - phi_2)
    if phi > math.pi:
        phi = 2.0 * math.pi - phi
    rapidity = rapidity_1 - rapidity_2
    return rapidity * rapidity + phi * phi


@compiled
def fill_direction(node: int, momenta: Array, directions: Array) -> None:
    """Fill (rapidity, phi, pt squared) of pseudojet `node`."""
    px, py, pz, energy = momenta[node]
    pt_squared = px * px + py * py
    directions[node, 0] = rapidity_of(pz, energy, pt_squared)
    directions[node, 1] = math.atan2(py, px)
    directions[node, 2] = pt_squared


@compiled
def _distance(a: int, b: int, directions: Array, by_kt: bool) -> float:
    """Give the distance of two pseudojets, without the 1/R^2 (within one jet there is no beam)."""
    distance = separation_squared(
        directions[a, 0], directions[a, 1], directions[b, 0], directions[b, 1]
    )
    return distance * min(directions[a, 2], directions[b, 2]) if by_kt else distance


@compiled
def _nearest(
    slot: int, active: Array, n_active: int, directions: Array, by_kt: bool
) -> tuple[int, float]:
    """Find the nearest other pseudojet in the list of active ones."""
    best = -1
    best_distance = np.inf
    node = active[slot]
    for other in range(n_active):
        if other != slot:
            distance = _distance(node, active[other], directions, by_kt)
            if distance < best_distance:
                best_distance = distance
                best = active[other]
    return best, best_distance


@compiled
def recombine(
    momenta: Array, directions: Array, n: int, by_kt: bool, stop_at: int
) -> tuple[Array, Array, int]:
    """Merge `n` particles pairwise (E-scheme) until `stop_at` pseudojets are left.

    Parameters
    ----------
    momenta
        (2n - 1, 4) px, py, pz, E [GeV]; the first n rows are given, the others are filled.
    directions
        (2n - 1, 3) rapidity, phi, pt squared; filled.
    by_kt
        Whether to merge by kT; else by angle (Cambridge/Aachen).

    Returns
    -------
    parents
        (2n - 1, 2) the two pseudojets that made each one, -1 for particles.
    active
        The pseudojets left over, in its first `n_active` places.
    n_active
        How many are left.
    """
    parents = np.full((2 * n - 1, 2), -1, np.int64)
    active = np.arange(n)
    neighbour = np.empty(n, np.int64)
    closest = np.empty(n)
    for i in range(n):
        fill_direction(i, momenta, directions)
    for i in range(n):
        neighbour[i], closest[i] = _nearest(i, active, n, directions, by_kt)
    n_active = n
    new = n
    while n_active > stop_at:
        slot = 0
        for i in range(1, n_active):
            if closest[i] < closest[slot]:
                slot = i
        first = active[slot]
        second = neighbour[slot]
        for k in range(4):
            momenta[new, k] = momenta[first, k] + momenta[second, k]
        fill_direction(new, momenta, directions)
        parents[new, 0] = first
        parents[new, 1] = second
        # the new pseudojet takes the place of the first, the last one that of the second
        active[slot] = new
        for i in range(n_active):
            if active[i] == second:
                n_active -= 1
                active[i] = active[n_active]
                neighbour[i] = neighbour[n_active]
                closest[i] = closest[n_active]
                break
        for i in range(n_active):
            if active[i] == new or neighbour[i] == first or neighbour[i] == second:
                neighbour[i], closest[i] = _nearest(i, active, n_active, directions, by_kt)
            else:
                distance = _distance(active[i], new, directions, by_kt)
                if distance < closest[i]:
                    closest[i] = distance
                    neighbour[i] = new
        new += 1
    return parents, active, n_active


@compiled
def _mass(momentum: Array) -> float:
    px, py, pz, energy = momentum
    return math.sqrt(max((energy + pz) * (energy - pz) - px * px - py * py, 0.0))


@compiled
def _mark(node: int, parents: Array, kept: Array) -> None:
    """Mark the particles that are descendants of `node`."""
    stack = [node]
    while len(stack) > 0:
        top = stack.pop()
        if parents[top, 0] < 0:
            kept[top] = True
        else:
            stack.append(parents[top, 0])
            stack.append(parents[top, 1])


@compiled
def decluster(
    momenta: Array, offsets: Array, z_cut: float, beta: float, radius: float
) -> tuple[Array, Array, Array, Array, Array]:
    """Groom all jets with soft drop and give their primary Lund planes.

    Soft drop (Larkoski, Marzani, Soyez, Thaler, arXiv:1402.2657): undo the Cambridge/Aachen
    clustering and drop the softer branch until z > z_cut (dR / radius)^beta. The primary Lund plane
    (Dreyer, Salam, Soyez, arXiv:1807.04758) lists the branchings met on the way along the harder
    branch, all of them, from wide to narrow.

    Parameters
    ----------
    momenta
        (n, 4) px, py, pz, E [GeV] of the constituents of all jets.
    offsets
        (jets + 1) where the constituents of each jet begin.
    z_cut, beta, radius
        Of the soft-drop condition.

    Returns
    -------
    mass, pt
        (jets) of the groomed jet [GeV]; NaN for a jet without constituents.
    kept
        (n) whether a constituent belongs to the groomed jet.
    lund_offsets
        (jets + 1) where the branchings of each jet begin.
    lund
        (branchings, 3): kt, delta, z: transverse momentum of the softer branch about the harder
        [GeV], their distance, and the share of the softer in the scalar sum.
    """
    n_jets = len(offsets) - 1
    mass = np.full(n_jets, np.nan)
    pt = np.full(n_jets, np.nan)
    kept = np.zeros(len(momenta), np.bool_)
    lund_offsets = np.zeros(n_jets + 1, np.int64)
    lund = np.empty((len(momenta), 3))
    n_lund = 0
    for jet in range(n_jets):
        start, stop = offsets[jet], offsets[jet + 1]
        n = stop - start
        if n > 0:
            nodes = np.empty((2 * n - 1, 4))
            nodes[:n] = momenta[start:stop]
            directions = np.empty((2 * n - 1, 3))
            parents, active, _ = recombine(nodes, directions, n, False, 1)
            node = active[0]
            groomed = -1
            while parents[node, 0] >= 0:
                hard, soft = parents[node]
                if directions[hard, 2] < directions[soft, 2]:
                    hard, soft = soft, hard
                delta = math.sqrt(
                    separation_squared(
                        directions[hard, 0],
                        directions[hard, 1],
                        directions[soft, 0],
                        directions[soft, 1],
                    )
                )
                pt_hard = math.sqrt(directions[hard, 2])
                pt_soft = math.sqrt(directions[soft, 2])
                z = pt_soft / (pt_soft + pt_hard)
                lund[n_lund, 0] = pt_soft * delta
                lund[n_lund, 1] = delta
                lund[n_lund, 2] = z
                n_lund += 1
                if groomed < 0 and z > z_cut * (delta / radius) ** beta:
                    groomed = node
                node = hard
            if groomed < 0:
                groomed = node
            mass[jet] = _mass(nodes[groomed])
            pt[jet] = math.sqrt(directions[groomed, 2])
            _mark(groomed, parents, kept[start:stop])
        lund_offsets[jet + 1] = n_lund
    return mass, pt, kept, lund_offsets, lund[:n_lund].copy()
