"""Making a fixed-point network of a trained one: calibration, training, export, checks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware import tasks
from fullchain.firmware.export import check_equal, exported, overflows, without_dead
from fullchain.firmware.fixed_network import FixedPointNetwork
from fullchain.firmware.float_network import Trained
from fullchain.firmware.point_settings import PointSettings
from fullchain.firmware.pruning import check_pruned
from fullchain.firmware.quantised_network import QuantisedNetwork
from fullchain.firmware.trainee import Trainee, steps_of, terms
from fullchain.learning import device
from fullchain.learning.training import Resumption, initialised
from fullchain.learning.training import train as run

Array = NDArray[np.float64]
Finish = Callable[[FixedPointNetwork], FixedPointNetwork]
Batch = Mapping[str, torch.Tensor]

CALIBRATED = 50_000
"""Training jets at most that formats are set from before training."""


@dataclass(frozen=True)
class Quantised:
    """A fixed-point network, the one of torch that it equals, and the record of the training."""

    fixed: FixedPointNetwork
    network: QuantisedNetwork
    record: dict[str, Any]


def quantise(
    trained: Trained,
    how: PointSettings,
    training: Batch,
    validation: Batch,
    seed: int,
    resumption: Resumption,
    description: str,
) -> Quantised:
    """Quantise a trained network, with or without training.

    Parameters
    ----------
    trained
        The network in floating point.
    how
        The point.
    training, validation
        Tensors of the two parts, as `network_data.Part.batch` gives them.
    seed, resumption, description
        Of the training.

    Raises
    ------
    InputError
        The training failed, or sums are too wide to be exact.
    """
    with device.repeatable(how.training.threads):
        network = QuantisedNetwork(trained.network.float(), how)
        network.calibrate(training["inputs"][:CALIBRATED], by="coverage")
        record: dict[str, Any] = {}
        if how.method == "aware":
            record = _trained_on(
                trained, network, how, training, validation, seed, resumption, description
            )
            check_pruned(list(network.dense.values()), how.pruning, description)  # type: ignore[arg-type]
            network.calibrate(training["inputs"], by="maximum")
        network.eval()
        return Quantised(exported(network, trained), network, record)


def _trained_on(
    trained: Trained,
    network: QuantisedNetwork,
    how: PointSettings,
    training: Batch,
    validation: Batch,
    seed: int,
    resumption: Resumption,
    description: str,
) -> dict[str, Any]:
    task = tasks.of(trained.settings)
    inputs = training["inputs"][0].numel()
    steps = steps_of(len(training["target"]), how.training)
    penalty = how.penalty if how.bits == "learned" else None

    def build() -> Trainee:
        objective = task.objective(trained.settings, trained.classes, inputs)
        objective.load_state_dict(trained.objective)
        return Trainee(network, objective, steps, penalty, how.pruning)

    trainee = initialised(seed, build)
    record = run(
        trainee,
        terms,
        training,
        validation,
        how.training,
        seed=seed,
        resumption=resumption,
        description=description,
    )
    return record.as_dict()


def finished(
    quantised: Quantised, finish: Finish, how: PointSettings, quantities: Array, scaled: Array
) -> tuple[FixedPointNetwork, dict[str, Any]]:
    """Check the fixed-point network on jets; give it whole, without what is dead, and its overflow.

    Parameters
    ----------
    finish
        What is made of the network before what nothing depends on is removed, see `Task`.
    quantities, scaled
        (jets, [candidates,] quantities) of the validation part, in own units and scaled.

    Raises
    ------
    InputError
        A layer differs from the network that was trained, or too many of its values saturate.
    """
    with device.repeatable(how.training.threads):
        check_equal(quantised.network, quantised.fixed, quantities, scaled)
    whole = finish(quantised.fixed)
    fixed = without_dead(whole)
    before = whole.evaluate(whole.inputs.quantise(quantities))
    wrong = int((fixed.evaluate(fixed.inputs.quantise(quantities)) != before).sum())
    if wrong:
        raise InputError(f"{wrong} outputs changed when dead channels were removed; report it")
    saturated = overflows(fixed, quantities)
    learned = how.bits == "learned" and how.ranges == "learned"
    for name, (count, values) in saturated.items():
        # Where ranges are learned the training chose what saturates.
        if not learned and values and count > how.overflow_limit * values:
            raise InputError(
                f"layer {name}: {count} of {values} values ({100 * count / values:.1f} %) of the "
                f"validation part overflow its formats, more than {100 * how.overflow_limit:g} %: "
                "raise its bits (input_bits, activation_bits) or coverage, or overflow_limit"
            )
    facts = {"overflow": {name: {"count": n, "values": of} for name, (n, of) in saturated.items()}}
    return fixed, facts
