"""Removal of the prior by iteration: Backes et al. 2212.08674 (IcINN).

A posterior contains the particle level of the simulation that it was learned of. The data are
unfolded with it, a classifier tells the unfolded events from the simulated ones, f/(1-f) goes on
the weights of the simulation, and the posterior is trained on. A fixed point is reached where the
unfolded events are as the weighted simulation. The classifier always compares with the simulation
as it came and not as it is weighted, for small last changes would be lost in the noise of a
classifier and the noise of all iterations would add up; both have the same fixed point. Its
logits are mended such that first and second moments are right.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.unfolding import acceptance_classifier
from fullchain.unfolding.generative_settings import GenerativeSettings
from fullchain.unfolding.prior_response import features

NEWTON_STEPS = 8
RIDGE = 1e-4
"""Penalty on the square of each coefficient that is added to a logit, per unit of weight."""

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cloud:
    """Events to tell apart.

    Parameters
    ----------
    values
        (rows, observables) or (rows, members, observables), transformed without chance.
    weight
        (rows) or (rows, members), not negative.
    validation
        (rows) which decide when training stops; all rows of one event on one side.
    """

    values: Array
    weight: Array
    validation: Flags


@dataclass(frozen=True)
class Step:
    """One iteration.

    Parameters
    ----------
    log_weight
        (events, members) logarithm of the new weights of the simulated events.
    record
        Effective sample size, clipped fraction, drift, and by how much the loss of the classifier
        is below that of chance.
    """

    log_weight: Array
    record: dict[str, Any]

    @property
    def drift(self) -> float:
        """Root mean square of the change of the logarithm."""
        return float(self.record["drift"])


def reweighted(
    simulated: Cloud,
    log_weight: Array,
    unfolded: Cloud,
    everywhere: Array,
    chosen: Flags,
    settings: GenerativeSettings,
    seed: int,
) -> Step:
    """Do one iteration.

    Parameters
    ----------
    simulated
        Events that pass both levels, with the simulation's own weights.
    log_weight
        (events, members) logarithm of what goes on these weights now, for all events that pass the
        particle level.
    unfolded
        Unfolded data of each member, before the correction for the efficiency.
    everywhere
        (events, observables) all events that pass the particle level.
    chosen
        (events) which of these are `simulated`.

    Raises InputError where weights leave nothing to tell apart.
    """
    members = log_weight.shape[1]
    before = np.repeat(simulated.weight[:, None], members, axis=1)
    after = unfolded.weight.reshape(len(unfolded.weight), -1)
    after = np.broadcast_to(after, (len(after), members))
    shape = (len(before), members, everywhere.shape[1])
    values = np.concatenate([np.broadcast_to(simulated.values[:, None], shape), unfolded.values])
    found = acceptance_classifier.fit(
        values,
        np.repeat([0.0, 1.0], [len(before), len(after)])[:, None],
        # Shapes are compared: each class has the same sum.
        np.concatenate([before / before.sum(axis=0), after / after.sum(axis=0)]) * len(values),
        np.concatenate([simulated.validation, unfolded.validation]),
        settings.classifier,
        seed=seed,
        description="prior",
    )
    shape = (len(everywhere), members, everywhere.shape[1])
    ratio = found.logits(np.broadcast_to(everywhere[:, None], shape))
    ratio += _mended(
        found.logits(values),
        features(values),
        before / before.sum(axis=0),
        after / after.sum(axis=0),
        features(everywhere),
    )
    limit = settings.largest_log_weight
    result = np.clip(ratio, -limit, limit)
    clipped = np.abs(ratio) > limit
    # A common factor means nothing to a posterior.
    weight = simulated.weight[:, None] * np.exp(result[chosen])
    result = result - np.log(weight.sum(axis=0) / simulated.weight.sum())
    weight = simulated.weight[:, None] * np.exp(result[chosen])
    change = (result - log_weight)[chosen]
    record = {
        "effective_sample_size": float((weight.sum(axis=0) ** 2 / (weight**2).sum(axis=0)).mean()),
        "events": len(weight),
        "clipped_fraction": float(clipped[chosen].mean()),
        "drift": float(np.sqrt((weight * change**2).sum(axis=0) / weight.sum(axis=0)).mean()),
        "loss_particle": [float(loss) for loss in found.loss],
    }
    return Step(result, record)


def _mended(logits: Array, phi: Array, before: Array, after: Array, at: Array) -> Array:
    """Give what brings the logits to the right first and second moments.

    Early stopping keeps a classifier short of the difference that it should learn, and iterations
    add up what is left. So a sum of the observables and their products is added to the logits,
    with the coefficients of a logistic regression that has the logits as its offset: then the
    means of all these agree between both classes, each weighted by the probability of the other.

    Parameters
    ----------
    logits, phi
        Of the simulated, then of the unfolded events: (rows, members), (rows, members, k).
    before, after
        Weights of both, (simulated, members) and (unfolded, members), of sum one.
    at
        (events, k) where the sum is wanted.
    """
    labels = np.repeat([0.0, 1.0], [len(before), len(after)])
    weight = np.concatenate([before, after])
    result = np.empty((len(at), logits.shape[1]))
    for member in range(logits.shape[1]):
        own = np.concatenate([np.ones((len(phi), 1)), phi[:, member]], axis=1)
        coefficients = np.zeros(own.shape[1])
        for _ in range(NEWTON_STEPS):
            logit = np.clip(logits[:, member] + own @ coefficients, -20.0, 20.0)
            probability = 1.0 / (1.0 + np.exp(-logit))
            slope = own.T @ (weight[:, member] * (labels - probability)) - RIDGE * coefficients
            bend = (own * (weight[:, member] * probability * (1 - probability))[:, None]).T @ own
            step = np.linalg.solve(bend + RIDGE * np.eye(len(bend)), slope)
            coefficients = coefficients + step
            if np.abs(step).max() < 1e-6:
                break
        result[:, member] = coefficients[0] + at @ coefficients[1:]
    return result
