"""What pile-up mitigation is judged by: jets, missing momentum and sums of pT, beside the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.jets import arrays
from fullchain.jets.arrays import Kinematics, sums
from fullchain.jets.clustering import Jets, cluster
from fullchain.jets.matching import nearest, take
from fullchain.pileup.classical_settings import EvaluationSettings
from fullchain.pileup.events import Events, Objects, Truth
from fullchain.pileup.jet_shapes import energy_correlations, n95

Array = NDArray[Any]

FAT_RADIUS, RADIUS = 0.8, 0.4
_LEAST_PT = {FAT_RADIUS: 50.0, RADIUS: 10.0}  # of a jet that may match [GeV]
CATEGORIES = ("charged", "neutral", "central", "forward")
SHAPES = ("n95", "ecf2", "ecf3")


@dataclass(frozen=True)
class Pairs:
    """A quantity beside its reference, (n) each, with the number of the event of each pair."""

    value: Array
    reference: Array
    event: Array

    def known(self) -> "Pairs":
        """Leave out pairs without a value."""
        good = np.isfinite(self.value) & np.isfinite(self.reference)
        return Pairs(self.value[good], self.reference[good], self.event[good])

    def of_events(self, inside: Array) -> "Pairs":
        """Give the pairs of the events in a mask (events); they keep their numbers."""
        chosen = inside[self.event]
        return Pairs(self.value[chosen], self.reference[chosen], self.event[chosen])


@dataclass(frozen=True)
class Kept:
    """Sums of pT over candidates, (n events, categories) [GeV]: all of it, and what is kept."""

    hard: Array
    hard_kept: Array
    pileup: Array
    pileup_kept: Array


@dataclass(frozen=True)
class Quantities:
    """All quantities of some events with the weights of one method."""

    pairs: Mapping[str, Pairs]
    kept: Kept


def measure(events: Events, weights: Array, settings: EvaluationSettings) -> Quantities:
    """Measure the quantities of some events.

    Returns
    -------
    ``jet_pt``, ``jet_mass``: the two leading particle-level jets, AK8 or AK4, and the nearest jet
    within half their radius; ``dijet_mass``: of both together, where both are there. ``n95``,
    ``ecf2``, ``ecf3``: of the same jets, without a reference (`fullchain.pileup.jet_shapes`).
    ``central_jet_pt``, ``forward_jet_pt``: particle-level AK4 jets and the nearest within 0.2.
    ``met``: both components of the missing transverse momentum and those of the neutrinos.
    ``met_along``: its component along theirs, and their pT. GeV; NaN where there is no jet.
    """
    truth = events.truth
    assert truth is not None
    momenta, offsets = events.weighted(weights)
    small = cluster(momenta, offsets, RADIUS, _LEAST_PT[RADIUS])
    if settings.leading_jets == "AK4":
        pairs = leading_jets(momenta, small, truth.jets, RADIUS, settings)
    else:
        fat = cluster(momenta, offsets, FAT_RADIUS, _LEAST_PT[FAT_RADIUS])
        pairs = leading_jets(momenta, fat, truth.fat_jets, FAT_RADIUS, settings)
    pairs |= _small_jets(small, truth, settings)
    pairs |= _missing(momenta, offsets, truth, settings)
    return Quantities(pairs, _kept(events, truth, weights, settings))


def _match(jets: Jets, to: Objects, mask: Array, distance: float) -> tuple[Kinematics, Array]:
    """Give the nearest jet to each particle-level jet of the mask, NaN where none is; its place."""
    found = jets.kinematics
    index = nearest(
        to.eta[mask], to.phi[mask], to.events[mask], found.eta, found.phi, jets.event_offsets,
        distance,
    )  # fmt: skip
    columns = (take(x, index) for x in (found.pt, found.eta, found.phi, found.mass))
    return Kinematics(*columns), index


def leading_jets(
    momenta: Array, jets: Jets, to: Objects, radius: float, settings: EvaluationSettings
) -> dict[str, Pairs]:
    """Give pT, masses and shapes of the jets that are nearest to the two leading ones of `to`."""
    mask = (to.ranks < 2) & (to.pt > settings.jet_pt_min)
    mask &= np.abs(to.eta) < settings.jet_abs_eta_max
    found, index = _match(jets, to, mask, 0.5 * radius)
    wanted = Kinematics(to.pt[mask], to.eta[mask], to.phi[mask], to.mass[mask])
    event = to.events[mask]
    # Both leading jets of an event stand one after the other.
    first = np.flatnonzero(np.diff(event) == 0)
    pairs = {
        "jet_pt": Pairs(found.pt, wanted.pt, event),
        # the mass of a jet of one particle is no reference for a ratio
        "jet_mass": Pairs(found.mass, np.where(wanted.mass > 1.0, wanted.mass, np.nan), event),
        "dijet_mass": Pairs(_dijet_mass(found, first), _dijet_mass(wanted, first), event[first]),
    }
    shapes = _shapes(momenta, jets, index, wanted, settings)
    return pairs | {
        name: Pairs(values, np.full(len(event), np.nan), event) for name, values in shapes.items()
    }


def _dijet_mass(jets: Kinematics, first: Array) -> Array:
    """Give the mass of jets `first` and those after them [GeV]; NaN where one is not there."""
    momenta = arrays.momenta(jets.pt, jets.eta, jets.phi, jets.mass)
    return Kinematics.of(momenta[first] + momenta[first + 1]).mass


def _shapes(
    momenta: Array, jets: Jets, index: Array, around: Kinematics, settings: EvaluationSettings
) -> dict[str, Array]:
    """Give the shapes of jets `index`, NaN where it is -1; pixels lie around the given jets."""
    there = index >= 0
    begin = jets.member_offsets[:-1][index[there]]
    counts = jets.member_offsets[1:][index[there]] - begin
    offsets = arrays.offsets_of(counts)
    members = jets.members[np.repeat(begin - offsets[:-1], counts) + np.arange(offsets[-1])]
    columns = (
        n95(momenta, members, offsets, around.eta[there], around.phi[there], settings.n95_pixel),
        *energy_correlations(momenta, members, offsets, settings.correlation_beta),
    )
    found = {}
    for name, values in zip(SHAPES, columns, strict=True):
        found[name] = np.full(len(index), np.nan)
        found[name][there] = values
    return found


def _small_jets(jets: Jets, truth: Truth, settings: EvaluationSettings) -> dict[str, Pairs]:
    to = truth.jets
    mask = (to.pt > settings.small_jet_pt_min) & (np.abs(to.eta) < settings.forward_abs_eta)
    pt = _match(jets, to, mask, 0.5 * RADIUS)[0].pt
    central = np.abs(to.eta[mask]) < settings.central_abs_eta
    every = Pairs(pt, to.pt[mask], to.events[mask])
    return {
        f"{name}_jet_pt": Pairs(every.value[chosen], every.reference[chosen], every.event[chosen])
        for name, chosen in (("central", central), ("forward", ~central))
    }


def _missing(
    momenta: Array, offsets: Array, truth: Truth, settings: EvaluationSettings
) -> dict[str, Pairs]:
    missing = -sums(momenta, offsets)[:, :2]
    number = np.arange(len(missing))
    size = np.hypot(*truth.missing.T)
    chosen = size > settings.met_pt_min
    along = np.sum(missing[chosen] * truth.missing[chosen], axis=1) / size[chosen]
    return {
        "met": Pairs(missing.ravel(), truth.missing.ravel(), np.repeat(number, 2)),
        "met_along": Pairs(along, size[chosen], number[chosen]),
    }


def _kept(events: Events, truth: Truth, weights: Array, settings: EvaluationSettings) -> Kept:
    central = np.abs(events.eta) < settings.central_abs_eta
    charged = events.charge != 0
    masks = np.stack([charged, ~charged, central, ~central], axis=1)
    hard = (events.pt * truth.hard_fraction)[:, None] * masks
    pileup = (events.pt * (1.0 - truth.hard_fraction))[:, None] * masks
    offsets, weight = events.event_offsets, weights[:, None]
    return Kept(*(sums(x, offsets) for x in (hard, hard * weight, pileup, pileup * weight)))
