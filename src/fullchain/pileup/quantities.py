"""What pile-up mitigation is judged by: jets, missing momentum and sums of pT, beside the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.jets import arrays
from fullchain.jets.arrays import Kinematics, sums
from fullchain.jets.clustering import cluster
from fullchain.jets.matching import nearest, take
from fullchain.pileup.classical_settings import EvaluationSettings
from fullchain.pileup.events import Events, Objects, Truth

Array = NDArray[Any]

FAT_RADIUS, RADIUS = 0.8, 0.4
_FAT_PT, _PT = 50.0, 10.0  # least pT of a jet that may match [GeV]
CATEGORIES = ("charged", "neutral", "central", "forward")


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
    ``jet_pt``, ``jet_mass``: the two leading particle-level AK8 jets and the nearest jet within
    0.4; ``dijet_mass``: of both together, where both are there. ``central_jet_pt``,
    ``forward_jet_pt``: particle-level AK4 jets and the nearest within 0.2.
    ``met``: both components of the missing transverse momentum and those of the neutrinos.
    ``met_along``: its component along theirs, and their pT. GeV; NaN where there is no jet.
    """
    truth = events.truth
    assert truth is not None
    momenta, offsets = events.weighted(weights)
    pairs = _fat_jets(momenta, offsets, truth, settings)
    pairs |= _small_jets(momenta, offsets, truth, settings)
    pairs |= _missing(momenta, offsets, truth, settings)
    return Quantities(pairs, _kept(events, truth, weights, settings))


def _match(momenta: Array, offsets: Array, radius: float, floor: float, to: Objects, mask: Array,
           distance: float) -> Kinematics:  # fmt: skip
    """Give the jet that is nearest to each particle-level jet of the mask; NaN where none is."""
    jets = cluster(momenta, offsets, radius, floor)
    found = jets.kinematics
    index = nearest(
        to.eta[mask], to.phi[mask], to.events[mask], found.eta, found.phi, jets.event_offsets,
        distance,
    )  # fmt: skip
    return Kinematics(*(take(x, index) for x in (found.pt, found.eta, found.phi, found.mass)))


def _fat_jets(
    momenta: Array, offsets: Array, truth: Truth, settings: EvaluationSettings
) -> dict[str, Pairs]:
    to = truth.fat_jets
    mask = (to.ranks < 2) & (to.pt > settings.jet_pt_min)
    mask &= np.abs(to.eta) < settings.jet_abs_eta_max
    found = _match(momenta, offsets, FAT_RADIUS, _FAT_PT, to, mask, 0.5 * FAT_RADIUS)
    wanted = Kinematics(to.pt[mask], to.eta[mask], to.phi[mask], to.mass[mask])
    event = to.events[mask]
    # Both leading jets of an event stand one after the other.
    first = np.flatnonzero(np.diff(event) == 0)
    return {
        "jet_pt": Pairs(found.pt, wanted.pt, event),
        # the mass of a jet of one particle is no reference for a ratio
        "jet_mass": Pairs(found.mass, np.where(wanted.mass > 1.0, wanted.mass, np.nan), event),
        "dijet_mass": Pairs(_dijet_mass(found, first), _dijet_mass(wanted, first), event[first]),
    }


def _dijet_mass(jets: Kinematics, first: Array) -> Array:
    """Give the mass of jets `first` and those after them [GeV]; NaN where one is not there."""
    momenta = arrays.momenta(jets.pt, jets.eta, jets.phi, jets.mass)
    return Kinematics.of(momenta[first] + momenta[first + 1]).mass


def _small_jets(
    momenta: Array, offsets: Array, truth: Truth, settings: EvaluationSettings
) -> dict[str, Pairs]:
    to = truth.jets
    mask = (to.pt > settings.small_jet_pt_min) & (np.abs(to.eta) < settings.forward_abs_eta)
    pt = _match(momenta, offsets, RADIUS, _PT, to, mask, 0.5 * RADIUS).pt
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
