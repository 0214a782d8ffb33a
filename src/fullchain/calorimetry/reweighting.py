"""Weights that make generated showers more like simulated ones, by a discriminator.

A discriminator D that knows the probability of a simulated shower gives the ratio of densities
w = D / (1 - D), with which generated showers may be weighted (S. Diefenbacher et al., 2009.03796),
and whose distribution shows where a generator fails (R. Das et al., 2305.16774). No shower is
weighted by a discriminator that learned from it: showers are divided in folds, and each fold is
given its weights by the discriminator of the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.classifier_settings import ClassifierSettings
from fullchain.calorimetry.classifier_training import (
    Rows,
    learn,
    logits,
    parts,
    plan,
)
from fullchain.calorimetry.classifier_trees import log_odds
from fullchain.calorimetry.control_settings import Calibration, Discriminator
from fullchain.errors import InputError
from fullchain.learning.calibration import fit_temperature
from fullchain.seeds import derive, stream

Array = NDArray[Any]

STEEPEST = 30.0
"""Largest absolute log-odds: beyond, weights are infinite or zero in all but name."""


def log_ratios(
    rows: Rows,
    folds: int,
    discriminator: Discriminator,
    calibration: Calibration,
    settings: ClassifierSettings,
    seed: int,
    what: str,
) -> Array:
    """Give log w of all rows, of both kinds, each from a discriminator that did not see the row.

    Parameters
    ----------
    rows
        Simulated and generated showers.
    folds
        Number of parts, of equal size in each kind.
    calibration
        Of each discriminator, with validation rows, which are of the other folds too.
    what
        Said with the progress.

    Returns
    -------
    log D/(1 - D), the mean over `settings.seeds` discriminators, (n), float64.
    """
    number = _folds(rows.simulated, folds, seed)
    found = np.empty(len(rows))
    for fold in range(folds):
        others = np.flatnonzero(number != fold)
        simulated = int(rows.simulated[others].sum())
        random = stream(seed, "validation", fold)
        # A part for tests is not needed: the fold itself is one.
        half = settings.validation / 2
        some = parts(simulated, len(others) - simulated, half, half, random)
        ordered = others[np.argsort(-rows.simulated[others], kind="stable")]
        training = rows.select(ordered[some[0]])
        validation = rows.select(ordered[np.concatenate(some[1:])])
        several = []
        for start in range(settings.seeds):
            own_seed = derive(seed, "fold", fold, "start", start)
            text = f"{what}, fold {fold + 1} of {folds}"
            if discriminator == "trees":
                discriminate = log_odds(training, settings, own_seed)
            else:
                discriminate = _network(training, validation, settings, own_seed, text)
            own, seen = (discriminate(x) for x in (rows.values[number == fold], validation.values))
            several.append(_calibrated(own, seen, validation, calibration))
        found[number == fold] = np.mean(several, axis=0)
    return np.clip(found, -STEEPEST, STEEPEST)


def _network(
    training: Rows, validation: Rows, settings: ClassifierSettings, seed: int, what: str
) -> Callable[[Array], Array]:
    """Train a network; give the function of rows (n, inputs) to log-odds (n)."""
    trained = learn(training, validation, settings, seed, what)
    threads = plan(settings)[1].threads
    return lambda values: logits(trained.network, values, threads)


def _calibrated(own: Array, seen: Array, validation: Rows, calibration: Calibration) -> Array:
    """Calibrate log-odds; `seen` are those of the validation rows."""
    if calibration == "none":
        return own
    pair = np.stack([np.zeros(len(seen)), seen], axis=1)
    label = validation.simulated.astype(np.intp)
    return own / fit_temperature(pair, label, validation.weight).value


def _folds(simulated: Array, folds: int, seed: int) -> NDArray[np.intp]:
    """Number of the fold of each row; each kind is divided evenly."""
    number = np.empty(len(simulated), dtype=np.intp)
    for kind in (0, 1):
        own = np.flatnonzero(simulated == kind)
        if len(own) < 2 * folds:
            raise InputError(f"{len(own)} showers of a kind are too few for {folds} folds")
        number[stream(seed, "folds", kind).permutation(own)] = np.arange(len(own)) % folds
    return number


def weights(log_ratio: Array, energies: Array, groups: int) -> Array:
    """Give weights of generated showers with mean one at each energy.

    Energies of the particles are given and not generated: there can be no more or fewer of them
    than in the simulation.

    Parameters
    ----------
    log_ratio, energies
        Log w and incident energies [MeV] of generated showers, (n).
    groups
        Where there are more different energies than this, so many intervals with equal numbers of
        showers take their place.

    Raises
    ------
    InputError
        A weight is not finite, or all are zero.
    """
    if not np.isfinite(log_ratio).all():
        wrong = int((~np.isfinite(log_ratio)).sum())
        raise InputError(f"the discriminator gives no finite weight to {wrong} showers")
    values = np.exp(np.asarray(log_ratio, dtype=float))
    return normalised(values, energies, groups)


def normalised(values: Array, energies: Array, groups: int) -> Array:
    """Scale weights to mean one at each energy; see `weights`."""
    number = energy_groups(energies, groups)
    sums = np.bincount(number, values)
    if (sums <= 0).any():
        lowest = float(energies[number == sums.argmin()].min())
        raise InputError(f"all weights are zero for incident energies around {lowest:g} MeV")
    return values * (np.bincount(number) / sums)[number]


def energy_groups(energies: Array, groups: int) -> NDArray[np.intp]:
    """Number energies from 0: those that are equal alike, or intervals if they are too many."""
    different, number = np.unique(energies, return_inverse=True)
    if len(different) <= groups:
        return np.asarray(number, dtype=np.intp)
    rank = np.searchsorted(np.sort(energies), energies, side="left")
    return np.unique(rank * groups // len(energies), return_inverse=True)[1]


def effective_number(weight: Array) -> float:
    """Number of showers of equal weight that know as much: (sum w)^2 / sum w^2."""
    return float(weight.sum() ** 2 / (weight**2).sum())


@dataclass(frozen=True)
class Accepted:
    """Showers that unweighting keeps.

    Parameters
    ----------
    rows
        Their numbers, rising.
    efficiency
        Their part.
    beyond
        Part of the sum of weights that lies beyond the maximum and is lost.
    """

    rows: NDArray[np.intp]
    efficiency: float
    beyond: float


def clipped(weight: Array, maximum: float, energies: Array, groups: int) -> Array:
    """Give weights that are nowhere above the maximum before they are scaled to mean one again.

    A few showers that the discriminator takes for all but impossible would else be all that counts.
    """
    return normalised(np.minimum(weight, maximum), energies, groups)


def accepted(weight: Array, maximum: float, random: np.random.Generator) -> Accepted:
    """Accept each shower with probability w / maximum.

    Raises
    ------
    InputError
        None is accepted.
    """
    kept = np.minimum(weight, maximum)
    rows = np.flatnonzero(random.random(len(weight)) * maximum < kept)
    if not len(rows):
        raise InputError(
            f"none of {len(weight)} showers is accepted with a largest weight of {maximum:g}; "
            "generate more, or lower calorimetry.control.maximum"
        )
    return Accepted(rows, len(rows) / len(weight), float(1.0 - kept.sum() / weight.sum()))
