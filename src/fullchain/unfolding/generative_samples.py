"""From fitted posteriors to the unfolded sample, its weights and its diagnostics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.seeds import derive, stream
from fullchain.unfolding import calibration, classifier_control, replicas
from fullchain.unfolding.classifier_control import Control
from fullchain.unfolding.generative_unfolding import Fitted, builder
from fullchain.unfolding.generative_variations import Variation
from fullchain.unfolding.posterior import Posterior, selected
from fullchain.unfolding.posterior_training import draw
from fullchain.unfolding.prior_response import PriorResponse, features
from fullchain.unfolding.unfolded import DATA, ENSEMBLE, NOMINAL, Unfolded

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Block:
    """Samples of one variation for all measured events.

    Parameters
    ----------
    values
        (events, samples, observables) of the particle level.
    member
        (samples) number of the member of the ensemble that each descends from.
    order
        (samples) number of each among those of its member.
    event
        (events) weights of the genuine events at detector level.
    inverse_efficiency
        (events, samples).
    parts
        (events, samples) how each event is divided over its samples.
    """

    values: Array
    member: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    event: Array
    inverse_efficiency: Array
    parts: Array

    def weights(self, parts: Array | None = None, event: Array | None = None) -> Array:
        """Weights (events, samples) of the unfolded events."""
        parts = self.parts if parts is None else parts
        event = self.event if event is None else event
        return event[:, None] * parts * self.inverse_efficiency

    def of(self, members: tuple[int, ...], samples: int) -> Array:
        """Weights of the first samples of some members, as if there were no others."""
        chosen = np.isin(self.member, members) & (self.order < samples)
        parts = self.parts * chosen
        return self.weights(parts / parts.sum(axis=1, keepdims=True))


def unfolded(
    fitted: Fitted, measurement: str, replica_seed: int, data_replicas: int
) -> tuple[Unfolded, dict[str, Any]]:
    """Draw the unfolded sample.

    Parameters
    ----------
    fitted
        The unfolding.
    measurement, replica_seed
        Name of the measurement and seed of the configuration, for the replicas.
    data_replicas
        Number of bootstrap replicas of the data.

    Returns
    -------
    sample, diagnostics
        All samples of an event stand together: first the nominal ones of all events, then those of
        each variation. A weight of a variation is that of its own samples, and on the nominal ones
        it is the nominal weight less that of the samples which were drawn with the same numbers:
        what both have in common by chance cancels, and nothing is left where there are as many.
    """
    nominal = _nominal(fitted)
    control = _control(fitted, nominal)
    first, clipped = _block(fitted, 0, nominal, control)
    diagnostics: dict[str, Any] = {
        "calibration": _calibration(fitted, nominal),
        "control": None if control is None else control.record,
        "clipped_efficiency": clipped,
        "clipped_background": fitted.kept.clipped,
        "beyond_simulation": _beyond(fitted, first),
    }
    ensemble = fitted.settings.ensemble
    weights = {NOMINAL: first.weights()}
    for member in range(ensemble if ensemble > 1 else 0):
        weights[f"{ENSEMBLE}_{member}"] = first.of((member,), len(first.member))
    response = _response(fitted, first)
    phi = features(_certain(fitted, first.values))
    data = fitted.problem.data
    genuine = data.weight * fitted.accepted.genuine_part(data.values)[:, 0]
    for number in range(data_replicas):
        factor = replicas.data_factors(replica_seed, measurement, number, len(data))
        # Where data fluctuate the background that is subtracted stays as it is.
        own = genuine * (factor - 1 + fitted.kept.part)
        nothing = np.zeros(phi.shape[-1])
        parts = response.followed(phi, first.parts, own, first.inverse_efficiency, nothing)
        weights[f"{DATA}_{number}"] = first.weights(parts, own)
    blocks, columns = [first], [weights]
    for number, one in enumerate(fitted.chosen[1:], start=1):
        block, own = _varied(fitted, number, one, first, response, control)
        weights[one.name] = weights[NOMINAL] - first.of(one.ancestors, int(block.order.max()) + 1)
        # As many samples as nominal ones: rounding is all that is left.
        weights[one.name][np.abs(weights[one.name]) < 1e-12 * weights[NOMINAL].max()] = 0.0
        blocks.append(block)
        columns.append({one.name: own})
    return _joined(fitted, blocks, columns), diagnostics


def _nominal(fitted: Fitted) -> Posterior:
    build = builder(len(fitted.problem.simulation.names), fitted.settings)
    return selected(fitted.posterior, range(fitted.settings.ensemble), build)


def _block(
    fitted: Fitted, number: int, posterior: Posterior, control: Control | None = None
) -> tuple[Block, float]:
    """Draw the samples of one variation; gives also the part with a clipped efficiency."""
    settings, data = fitted.settings, fitted.problem.data
    samples = _samples(settings.samples, settings.ensemble)
    if number:
        samples = min(samples, _samples(settings.variation_samples, posterior.members))
    condition = fitted.conditions(data.values)
    drawn = draw(posterior, condition, samples, derive(fitted.seed, "samples"))
    shape = (len(data), posterior.members * samples, -1)
    flat = drawn.transpose(1, 0, 2, 3).reshape(len(data) * shape[1], -1)
    physical = fitted.particle.inverse(flat)
    inverse, clipped = fitted.accepted.inverse_efficiency(physical)
    genuine = fitted.accepted.genuine_part(data.values)[:, number]
    parts = np.full(shape[:2], 1.0 / shape[1])
    if control is not None and settings.control is not None and settings.control.reweights:
        detector = np.repeat(fitted.detector.certain(data.values), shape[1], axis=0)
        ratio = control.log_weights(fitted.particle.certain(physical), detector)
        limit = settings.largest_log_weight
        parts = np.exp(np.clip(ratio, -limit, limit)).reshape(shape[:2])
        parts /= parts.sum(axis=1, keepdims=True)
    block = Block(
        physical.reshape(shape),
        np.repeat(np.array(posterior.lineage), samples),
        np.tile(np.arange(samples), posterior.members),
        data.weight * fitted.kept.part * genuine,
        inverse[:, number].reshape(shape[:2]),
        parts,
    )
    return block, clipped


def _samples(total: int, members: int) -> int:
    return -(-total // members)


def _varied(
    fitted: Fitted,
    number: int,
    one: Variation,
    first: Block,
    response: PriorResponse,
    control: Control | None,
) -> tuple[Block, Array]:
    """Samples of a variation, and their weights with the prior that it leads to."""
    members = [place for place, owner in enumerate(fitted.owners) if owner == number]
    build = builder(len(fitted.problem.simulation.names), fitted.settings)
    block, _ = _block(fitted, number, selected(fitted.posterior, members, build), control)
    start = _start(fitted, one, response)
    phi = features(_certain(fitted, block.values))
    parts = response.followed(phi, block.parts, block.event, block.inverse_efficiency, start)
    return block, block.weights(parts)


def _start(fitted: Fitted, one: Variation, response: PriorResponse) -> Array:
    """Difference of the prior that a variation was trained with from the nominal one."""
    simulation = fitted.problem.simulation
    gen = simulation.gen.passed
    phi = features(fitted.particle.certain(simulation.gen.values[gen]))
    nominal = simulation.weight[gen] * np.exp(fitted.log_weight).mean(axis=1)
    own = nominal * one.factor[gen]
    return response.tilt(
        np.average(phi, axis=0, weights=own), np.average(phi, axis=0, weights=nominal)
    )


def _response(fitted: Fitted, first: Block) -> PriorResponse:
    phi = features(_certain(fitted, first.values))
    weight = first.weights()
    return PriorResponse.measured(
        phi.reshape(-1, phi.shape[-1]), weight.ravel(), len(fitted.iterations)
    )


def _certain(fitted: Fitted, values: Array) -> Array:
    flat = values.reshape(-1, values.shape[-1])
    return fitted.particle.certain(flat).reshape(values.shape)


def _control(fitted: Fitted, nominal: Posterior) -> Control | None:
    settings = fitted.settings.control
    if settings is None:
        return None
    rows, both, truth, weight, held = _tested(fitted)
    seen = fitted.problem.simulation.reco.values[both]
    drawn = draw(nominal, rows, settings.samples, derive(fitted.seed, "control"))
    generated = fitted.particle.inverse(drawn.transpose(1, 0, 2, 3).reshape(-1, truth.shape[1]))
    return classifier_control.control(
        fitted.particle.certain(truth),
        fitted.particle.certain(generated).reshape(len(truth), -1, truth.shape[1]),
        fitted.detector.certain(seen),
        weight,
        held,
        settings,
        fitted.settings.classifier,
        derive(fitted.seed, "control"),
    )


def _calibration(fitted: Fitted, nominal: Posterior) -> dict[str, Any]:
    rows, _, truth, weight, held = _tested(fitted)
    samples = _samples(fitted.settings.samples, nominal.members)
    drawn = draw(nominal, rows[held], samples, derive(fitted.seed, "calibration"))
    generated = fitted.particle.inverse(drawn.transpose(1, 0, 2, 3).reshape(-1, truth.shape[1]))
    quantiles = calibration.quantiles(
        truth[held],
        generated.reshape(int(held.sum()), -1, truth.shape[1]),
        stream(fitted.seed, "quantiles"),
    )
    names = fitted.problem.simulation.names
    return {
        "events": int(held.sum()),
        "samples": samples * nominal.members,
        "observables": {
            name: calibration.uniformity(quantiles[:, number], weight[held]).as_dict()
            for number, name in enumerate(names)
        },
    }


def _tested(fitted: Fitted) -> tuple[Array, Flags, Array, Array, Flags]:
    """Simulated events that pass both levels.

    Their conditions, which they are, their truth, their weights, and which of them are held.
    """
    simulation = fitted.problem.simulation
    both = simulation.gen.passed & simulation.reco.passed
    prior = np.exp(fitted.log_weight).mean(axis=1)[both[simulation.gen.passed]]
    return (
        fitted.conditions(simulation.reco.values[both], both),
        both,
        simulation.gen.values[both],
        simulation.weight[both] * prior,
        fitted.held[both],
    )


def _beyond(fitted: Fitted, first: Block) -> float:
    """Part of the unfolded events that has an observable beyond all simulated ones."""
    values = first.values.reshape(-1, first.values.shape[-1])
    weight = first.weights().ravel()
    return float(np.average(fitted.particle.outside(values), weights=weight))


def _joined(fitted: Fitted, blocks: list[Block], columns: list[dict[str, Array]]) -> Unfolded:
    data = fitted.problem.data
    sizes = [block.parts.size for block in blocks]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    weights = {name: np.zeros(starts[-1]) for part in columns for name in part}
    for start, size, part in zip(starts, sizes, columns, strict=False):
        for name, own in part.items():
            weights[name][start : start + size] = own.ravel()
    ids = data.ids
    if ids is None:
        ids = np.zeros((len(data), 3), dtype=np.int64)
        ids[:, 2] = np.arange(len(data))
    prior = np.zeros(starts[-1])
    prior[: sizes[0]] = (data.weight[:, None] * blocks[0].parts).ravel()
    return Unfolded(
        fitted.problem.simulation.names,
        np.concatenate([block.values.reshape(-1, block.values.shape[-1]) for block in blocks]),
        np.concatenate([np.repeat(ids, block.parts.shape[1], axis=0) for block in blocks]),
        prior,
        weights,
    )
