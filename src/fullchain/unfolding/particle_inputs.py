"""Particles of jets as the tensors that networks take.

As for the Particle Flow Networks of OmniFold (1911.09107; code of EnergyFlow): of each particle the
part of the sum of pT of its jet, the distances from the axis of the jet, and a small number that
says what it is. Two things would be lost by this, and are given beside it for each jet: the sum of
pT, by which was divided, and the number of particles, some of which may be cut.

Distances are of pseudorapidity, as the tables have them, and not of rapidity as there: those of
slow heavy particles may be well beyond the radius of the jet.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.unfolding.particle_network_settings import ParticleInputSettings
from fullchain.unfolding.sample import Array, Flags, Integers, Particles

GLOBALS = ("ln_pt", "ln_multiplicity")
"""What is known of each jet beside its particles, standardised."""

IDENTITIES = {
    22: 0.0,
    211: 0.1,
    -211: 0.2,
    321: 0.3,
    -321: 0.4,
    130: 0.5,
    2112: 0.6,
    -2112: 0.7,
    2212: 0.8,
    -2212: 0.9,
    11: 1.0,
    -11: 1.1,
    13: 1.2,
    -13: 1.3,
}
"""Small numbers that EnergyFlow gives to PDG codes. Others count as charged pions or, without
charge, as neutral long-lived kaons: the classes that a detector makes of them."""

_NEUTRAL, _POSITIVE, _NEGATIVE = 130, 211, -211


@dataclass(frozen=True)
class GlobalScale:
    """Means and standard deviations of `GLOBALS`: of the simulation, for all samples alike."""

    mean: tuple[float, ...]
    width: tuple[float, ...]


@dataclass(frozen=True)
class Cut:
    """What the largest number of particles leaves out.

    Parameters
    ----------
    jets
        Part of the jets with particles that lose some.
    particles
        Part of all particles.
    momentum
        Part of the sum of pT of all jets.
    most
        Particles of the jet that has the most.
    """

    jets: float
    particles: float
    momentum: float
    most: int

    def as_dict(self) -> dict[str, float]:
        """Give plain values for a history."""
        return asdict(self)


@dataclass(frozen=True)
class ParticleTensors:
    """Particles of n jets, padded.

    Parameters
    ----------
    particles
        (n, places, features) float32, 0 where there is none.
    mask
        (n, places), true where there is one.
    values
        (n, 2) `GLOBALS`, standardised; 0 of a jet without particles.
    """

    particles: Tensor
    mask: Tensor
    values: Tensor

    def inputs(self) -> dict[str, Tensor]:
        """Give the mapping that a `GroupedClassifier` takes."""
        return {"particles": self.particles, "mask": self.mask, "values": self.values}


def n_features(settings: ParticleInputSettings) -> int:
    """Count the features of a particle."""
    return 3 if settings.identity == "none" else 4


def measure(particles: Particles, weight: Array) -> GlobalScale:
    """Measure the scale of `GLOBALS` in the jets of the simulation that have particles.

    Parameters
    ----------
    weight
        (n) weight of each jet.

    Raises
    ------
    InputError
        A value is unusable (see `prepare`), or no jet that has a weight has particles.
    """
    found, exists = _globals(particles)
    use = exists & (weight > 0)
    if not use.any():
        raise InputError("no jet with a positive weight has particles: nothing to learn from")
    mean = np.average(found[use], axis=0, weights=weight[use])
    variance = np.average((found[use] - mean) ** 2, axis=0, weights=weight[use])
    # All jets alike: nothing to learn from this, but no reason to fail.
    width = np.where(variance > 0, np.sqrt(variance), 1.0)
    return GlobalScale(tuple(mean.tolist()), tuple(width.tolist()))


def prepare(
    particles: Particles, settings: ParticleInputSettings, scale: GlobalScale
) -> ParticleTensors:
    """Make tensors of particles.

    Features are the part of the sum of pT of all particles of the jet, deta and dphi over the
    radius, and the identity if asked for.

    Raises
    ------
    InputError
        A feature is missing or not finite, a pT not positive, or the particles of a jet are not in
        falling pT (names the jet).
    """
    sums = _pt_sums(particles)
    counts = np.diff(particles.offsets)
    jet = np.repeat(np.arange(len(counts)), counts)
    place = _places(particles)
    kept = place < settings.largest
    pt = _column(particles, "pt")
    columns = [
        pt / sums[jet],
        _column(particles, "deta") / settings.radius,
        _column(particles, "dphi") / settings.radius,
    ]
    if settings.identity != "none":
        columns.append(_identity(particles, settings.identity))
    places = max(1, min(settings.largest, int(counts.max(initial=0))))
    padded = np.zeros((len(counts), places, len(columns)), np.float32)
    padded[jet[kept], place[kept]] = np.stack(columns, axis=1)[kept]
    mask = np.arange(places) < counts[:, None]
    found, exists = _globals(particles)
    values = np.where(exists[:, None], (found - scale.mean) / scale.width, 0.0)
    return ParticleTensors(
        torch.from_numpy(padded),
        torch.from_numpy(mask),
        torch.from_numpy(values.astype(np.float32)),
    )


def cut(particles: Particles, largest: int) -> Cut:
    """Measure what the largest number of particles leaves out of jets.

    Raises
    ------
    InputError
        A pT is unusable (see `prepare`).
    """
    counts = np.diff(particles.offsets)
    sums = _pt_sums(particles)
    if not counts.any():
        return Cut(0.0, 0.0, 0.0, 0)
    lost = _places(particles) >= largest
    return Cut(
        float((counts > largest).sum() / (counts > 0).sum()),
        float(lost.mean()),
        float(_column(particles, "pt")[lost].sum() / sums.sum()),
        int(counts.max()),
    )


def _places(particles: Particles) -> Integers:
    """Place of each particle in its jet, from 0."""
    starts = np.repeat(particles.offsets[:-1], np.diff(particles.offsets))
    found: Integers = np.arange(len(starts)) - starts
    return found


def _column(particles: Particles, name: str) -> Array:
    """Values of a feature, checked to be finite."""
    if name not in particles.names:
        raise InputError(
            f"particles have no feature {name!r} (they have {', '.join(particles.names)}); make "
            "the tables of events again with it"
        )
    values: Array = particles.features[:, particles.names.index(name)]
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise InputError(
            f"{name} of a particle of jet {_jet_of(particles, wrong[0])} is {values[wrong[0]]} "
            f"({len(wrong)} such particles); remove these jets"
        )
    return values


def _jet_of(particles: Particles, row: int) -> int:
    return int(np.searchsorted(particles.offsets, row, side="right") - 1)


def _pt_sums(particles: Particles) -> Array:
    """Sum of pT of each jet (n), 0 without particles; checks that pT is positive and falls."""
    pt = _column(particles, "pt")
    wrong = np.flatnonzero(pt <= 0)
    if len(wrong):
        raise InputError(
            f"pt of a particle of jet {_jet_of(particles, wrong[0])} is {pt[wrong[0]]:g}; it must "
            "be positive [GeV]"
        )
    counts = np.diff(particles.offsets)
    jet = np.repeat(np.arange(len(counts)), counts)
    rising = np.flatnonzero((np.diff(pt) > 0) & (np.diff(jet) == 0))
    if len(rising):
        raise InputError(
            f"the particles of jet {jet[rising[0]]} are not in falling pT, and the largest number "
            "of particles would cut the wrong ones; sort them"
        )
    return np.asarray(np.bincount(jet, weights=pt, minlength=len(counts)), np.float64)


def _globals(particles: Particles) -> tuple[Array, Flags]:
    """`GLOBALS` before they are standardised (n, 2), and which jets have particles (n)."""
    sums, counts = _pt_sums(particles), np.diff(particles.offsets)
    exists: Flags = counts > 0
    found = np.zeros((len(counts), len(GLOBALS)))
    found[exists, 0] = np.log(sums[exists])
    found[exists, 1] = np.log(counts[exists])
    return found, exists


def _identity(particles: Particles, kind: str) -> Array:
    charge = _column(particles, "charge")
    if kind == "charge":
        return charge
    codes: Array = np.rint(_column(particles, "pdgId"))
    default = np.where(charge > 0, _POSITIVE, np.where(charge < 0, _NEGATIVE, _NEUTRAL))
    known = np.array(sorted(IDENTITIES))
    values: Array = np.array([IDENTITIES[code] for code in known])
    return values[np.searchsorted(known, np.where(np.isin(codes, known), codes, default))]
