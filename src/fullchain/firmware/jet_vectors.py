"""Test vectors of a model: jets of the test part, then random and extreme inputs."""

from collections.abc import Callable

import numpy as np

from fullchain.firmware.fixed_network import InputNumbers
from fullchain.firmware.fixed_point import Array
from fullchain.firmware.stimuli import Stimuli, extreme_inputs, random_inputs
from fullchain.firmware.stimuli_settings import StimuliSettings
from fullchain.firmware.trigger_jets import Labelled
from fullchain.learning.split import TEST


def jet_vectors(
    numbers: InputNumbers,
    candidates: int,
    evaluate: Callable[[Array], Array],
    jets: Labelled,
    chosen: StimuliSettings,
    generator: np.random.Generator,
) -> Stimuli:
    """Give vectors, and what a fixed-point model makes of them.

    Parameters
    ----------
    numbers
        How quantities become the inputs of the model.
    candidates
        Candidates that it takes; 0 for features of the jet.
    evaluate
        Of the model: (vectors, inputs) or (vectors, candidates, inputs) to (vectors, outputs).
    jets
        Of all parts, of which those of the test part are taken.
    chosen
        How many random and extreme vectors.
    generator
        Source of random numbers.

    Raises
    ------
    InputError
        The jets have no such quantities, or one that is not finite.
    """
    tested = jets.where(jets.part == TEST)
    first = tested.jets.inputs_of(numbers, candidates)
    shape = first.shape[1:]
    pieces = [
        first,
        random_inputs(numbers.format, shape, chosen.random, generator),
        extreme_inputs(numbers.format, shape, chosen.extreme, generator),
    ]
    inputs = np.concatenate(pieces)
    return Stimuli(
        inputs.reshape(len(inputs), -1),
        evaluate(inputs),
        np.repeat(np.arange(3, dtype=np.int8), [len(piece) for piece in pieces]),
        {
            **tested.jets.scalars,
            "target": tested.target.astype(np.int64),
            "sample": tested.sample.astype(np.int64),
        },
        tested.samples,
    )
