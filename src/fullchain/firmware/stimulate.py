"""Make the test vectors of a network: jets of the test part, random and extreme inputs."""

from pathlib import Path
from typing import Annotated

import numpy as np

from fullchain.firmware import fixed_network, stimuli
from fullchain.firmware.stimuli import Stimuli
from fullchain.firmware.stimuli_settings import StimuliSettings
from fullchain.firmware.trigger_jets import labelled
from fullchain.learning.parts_settings import PartsSettings
from fullchain.learning.split import TEST
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.class_settings import classes_of


def main(
    *,
    network: Annotated[Path, Input("fixed-point network, JSON")],
    jets: Annotated[list[Path], Input("trigger jets of all samples, HDF5")],
    model: Annotated[str, Option("name of the model in firmware.models")],
    vectors: Annotated[Path, Output("inputs and expected outputs, HDF5")],
    settings: Given,
) -> None:
    """Read network and jets, write vectors and what the network makes of them."""
    chosen = settings.model("firmware.stimuli", StimuliSettings)
    parts = settings.model("firmware.split", PartsSettings)
    classes = classes_of(settings["firmware.classes"])
    fixed, _ = fixed_network.read(network)
    everything = labelled(jets, classes, parts.validation, parts.test, settings.seed)
    tested = everything.where(everything.part == TEST)
    generator = stream(settings.seed, "firmware", model, "stimuli")
    pieces = [
        tested.jets.inputs_of(fixed.inputs, fixed.candidates),
        stimuli.random_inputs(fixed, chosen.random, generator),
        stimuli.extreme_inputs(fixed, chosen.extreme, generator),
    ]
    inputs = np.concatenate(pieces)
    stimuli.write(
        vectors,
        Stimuli(
            inputs.reshape(len(inputs), -1),
            fixed.evaluate(inputs),
            np.repeat(np.arange(3, dtype=np.int8), [len(piece) for piece in pieces]),
            {
                **tested.jets.scalars,
                "target": tested.target.astype(np.int64),
                "sample": tested.sample.astype(np.int64),
            },
            tested.samples,
        ),
    )
